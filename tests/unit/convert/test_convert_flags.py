"""Colours that flag cells in office files: a red potassium must not look like any other."""

import pytest

from docpipe.convert.readers.sheets.conditions import RULED
from tests.unit.convert import placed
from tests.unit.convert.documents import docx, run, text_of
from tests.unit.convert.offices import SHEET, odf, pptx, xlsx


def word(rows):
    """A table of Word; a cell's colour is its background or, with "!", that of its letters."""

    def cell(text, colour):
        ink = f"<w:rPr><w:color w:val='{colour[1:]}'/></w:rPr>" if colour.startswith("!") else ""
        paper = f"<w:tcPr><w:shd w:fill='{colour}'/></w:tcPr>" if colour and not ink else ""
        return f"<w:tc>{paper}<w:p><w:r>{ink}<w:t>{text}</w:t></w:r></w:p></w:tc>"

    inner = "".join(f"<w:tr>{''.join(cell(*each) for each in row)}</w:tr>" for row in rows)
    return docx(f"<w:tbl>{inner}</w:tbl>")


def workbook(rows):
    colours = sorted({colour for row in rows for _, colour in row if colour})
    fonts = "".join(f'<font><color rgb="FF{each[1:]}"/></font>' for each in colours if each[0] == "!")
    fills = "".join(
        f'<fill><patternFill patternType="solid"><fgColor rgb="FF{each}"/></patternFill></fill>'
        for each in colours
        if each[0] != "!"
    )
    inks = [each for each in colours if each[0] == "!"]
    papers = [each for each in colours if each[0] != "!"]
    formats = "".join(
        f'<xf fontId="{inks.index(each) + 1}"/>'
        if each in inks
        else f'<xf fillId="{papers.index(each) + 1}"/>'
        for each in colours
    )
    styles = (
        f'<styleSheet xmlns="{SHEET}"><fonts><font/>{fonts}</fonts><fills><fill/>{fills}</fills>'
        f"<cellXfs><xf/>{formats}</cellXfs></styleSheet>"
    )

    def cell(text, colour):
        style = colours.index(colour) + 1 if colour else 0
        return f'<c s="{style}" t="inlineStr"><is><t>{text}</t></is></c>'

    inner = "".join(f"<row>{''.join(cell(*each) for each in row)}</row>" for row in rows)
    return xlsx({"S": inner}, more={"xl/styles.xml": styles})


def open_document(kind):
    def made(rows):
        styles = ""
        for colour in {colour for row in rows for _, colour in row if colour}:
            look = (
                f'<style:text-properties fo:color="#{colour[1:].lower()}"/>'
                if colour[0] == "!"
                else f'<style:table-cell-properties fo:background-color="#{colour.lower()}"/>'
            )
            name = f'style:name="c{colour.strip("!")}" style:family="table-cell"'
            styles += f"<style:style {name}>{look}</style:style>"

        def cell(text, colour):
            style = f' table:style-name="c{colour.strip("!")}"' if colour else ""
            named = f'table:table-cell office:value-type="string"{style}'
            return f"<{named}><text:p>{text}</text:p></table:table-cell>"

        inner = "".join(
            f"<table:table-row>{''.join(cell(*each) for each in row)}</table:table-row>" for row in rows
        )
        return odf(f'<table:table table:name="S">{inner}</table:table>', kind, automatic=styles)

    return made


def slide(rows):
    def fill(colour):
        return f'<a:solidFill><a:srgbClr val="{colour}"/></a:solidFill>'

    def cell(text, colour):
        ink = f"<a:rPr>{fill(colour[1:])}</a:rPr>" if colour.startswith("!") else ""
        paper = fill(colour) if colour and not ink else ""
        run = f"<a:r>{ink}<a:t>{text}</a:t></a:r>"
        return f"<a:tc><a:txBody><a:p>{run}</a:p></a:txBody><a:tcPr>{paper}</a:tcPr></a:tc>"

    inner = "".join(f"<a:tr>{''.join(cell(*each) for each in row)}</a:tr>" for row in rows)
    return pptx(f"<p:graphicFrame><a:graphic><a:tbl>{inner}</a:tbl></a:graphic></p:graphicFrame>")


def rich(rows):
    """A table of RTF."""
    colours = sorted({colour.strip("!") for row in rows for _, colour in row if colour})
    table = "".join(
        ";"
        + "".join(
            rf"\{name}{int(code[at : at + 2], 16)}" for at, name in ((0, "red"), (2, "green"), (4, "blue"))
        )
        for code in colours
    )
    lines = ""
    for row in rows:
        papers = [colours.index(colour) + 1 if colour and colour[0] != "!" else 0 for _, colour in row]
        lines += r"\trowd" + "".join(
            (rf"\clcbpat{paper}" if paper else "") + rf"\cellx{2000 * at}"
            for at, paper in enumerate(papers, 1)
        )
        for text, colour in row:
            ink = rf"{{\cf{colours.index(colour[1:]) + 1} {text}}}" if colour.startswith("!") else text
            lines += rf"\pard\intbl {ink}\cell "
        lines += r"\row"
    return rf"{{\rtf1\ansi{{\colortbl{table};}}{lines}\pard}}".encode()


