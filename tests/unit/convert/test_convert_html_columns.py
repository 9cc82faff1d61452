"""Rows and grids that a page lays out without a table: each value stays in its column."""
# ruff: noqa: E501 - a page on one line

import pytest

from tests.unit.convert.documents import text_of

FLEX = "<style>.r{display:flex}.r>*{flex:1}</style>"
GRID = "<style>.g{display:grid;grid-template-columns:[a] 9em repeat(2, minmax(0, 1fr))}</style>"

TABLES = {
    "rows of Flexbox": (
        FLEX + "<div class=r><div>Drug</div><div>AM</div><div>PM</div></div>"
        "<div class=r><div>Metformin</div><div>500 mg</div><div></div></div>\n"
        "<div class=r><span>Warfarin</span><span></span><span>5 mg</span></div><p>End",
        [("Drug", "AM", "PM"), ("Metformin", "500 mg", ""), ("Warfarin", "", "5 mg")],
    ),
    "a grid": (
        GRID + "<div class=g><b>Drug</b><b>AM</b><b>PM</b><div>Metformin</div><div></div><div>500</div>"
        "<div style='grid-column:1 / -1'>Evening only:</div><div>Warfarin</div><div style='grid-column:3'>5</div></div>",
        [("Drug", "AM", "PM"), ("Metformin", "", "500"), ("Evening only:", "", ""), ("Warfarin", "", "5")],
    ),
    "a grid whose rows are held together": (
        GRID + "<section class=g><div style='display:contents'><i>Drug</i><i>AM</i><i>PM</i></div>"
        "<div style='display:contents'><span style='grid-column:span 2'>Warfarin</span><span>5</span></div></section>",
        [("Drug", "AM", "PM"), ("Warfarin", "", "5")],
    ),
    "rows that are grids": (
        GRID + "<div class=g><p>Drug<p>AM<p>PM</div><div class=g><p>Warfarin<p></p><p>5</div>",
        [("Drug", "AM", "PM"), ("Warfarin", "", "5")],
    ),
    "roles": (
        (
            "<div role=table><div role=rowgroup><div role=row><span role=columnheader>Drug</span><span role=columnheader>AM"
            "</span></div></div><div role=row><span role=rowheader>Warfarin</span><span role=cell>5</span></div></div>"
        ),
        [("Drug", "AM"), ("Warfarin", "5")],
    ),
}
NO_TABLES = {
    "one row": (FLEX + "<div class=r><span>Dose</span><span>5 mg</span></div>", "Dose 5 mg"),
    "columns of a page": (
        FLEX + "<div class=r><div><h2>A</h2>b</div><div>c</div></div>" * 2,
        "## A\n\nb\n\nc\n\n## A\n\nb\n\nc",
    ),
    "one below the other": (
        "<style>.r{display:flex;flex-direction:column}</style>"
        + "<div class=r><div>a</div><div>b</div></div>" * 2,
        "a\n\nb\n\na\n\nb",
    ),
    "as many columns as there is room": (
        "<style>.g{display:grid;grid-template-columns:repeat(auto-fill, 9em)}</style><div class=g><p>a<p>b<p>c</div>",
        "a\n\nb\n\nc",
    ),
}


TYPED = {
    "columns of blanks": (
        "<p style='white-space:pre'>Drug   AM  PM\nA          7</p>",
        "```text\nDrug   AM  PM\nA          7\n```",
    ),
    "lines": (
        "<style>.n{white-space:pre-wrap}</style><div class=n>Potassium 6.9\nSodium 140</div>",
        "Potassium 6.9  \nSodium 140",
    ),
    "lines alone": ("<div style='white-space:pre-line'>a   b\nc</div>", "a b  \nc"),
    "lines of a cell": (
        "<table><tr><th>A<th>B<tr><td style='white-space:pre-wrap'>1\n2<td>3</table>",
        "| A | B |\n| --- | --- |\n| 1<br>2 | 3 |",
    ),
    "a part of it": ("<div style='white-space:pre-wrap'><p style='white-space:normal'>a\nb</p></div>", "a b"),
    "blanks between elements": (
        "<div style='white-space:pre-wrap'>\n  <p>a</p>\n  <p>b</p>\n</div>",
        "a\n\nb",
    ),
}


@pytest.mark.parametrize(("page", "text"), TYPED.values(), ids=TYPED.keys())
def test_lines_that_a_style_keeps(page, text, tmp_path):
    """Portals display what somebody typed by a style, not by the element of typewritten text."""
    assert text_of(tmp_path, page.encode(), declared="text/html").strip() == text


def rows_of(text):
    """The cells of the table in a text, without emphasis."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    rows = [tuple(cell.strip(" *") for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in rows if any(row)]


@pytest.mark.parametrize(("page", "rows"), TABLES.values(), ids=TABLES.keys())
def test_what_is_laid_out_in_rows_is_a_table(page, rows, tmp_path):
    """A blank cell is blank, and no value is in another column."""
    assert rows_of(text_of(tmp_path, page.encode(), declared="text/html")) == rows


@pytest.mark.parametrize(("page", "text"), NO_TABLES.values(), ids=NO_TABLES.keys())
def test_what_is_laid_out_otherwise_is_none(page, text, tmp_path):
    """Its parts stay in their order, and words stay apart."""
    assert text_of(tmp_path, page.encode(), declared="text/html").strip() == text
