"""PDF: what stands between words and letters, and digits whose shapes are raised."""

import pytest
import typst

from docpipe.convert.readers.pdf import spacing
from docpipe.convert.readers.pdf.words import Word
from tests.unit.convert.documents import text_of
from tests.unit.convert.placed import page_pdf, rows, text
from tests.unit.convert.test_convert_pdf_layout import table_of


def test_equal_letters_side_by_side_are_no_word_drawn_twice(tmp_path):
    """PDFs of browsers may place each letter by itself: the second of two narrow ones is not its shadow."""
    drawn, x = [], 72.0
    for letter, wide in zip(
        "Penicillin", (6.67, 5.56, 5.56, 2.22, 5, 2.22, 2.22, 2.22, 2.22, 5.56), strict=True
    ):
        drawn.append(text(round(x, 2), 700, letter, 10))
        x += wide
    drawn += [f"BT /F1 10 Tf 70 Tz {x} 680 Td (1) Tj ET" for x in (72, 75.9)]
    assert text_of(tmp_path, page_pdf(drawn)) == "Penicillin  \n11\n"


def test_cells_side_by_side_are_parted_where_blanks_are_drawn(tmp_path):
    """A gap of less than a letter parts cells of a PDF that draws its blanks, and no words of a sentence."""
    drawn = rows(
        [
            ("Drug", "Dose", "06", "12", "18"),
            ("Metformin", "500 mg", "AB", "", "withheld"),
            ("Warf 1", "5 mg", "", "AB", ""),
        ],
        (72, 123, 163, 182, 201),
        size=10,
    )
    drawn += [text(72, 600, "The patient takes these drugs since May.", 10)]
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == [
        ("Drug", "Dose", "06", "12", "18"),
        ("Metformin", "500 mg", "AB", "", "withheld"),
        ("Warf 1", "5 mg", "", "AB", ""),
    ]


def test_stretched_lines_are_not_parted(tmp_path):
    """Blanks of justified text are drawn, however wide they are."""
    drawn = [
        f"BT /F1 10 Tf 6 Tw 72 {700 - 12 * at} Td ({line}) Tj ET"
        for at, line in enumerate(
            ("The dose of warfarin was", "raised to 5 mg after his", "INR had been low since May")
        )
    ]
    assert "|" not in text_of(tmp_path, page_pdf(drawn))


def test_heads_close_to_each_other_keep_a_column_without_values(tmp_path):
    """The day on which nothing was given has its head, though the heads look like a sentence."""
    listed = [
        ("Day", "Mon", "Tue", "Wed", "Thu"),
        ("INR", "2.1", "2.4", "", "3.8"),
        ("mg", "5", "5", "", "0"),
    ]
    drawn = rows(listed, (72, 96, 120, 144, 168), size=10, pitch=12)
    assert table_of(text_of(tmp_path, page_pdf(drawn))) == listed


def test_sentence_above_a_table_is_no_head(tmp_path):
    """Its words stand where they stand by chance."""
    drawn = [text(72, 718, "These are the values of the last three days in May", 10)]
    drawn += rows(
        [("INR", "2.1", "2.4", "3.8"), ("mg", "5", "5", "0")], (72, 120, 168, 216), size=10, pitch=12
    )
    assert "These are the values of the last three days in May\n" in text_of(tmp_path, page_pdf(drawn))


def test_letters_set_apart_are_one_word(tmp_path):
    """So that a heading can be searched for."""
    drawn = ["BT /F2 14 Tf 6 Tc 72 740 Td (MEDICATION) Tj ET", text(72, 700, "Warfarin 5 mg", 10)]
    assert "MEDICATION\n" in text_of(tmp_path, page_pdf(drawn))


def test_letters_in_columns_stay_apart(tmp_path):
    """Flags below each other are no word; nor are answers with blanks between them."""
    drawn = rows([tuple("HLHWI"), tuple("LIWHH")], (72, 83, 94, 105, 116), size=10)
    drawn += [text(72, 600, "Choose A B C D E or F", 10)]
    markdown = text_of(tmp_path, page_pdf(drawn))
    assert "HLHWI" not in markdown
    assert "A B C D E or F" in markdown


def test_digits_whose_shapes_are_raised_or_lowered(tmp_path):
    """Fonts have shapes for them, of the size and on the line of all others: 10 to the 9th is not 109."""
    source = "250 x 10#super[9]/L, 10#super[12]/L, H#sub[2]O, warfarin#super[1] 5 mg, 109/L, B12"
    markdown = text_of(tmp_path, typst.compile(source.encode()))
    assert markdown == "250 x 10⁹/L, 10¹²/L, H₂O, warfarin¹ 5 mg, 109/L, B12\n"


def test_brackets_of_text_from_right_to_left_face_each_other(tmp_path):
    """A PDF may have them by their look, turned round."""
    source = '#set text(dir: rtl, lang: "he", font: "DejaVu Sans")\nהחולה נוטל וורפרין (קומדין) בערב.'  # noqa: RUF001
    assert "(קומדין)" in text_of(tmp_path, typst.compile(source.encode()))


