"""What cells of Excel mean by their looks, and which rows belong into one table."""
# ruff: noqa: RUF001 - the signs are the data

import pytest

from docpipe.convert.core.blocks import Paragraph, Table
from docpipe.convert.readers.office.runs import HIDDEN as HIDDEN_TEXT
from docpipe.convert.readers.sheets.beside import margin_text
from docpipe.convert.readers.sheets.cells import HIDDEN, Cell, blocks_of
from docpipe.convert.readers.sheets.conditions import RULED, holds
from docpipe.convert.readers.sheets.numberformat import formatted
from tests.unit.convert.documents import run, text_of
from tests.unit.convert.offices import DRAWING, SHEET, relations, xlsx

FONTS = {
    "struck": "<strike/>",
    "Symbol": '<name val="Symbol"/>',
    "raised": '<vertAlign val="superscript"/>',
    "bold": "<b/>",
}
PARTS = {
    "xl/styles.xml": f'<styleSheet xmlns="{SHEET}"><fonts><font/>'
    + "".join(f"<font>{font}</font>" for font in FONTS.values())
    + "</fonts><cellXfs><xf/>"
    + "".join(f'<xf fontId="{at}"/>' for at, _ in enumerate(FONTS, 1))
    + "</cellXfs></styleSheet>"
}


def styled(text, font=""):
    """A cell with a text in one of the fonts."""
    at = [*FONTS].index(font) + 1 if font else 0
    return f'<c t="inlineStr" s="{at}"><is>{text}</is></c>'


def t(text):
    return f'<t xml:space="preserve">{text}</t>'


def r(text, properties=""):
    return f"<r><rPr>{properties}</rPr>{t(text)}</r>"


CELLS = {
    "a struck cell": (styled(t("Warfarin"), "struck"), "~~Warfarin~~"),
    "a struck number": ('<c s="1"><v>5</v></c>', "~~5~~"),
    "a struck run": (styled(r("Aspirin", "<strike/>") + r(" Clopidogrel")), "~~Aspirin~~ Clopidogrel"),
    "a run that is not struck in a struck cell": (
        styled(f"<r>{t('Aspirin')}</r>" + r(" Clopidogrel"), "struck"),
        "~~Aspirin~~ Clopidogrel",
    ),
    "a raised run": (styled(r("10") + r("9", '<vertAlign val="superscript"/>') + r("/L")), "10⁹/L"),
    "a run in Symbol": (styled(r("100 ") + r("m", '<rFont val="Symbol"/>') + r("g")), "100 μg"),
    "a cell in Symbol": (styled(t("a"), "Symbol"), "α"),
    "a private character": (styled(t("\uf061"), "Symbol"), "α"),
    "a bold run": (styled(r("is ") + r("not", "<b/>") + r(" given")), "is **not** given"),
    "a bold cell": (styled(t("Potassium"), "bold"), "Potassium"),
}


@pytest.mark.parametrize(("cell", "markdown"), CELLS.values(), ids=CELLS)
def test_looks_that_mean_something_are_kept(cell, markdown, tmp_path):
    """Of the whole cell, and of a run within it; a shared string likewise."""
    data = xlsx({"S": f"<row>{cell}</row>"}, more=PARTS)
    assert text_of(tmp_path / "a", data) == f"## S\n\n{markdown}\n"
    if "<is>" in cell:
        string = cell.partition("<is>")[2].partition("</is>")[0]
        shared = cell.replace(f"<is>{string}</is>", "<v>0</v>").replace("inlineStr", "s")
        data = xlsx({"S": f"<row>{shared}</row>"}, strings=[string], more=PARTS)
        assert text_of(tmp_path / "b", data) == f"## S\n\n{markdown}\n"


def test_hidden_rows_and_columns_are_marked(tmp_path):
    """They may be another patient's: a warning alone does not say which."""
    sheet = (
        '<cols><col min="2" max="2" hidden="1"/></cols><sheetData>'
        f"<row>{styled(t('Drug'))}{styled(t('Other'))}</row>"
        f'<row hidden="1">{styled(t("Warfarin"))}{styled(t("Jane"))}</row>'
        f"<row>{styled(t('Apixaban'))}{styled(t('John'))}</row></sheetData>"
    )
    done, outputs = run(tmp_path, xlsx({"S": sheet}))
    assert outputs["text.md"].decode().splitlines()[2:] == [
        "| Drug | Other (hidden column) |",
        "| --- | --- |",
        "| Warfarin (hidden row) | Jane |",
        "| Apixaban | John |",
    ]
    assert HIDDEN in done["warnings"]


