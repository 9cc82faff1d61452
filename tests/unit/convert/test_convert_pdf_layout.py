"""PDF: columns, tables and paragraphs by the places of their words."""

import random
import re

import pypdfium2
import pytest

from tests.unit.convert.documents import text_of
from tests.unit.convert.placed import line, page_pdf, rows, text

LABS = [
    ("Test", "Result", "Flag", "Range"),
    ("Potassium", "6.9", "HH", "3.5-5.1"),
    ("Sodium", "", "", "135-145"),
    ("Creatinine", "240", "H", "60-110"),
    ("Glucose", "5.1", "", "3.9-5.6"),
]
PLACES = (72, 182, 292, 402)


def table_of(markdown):
    """The cells of the only table, row by row, without its ruler and without an empty head."""
    lines = [
        re.split(r" ?\| ?", line.strip())[1:-1] for line in markdown.splitlines() if line.startswith("|")
    ]
    return [tuple(row) for row in lines if any(row) and not set("".join(row)) <= set("- ")]


@pytest.mark.parametrize("order", ["rows", "columns", "shuffled"])
def test_cells_keep_row_and_column_in_whatever_order_they_are_drawn(order, tmp_path):
    """A blank cell is blank, and each value stands below its head."""
    drawn = rows(LABS, PLACES)
    if order == "columns":
        drawn.sort(key=lambda each: float(re.search(r"Tf (\S+) ", each)[1]))
    elif order == "shuffled":
        random.Random(4).shuffle(drawn)
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == LABS


def test_head_is_kept_from_rows(tmp_path):
    """The first row is the head where it names all columns and figures follow, else it is a row."""
    assert text_of(tmp_path / "1", page_pdf(rows(LABS, PLACES))).startswith(
        "| Test | Result | Flag | Range |\n"
    )
    plain = [("Weight", "72 kg"), ("Height", "180 cm"), ("Name", "Person")]
    assert text_of(tmp_path / "2", page_pdf(rows(plain, PLACES))).startswith(
        "|  |  |\n| --- | --- |\n| Weight |"
    )


def test_values_set_to_the_right_or_centred_stay_below_their_heads(tmp_path):
    """Values whose left ends differ are one column; so are those of which none begins below the head's."""
    drawn = rows([("Drug", "Morning", "Evening")], (72, 200, 330))
    for number, (drug, morning, evening) in enumerate(
        [("Metformin", "500 mg", "1000 mg"), ("Warfarin", "", "5 mg"), ("Zolpidem", "5 mg", "")]
    ):
        y = 680 - 18 * number
        drawn += [text(72, y, drug)]
        drawn += [text(245 - 6 * len(morning), y, morning)] if morning else []
        drawn += [text(378 - 6 * len(evening), y, evening)] if evening else []
    assert table_of(text_of(tmp_path, page_pdf(drawn)))[1:] == [
        ("Metformin", "500 mg", "1000 mg"),
        ("Warfarin", "", "5 mg"),
        ("Zolpidem", "5 mg", ""),
    ]


def test_line_across_a_table_does_not_cut_it(tmp_path):
    """A remark over all columns stays within its table, so that what follows keeps its heads."""
    drawn = rows(LABS[:3], PLACES) + rows(LABS[3:], PLACES, top=700 - 18 * 4)
    drawn.append(text(72, 700 - 18 * 3, "Comment: the specimen was haemolysed, please send another one soon"))
    cells = table_of(text_of(tmp_path, page_pdf(drawn)))
    assert cells[0] == LABS[0]
    assert ("Creatinine", "240", "H", "60-110") in cells
    assert cells[3][0].startswith("Comment: the specimen")


def test_gap_between_rows_does_not_cut_a_table(tmp_path):
    """Rows after a blank one keep the columns of those before."""
    drawn = rows(LABS[:3], PLACES) + rows(LABS[3:], PLACES, top=700 - 18 * 4)
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == LABS


def test_unclear_columns_stay_lines_that_line_up(tmp_path):
    """Where cells reach below two heads nothing is put into columns; gaps are kept."""
    listed = [("Test", "Result", "Flag"), ("Potassium", "6.9", "HH"), ("Sodium", "140", "")]
    drawn = rows(listed, (72, 182, 240))
    drawn += [
        text(72, 646, "Glucose"),
        text(150, 646, "not done, no sample, call ward 7"),
        text(420, 646, "late"),
    ]
    markdown = text_of(tmp_path, page_pdf(drawn))
    lines = markdown.splitlines()
    assert lines[0] == "```text"
    assert lines[2].index("6.9") == lines[1].index("Result")
    assert lines[2].index("HH") == lines[1].index("Flag")