FILES = {
    "RTF": rich,
    "DOCX": word,
    "XLSX": workbook,
    "ODS": open_document("spreadsheet"),
    "ODT": open_document("text"),
    "PPTX": slide,
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_flagged_cells_name_their_colour(make, tmp_path):
    """Red letters, a pale red or yellow background; blue letters and green cells are looks."""
    rows = [
        [("Sodium", ""), ("140", "C6EFCE")],
        [("Potassium", "!0000FF"), ("6.9", "!FF0000")],
        [("Glucose", ""), ("3.1", "FFC7CE")],
        [("Urea", ""), ("9.0", "FFFF00")],
    ]
    text = text_of(tmp_path, make(rows))
    for line in (
        "| Sodium | 140 |",
        "| Potassium | 6.9 [red] |",
        "| Glucose | 3.1 [red] |",
        "| Urea | 9.0 [yellow] |",
    ):
        assert line in text


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_tables_that_are_mostly_coloured_flag_nothing(make, tmp_path):
    """A form printed in red is no list of warnings."""
    rows = [[("a", ""), ("b", "")], *[[("c", "FF0000"), ("d", "FF0000")]] * 3]
    assert "[red]" not in text_of(tmp_path, make(rows))


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_a_coloured_row_at_the_top_is_a_head(make, tmp_path):
    """It names the columns, and flags nothing."""
    rows = [[("Test", "FF0000"), ("Value", "FF0000")], *[[("Sodium", ""), ("140", "")]] * 3]
    assert "[red]" not in text_of(tmp_path, make(rows))


RED = {"FF0000": "red", "FFFF00": "yellow"}


def in_word(text, colour):
    return f"<w:r><w:rPr><w:color w:val='{colour}'/></w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def word_text(*runs):
    return docx(f"<w:p>{''.join(in_word(*each) for each in runs)}</w:p>")


def word_pen(*runs):
    """With a marker pen, by a style for characters."""
    pen = "<w:highlight w:val='{}'/>".format
    named = "<w:rPr><w:rStyle w:val='{}'/></w:rPr>".format
    inner = "".join(
        f"<w:r>{named(RED.get(colour, 'none'))}<w:t xml:space='preserve'>{text}</w:t></w:r>"
        for text, colour in runs
    )
    styles = "".join(
        f"<w:style w:type='character' w:styleId='{each}'><w:rPr>{pen(each)}</w:rPr></w:style>"
        for each in ("red", "yellow", "none")
    )
    return docx(f"<w:p>{inner}</w:p>", {"styles": ("styles", styles)})


def odt_text(*runs):
    spans = "".join(f'<text:span text:style-name="c{colour}">{text}</text:span>' for text, colour in runs)
    styles = "".join(
        f'<style:style style:name="c{each}" style:family="text"><style:text-properties '
        f'fo:background-color="#{each.lower()}"/></style:style>'
        for each in {colour for _, colour in runs}
    )
    return odf(f"<text:p>{spans}</text:p>", automatic=styles)


def slide_text(*runs):
    inner = "".join(
        f'<a:r><a:rPr><a:solidFill><a:srgbClr val="{colour}"/></a:solidFill></a:rPr><a:t>{text}</a:t></a:r>'
        for text, colour in runs
    )
    return pptx(f"<p:sp><p:txBody><a:p>{inner}</a:p></p:txBody></p:sp>")


def cell_text(*runs):
    inner = "".join(
        f'<r><rPr><color rgb="FF{colour}"/></rPr><t xml:space="preserve">{text}</t></r>'
        for text, colour in runs
    )
    return xlsx({"S": f'<row><c t="inlineStr"><is>{inner}</is></c></row>'})


def rich_text(*runs):
    inner = "".join(rf"{{\cf{1 if colour == 'FF0000' else 2} {text}}}" for text, colour in runs)
    return rf"{{\rtf1\ansi{{\colortbl;\red255\green0\blue0;\red0\green0\blue0;}}{inner}\par}}".encode()


TEXTS = {
    "DOCX": word_text,
    "a style of DOCX": word_pen,
    "ODT": odt_text,
    "PPTX": slide_text,
    "XLSX": cell_text,
    "RTF": rich_text,
}


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
def test_a_flagged_passage_names_its_colour(make, tmp_path):
    """A passage of several runs once, behind its last word."""
    runs = [
        ("Potassium ", "000000"),
        ("6.9", "FF0000"),
        (" ", "FF0000"),
        ("mmol/L ", "FF0000"),
        ("and sodium 140", "000000"),
    ]
    assert "Potassium 6.9 mmol/L [red] and sodium 140" in text_of(tmp_path, make(*runs))


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "runs",
    [
        [("Warning: ", "FF0000"), ("see", "000000")],
        [("A heading", "FF0000")],
        [("Name", "000000"), ("*", "FF0000"), (" of the patient", "000000")],
    ],
    ids=["most of a line", "all of a line", "a mere sign"],
)
def test_other_colours_in_a_text_flag_nothing(make, runs, tmp_path):
    """What is coloured for looks is no flag."""
    text = text_of(tmp_path, make(*runs))
    assert "".join(part for part, _ in runs).replace("*", "") in text.replace("\\*", "")
    assert "[red]" not in text


