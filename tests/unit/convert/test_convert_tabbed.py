"""Columns that are set with tabs in the paragraphs of office files: a blank column stays blank."""

import pytest

from docpipe.convert.core.blocks import Paragraph, Table
from docpipe.convert.core.marks import struck
from docpipe.convert.core.tabbed import Stops, Tabbed, in_columns, paragraph
from tests.unit.convert.documents import docx, text_of
from tests.unit.convert.offices import odf, pptx

LINES = ("Drug\tam\tnoon\tnight", "Metformin\t500\t\t1000", "Warfarin\t\t\t5")
AT = (2000, 3000, 4000)
WANTED = "| Drug | am | noon | night |\n| Metformin | 500 |  | 1000 |\n| Warfarin |  |  | 5 |\n"


def word(stops):
    tabs = "".join(f'<w:tab w:val="left" w:pos="{at}"/>' for at in stops)
    runs = (
        "".join(f"<w:t>{part}</w:t><w:tab/>" for part in line.split("\t")).removesuffix("<w:tab/>")
        for line in LINES
    )
    return docx("".join(f"<w:p><w:pPr><w:tabs>{tabs}</w:tabs></w:pPr><w:r>{run}</w:r></w:p>" for run in runs))


def rich(stops):
    tabs = "".join(rf"\tx{at}" for at in stops)
    lines = (line.replace("\t", r"\tab ") for line in LINES)
    return (r"{\rtf1\ansi " + "".join(rf"\pard{tabs} {line}\par " for line in lines) + "}").encode()


def open_document(stops):
    tabs = "".join(f'<style:tab-stop style:position="{at / 1440}in"/>' for at in stops)
    style = (
        '<style:style style:name="P" style:family="paragraph"><style:paragraph-properties>'
        f"<style:tab-stops>{tabs}</style:tab-stops></style:paragraph-properties></style:style>"
    )
    lines = (line.replace("\t", "<text:tab/>") for line in LINES)
    return odf("".join(f'<text:p text:style-name="P">{line}</text:p>' for line in lines), automatic=style)


def slide(stops):
    tabs = "".join(f'<a:tab pos="{at * 635}" algn="l"/>' for at in stops)
    lines = "".join(
        f"<a:p><a:pPr><a:tabLst>{tabs}</a:tabLst></a:pPr><a:r><a:t>{line}</a:t></a:r></a:p>" for line in LINES
    )
    return pptx(f"<p:sp><p:txBody>{lines}</p:txBody></p:sp>")


@pytest.mark.parametrize("stops", [AT, ()], ids=["stops of its own", "usual stops"])
@pytest.mark.parametrize("made", [word, rich, open_document, slide])
def test_blank_column_stays_blank(made, stops, tmp_path):
    """The dose of the night is in the column of the night, in each kind of file."""
    assert WANTED in text_of(tmp_path, made(stops), more={"libreoffice": False}).replace(
        "| --- | --- | --- | --- |\n", ""
    )


EYES = ("Right\tLeft", "20/20\t", "\t20/40")


@pytest.mark.parametrize("made", [word, rich, open_document, slide])
def test_two_columns_of_which_a_line_leaves_the_first_blank(made, tmp_path, monkeypatch):
    """Which eye a value is of cannot be read from the value alone."""
    monkeypatch.setitem(globals(), "LINES", EYES)
    text = text_of(tmp_path, made((3000,)), more={"libreoffice": False})
    assert "| Right | Left |\n| 20/20 |  |\n|  | 20/40 |\n" in text


def test_two_columns_with_nothing_left_blank_stay_lines():
    """A label and its value are read as well in one line; so are lines that begin with an indent."""
    for texts in (("Dose\t5 mg", "Route\toral"), ("Dear Sir", "\tfirst", "\tsecond")):
        assert not any(isinstance(block, Table) for block in in_columns(lines(*texts)))


def lines(*texts, stops=AT):
    return [paragraph(text, Stops(stops)) for text in texts]


def test_stops_count_and_not_tabs():
    """A short name needs two tabs to the stop that a long one reaches with one."""
    made = in_columns(lines("ASA\t\t75\tam", "Metoprolol\t50\tpm", "Na\t\t1\tx", stops=()))
    assert made == (Table((), (("ASA", "75", "am"), ("Metoprolol", "50", "pm"), ("Na", "1", "x"))),)


def test_tabs_count_where_stops_do_not_line_up():
    """A name that is longer than the first stop moves its line, not its meaning."""
    made = in_columns(lines("Drug\tam\tpm", "Metoprolol succinate ER\t50\t25", stops=(1000, 2000, 3000)))
    assert made == (Table((), (("Drug", "am", "pm"), ("Metoprolol succinate ER", "50", "25"))),)


def test_marks_stay_with_their_cells():
    """A stroke over several cells is one over each."""
    made = in_columns(lines("Drug\tam\tpm", struck("Warfarin\t5\t3")))
    assert made == (Table((), (("Drug", "am", "pm"), tuple(map(struck, ("Warfarin", "5", "3"))))),)


def test_short_line_between_is_a_row():
    """A group's name does not part the rows from their head."""
    made = in_columns([*lines("Drug\tam\tpm"), Paragraph("Heart"), *lines("ASA\t\t75"), Paragraph("Seen")])
    assert made == (
        Table((), (("Drug", "am", "pm"), ("Heart", "", ""), ("ASA", "", "75"))),
        Paragraph("Seen"),
    )


KEPT = {
    "two columns": ["Name:\tAda Roe", "Born:\t1950-02-03"],
    "one line": ["Ada Roe\t1950-02-03\t4711"],
    "an indent": ["\tDear colleague,", "\tthank you."],
    "contents": ["Findings\t3", "Plan of care\t4"],
    "running text": ["a\tb\tc", "x\t" + "word " * 20 + "\ty"],
    "hidden over a tab": ["a\tb\tc", "[hidden: x\ty]\tz"],
}


@pytest.mark.parametrize("texts", KEPT.values(), ids=KEPT.keys())
def test_what_is_no_table_stays_as_it_is(texts):
    """Paragraphs whose tabs set no columns are paragraphs."""
    made = in_columns(lines(*texts))
    assert all(type(block) is Paragraph for block in made)
    assert [block.text for block in made] == [" ".join(text.split()) for text in texts]


def test_what_other_readers_make_of_it():
    """Where nobody asks for columns it is a paragraph like any other."""
    (made,) = lines("a\tb")
    assert isinstance(made, Tabbed)
    assert made.text == "a b"
