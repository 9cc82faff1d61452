"""Plain text whose layout means something: tabs and bars between cells, overstruck and escaped letters."""

import pytest

from docpipe.convert.core.encoding import GUESSED, decode
from tests.unit.convert.documents import text_of

TABLES = {
    "late cells": (
        "Drug\tMorning\tNoon\tEvening\nMetformin\t500\t\t1000\nWarfarin\t\t\t5\n",
        (
            "| Drug | Morning | Noon | Evening |\n| --- | --- | --- | --- |\n"
            "| Metformin | 500 |  | 1000 |\n| Warfarin |  |  | 5 |\n"
        ),
    ),
    "a title above": (
        "Today\nDrug\tAM\tPM\nMetformin XR\t\t1000\nend\n",
        "Today\n\n| Drug | AM | PM |\n| --- | --- | --- |\n| Metformin XR |  | 1000 |\n\nend\n",
    ),
    "missing cells at the end": (
        "A\tB\tC\nLong before\t5\n",
        "| A | B | C |\n| --- | --- | --- |\n| Long before | 5 |  |\n",
    ),
    "bars": (
        "Drug|AM|PM\nWarfarin||5 mg\n",
        "| Drug | AM | PM |\n| --- | --- | --- |\n| Warfarin |  | 5 mg |\n",
    ),
    "a table of Markdown": (
        "| Drug | AM | PM |\n|---|---|---|\n| Warfarin |  | 5 mg |\n",
        "| Drug | AM | PM |\n| --- | --- | --- |\n| Warfarin |  | 5 mg |\n",
    ),
}


@pytest.mark.parametrize(("text", "markdown"), TABLES.values(), ids=TABLES)
def test_tabs_and_bars_part_cells(text, markdown, tmp_path):
    """A value stays below the head that it was typed for."""
    assert text_of(tmp_path, text.encode()) == markdown


@pytest.mark.parametrize(
    "text",
    [
        "Name:\t\tTesta\nMedical record:\t123\nDOB:\t\t1970\n",
        "one\ttwo\nthree\tfour\n",
        "\tindented\n\tindented too\n",
    ],
)
def test_tabs_that_line_up_stay_lines(text, tmp_path):
    """Where tab stops lay lines out as typed, they stay as typed."""
    assert text_of(tmp_path, text.encode()).startswith("```text\n")


@pytest.mark.parametrize("text", ["yes|no\nperhaps\n", "a || b\nc\n", "5|6\n"])
def test_single_bars_are_signs(text, tmp_path):
    """A bar or two make no table."""
    assert "---" not in text_of(tmp_path, text.encode())


PRINTED = {
    "bold by overstriking": ("W\bWa\bar\br 5 mg\n", "War 5 mg\n"),
    "underlined": ("_\b5_\b mg\n", "5 mg\n"),
    "struck by hyphens": ("5\b-m\b-g\b- 4 mg\n", "~~5mg~~ 4 mg\n"),
    "struck on a terminal": ("\x1b[9m5 mg\x1b[0m 4 mg\n", "~~5 mg~~ 4 mg\n"),
    "bold on a terminal": ("do \x1b[1;31mnot\x1b[m give\n", "do **not** give\n"),
    "titles and movements": ("\x1b]0;x\x07a\x1b[2Kb\x1b(B\n", "ab\n"),
}


@pytest.mark.parametrize(("text", "markdown"), PRINTED.values(), ids=PRINTED)
def test_text_of_printers_and_terminals(text, markdown, tmp_path):
    """Overstruck and escaped text reads as it prints; what is struck out stays struck out."""
    assert text_of(tmp_path, text.encode()) == markdown


WESTERN = {
    ("Créatinine élevée, dose 5 mg le soir après le repas.", "mac_roman"),
    ("Température 38,5°C; dose 5 µg; œdème", "mac_roman"),
    ("Müller, Jörg: Blutdruck erhöht.", "cp850"),
    ("Levothyroxine 100 µg daily; temp 38.5°C; dose ½ tab", "cp850"),
    ("Il paziente è allergico; la pressione è più alta.", "cp850"),
    ("PATIENT: TESTA PERSON  POTASSIUM 6.9 mmol/L", "cp037"),
    ("PATIENT: TESTA PERSON  POTASSIUM 6.9 mmol/L", "cp500"),
}


@pytest.mark.parametrize(("text", "encoding"), sorted(WESTERN))
def test_short_text_of_old_machines(text, encoding):
    """A few accented letters of DOS or the Macintosh are no Chinese, and a mainframe's text no Russian."""
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert decoded.warnings == (GUESSED,)
