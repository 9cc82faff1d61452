"""HTML: what is laid out by places, floats and boxes within a line keeps its columns and its words apart."""

import pytest

from docpipe.convert.core.blocks import Paragraph, Table
from docpipe.convert.readers.html.from_html import flowed


def placed(*cells, unit="px"):
    """Elements with a place of their own: top, left, text."""
    return "".join(
        f'<p style="position:absolute;top:{top}{unit};left:{left}{unit}">{text}</p>'
        for top, left, text in cells
    )


PLAN = (("Drug", "Morning", "Evening"), ("Warfarin", "", "5 mg"), ("Metformin", "500 mg", "1000 mg"))
CELLS = [
    (100 + 20 * at + column % 2, 50 + 150 * column, text)
    for column in range(3)
    for at, row in enumerate(PLAN)
    if (text := row[column])
]


def test_elements_with_places_are_a_table(tmp_path):
    """Written column by column; a blank cell is blank, and what is elsewhere stays before it."""
    assert flowed(f"<h1>Plan</h1>{placed(*CELLS)}")[1:] == (Table((), PLAN),)
    assert flowed(placed(*CELLS, unit="pt")) == (Table((), PLAN),)


def test_numbers_that_end_at_one_place_are_one_column():
    """Their beginnings differ."""
    cells = [(10, 10, "Potassium"), (30, 10, "Sodium"), (10, 212, "6.9"), (30, 205, "140.1")]
    assert flowed(placed(*cells)) == (Table((), (("Potassium", "6.9"), ("Sodium", "140.1"))),)


@pytest.mark.parametrize(
    "page",
    [
        placed(*((20 * at, 50 + 400 * (at % 2), "A line of running text that goes on") for at in range(8))),
        placed((10, 10, "a"), (10, 90, "b")),
        placed((10, 10, "a"), (30, 10, "b"), (50, 10, "c"), (70, 10, "d"), (90, 10, "e")),
    ],
)
def test_lines_without_columns_are_no_table(page):
    """Running text, one line, one column."""
    assert all(isinstance(block, Paragraph) for block in flowed(page))


@pytest.mark.parametrize("style", ["display:inline-block;width:9em", "float:left;min-width:9em"])
def test_rows_of_boxes_beside_each_other_are_a_table(style):
    """Whose widths make the columns."""
    sheet = f"<style>b.c{{{style}}}</style>"
    row = '<div><b class="c">{}</b><b class="c">{}</b></div>'
    block = flowed(sheet + row.format("Potassium", "6.9") + row.format("Sodium", "140"))[0]
    assert isinstance(block, Table)
    assert len(block.rows) == 2


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("display:inline-block;width:9em", "Potassium 6.9"),
        ("float:left", "Potassium 6.9"),
        ("display:inline-block", "Potassium6.9"),
        ("color:red", "Potassium6.9"),
    ],
)
def test_a_box_within_a_line_stands_apart(style, text):
    """A label and its value are two words where a gap is between them."""
    assert flowed(f'<p><span style="{style}">Potassium</span>6.9</p>')[0].text.replace(" [red]", "") == text


def test_an_initial_is_part_of_its_word():
    """It floats, too."""
    assert flowed('<p><span style="float:left">D</span>ose</p>') == (Paragraph("Dose"),)


FLOAT = '<div style="float:left;width:9em">{}</div>'
CLEAR = '<div style="clear:both"></div>'


@pytest.mark.parametrize(
    "row",
    [
        FLOAT + FLOAT + CLEAR,
        FLOAT + FLOAT + "<br clear=all>",
        FLOAT.replace('9em"', '9em;clear:left"') + FLOAT,
        FLOAT + '<div style="margin-left:10em">{}</div>',
    ],
    ids=["an element that clears", "a break", "the first one clears", "a margin beside the float"],
)
def test_rows_of_floats_are_a_table(row):
    """Whatever ends them."""
    block = flowed(row.format("Potassium", "6.9") + " " + row.format("Sodium", "140"))[0]
    assert block == Table((), (("Potassium", "6.9"), ("Sodium", "140")))


@pytest.mark.parametrize(
    "page",
    [
        FLOAT.format("Potassium") + FLOAT.format("6.9") + CLEAR,
        FLOAT.format("a") + CLEAR + FLOAT.format("b") + CLEAR,
        FLOAT.format("a" * 70) + FLOAT.format("b") + CLEAR + FLOAT.format("c") + FLOAT.format("d"),
        FLOAT.format("a") + FLOAT.format("b") + CLEAR + FLOAT.format("c") + CLEAR,
        FLOAT.format("menu") + "<p>running text</p>" + FLOAT.format("menu") + "<p>running text</p>",
    ],
    ids=["one row", "one column", "columns of text", "uneven rows", "beside running text"],
)
def test_other_floats_are_no_table(page):
    """They are paragraphs."""
    assert all(isinstance(block, Paragraph) for block in flowed(page))
