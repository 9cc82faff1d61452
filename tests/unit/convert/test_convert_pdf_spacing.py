"""PDF: what stands between words and letters, and digits whose shapes are raised."""

import typst

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