FORMATS = {
    r"\1\.0#": {1: "1.01", 10: "1.10"},
    "0##": {5: "005", 1234: "1234"},
    "#0.#0": {1.5: "1.50", 1.25: "1.25"},
    "0.0#": {1.5: "1.5", 1.25: "1.25"},
    ";;;": {5: "", -5: "", 0: ""},
    "0;;": {5: "5", -5: "", 0: ""},
    "0;-0;;@": {5: "5", 0: ""},
    "[Red]": {5: "5"},
    '"no. "@': {5: "no. 5"},
}


@pytest.mark.parametrize("code", FORMATS)
def test_formats_show_numbers_as_excel_does(code):
    """Item 1.01 is not 1.1; a part of a format without anything shows nothing."""
    assert {number: formatted(number, code) for number in FORMATS[code]} == FORMATS[code]


MEANT = {
    "a number that only its colour calls negative": ("n", -4.2, "0.0;[Red]0.0", "4.2 [red]"),
    "a number that a sign calls negative": ("n", -4.2, "0.0;[Red]-0.0", "-4.2"),
    "a number beyond a bound": ("n", 6.9, "[Red][&gt;5.1]0.0;0.0", "6.9 [red]"),
    "a number within bounds": ("n", 4.9, "[Red][&gt;5.1]0.0;0.0", "4.9"),
    "numbers that all have a colour": ("n", 6.9, "[Red]0.0", "6.9"),
    "a colour by number": ("n", 6.9, "[Color 3][&gt;5.1]0.0;[Blue]0.0", "6.9 [red]"),
    "a text in its format": ("str", "neg", "0;0;0;&quot;Result: &quot;@", "Result: neg"),
    "a text in a format for all": ("str", "neg", "@&quot; (lab)&quot;", "neg (lab)"),
    "a text in a format of numbers": ("str", "neg", "0.0;-0.0", "neg"),
}


@pytest.mark.parametrize(("kind", "value", "code", "text"), MEANT.values(), ids=MEANT)
def test_formats_with_a_meaning_are_reported(kind, value, code, text, tmp_path):
    """A base excess of -4.2 must not read 4.2."""
    sheet = f'<row><c s="0" t="{kind}"><v>{value}</v></c></row>'
    assert text_of(tmp_path, xlsx({"S": sheet}, formats=[code], cells=[164])) == f"## S\n\n{text}\n"


def test_rows_and_columns_without_a_size_are_hidden(tmp_path):
    """As spreadsheets of some programs hide them."""
    sheet = (
        '<cols><col min="2" max="2" width="0" customWidth="1"/></cols><sheetData>'
        f"<row>{styled(t('Drug'))}{styled(t('Other'))}</row>"
        f'<row ht="0" customHeight="1">{styled(t("Warfarin"))}</row></sheetData>'
    )
    text = text_of(tmp_path, xlsx({"S": sheet}))
    assert "| Drug | Other (hidden column) |" in text
    assert "| Warfarin (hidden row) |  |" in text


def test_cells_whose_format_hides_them_are_marked_with_a_warning(tmp_path):
    """Numbers and texts; a zero that shows as a blank is no secret."""
    cell = '<c s="{}" t="{}"><v>{}</v></c>'.format
    hidden = f"<row>{cell(0, 'str', 'seen')}{cell(1, 'n', 5)}{cell(1, 'str', 'HIV')}</row>"
    done, outputs = run(tmp_path / "a", xlsx({"S": hidden}, formats=[";;;", "0;-0;"], cells=[0, 164, 165]))
    assert b"| seen | [hidden: 5] | [hidden: HIV] |" in outputs["text.md"]
    assert done["warnings"] == [HIDDEN_TEXT]
    zero = f"<row>{cell(0, 'str', 'seen')}{cell(2, 'n', '0.0')}</row>"
    done, _ = run(tmp_path / "b", xlsx({"S": zero}, formats=[";;;", "0;-0;"], cells=[0, 164, 165]))
    assert done["warnings"] == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ('&L&"Arial,Bold"&12Patient: Testa&CDRAFT &K01+000x&RPage &P of &N', "Patient: Testa\nDRAFT x"),
        ("&KFF0000CONFIDENTIAL", "CONFIDENTIAL"),
        ("R&&D", "R&D"),
        ("&L&A&CSeite &P/&N", ""),
        ("MRN 000111", "MRN 000111"),
        ("&Sold&S new", "\ufdd0old\ufdd1 new"),
    ],
)
def test_headers_say_their_words_without_codes_and_fields(code, text):
    """What only numbers pages is left out."""
    assert margin_text(code) == text


