"""Letters in the colour of their paper, or of 1 pt: marked as hidden, in every kind of office file."""

import pytest

from docpipe.convert.readers.office.runs import HIDDEN
from tests.unit.convert.documents import docx, run
from tests.unit.convert.offices import DRAWING, SHEET, SLIDE, odf, pptx, relations, xlsx

WHITE_INK = '<style:text-properties fo:color="#ffffff"/></style:style>'
WHITE = '<style:style style:name="W" style:family="text">' + WHITE_INK
BAR = (
    '<style:style style:name="B" style:family="text">'
    '<style:text-properties fo:color="#000000" fo:background-color="#000000"/></style:style>'
)
BLUE_BLOCK = (
    '<style:style style:name="P" style:family="paragraph">'
    '<style:paragraph-properties fo:background-color="#000080"/></style:style>'
)
BLUE_CELL = (
    '<style:style style:name="C" style:family="table-cell">'
    '<style:table-cell-properties fo:background-color="#000080"/></style:style>'
)
WHITE_CELL = '<style:style style:name="V" style:family="table-cell">' + WHITE_INK
DARK_SLIDE = (
    '<style:style style:name="D" style:family="drawing-page">'
    '<style:drawing-page-properties draw:fill="solid" draw:fill-color="#000080"/></style:style>'
)
SMALL = WHITE.replace('"W"', '"S"').replace('fo:color="#ffffff"', 'fo:font-size="1pt"')
FOUR = SMALL.replace('"S"', '"F"').replace("1pt", "4pt")
STYLES = SMALL + FOUR + WHITE + BAR + BLUE_BLOCK + BLUE_CELL + WHITE_CELL + DARK_SLIDE
COLOURS = rb"{\colortbl;\red255\green255\blue255;\red0\green0\blue0;\red0\green0\blue128;}"


def span(text, name="W"):
    return f'<text:span text:style-name="{name}">{text}</text:span>'


def text(body):
    return odf(body, automatic=STYLES)


def table(*cells):
    row = "".join(
        f"<table:table-cell{style}><text:p>{inner}</text:p></table:table-cell>" for style, inner in cells
    )
    return f'<table:table table:name="S"><table:table-row>{row}</table:table-row></table:table>'


def sheet(*cells):
    return odf(table(*cells), "spreadsheet", automatic=STYLES)


def page(inner, style=""):
    """An OpenDocument slide with a frame of text."""
    frame = f"<draw:frame><draw:text-box><text:p>{inner}</text:p></draw:text-box></draw:frame>"
    more = "<draw:frame><draw:image/></draw:frame>" if style == "picture" else ""
    named = f' draw:style-name="{style}"' if style else ""
    return odf(f"<draw:page{named}>{more}{frame}</draw:page>", "presentation", automatic=STYLES)


def rtf(body):
    return rb"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}" + COLOURS + body + b"}"


LETTERS = '<a:solidFill><a:{} val="{}"/></a:solidFill>'
DARK = '<a:solidFill><a:srgbClr val="000080"/></a:solidFill>'


def slide(letters, fill="", before="", more=None):
    """A slide with a shape whose second run has letters of a colour."""
    return pptx(
        f"{before}<p:sp><p:nvSpPr/><p:spPr>{fill}</p:spPr><p:txBody><a:p><a:r><a:t>a </a:t></a:r>"
        f"<a:r><a:rPr>{letters}</a:rPr><a:t>dose</a:t></a:r></a:p></p:txBody></p:sp>",
        more=more,
    )


def sized_slide(hundredths):
    return pptx(
        "<p:sp><p:nvSpPr/><p:spPr/><p:txBody><a:p><a:r><a:t>a </a:t></a:r>"
        f'<a:r><a:rPr sz="{hundredths}"/><a:t>dose</a:t></a:r></a:p></p:txBody></p:sp>'
    )


