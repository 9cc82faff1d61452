"""Boxes that a PDF draws without fields, with or without a tick, and prose in columns drawn line by line."""

import pytest

from tests.unit.convert.documents import text_of
from tests.unit.convert.placed import page_pdf, text


def box(x, y, side=9, paint="S"):
    """A square."""
    return f"{x} {y} {side} {side} re {paint}"


def circle(x, y, radius, paint="S"):
    """A circle about a point, of four curves."""
    bend = 0.552 * radius
    return (
        f"{x - radius} {y} m {x - radius} {y + bend} {x - bend} {y + radius} {x} {y + radius} c "
        f"{x + bend} {y + radius} {x + radius} {y + bend} {x + radius} {y} c "
        f"{x + radius} {y - bend} {x + bend} {y - radius} {x} {y - radius} c "
        f"{x - bend} {y - radius} {x - radius} {y - bend} {x - radius} {y} c h {paint}"
    )


ROUNDED = (
    "62 700 m 67 700 l 68.1 700 69 700.9 69 702 c 69 707 l 69 708.1 68.1 709 67 709 c "
    "62 709 l 60.9 709 60 708.1 60 707 c 60 702 l 60 700.9 60.9 700 62 700 c h"
)
BLUE = "0 0.46 1 rg 0 0.46 1 RG"

BOXES = {
    "round corners": ([f"{ROUNDED} S"], "☐ Asthma"),
    "round corners with a cross": ([f"{ROUNDED} S", "60 700 m 69 709 l S"], "☒ Asthma"),
    "a white tick on blue": (
        [f"q {BLUE} {ROUNDED} f Q", "q 1 G 61 704 m 64 701 l 68 708 l S Q"],
        "☒ Asthma",
    ),
    "a circle": ([circle(64.5, 704.5, 4.5)], "○ Asthma"),
    "a circle with a dot": ([circle(64.5, 704.5, 4.5), circle(64.5, 704.5, 2.5, "f")], "◉ Asthma"),
    "a blue circle with a dot": (
        [f"q {BLUE} {circle(64.5, 704.5, 4.5)} {circle(64.5, 704.5, 2.5, 'f')} Q"],
        "◉ Asthma",
    ),
    "empty": ([box(60, 700)], "☐ Asthma"),
    "a cross of two strokes": (
        [box(60, 700), "60 700 m 69 709 l S", "60 709 m 69 700 l S"],
        "☒ Asthma",
    ),
    "a tick": ([box(60, 700), "61 704 m 64 701 l 68 708 l S"], "☒ Asthma"),
    "a letter": ([box(60, 700), text(62, 701, "X", 9)], "☒ Asthma"),
    "filled with black": ([box(60, 700, paint="B")], "☒ Asthma"),
    "filled with grey": ([f"0.9 g {box(60, 700, paint='f')} 0 g", box(60, 700)], "☐ Asthma"),
    "a dot of dirt": ([box(60, 700), "63 703 m 64 704 l S"], "☐ Asthma"),
    "drawn as lines": (["60 700 m 69 700 l 69 709 l 60 709 l 60 700 l S"], "☐ Asthma"),
}


@pytest.mark.parametrize(("operators", "line"), BOXES.values(), ids=BOXES)
def test_drawn_boxes_are_reported(operators, line, tmp_path):
    """Which box of a printed form is ticked is no word, but it is the answer."""
    page = page_pdf([*operators, text(74, 701, "Asthma", 10)])
    assert text_of(tmp_path, page) == f"{line}\n"


OTHERS = {
    "a comb for digits": [
        *(box(60 + 9 * at, 700) for at in range(4)),
        *(text(62 + 9 * at, 701, digit, 8) for at, digit in enumerate("1970")),
        text(120, 701, "born", 10),
    ],
    "cells": [
        *(box(60 + 10 * at, 700 + 10 * up, 10) for at in range(3) for up in range(3)),
        text(100, 710, "grid", 10),
    ],
    "bullets": ["60 702 3 3 re f", text(70, 700, "First", 10)],
    "coloured squares of a legend": [
        f"{BLUE} {ROUNDED} f",
        f"{BLUE} {box(60, 680, paint='f')}",
        text(74, 701, "Pulse", 10),
    ],
    "round bullets": [circle(64, 704, 3, "f"), text(74, 701, "First", 10)],
    "a letter in a circle": [circle(64.5, 704.5, 7), text(62, 702, "B", 9), text(76, 702, "ward", 10)],
    "a square of a drawing": [box(60, 700), text(300, 100, "far away", 10)],
    "a frame around a letter": [box(60, 700, 12), text(62, 702, "B", 9), text(76, 702, "ward", 10)],
}


@pytest.mark.parametrize("operators", OTHERS.values(), ids=OTHERS)
def test_other_squares_are_no_boxes(operators, tmp_path):
    """Combs, cells, bullets and pictures do not ask anything."""
    assert not set("☐☒☑◉○") & set(text_of(tmp_path, page_pdf(operators)))


LEFT = (
    "The patient was admitted with", "chest pain on Monday and was", "treated with aspirin and heparin",
    "before transfer to the ward", "where she remained stable until", "discharge on Friday morning.",
)  # fmt: skip
RIGHT = (
    "Discharge medication includes", "warfarin 5 mg once daily and", "metoprolol 25 mg twice daily",
    "with follow up in the clinic in", "two weeks for blood pressure", "control and review of doses.",
)  # fmt: skip


def test_prose_in_columns_is_read_column_by_column(tmp_path):
    """A printer may draw two columns line by line; no sentence runs across the gap."""
    operators = []
    for at, (one, other) in enumerate(zip(LEFT, RIGHT, strict=True)):
        operators += [text(60, 700 - 14 * at, one, 10), text(320, 700 - 14 * at, other, 10)]
    read = " ".join(text_of(tmp_path, page_pdf(operators)).split())
    assert " ".join(LEFT) in read
    assert "warfarin 5 mg once daily and metoprolol" in read


def test_cells_of_text_stay_a_table(tmp_path):
    """Cells begin anew: what to do stands beside its drug."""
    cells = [
        ("Metformin for the diabetes", "Take one tablet with food"),
        ("Warfarin for the heart", "Take one tablet at night"),
        ("Furosemide for the legs", "Take one tablet at noon"),
        ("Aspirin for the chest", "Stop until the next visit"),
        ("Insulin for the diabetes", "Inject before each meal"),
        ("Codeine for the cough", "Take only at bedtime please"),
    ]
    operators = []
    for at, (one, other) in enumerate(cells):
        operators += [text(60, 700 - 14 * at, one, 10), text(320, 700 - 14 * at, other, 10)]
    assert "| Warfarin for the heart | Take one tablet at night |" in text_of(tmp_path, page_pdf(operators))