def test_page_headers_stand_at_the_sheet_that_bears_them(tmp_path):
    """Once where the next sheet has the same; another patient's sheet has its own."""
    sheet = (
        "<sheetData><row><c><v>1</v></c></row></sheetData><headerFooter><oddHeader>{}</oddHeader>"
        "<oddFooter>DRAFT</oddFooter></headerFooter>"
    ).format
    data = xlsx({"A": sheet("Testa"), "B": sheet("Testa"), "C": sheet("Roe")})
    assert text_of(tmp_path, data) == (
        "## A\n\nPage header: Testa\n\n1\n\nPage footer: DRAFT\n\n## B\n\n1\n\n"
        "## C\n\nPage header: Roe\n\n1\n"
    )


VML = "xmlns:v='urn:schemas-microsoft-com:vml' xmlns:x='urn:schemas-microsoft-com:office:excel'"


def control(kind, label, more=""):
    return (
        f"<v:shape><v:textbox><div>{label}</div></v:textbox><x:ClientData ObjectType='{kind}'>{more}"
        "</x:ClientData></v:shape>"
    )


def test_controls_on_a_sheet_show_their_state(tmp_path):
    """Notes, which are shapes too, have none; the label is not said twice."""
    shapes = (
        control("Checkbox", "Smoker", "<x:Checked>1</x:Checked>")
        + control("Checkbox", "Diabetes")
        + control("Radio", "left", "<x:Checked>0</x:Checked>")
        + control("Drop", "", "<x:Sel>2</x:Sel>")
        + control("Note", "no control")
    )
    drawn = f"<xdr:wsDr xmlns:xdr='xdr' xmlns:a='{DRAWING}'>" + "".join(
        f"<xdr:sp><xdr:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
        for text in ("Smoker", "a box")
    )
    more = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(("vmlDrawing", "../v.vml"), ("drawing", "../d.xml")),
        "xl/v.vml": f"<xml {VML}>{shapes}</xml>",
        "xl/d.xml": f"{drawn}</xdr:wsDr>",
    }
    assert text_of(tmp_path, xlsx({"S": "<row><c><v>1</v></c></row>"}, more=more)) == (
        "## S\n\n1\n\n☑ Smoker\n\n☐ Diabetes\n\n☐ left\n\n\\[item 2 of a list is chosen]\n\na box\n"
    ).replace("\\[item", "[item")


@pytest.mark.parametrize(
    ("older", "newer", "line"),
    [
        ("<x:Checked>1</x:Checked>", "", "☐ Smoker"),
        ("", 'checked="Checked"', "☑ Smoker"),
        ("<x:Checked>1</x:Checked>", 'checked="Unchecked"', "☐ Smoker"),
        ("", 'checked="Mixed"', "[partly] ☐ Smoker"),
        ("<x:Checked>2</x:Checked>", None, "[partly] ☐ Smoker"),
        ("<x:Checked>1</x:Checked>", None, "☑ Smoker"),
    ],
)
def test_the_newer_record_of_a_control_counts(older, newer, line, tmp_path):
    """Where a file has two that differ, as programs leave it that only know one."""
    shape = control("Checkbox", "Smoker", older).replace("<v:shape>", "<v:shape id='_x0000_s1025'>")
    kinds = [("vmlDrawing", "../v.vml"), *([("ctrlProp", "../c.xml")] if newer is not None else [])]
    more = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(*kinds),
        "xl/v.vml": f"<xml {VML}>{shape}</xml>",
        "xl/c.xml": f'<formControlPr objectType="CheckBox" {newer}/>',
    }
    cells = "<sheetData><row><c><v>1</v></c></row></sheetData>"
    listed = '<controls><control shapeId="1025" r:id="r2" name="a"/></controls>' if newer is not None else ""
    assert text_of(tmp_path, xlsx({"S": cells + listed}, more=more)) == f"## S\n\n1\n\n{line}\n"


def test_a_table_that_the_file_declares_has_its_head(tmp_path):
    """Even where the names of its columns are amounts."""
    cells = "".join(f"<row>{styled(t(a))}{styled(t(b))}</row>" for a, b in (("Drug", "5 mg"), ("a", "b")))
    more = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(("table", "../t.xml")),
        "xl/t.xml": '<table ref="A1:B2"/>',
    }
    assert "| Drug | 5 mg |\n| --- |" in text_of(tmp_path, xlsx({"S": cells}, more=more))