def slide_table(letters, fill):
    filled = f'<a:solidFill><a:srgbClr val="{fill}"/></a:solidFill>' if fill else ""
    cell = (
        f"<a:tc><a:txBody><a:p><a:r><a:rPr>{letters}</a:rPr><a:t>dose</a:t></a:r></a:p></a:txBody>"
        f"<a:tcPr>{filled}</a:tcPr></a:tc>"
    )
    other = "<a:tc><a:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></a:txBody></a:tc>"
    return pptx(
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr>"
        f"{other}{cell}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )


def background(of):
    """A layout with a background, which the first slide has."""
    layout = (
        f'<p:sldLayout xmlns:p="{SLIDE}" xmlns:a="{DRAWING}"><p:cSld><p:bg>{of}</p:bg></p:cSld></p:sldLayout>'
    )
    return {
        "ppt/slides/_rels/slide1.xml.rels": relations(("slideLayout", "../slideLayouts/slideLayout1.xml")),
        "ppt/slideLayouts/slideLayout1.xml": layout,
    }


PICTURE = '<p:pic><p:spPr><a:xfrm><a:off x="{0}" y="0"/><a:ext cx="10" cy="10"/></a:xfrm></p:spPr></p:pic>'
PLACE = '<a:xfrm><a:off x="0" y="0"/><a:ext cx="10" cy="10"/></a:xfrm>'


def book(style, more="", ends="", cell=""):
    """A workbook whose second cell has one of the styles: plain, white, white of the theme, white on blue."""
    styles = (
        f'<styleSheet xmlns="{SHEET}"><fonts><font/><font><color rgb="FFFFFFFF"/></font><font>'
        '<color theme="0"/></font><font><sz val="1"/></font></fonts>'
        '<fills><fill><patternFill patternType="none"/></fill><fill>'
        '<patternFill patternType="solid"><fgColor rgb="FF000080"/></patternFill></fill></fills><cellXfs>'
        '<xf/><xf fontId="1"/><xf fontId="2"/><xf fontId="1" fillId="1"/><xf fontId="3"/></cellXfs>'
        "<dxfs><dxf>"
        '<fill><patternFill><bgColor rgb="FF000080"/></patternFill></fill></dxf></dxfs></styleSheet>'
    )
    second = cell or f'<c r="B1" s="{style}"><v>75</v></c>'
    cells = f'<c r="A1" t="inlineStr"><is><t>a</t></is></c>{second}'
    parts = {"xl/styles.xml": styles}
    if more:
        parts |= {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(("table", "../tables/table1.xml")),
            "xl/tables/table1.xml": more,
        }
    return xlsx({"S": f'<sheetData><row r="1">{cells}</row></sheetData>{ends}'}, more=parts)


def word(properties, cell="", style=""):
    inner = f"<w:p><w:r><w:rPr>{properties}</w:rPr><w:t>dose</w:t></w:r></w:p>"
    other = "<w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
    named = f'<w:tblPr><w:tblStyle w:val="{style}"/></w:tblPr>'
    dark = (
        '<w:style w:type="table" w:styleId="T"><w:tblStylePr w:type="firstRow"><w:tcPr>'
        '<w:shd w:fill="000080"/></w:tcPr></w:tblStylePr></w:style>'
    )
    return docx(
        f"<w:tbl>{named}<w:tr>{other}<w:tc><w:tcPr>{cell}</w:tcPr>{inner}</w:tc></w:tr></w:tbl>",
        {"styles": ("styles", dark)},
    )


UNSEEN = {
    "a span of ODT": text(f"<text:p>a {span('dose')}</text:p>"),
    "a black bar of ODT": text(f"<text:p>a {span('dose', 'B')}</text:p>"),
    "a cell of ODT": text(table(("", "a"), ("", span("dose")))),
    "a cell of ODS": sheet(("", "a"), (' table:style-name="V"', "dose")),
    "a slide of ODP": page(f"a {span('dose')}"),
    "RTF": rtf(rb"a {\cf1 dose}\par"),
    "a black bar of RTF": rtf(rb"a {\cf2\highlight2 dose}\par"),
    "a cell of RTF": rtf(rb"\trowd\cellx1000\cellx2000\intbl a\cell{\cf1 dose}\cell\row\pard\par"),
    "a slide of PPTX": slide(LETTERS.format("srgbClr", "FFFFFF")),
    "a slide of PPTX by its theme": slide(LETTERS.format("schemeClr", "bg1")),
    "a shape of PPTX in its own colour": slide(LETTERS.format("srgbClr", "000080"), DARK),
    "a slide of PPTX beside a picture": slide(LETTERS.format("srgbClr", "FFFFFF"), PLACE, PICTURE.format(50)),
    "a cell of DOCX": word('<w:color w:val="FFFFFF"/>'),
    "almost white in DOCX": word('<w:color w:val="FDFDFD"/>'),
    "a colour of the theme alone in DOCX": word('<w:color w:themeColor="background1" w:val="auto"/>'),
    "1 pt in ODT": text(f"<text:p>a {span('dose', 'S')}</text:p>"),
    "1 pt in ODP": page(f"a {span('dose', 'S')}"),
    "1 pt in RTF": rtf(rb"a {\fs2 dose}\par"),
    "1 pt in PPTX": sized_slide("100"),
    "1 pt in DOCX": word('<w:sz w:val="2"/>'),
    "a cell of PPTX": slide_table('<a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill>', "FDFDFD"),
    "a black bar of DOCX": word('<w:color w:val="000000"/><w:highlight w:val="black"/>'),
}
SEEN = {
    "a shaded paragraph of ODT": text(f'<text:p text:style-name="P">a {span("dose")}</text:p>'),
    "a shaded cell of ODT": text(table(("", "a"), (' table:style-name="C"', span("dose")))),
    "a text box of ODT": text(
        f"<text:p>a<draw:frame><draw:text-box><text:p>{span('dose')}</text:p></draw:text-box></draw:frame></text:p>"
    ),
    "a dark slide of ODP": page(f"a {span('dose')}", "D"),
    "a picture of ODP": page(f"a {span('dose')}", "picture"),
    "a marked word of RTF": rtf(rb"a {\cf1\highlight3 dose}\par"),
    "a shaded paragraph of RTF": rtf(rb"\pard\cbpat3 a {\cf1 dose}\par"),
    "a shaded cell of RTF": rtf(
        rb"\trowd\cellx1000\clcbpat3\cellx2000\intbl a\cell{\cf1 dose}\cell\row\pard\par"
    ),
    "a shape of RTF": rtf(rb"{\shp{\*\shpinst{\shptxt\pard a {\cf1 dose}\par}}}"),
    "black in RTF": rtf(rb"a {\cf2 dose}\par"),
    "a filled shape of PPTX": slide(LETTERS.format("srgbClr", "FFFFFF"), DARK),
    "a dark background of PPTX": slide(
        LETTERS.format("schemeClr", "bg1"), more=background(f"<p:bgPr>{DARK}</p:bgPr>")
    ),
    "a picture of PPTX": slide(LETTERS.format("srgbClr", "FFFFFF"), PLACE, PICTURE.format(5)),
    "a shaded cell of DOCX": word('<w:color w:val="FFFFFF"/>', '<w:shd w:val="clear" w:fill="000080"/>'),
    "a table's style of DOCX": word('<w:color w:val="FFFFFF"/>', style="T"),
    "4 pt in ODT": text(f"<text:p>a {span('dose', 'F')}</text:p>"),
    "4 pt in RTF": rtf(rb"a {\fs8 dose}\par"),
    "usual again in RTF": rtf(rb"a {\fs2 \plain dose}\par"),
    "4 pt in PPTX": sized_slide("400"),
    "4 pt in DOCX": word('<w:sz w:val="8"/>'),
    "a cell of PPTX": slide_table('<a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill>', "000080"),
    "a table's style of PPTX": slide_table('<a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill>', ""),
    "a darkened colour of the theme in DOCX": word(
        '<w:color w:themeColor="background1" w:themeShade="80" w:val="auto"/>'
    ),
    "the text colour of the theme in DOCX": word('<w:color w:themeColor="text1" w:val="auto"/>'),
    "gray in DOCX": word('<w:color w:val="BFBFBF"/>'),
}


@pytest.mark.parametrize("data", UNSEEN.values(), ids=UNSEEN.keys())
def test_letters_in_the_colour_of_their_paper_are_hidden(data, tmp_path):
    """They are marked, with a warning."""
    done, outputs = run(tmp_path, data, more={"libreoffice": False})
    assert b"[hidden: dose]" in outputs["text.md"]
    assert HIDDEN in done["warnings"]


@pytest.mark.parametrize("data", SEEN.values(), ids=SEEN.keys())
def test_light_letters_on_something_dark_are_seen(data, tmp_path):
    """So is what may be dark: nothing is called hidden that may be seen."""
    done, outputs = run(tmp_path, data, more={"libreoffice": False})
    assert b"dose" in outputs["text.md"]
    assert b"hidden" not in outputs["text.md"]
    assert HIDDEN not in done["warnings"]


@pytest.mark.parametrize(("style", "hidden"), [(0, False), (1, True), (2, True), (3, False)])
def test_values_of_a_workbook(style, hidden, tmp_path):
    """A number in white is hidden, unless its cell is filled."""
    done, outputs = run(tmp_path, book(style))
    assert (b"[hidden: 75]" in outputs["text.md"]) is hidden
    assert (HIDDEN in done["warnings"]) is hidden


def test_tables_and_rules_of_a_workbook_may_fill_cells(tmp_path):
    """White letters there are those of a head."""
    for at, data in enumerate(
        (
            book(1, f'<table xmlns="{SHEET}" ref="A1:B1"/>'),
            book(
                1,
                ends='<conditionalFormatting sqref="A1:B1"><cfRule type="cellIs" dxfId="0" operator="equal">'
                "<formula>75</formula></cfRule></conditionalFormatting>",
            ),
        )
    ):
        assert b"hidden" not in run(tmp_path / str(at), data)[1]["text.md"]


RUN = "<r><rPr><sz val='{}'/><color rgb='{}'/></rPr><t>{}</t></r>"


@pytest.mark.parametrize(
    ("runs", "style", "ends", "hidden"),
    [
        (RUN.format(11, "FFFDFDFD", "dose"), 0, "", True),
        (RUN.format(1, "FF000000", "dose"), 0, "", True),
        (RUN.format(11, "FFFFFFFF", "dose"), 3, "", False),
        (RUN.format(11, "FF000080", "dose"), 3, "", True),
        (RUN.format(11, "FF808080", "dose"), 0, "", False),
        (RUN.format(11, "FFFFFFFF", "dose"), 0, f'<table xmlns="{SHEET}" ref="A1:B1"/>', False),
    ],
    ids=["white", "1 pt", "white on blue", "blue on blue", "gray", "white in a table"],
)
def test_runs_of_a_cell(runs, style, ends, hidden, tmp_path):
    """A part of a cell is hidden by its own letters."""
    cell = f'<c r="B1" s="{style}" t="inlineStr"><is><r><t>a </t></r>{runs}</is></c>'
    done, outputs = run(tmp_path, book(style, ends, cell=cell))
    assert (b"[hidden: dose]" in outputs["text.md"]) is hidden
    assert (HIDDEN in done["warnings"]) is hidden


def test_a_cell_of_small_letters(tmp_path):
    """A number of 1 pt is hidden."""
    done, outputs = run(tmp_path, book(4))
    assert b"[hidden: 75]" in outputs["text.md"]
    assert HIDDEN in done["warnings"]