VALUES = [["Test", "Value"], ["Sodium", "140"], ["Potassium", "6.9"], ["Urea", "5"], ["Chloride", "100"]]


def lines(listed, colours=()):
    """Rows of a page, those in `colours` with red letters or, with "!", on a yellow paper."""
    drawn = []
    for number, row in enumerate(listed):
        y = 700 - 20 * number
        colour = dict(colours).get(number, "")
        for at, cell in enumerate(row):
            if colour == "!" and at:
                drawn.append(f"1 1 0 rg {196 if at else 68} {y - 4} 60 16 re f 0 g")
            red = colour == "red" and at
            drawn += ["1 0 0 rg"] * red + [placed.text((72, 200)[at], y, cell)] + ["0 g"] * red
    return placed.page_pdf(drawn)


@pytest.mark.parametrize(("colour", "name"), [("red", "red"), ("!", "yellow")])
def test_flagged_words_of_a_pdf_name_their_colour(colour, name, tmp_path):
    """By their letters or by what lies behind them."""
    text = text_of(tmp_path, lines(VALUES, [(2, colour)]))
    assert f"| Potassium | 6.9 [{name}] |" in text
    assert text.count("[") == 1


def test_coloured_lines_of_a_pdf_flag_nothing(tmp_path):
    """A heading in red, the head of a table on a coloured paper, a page in red letters."""
    heading = ["0.8 0 0 rg", placed.text(72, 740, "Laboratory report of today"), "0 g"]
    head = ["1 0.6 0 rg 60 696 400 16 re f 0 g"]
    rows = [
        placed.text(x, 700 - 20 * at, cell)
        for at, row in enumerate(VALUES)
        for x, cell in zip((72, 200), row, strict=True)
    ]
    assert "[" not in text_of(tmp_path / "a", placed.page_pdf([*heading, *head, *rows]))
    assert "[" not in text_of(tmp_path / "b", placed.page_pdf(["1 0 0 rg", *rows]))


def test_a_coloured_row_of_a_pdf_is_flagged(tmp_path):
    """It stands below others that are not."""
    rows = [
        placed.text(x, 700 - 20 * at, cell)
        for at, row in enumerate(VALUES)
        for x, cell in zip((72, 200), row, strict=True)
    ]
    text = text_of(tmp_path, placed.page_pdf(["1 0.8 0.8 rg 60 656 400 16 re f 0 g", *rows]))
    assert "| Potassium [red] | 6.9 [red] |" in text


def test_conditions_of_an_open_document_sheet_flag(tmp_path):
    """The style that a condition names is that of the cell; one that cannot be told has a warning."""
    styles = (
        '<style:style style:name="c" style:family="table-cell"><style:map '
        'style:condition="cell-content()&gt;5" style:apply-style-name="Bad"/></style:style>'
        '<style:style style:name="d" style:family="table-cell">'
        '<style:map style:condition="cell-content()&gt;[.D1]" style:apply-style-name="Bad"/></style:style>'
        '<style:style style:name="Bad" style:family="table-cell"><style:text-properties fo:color="#ff0000"/>'
        "</style:style>"
    )

    def sheet(name):
        cell = "<table:table-cell {}><text:p>{}</text:p></table:table-cell>".format
        rows = "".join(
            f"<table:table-row>{cell('', label)}"
            + cell(f'table:style-name="{name}" office:value-type="float" office:value="{value}"', value)
            + "</table:table-row>"
            for label, value in (("K", "6.9"), ("Ca", "2.4"), ("Mg", "0.9"))
        )
        return odf(f'<table:table table:name="S">{rows}</table:table>', "spreadsheet", automatic=styles)

    done, outputs = run(tmp_path / "a", sheet("c"))
    assert b"| K | 6.9 [red] |\n| Ca | 2.4 |" in outputs["text.md"]
    assert done["warnings"] == []
    done, outputs = run(tmp_path / "b", sheet("d"))
    assert b"[red]" not in outputs["text.md"]
    assert done["warnings"] == [RULED]