RED = '<dxf><fill><patternFill><bgColor rgb="FFFF0000"/></patternFill></fill></dxf>'
OLD = "<dxf><font><strike/></font></dxf>"
GREEN = '<dxf><fill><patternFill><bgColor rgb="FF00B050"/></patternFill></fill></dxf>'
ROWS = [("Potassium", 6.9, "HIGH"), ("Sodium", 140, ""), ("Chloride", 100, "old")]


def ruled(*rules, formats=RED + OLD + GREEN):
    """A sheet with rules: its cells, kind, attributes, formulas and format each."""
    lines = "".join(
        f'<row r="{at}"><c r="A{at}" t="str"><v>{name}</v></c><c r="B{at}"><v>{value}</v></c>'
        f'<c r="C{at}" t="str"><v>{flag}</v></c></row>'
        for at, (name, value, flag) in enumerate(ROWS, 1)
    )
    written = "".join(
        f'<conditionalFormatting sqref="{cells}"><cfRule type="{kind}" dxfId="{form}" priority="{at}" {more}>'
        f"{''.join(f'<formula>{each}</formula>' for each in formulas)}</cfRule></conditionalFormatting>"
        for at, (cells, kind, more, formulas, form) in enumerate(rules, 1)
    )
    styles = f'<styleSheet xmlns="{SHEET}"><cellXfs><xf/></cellXfs><dxfs>{formats}</dxfs></styleSheet>'
    return xlsx({"S": f"<sheetData>{lines}</sheetData>{written}"}, more={"xl/styles.xml": styles})


HIGH = ("B1:B3", "cellIs", 'operator="notBetween"', ["10", "150"], 0)
FOLLOWED = {
    "out of bounds": ([HIGH], "| Potassium | 6.9 [red] | HIGH |"),
    "less": ([("B1:B3", "cellIs", 'operator="lessThan"', ["6.91"], 0)], "| Potassium | 6.9 [red] | HIGH |"),
    "a text": ([("C1:C3", "cellIs", 'operator="equal"', ['"high"'], 0)], "| Potassium | 6.9 | HIGH [red] |"),
    "a part of a text": ([("C1:C3", "containsText", 'text="ig"', [], 0)], "| Potassium | 6.9 | HIGH [red] |"),
    "another cell of the row": (
        [("A1:B3", "expression", "", ['$C1="old"'], 1)],
        "| ~~Chloride~~ | ~~100~~ | old |",
    ),
    "the cell beside": ([("A1:A3", "expression", "", ["B1&lt;50"], 0)], "| Potassium [red] | 6.9 | HIGH |"),
    "the first rule of two": (
        [("B1", "cellIs", 'operator="equal"', ["6.9"], 2), HIGH],
        "| Potassium | 6.9 | HIGH |",
    ),
}


@pytest.mark.parametrize(("rules", "line"), FOLLOWED.values(), ids=FOLLOWED)
def test_rules_that_compare_with_constants_are_followed(rules, line, tmp_path):
    """A value that the sheet reddens bears the word, and needs no warning."""
    done, outputs = run(tmp_path, ruled(*rules))
    assert line in outputs["text.md"].decode().splitlines()
    assert outputs["text.md"].count(b"[red]") == line.count("[red]")
    assert done["warnings"] == []


@pytest.mark.parametrize(
    "rule",
    [
        ("B1:B3", "colorScale", "", [], 0),
        ("B1:B3", "timePeriod", 'timePeriod="today"', ["FLOOR(B1,1)=TODAY()"], 0),
        ("B1:B3", "cellIs", 'operator="greaterThan"', ["Limits!$D$1"], 0),
        ("B1:B3", "cellIs", 'operator="greaterThan"', ["LIMIT"], 0),
        ("B1:B3", "expression", "", ["B1&gt;TODAY()"], 0),
        ("B1:B3", "expression", "", ["(((B1&gt;5"], 0),
        ("B1:B3", "expression", "", ["(" * 500 + "B1" + ")" * 400], 0),
        ("B1:B3", "aboveAverage", 'stdDev="1"', [], 0),
        ("B1:B3", "cellIs", 'operator="greaterThan"', ["5"], 9),
        ("B1:B3", "iconSet", "", [], 0),
    ],
)
def test_other_rules_are_warned_of(rule, tmp_path):
    """Shades, the day, names, other sheets and what is no formula are not judged."""
    done, outputs = run(tmp_path, ruled(rule))
    assert b"[red]" not in outputs["text.md"]
    assert done["warnings"] == [RULED]