def frame(xs, ys):
    """The lines of a grid."""
    return [line(xs[0], y, xs[-1], y) for y in ys] + [line(x, ys[0], x, ys[-1]) for x in xs]


def test_framed_cells_are_recognised_by_their_lines(tmp_path):
    """Lines between cells part what no gap parts, and lines within a cell are one text."""
    drawn = frame((70, 130, 160, 320), (640, 670, 690, 710))
    drawn += [text(73, 695, "Drug", 10), text(133, 695, "No", 10), text(163, 695, "Directions", 10)]
    drawn += [text(73, 675, "Metoprolol", 10), text(127.5, 675, "12", 10)]
    drawn += [text(73, 659, "Warfarin", 10), text(133, 659, "5", 10)]
    drawn += [text(163, 659, "Take one tablet every evening at", 10), text(163, 646, "six", 10)]
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == [
        ("Drug", "No", "Directions"),
        ("Metoprolol", "12", ""),
        ("Warfarin", "5", "Take one tablet every evening at six"),
    ]


def test_frame_without_lines_between_rows_keeps_the_rows(tmp_path):
    """Rows of a table whose body has no lines across are not run together."""
    drawn = frame((70, 180, 290, 390), (630, 692, 710))
    drawn += rows([row[:3] for row in LABS[:4]], (73, 183, 293), top=696, pitch=20)
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == [row[:3] for row in LABS[:4]]


SENTENCES = (
    "The patient is a woman of fifty years with a history of hypertension who presents for follow up. She "
    "reports no chest pain, shortness of breath or palpitations. Her blood pressure today was normal and her "
    "weight did not change. Current medications include metformin twice daily and lisinopril once daily."
)


def wrapped(words, width):
    """Lines of not more than so many characters."""
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def test_columns_of_text_are_read_one_after_the_other(tmp_path):
    """The left column comes before the right one, and lines are joined to paragraphs."""
    left, right = wrapped(SENTENCES, 40), wrapped(SENTENCES.upper(), 34)
    drawn = [text(72, 740, "Discharge summary of the patient with a title across both of the columns", 14)]
    drawn += [text(72, 700 - 13 * at, each, 11) for at, each in enumerate(left)]
    drawn += [text(320, 700 - 13 * at, each, 11) for at, each in enumerate(right)]
    blocks = text_of(tmp_path, page_pdf(drawn)).split("\n\n")
    assert [block.replace("  \n", " ").strip() for block in blocks[1:]] == [SENTENCES, SENTENCES.upper()]


def test_lines_of_a_list_stay_lines(tmp_path):
    """What was not broken for want of room is not joined, whichever line is the longest."""
    listed = ["Warfarin 5 mg daily", "Lisinopril 10 mg once daily in the morning", "Aspirin stopped"]
    drawn = [text(72, 700 - 14 * at, each) for at, each in enumerate(listed)]
    assert text_of(tmp_path, page_pdf(drawn)) == "  \n".join(listed) + "\n"


def test_stretched_blanks_are_no_columns(tmp_path):
    """Lines of justified text whose blanks are wide stay text."""
    lines = wrapped(SENTENCES, 56)[:-1]
    measured = pypdfium2.PdfDocument(
        page_pdf([text(0, 700 - 13 * at, each) for at, each in enumerate(lines)])
    )
    page = measured[0].get_textpage()
    ends = [page.get_rect(number)[2] for number in range(page.count_rects())]
    drawn = [
        f"{(330 - end) / each.count(' ')} Tw {text(72, 700 - 13 * at, each)}"
        for at, (each, end) in enumerate(zip(lines, ends, strict=True))
    ]
    markdown = text_of(tmp_path, page_pdf(drawn))
    assert "|" not in markdown
    assert "```" not in markdown


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_pages_read_as_they_are_seen(turn, tmp_path):
    """A page that is turned for display has its table, whether the text was turned back or not."""
    matrix = {0: "1 0 0 1 0 0", 90: "0 1 -1 0 612 0", 180: "-1 0 0 -1 612 792", 270: "0 -1 1 0 0 792"}[turn]

    def change(document):
        document.pages[0].Rotate = turn

    drawn = [f"q {matrix} cm", *rows(LABS, PLACES, top=500), "Q"]
    assert table_of(text_of(tmp_path, page_pdf(drawn, change=change))) == LABS