def word(at, letters, left, right, **more):
    """A word that pdfium has put on a line of its own, as it does with letters drawn one by one."""
    return Word(letters, left, 700, right, 711, 702, 10, at, 0, newline=True, **more)


def test_letters_drawn_one_by_one_are_one_word():
    """They touch; what has a gap before it, is struck or is a box to tick is a word of its own."""
    pieces = [
        word(0, "C", 72, 79.2),
        word(1, "re", 79.2, 88),
        word(2, "a", 88, 93.6),
        word(3, "240", 96, 110),
    ]
    assert [each.text for each in spacing.whole(pieces)] == ["Crea", "240"]
    pieces = [word(0, "5", 72, 78), word(1, "10", 78, 90, struck=True), word(2, "☐", 90, 99)]
    assert [(each.text, each.at) for each in spacing.whole(pieces)] == [("5", 0), ("10", 1), ("☐", 2)]


@pytest.mark.parametrize("backwards", [False, True])
def test_letters_from_right_to_left_are_one_word_as_it_is_read(backwards):
    """Whether they are drawn from the left of the paper or from the right."""
    places = [("א", 90, 96), ("ב", 84, 90), ("ג", 78, 84)]
    drawn = places[::-1] if backwards else places
    (whole,) = spacing.whole([word(at, *place) for at, place in enumerate(drawn)])
    assert (whole.text, whole.left, whole.right) == ("אבג", 78, 96)


def test_words_that_nearly_touch_are_parted(tmp_path):
    """Cells of a narrow table have gaps of a tenth of the text's height, and no blank is drawn."""
    drawn = [text(72, 700, "6.9", 10), text(87.4, 700, "mmol/L", 10), text(121.7, 700, "3.5-5.1", 10)]
    drawn += [text(72, 680, "B12 500mg 10^9/L pH", 10), "BT /F1 10 Tf 1 Tc 72 660 Td (B12-500mg) Tj ET"]
    assert text_of(tmp_path, page_pdf(drawn)).replace("  \n", "\n").split("\n")[:1] == ["6.9 mmol/L 3.5-5.1"]
    assert "B12 500mg 10^9/L pH" in text_of(tmp_path / "2", page_pdf(drawn))
    assert "B12-500mg" in text_of(tmp_path / "3", page_pdf(drawn))


def test_doses_in_cells_from_right_to_left_are_read_from_the_number(tmp_path):
    """On paper the unit is at the left of its number, in a cell without other letters, too."""
    source = """#set text(dir: rtl, lang: "he", font: "DejaVu Sans")
#table(columns: 3, [תרופה], [מינון], [בוקר], [מטפורמין], [500 mg], [1], [וורפרין], [2.5 mg], [])"""
    made = text_of(tmp_path, typst.compile(source.encode()))
    assert "| 500 mg |" in made
    assert "| 2.5 mg |" in made


WIDE = dict.fromkeys("0123456789ae", 5.56) | {
    "P": 6.67, "o": 5.56, "t": 2.78, "s": 5, "i": 2.22, "u": 5.56, "m": 8.33, ".": 2.78, ",": 2.78, "H": 7.22,
    "I": 2.78, "G": 7.78, "g": 5.56, " ": 2.78, "L": 5.56, "W": 9.44,
}  # fmt: skip


def set_apart(x, y, letters, by=2.2):
    """Each character placed by itself, as browsers do with letter spacing; no blank is drawn."""
    drawn = []
    for letter in letters:
        if letter != " ":
            drawn.append(text(round(x, 2), y, letter, 10))
        x += WIDE[letter] + by
    return drawn


def test_numbers_set_apart_are_numbers(tmp_path):
    """A potassium of "6 . 9" misleads; letters on its line or elsewhere show the gaps."""
    drawn = set_apart(72, 700, "Potassium 6.9 HIGH") + set_apart(72, 680, "Potassium 140 mg")
    drawn += set_apart(72, 660, "11.25") + set_apart(72, 640, "6.9") + set_apart(72, 620, "It is so")
    lines = text_of(tmp_path, page_pdf(drawn)).replace("  \n", "\n").split("\n")
    assert lines[:4] == ["Potassium 6.9 HIGH", "Potassium 140 mg", "11.25", "6.9"]


def test_single_digits_and_dots_in_columns_stay_apart(tmp_path):
    """A dot where nothing was given is no decimal point; nor is "1 . item"."""
    drawn = set_apart(72, 740, "Potassium", 3.1)
    for at, line in enumerate(("123", "4.6", "7.9", "11.25")):
        drawn += [text(72 + 11 * n - WIDE[c] / 2, 700 - 14 * at, c, 10) for n, c in enumerate(line)]
    drawn += [text(72, 600, "1 . item 6 . 9", 10)]
    drawn += [text(72 + 11 * n, 560, c, 10) for n, c in enumerate("HHHIHHHI")]
    made = text_of(tmp_path, page_pdf(drawn))
    assert "Potassium" in made
    assert "1 . item 6 . 9" in made
    assert not any(joined in made for joined in ("123", "4.6", "7.9", "11.25", "HHHI"))