def test_rules_that_colour_cells_are_warned_of(tmp_path):
    """What they colour would have to be calculated."""
    rule = '<conditionalFormatting sqref="A1"><cfRule type="dataBar"/></conditionalFormatting>'
    sheet = f"<sheetData><row><c><v>1</v></c></row></sheetData>{rule}"
    assert run(tmp_path, xlsx({"S": sheet}))[0]["warnings"] == [RULED]


def row(number, *texts, strong=False):
    """A row with cells from the first column on; empty texts are no cells."""
    return number, [Cell(at, text, text.isdigit(), strong) for at, text in enumerate(texts) if text]


MAR = [row(1, "Drug", "Morning", "Noon", "Evening"), row(2, "Metformin", "500", "250", "1000")]


def test_rows_below_an_empty_one_keep_their_columns():
    """A dose below a blank row is still one of the evening; a comment below the table is none of it."""
    rows = [*MAR, row(4, "Warfarin", "", "", "5 mg"), row(5, "Digoxin", "", "", "125 mcg"), row(7, "Signed")]
    assert blocks_of(rows) == (
        Table(
            (("Drug", "Morning", "Noon", "Evening"),),
            (
                ("Metformin", "500", "250", "1000"),
                ("Warfarin", "", "", "5 mg"),
                ("Digoxin", "", "", "125 mcg"),
            ),
        ),
        Paragraph("Signed"),
    )


def test_a_line_between_rows_of_one_table_stays_in_it():
    """The rows below it must keep their heads."""
    (table,) = blocks_of([*MAR, row(4, "As needed"), row(6, "Zolpidem", "", "", "5 mg")])
    assert table.rows[-2:] == (("As needed", "", "", ""), ("Zolpidem", "", "", "5 mg"))


def test_a_table_with_a_bold_head_of_its_own_begins_anew():
    """So does one that the file declares."""
    below = [row(5, "Test", "Result"), row(6, "Potassium", "5")]
    bold = [row(5, "Test", "Result", strong=True), below[1]]
    for rows, heads in ((bold, ()), (below, {5})):
        assert blocks_of([*MAR, *rows], heads)[1:] == (Table((("Test", "Result"),), (("Potassium", "5"),)),)
    assert len(blocks_of([*MAR, *below])) == 1


def test_columns_beyond_those_above_begin_a_table():
    """What stands beside belongs to nothing above."""
    blocks = blocks_of(
        [row(1, "a", "b"), row(2, "1", "2"), row(4, "", "", "c", "d"), row(5, "", "", "3", "4")]
    )
    assert [block.width for block in blocks] == [2, 2]


def test_amounts_are_no_head():
    """Two drugs with their doses are two rows; bold ones would be a head."""
    rows = [row(1, "Warfarin", "5 mg"), row(2, "Digoxin", "125 mcg")]
    assert blocks_of(rows) == (Table((), (("Warfarin", "5 mg"), ("Digoxin", "125 mcg"))),)
    assert blocks_of([row(1, "Drug", "2 mg", strong=True), rows[1]])[0].head == (("Drug", "2 mg"),)


def test_of_bold_and_plain_rows_only_a_bold_one_is_a_head():
    """A first row that is plain where a later one is bold names nothing."""
    rows = [row(1, "Name", "Testa"), row(2, "Drug", "Dose", strong=True), row(3, "Warfarin", "5")]
    assert blocks_of(rows)[0].head == ()


@pytest.mark.parametrize(
    ("condition", "value", "met"),
    [
        ("cell-content()>5.1", 6.9, True),
        ("cell-content()>5.1", 4.0, False),
        ("value()<=5", 5.0, True),
        ('cell-content()="H"', "h", True),
        ("cell-content()!=5", "H", True),
        ("cell-content-is-between(3,5)", 4.0, True),
        ("cell-content-is-not-between(3,5)", 4.0, False),
        ("cell-content()>[.D1]", 4.0, None),
        ("is-true-formula([.A1]>1)", 4.0, None),
    ],
)
def test_conditions_of_open_document(condition, value, met):
    """Those with constants are known; of others nobody can tell."""
    assert holds(condition, value) is met