def test_typewritten_pages_keep_their_columns(tmp_path):
    """Reports in a typewriter's font stay as they were typed, sentences in them stay sentences."""
    typed = [
        "TEST          RESULT   FLAG   RANGE",
        "POTASSIUM     6.9      HH     3.5-5.1",
        "SODIUM                        135-145",
        "",
        "THE PATIENT WAS SEEN.  SHE IS WELL.",
    ]
    drawn = [text(72, 700 - 12 * at, each, 10, "F3") for at, each in enumerate(typed) if each]
    lines = text_of(tmp_path, page_pdf(drawn)).splitlines()
    assert lines[1:4] == typed[:3]
    assert lines[-1] == "THE PATIENT WAS SEEN. SHE IS WELL."


def test_raised_and_lowered_digits(tmp_path):
    """Smaller digits above or below the line are marked as such, and do not end it."""
    drawn = [text(72, 700, "Platelets 250 x 10"), text(167.5, 705, "9", 7), text(171.5, 700, "/L")]
    drawn += [text(72, 680, "CO"), text(90.1, 677, "2", 8), text(98, 680, "retention")]
    drawn += [text(72, 660, "on the 1"), text(115.5, 664, "st", 7), text(124.2, 660, "of May")]
    assert text_of(tmp_path, page_pdf(drawn)) == (
        "Platelets 250 x 10⁹/L  \nCO₂ retention  \non the 1st of May\n"
    )


def test_ordinary_neighbours_are_not_raised(tmp_path):
    """A number of the same size on the next line, a small note, and a large first letter stay as they are."""
    drawn = [text(72, 700, "Dose 10"), text(112, 690, "5"), text(72, 660, "5 mg"), text(150, 660, "7", 7)]
    drawn += [text(72, 600, "W", 30), text(100.5, 600, "arfarin")]
    markdown = text_of(tmp_path, page_pdf(drawn))
    assert not re.search("[⁰-₉¹²³]", markdown)
    assert "Warfarin" in markdown


def test_word_drawn_twice_to_look_bold_is_one(tmp_path):
    """Printing twice makes no second word."""
    drawn = [text(72, 700, "Potassium 6.9"), text(72.3, 700, "Potassium 6.9")]
    assert text_of(tmp_path, page_pdf(drawn)) == "Potassium 6.9\n"


def test_stamp_across_the_page_is_text(tmp_path):
    """Slanted letters are a word beside the page's text."""
    drawn = [text(72, 700, "Plain line"), "BT /F1 60 Tf 0.77 0.64 -0.64 0.77 200 300 Tm (DRAFT) Tj ET"]
    assert text_of(tmp_path, page_pdf(drawn)) == "Plain line\n\nDRAFT\n"


def sideways(x, y, displayed, size=10, *, down=False):
    """The operators that write text upwards, or downwards, from a place."""
    turn = f"0 -1 1 0 {x} {y}" if down else f"0 1 -1 0 {x} {y}"
    return f"q {turn} cm {text(0, 0, displayed, size)} Q"


GIVEN = [("Metformin", "1", "", "1", ""), ("Ramipril", "", "", "", "5"), ("Zolpidem", "", "2", "", "")]


@pytest.mark.parametrize("first", [702, 730], ids=["at the bottom", "at the top"])
@pytest.mark.parametrize("down", [False, True], ids=["upwards", "downwards"])
@pytest.mark.parametrize("rotate", [0, 90])
def test_heads_set_sideways_are_above_their_columns(rotate, down, first, tmp_path):
    """So that the hour at which a drug is taken is not lost; a head of two lines is one."""
    heads = ("Morning", "Noon", "Evening dose", "Night")
    drawn = [text(72, first, "Drug", 10), *rows(GIVEN, (72, 172, 202, 232, 262), top=684, size=10)]
    for at, head in enumerate(heads):
        lines = head.split()
        for number, letters in enumerate(lines):
            x = (168 if down else 178) + 30 * at + 12 * (number if not down else len(lines) - 1 - number)
            drawn.append(sideways(x, 740 if down else 700, letters, down=down))

    def turn(document):
        document.pages[0].Rotate = rotate

    if rotate:
        drawn = [f"q 0 1 -1 0 800 0 cm {each} Q" for each in drawn]
    data = page_pdf(drawn, size=(812, 792), change=turn)
    assert table_of(text_of(tmp_path, data)) == [("Drug", *heads), *GIVEN]


def test_text_at_the_side_of_a_page_is_no_head(tmp_path):
    """Marks of a printer and names of forms have no column below them."""
    drawn = [sideways(30, 400, "Form 12-345"), sideways(590, 400, "Printed 2024")]
    drawn += rows(LABS, PLACES)
    markdown = text_of(tmp_path, page_pdf(drawn))
    assert table_of(markdown) == LABS
    assert "Form 12-345" in markdown
