"""What OCR read, laid out by the places of its words; and how certain it is."""

import time

import pypdfium2
import pytest
from PIL import Image

from docpipe.convert.core.blocks import Paragraph, Table
from docpipe.convert.ocr import page_notes, pages
from docpipe.convert.ocr.reading import Reading, Word
from docpipe.convert.readers.pdf import scanned
from tests.unit.convert import scans
from tests.unit.convert.documents import run
from tests.unit.convert.placed import page_pdf, rows


def words(text, left, top, *, score=0.95, height=30):
    """A line of words, whose characters differ in width."""
    line, at = [], left
    for word in text.split():
        width = sum(10 + ord(character) % 9 for character in word)
        line.append(Word(word, at, top, at + width, top + height, score))
        at += width + 12
    return tuple(line)


def test_column_that_the_engine_tears_off_stays_in_its_rows():
    """Flags at the right, read as a part of their own, stand beside their values."""
    names = tuple(
        words(name, 100, 100 + 60 * at) for at, name in enumerate(["Glucose 180", "LDL 160", "HDL 50"])
    )
    flags = (words("HIGH", 900, 102), words("HIGH", 900, 163))
    (table,) = scanned.blocks(Reading((names, flags)))
    assert isinstance(table, Table)
    assert table.rows == (("Glucose 180", "HIGH"), ("LDL 160", "HIGH"), ("HDL 50", ""))


def test_lines_without_high_letters_are_of_the_same_paragraph():
    """A line whose words are low is not smaller text."""
    lines = (words("The patient is well", 100, 100), words("no one uses", 100, 149, height=21))
    assert scanned.blocks(Reading((lines,))) == [Paragraph("The patient is well\nno one uses")]


NAMES = ("Glucose 180", "LDL 160", "HDL 50")
TORN = Reading(
    (
        tuple(
            words(name, 100, 100 + 60 * at) for at, name in enumerate(["Glucose 180", "LDL 160", "HDL 50"])
        ),
        tuple(words(flag, 900, 100 + 60 * at) for at, flag in enumerate(["HIGH", "HIGH", "LOW"])),
    )
)


def test_wide_gaps_between_few_words_are_rows():
    """A page of a table is read a second time, and one of prose is not, in one column or two."""
    line = "the patient was seen today in the clinic and"
    prose = tuple(words(line, 100, 100 + 50 * at) for at in range(6))
    beside = tuple(words(line, 1400, 100 + 50 * at) for at in range(6))
    assert TORN.has_rows()
    assert not Reading((prose,)).has_rows()
    assert not Reading((prose, beside)).has_rows()
    assert not Reading((prose, (words("Page 1", 1400, 100),))).has_rows()


def test_two_readings_complete_each_other():
    """Each has words that the other lost; where both have a word, it comes once."""
    other = Reading(((words("Glucose 180", 101, 101), words("dirt", 500, 400, score=0.4)),))
    lost = Reading((TORN.paragraphs[0],))
    assert [word.text for word in lost.completed(TORN).words()][-3:] == ["HIGH", "HIGH", "LOW"]
    assert list(TORN.completed(other).words()) == list(TORN.words())


class Rows:
    """An engine whose second reading is given."""

    libraries = missing = ()

    def __init__(self, again):
        self.again = again

    def read_rows(self, *_):
        """It, or its failure."""
        if isinstance(self.again, Exception):
            raise self.again
        return self.again


@pytest.mark.parametrize(
    ("again", "texts"),
    [
        (Reading(((words("Glucose 180 HIGH LDL 160 HIGH HDL 50 LOW", 100, 300),),)), 18),
        (Reading(((words("faint words", 100, 300, score=0.62),),)), 9),
        (Reading(), 9),
        (None, 9),
        (TimeoutError(), 9),
    ],
)
def test_second_reading_replaces_a_weaker_first_one(again, texts):
    """One as good has the rows; any other adds nothing, and a failure costs nothing."""
    read = pages._with_rows(Rows(again), Image.new("L", (10, 10)), TORN, time.monotonic() + 60)
    assert len(list(read.words())) == texts


def test_page_of_uncertain_words_says_so():
    """Many uncertain words are a warning, a few are not."""
    sure = words("one two three four five six seven eight nine ten", 100, 100)
    unsure = words("a1 b2 c3 d4", 100, 200, score=0.45)

    def warned(*lines):
        read = pages.Read(texts={0: "x"}, readings={0: Reading((lines,))}, libraries=("x",))
        return [each for each in page_notes.warnings(read, [0]) if "uncertain" in each]

    assert warned(sure) == warned(sure, unsure[:2]) == warned(sure, sure, sure, unsure) == []
    assert warned(sure, unsure) == [
        "many words of 1 of 1 pages that were read by OCR are uncertain; check them against the picture"
    ]


def test_scanned_table_is_a_table(tmp_path, monkeypatch):
    """A picture of a report has its values below their heads, and blanks blank."""
    scans.choose(monkeypatch, "tesseract")
    cells = [
        ("Test", "Result", "Flag", "Range"),
        ("Potassium", "6.9", "HIGH", "3.5-5.1"),
        ("Sodium", "140", "", "135-145"),
        ("Creatinine", "240", "HIGH", "60-110"),
    ]
    page = pypdfium2.PdfDocument(page_pdf(rows(cells, (72, 222, 342, 462), pitch=24)))[0]
    picture = page.render(scale=200 / 72, grayscale=True).to_pil()
    text = run(tmp_path, scans.saved(picture))[1]["text.md"].decode()
    assert "| Potassium | 6.9 | HIGH | 3.5-5.1 |" in text
    assert "| Sodium | 140 |  | 135-145 |" in text


@pytest.mark.parametrize("reading", [Reading(), Reading(((),))])
def test_nothing_read_is_nothing(reading):
    """A page without words has no blocks."""
    assert scanned.blocks(reading) == []
