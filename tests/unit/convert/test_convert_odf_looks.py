"""OpenDocument: looks that cells and frames give to the text within, and slides that are hidden."""

import pytest

from docpipe.convert.readers.office.parts import HIDDEN_SLIDES
from tests.unit.convert.documents import run, text_of
from tests.unit.convert.offices import odf

STRUCK = 'style:text-line-through-style="solid"'
SYMBOL = 'fo:font-family="Symbol"'


def style(name, family, properties, parent=""):
    below = f' style:parent-style-name="{parent}"' if parent else ""
    return (
        f'<style:style style:name="{name}" style:family="{family}"{below}>'
        f"<style:text-properties {properties}/></style:style>"
    )


STYLES = "".join(
    [
        style("Gone", "table-cell", STRUCK),
        style("Bold", "table-cell", 'fo:font-weight="bold"'),
        style("Greek", "table-cell", SYMBOL),
        style("Child", "table-cell", 'fo:color="#000000"', parent="Gone"),
        style("GreekFrame", "graphic", SYMBOL),
        style("GoneFrame", "presentation", STRUCK),
        style("Default-outline1", "presentation", 'fo:color="#000000"'),
        style("Default-outline2", "presentation", STRUCK, parent="Default-outline1"),
        style("pr1", "presentation", 'fo:color="#000000"', parent="Default-outline1"),
        (
            '<style:style style:name="dp1" style:family="drawing-page">'
            '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
        ),
    ]
)


def cell(text, name=""):
    of = f' table:style-name="{name}"' if name else ""
    return f'<table:table-cell office:value-type="string"{of}><text:p>{text}</text:p></table:table-cell>'


def sheet(*rows, columns=""):
    inner = "".join(f"<table:table-row{more}>{''.join(cells)}</table:table-row>" for more, *cells in rows)
    return f'<table:table table:name="S">{columns}{inner}</table:table>'


HEAD = ("", cell("Drug"), cell("Dose"))
SHEETS = {
    "by the cell": (sheet(HEAD, ("", cell("Warfarin", "Gone"), cell("5 mg"))), "| ~~Warfarin~~ | 5 mg |"),
    "by a parent": (sheet(HEAD, ("", cell("Warfarin", "Child"), cell("5 mg"))), "| ~~Warfarin~~ | 5 mg |"),
    "a font of signs": (sheet(HEAD, ("", cell("Digoxin"), cell("125 m", "Greek"))), "| Digoxin | 125 μ |"),
    "by the row": (
        sheet(HEAD, (' table:default-cell-style-name="Gone"', cell("Warfarin"), cell("5 mg"))),
        "| ~~Warfarin~~ | ~~5 mg~~ |",
    ),
    "by the column": (
        sheet(
            ("", cell("a"), cell("b", "Bold")),
            columns='<table:table-column/><table:table-column table:default-cell-style-name="Gone"/>',
        ),
        "| a | b |",
    ),
    "bold as a whole": (sheet(HEAD, ("", cell("Aspirin", "Bold"), cell("75 mg"))), "| Aspirin | 75 mg |"),
}


BY_CELL = {name: each for name, each in SHEETS.items() if "default-cell-style" not in each[0]}


@pytest.mark.parametrize(("body", "line"), SHEETS.values(), ids=SHEETS)
def test_cells_of_sheets_look_as_their_styles_say(body, line, tmp_path):
    """A cell's own style goes before that of its row and column; bold marks parts of a cell alone."""
    assert line in text_of(tmp_path, odf(body, "spreadsheet", automatic=STYLES)).splitlines()


@pytest.mark.parametrize(("body", "line"), BY_CELL.values(), ids=BY_CELL)
def test_cells_of_texts_look_as_their_styles_say(body, line, tmp_path):
    """Tables of texts and slides have styles of cells too."""
    assert line in text_of(tmp_path, odf(body, automatic=STYLES)).splitlines()


def test_bold_cells_are_the_head_of_a_sheet(tmp_path):
    """As in a workbook of Excel, also where amounts stand in them."""
    body = sheet(("", cell("2024", "Bold"), cell("5 mg", "Bold")), ("", cell("x"), cell("y")))
    assert text_of(tmp_path, odf(body, "spreadsheet", automatic=STYLES)).startswith("## S\n\n| 2024 | 5 mg |")


def frame(inner, more=""):
    return f"<draw:frame {more}><draw:text-box>{inner}</draw:text-box></draw:frame>"


def items(*texts):
    return (
        "<text:list>" + "".join(f"<text:list-item>{each}</text:list-item>" for each in texts) + "</text:list>"
    )


FRAMES = {
    "a shape": (frame("<text:p>100 m</text:p>", 'draw:style-name="GreekFrame"'), "100 μ"),
    "a placeholder": (
        frame("<text:p>Warfarin</text:p>", 'presentation:style-name="GoneFrame"'),
        "~~Warfarin~~",
    ),
    "a level of the outline": (
        frame(
            items("<text:p>Aspirin</text:p>" + items("<text:p>Warfarin</text:p>")),
            'presentation:style-name="pr1" presentation:class="outline"',
        ),
        "- Aspirin\n\n  - ~~Warfarin~~",
    ),
}


@pytest.mark.parametrize(("body", "markdown"), FRAMES.values(), ids=FRAMES)
def test_text_in_frames_looks_as_their_styles_say(body, markdown, tmp_path):
    """On slides: the shape's style, the placeholder's, and that of a level of the outline."""
    page = f"<draw:page>{body}</draw:page>"
    text = text_of(tmp_path, odf(page, "presentation", automatic=STYLES))
    assert text == f"## Slide 1\n\n{markdown}\n"


def test_hidden_slides_are_marked_with_a_warning(tmp_path):
    """They may hold what was not meant to be presented."""
    page = f'<draw:page draw:style-name="dp1">{frame("<text:p>a</text:p>")}</draw:page>'
    done, outputs = run(tmp_path, odf(page, "presentation", automatic=STYLES))
    assert outputs["text.md"] == b"## Slide 1 (hidden slide)\n\na\n"
    assert done["warnings"] == [HIDDEN_SLIDES]
