"""Spreadsheets: what a person sees in the cells, and nothing that a file's claims could blow up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.readers.sheets.numberformat import BUILT_IN, formatted, plain
from tests.unit.convert import documents, offices
from tests.unit.convert.documents import run, text_of
from tests.unit.convert.offices import odf, xlsx

FORMATS = [
    (45322, "m/d/yy", "2024-01-31"),
    (45322.75, "m/d/yy h:mm", "2024-01-31 18:00"),
    (45322, '[$-F800]dddd", "mmmm dd", "yyyy', "2024-01-31"),
    (45322, "d.m.yyyy;@", "2024-01-31"),
    (45322, "mmm", "2024-01-31"),
    (59, "yyyy-mm-dd", "1900-02-28"),
    (61, "yyyy-mm-dd", "1900-03-01"),
    (0.5, "h:mm AM/PM", "12:00"),
    (0.999999999, "h:mm", "00:00"),
    (1.5, "[h]:mm:ss", "36:00:00"),
    (0.125, "0.0%", "12.5%"),
    (1234567.891, "#,##0.00", "1,234,567.89"),
    (-5, "0.00;[Red](0.00)", "(5.00)"),
    (0, '#,##0;-#,##0;"-"', "-"),
    (7, '0" mg"', "7 mg"),
    (37.25, '0.0 "°C"', "37.3 °C"),
    (7, "[$€-407] #,##0.00", "€ 7.00"),
    (123456789, "000-00-0000", "123-45-6789"),
    (5551234567, "(###) ###-####", "(555) 123-4567"),
    (7, "00000", "00007"),
    (1234.5, "0.00E+00", "1.23E+03"),
    (12.5, "# ?/?", "12 1/2"),
    (1234567, '0.0,,"M"', "1.2M"),
    (5, '[<10]"low";"high"', "low"),
    (50, '[<10]"low";"high"', "high"),
    (-3.14, "0.0", "-3.1"),
    (0.1 + 0.2, "General", "0.3"),
    (2958466, "yyyy-mm-dd", "2958466"),
    (-1, "yyyy-mm-dd", "-1"),
    (float("inf"), "0.00", "inf"),
]


@pytest.mark.parametrize(("value", "code", "text"), FORMATS)
def test_numbers_read_as_their_format_shows_them(value, code, text):
    """Dates are ISO 8601, percentages and units are kept, and rounding is what people expect."""
    assert formatted(value, code) == text


def test_dates_may_count_from_1904():
    """Old workbooks of the Macintosh count days from 1904."""
    assert formatted(43860, "m/d/yy", from_1904=True) == "2024-01-31"


@given(
    st.floats(-1e300, 1e300),
    st.one_of(
        st.sampled_from(sorted(BUILT_IN.values())),
        st.text('0#?.,%E+-/;[]hmsyd"\\_*@ €General', max_size=20),
    ),
)
def test_no_format_fails(value, code):
    """Whatever the number and the format, there is a text."""
    assert isinstance(formatted(value, code), str)
    assert float(plain(value)) == pytest.approx(value, rel=1e-14)


def test_a_sheet_becomes_a_table(tmp_path):
    """Shared strings, rich ones without phonetic guides, numbers, booleans, errors, results of formulas."""
    data = xlsx(
        {
            "Labs": '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
            '<row r="2"><c r="A2" t="inlineStr"><is><t>Na</t></is></c><c r="B2" s="1"><v>0.5</v></c></row>'
            '<row r="3"><c r="A3" t="b"><v>1</v></c><c r="B3" t="e"><v>#DIV/0!</v></c></row>'
            '<row r="4"><c r="A4" s="2"><v>45322</v></c><c r="B4" t="str"><f>A1&amp;"x"</f><v>'
            "Testx</v></c></row>"
            '<row r="5"><c r="A5" t="d"><v>2024-01-31T08:30:00Z</v></c><c r="B5"><f>NOW()</f></c></row>'
        },
        strings=["<t>Test</t>", "<r><t>Val</t></r><r><t>ue_x000A_|</t></r><rPh><t>x</t></rPh>"],
        formats=["0%", "d/m/yyyy"],
        cells=[0, 164, 165],
    )
    done, outputs = run(tmp_path, data, name="x.xlsx")
    assert outputs["text.md"].decode() == (
        "## Labs\n\n| Test | Value<br>\\| |\n| --- | --- |\n| Na | 50% |\n| TRUE | #DIV/0! |\n| "
        "2024-01-31 | Testx |\n"
        "| 2024-01-31 08:30:00 | =NOW() |\n"
    )
    assert done["warnings"] == ["formulas without a stored result are written as formulas"]


def test_titles_stand_above_and_gaps_part_tables(tmp_path):
    """A line alone is a paragraph; an empty row parts two tables; empty columns are left out."""
    cell = '<c r="{}" t="str"><v>{}</v></c>'.format
    data = xlsx(
        {
            "S": f'<row r="1">{cell("A1", "Title")}</row><row r="2">{cell("B2", "a")}{cell("D2", "b")}</row>'
            f'<row r="3">{cell("B3", "c")}{cell("D3", "d")}</row><row r="9">'
            f"{cell('A9', 'e')}{cell('B9', 'f')}</row>"
        }
    )
    assert text_of(tmp_path, data) == (
        "## S\n\nTitle\n\n| a | b |\n| --- | --- |\n| c | d |\n\n|  |  |\n| --- | --- |\n| e | f |\n"
    )


def test_hidden_sheets_are_shown_and_reported(tmp_path):
    """Nothing of a workbook stays unseen because somebody hid it."""
    row = '<row r="1"><c r="A1"><v>1</v></c></row>'
    done, outputs = run(tmp_path, xlsx({"Seen": row, "Unseen": row}, states=["", ' state="veryHidden"']))
    assert "## Unseen (hidden sheet)" in outputs["text.md"].decode()
    assert done["warnings"] == ["hidden sheets, rows or columns are included"]


def test_a_sheet_that_claims_every_cell_is_read_at_once(tmp_path):
    """Cells at the far corners of a sheet cost no more than two cells."""
    data = xlsx(
        {"S": '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'}
    )
    assert text_of(tmp_path, data) == "## S\n\n1\n\n2\n"


def test_cells_without_addresses_follow_each_other(tmp_path):
    """Some writers leave out where a cell stands."""
    data = xlsx({"S": "<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c><c><v>4</v></c></row>"})
    assert "| 1 | 2 |\n| 3 | 4 |" in text_of(tmp_path, data)


def test_too_many_cells_are_reported(tmp_path, monkeypatch):
    """A sheet beyond the limit is read up to it, with a warning."""
    rows = "".join(f'<row r="{at}"><c><v>{at}</v></c><c><v>0</v></c></row>' for at in range(1, 8))
    monkeypatch.setattr("docpipe.convert.readers.sheets.from_xlsx.MOST_CELLS", 6)
    done, outputs = run(tmp_path, xlsx({"S": rows}))
    assert outputs["text.md"].decode().count("\n| ") == 5
    assert any("cells are converted" in warning for warning in done["warnings"])


def test_a_sheet_that_breaks_off_is_read_up_to_there(tmp_path):
    """Rows before the damage are kept, and the damage is reported."""
    data = xlsx(
        {"S": '<sheetData><row r="1"><c><v>1</v></c><c><v>2</v></c></row><row r="2"><c><v>3</sheetData>'}
    )
    done, outputs = run(tmp_path, data)
    assert "| 1 | 2 |" in outputs["text.md"].decode()
    assert done["warnings"] == ["the file is damaged; its readable parts are converted"]


def test_notes_on_cells_are_listed(tmp_path):
    """What somebody noted on a cell stands below its sheet, with the cell and the author."""
    data = xlsx(
        {"S": '<row r="1"><c r="A1"><v>1</v></c></row>'},
        more={
            "xl/worksheets/_rels/sheet1.xml.rels": offices.relations(("comments", "../comments1.xml")),
            "xl/comments1.xml": f'<comments xmlns="{offices.SHEET}"><authors><author>Dr A</author>'
            f"</authors><commentList>"
            '<comment ref="A1" authorId="0"><text><r><t>check</t></r></text></comment></commentList>'
            "</comments>",
        },
    )
    assert text_of(tmp_path, data).endswith("### Comments\n\n- A1 (Dr A): check\n")


def test_a_document_within_a_workbook_is_taken_out(tmp_path):
    """A PDF put into a workbook becomes a document of its own."""
    data = xlsx({"S": '<row r="1"><c><v>1</v></c></row>'}, more={"xl/embeddings/report.pdf": documents.pdf()})
    done, _ = run(tmp_path, data)
    assert [part["name"] for part in done["embedded"]] == ["report.pdf"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (xlsx({"S": ""}), "This is an Excel workbook without any text."),
        (
            offices.packed({"[Content_Types].xml": "x", "xl/workbook.bin": "x"}),
            "This is a binary Excel workbook; ",
        ),
    ],
)
def test_workbooks_kept_as_they_are(data, reason, tmp_path):
    """Empty and binary workbooks are stored with the reason."""
    done, _ = run(tmp_path, data)
    assert (done["outcome"], done["reason"].startswith(reason)) == ("stored", True)


def test_open_document_sheets_show_their_text(tmp_path):
    """Cells show the text that their writer formatted; repeated rows and columns cost nothing when empty."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'.format
    number = '<table:table-cell office:value-type="float"><text:p>1,50</text:p></table:table-cell>'
    date = (
        '<table:table-cell table:number-columns-repeated="2" office:value-type="date"><text:p>{}</text:p>'
        "</table:table-cell>"
    )
    empty = '<table:table-cell table:number-columns-repeated="16384"/>'
    data = odf(
        f'<table:table table:name="S"><table:table-row>'
        f"{cell('Test')}{cell('A')}{cell('B')}{empty}</table:table-row>"
        f"<table:table-row>{number}{date.format('31.01.24')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1048574">{empty}</table:table-row></table:table>'
        f'<table:table table:name="H" table:style-name="h"><table:table-row>'
        f"{cell('x')}</table:table-row></table:table>",
        "spreadsheet",
        automatic='<style:style style:name="h"><style:table-properties table:display="false"/></style:style>',
    )
    done, outputs = run(tmp_path, data)
    assert outputs["text.md"].decode() == (
        "## S\n\n| Test | A | B |\n| --- | --- | --- |\n| 1,50 | 31.01.24 | 31.01.24 |\n\n## H "
        "(hidden sheet)\n\nx\n"
    )
    assert done["warnings"] == ["hidden sheets, rows or columns are included"]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a;b\n1,5;2", "| a | b |\n| --- | --- |\n| 1,5 | 2 |"),
        ("a\tb\n1\t2", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("sep=;\na;b\n1;2", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ('a,b\n"x, y",2\n"two\nlines",3', "| a | b |\n| --- | --- |\n| x, y | 2 |\n| two<br>lines | 3 |"),
        (
            "a,b,c\n1\n1,2,3,4",
            "| a | b | c |  |\n| --- | --- | --- | --- |\n| 1 |  |  |  |\n| 1 | 2 | 3 | 4 |",
        ),
        ("a,b\n=1+1,@x", "| a | b |\n| --- | --- |\n| =1+1 | @x |"),
        (
            "Report, all of it\n\na;b;c\n1;2;3\n4;5;6",
            "| Report, all of it |  |  |\n| --- | --- | --- |\n| a | b | c |",
        ),
        ("\ufeffa,b\r\n1,2\r\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ('a,b\n1,"2\n3,4', "| a | b |\n| --- | --- |\n| 1 | "),
    ],
)
def test_csv_of_any_kind(text, markdown, tmp_path):
    """Delimiters are found, quoted line breaks kept, ragged rows filled, and formulas stay text."""
    assert text_of(tmp_path, text.encode(), name="x.csv").startswith(markdown)
