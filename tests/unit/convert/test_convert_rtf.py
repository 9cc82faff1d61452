"""RTF: what text means by its looks, lists, tables, fields, comments and what stands on each page."""
# ruff: noqa: RUF001 - the signs are the data

import pytest

from docpipe.convert.readers.office.runs import CHANGED, HIDDEN
from docpipe.convert.readers.rtf.events import TRAILING
from tests.unit.convert.documents import run, text_of

FONTS = (
    r"{\fonttbl{\f0\fcharset0 Calibri;}{\f1\froman\fcharset2 Symbol{\*\falt Other};}"
    r"{\f2\fcharset2 Wingdings;}{\f3\fcharset0 Symbol;}{\f4\fcharset2 Nobody;}}"
)


def rtf(text, tables=""):
    """A file around a text."""
    return rf"{{\rtf1\ansi\ansicpg1252\deff0{FONTS}{tables}\pard {text}}}".encode("latin-1")


LOOKS = {
    "struck": (r"\strike Warfarin\strike0  Aspirin", "~~Warfarin~~ Aspirin"),
    "struck twice": (r"{\striked1 50 mg} 25 mg", "~~50 mg~~ 25 mg"),
    "struck twice by another name": (r"{\strikedl1 50 mg} 25 mg", "~~50 mg~~ 25 mg"),
    "struck up to plain": (r"\strike a\plain  b", "~~a~~ b"),
    "bold within": (r"is {\b not} for CPR", "is **not** for CPR"),
    "raised": (r"10{\super 9}/L", "10⁹/L"),
    "moved up": (r"10{\up6 12}/L", "10¹²/L"),
    "moved up by the usual": (r"10{\up 12}/L", "10¹²/L"),
    "moved down": (r"SpO{\dn6 2}", "SpO₂"),
    "lowered": (r"SpO{\sub 2}", "SpO₂"),
    "words that are moved": (r"{\up6 Clinic of the town}", "Clinic of the town"),
    "a letter in Symbol": (r"100 {\f1 m}g {\f1 a}", "100 μg α"),
    "a letter in Symbol without its charset": (r"100 {\f3 m}g", "100 μg"),
    "bytes of Wingdings": (r"{\f2 \'fe} yes {\f2 \'a8} no", "☑ yes ☐ no"),
    "private characters": (r"{\f1\u-3999 ?}-blocker", "α-blocker"),
    "an unknown font of signs": (r"{\f4 abc} x", "[symbol] x"),
    "a field of a symbol": (
        r'100 {\field{\*\fldinst SYMBOL 109 \\f "Symbol" \\s 12}{\fldrslt\f1 m}}g',
        "100 μg",
    ),
    "inserted": (r"{\revised 50 mg} daily", "[inserted: 50 mg] daily"),
    "a note at a raised mark": (
        r"5 mg{\super\chftn{\footnote\pard\plain{\super\chftn} Tuesdays}}.",
        "5 mg [Tuesdays].",
    ),
    "a formula": (
        r"CrCl = {\mmath{\*\moMath{\mf{\mfPr{\mctrlPr\b}}{\mnum{\mr 140-age}}{\mden{\mr 72}}}}} ml",
        "CrCl = (140-age)/72 ml",
    ),
    "a power in a formula of its own line": (
        r"{\*\moMathPara{\*\moMath{\msSup{\me{\mr 10}}{\msup{\mr 9}}}}}/L",
        "10^9/L",
    ),
    "a sum in a formula": (
        r"{\mmath{\*\moMath{\mnary{\mnaryPr{\mchr \u8721 ?}}{\msub{\mr i}}{\msup}{\me{\mr x}}}}}",
        "∑\\_i x",
    ),
}


@pytest.mark.parametrize(("text", "markdown"), LOOKS.values(), ids=LOOKS)
def test_looks_that_mean_something_are_kept(text, markdown, tmp_path):
    """By control words and by the table of fonts."""
    assert text_of(tmp_path, rtf(text)) == markdown + "\n"


SHEET = (
    r"{\stylesheet{\s0 Normal;}{\s4\strike\b Base;}{\s5\sbasedon4 Stopped;}{\s6\v Note;}"
    r"{\*\cs7\additive\super Up;}{\*\cs8\strike\v0 Old;}}"
)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        (r"\s5 Warfarin\par\pard\plain Apixaban", "~~Warfarin~~\n\nApixaban"),
        (r"\s5\plain Warfarin {\strike0 5 mg}", "~~Warfarin~~ 5 mg"),
        (r"\s6 template\par\pard seen", "[hidden: template]  \nseen"),
        (r"10{\cs7 9}/L {\cs8 Aspirin}", "10⁹/L ~~Aspirin~~"),
        (r"{\cs8 Aspirin\plain  daily}", "~~Aspirin~~ daily"),
    ],
)
def test_styles_strike_hide_and_raise(text, markdown, tmp_path):
    """Where a writer does not repeat what the style of a paragraph or passage says."""
    assert text_of(tmp_path, rtf(text, SHEET)) == markdown + "\n"


@pytest.mark.parametrize(
    ("text", "markdown", "warnings"),
    [
        (r"seen {\v HIV}", "seen [hidden: HIV]", [HIDDEN]),
        (r"seen {\v HIV\par}on", "seen [hidden: HIV]  \non", [HIDDEN]),
        (r"seen {\deleted 5 mg}", "seen [deleted: 5 mg]", [CHANGED]),
        (r"{\deleted 5}{\v 7}", "[deleted: 5] [hidden: 7]", [CHANGED, HIDDEN]),
        (r"seen{\v  }{\v{\*\bkmkstart x}}", "seen", []),
        (r"seen{\*\unknown {\v x}}", "seen", []),
    ],
)
def test_hidden_and_deleted_text_is_marked(text, markdown, warnings, tmp_path):
    """With a warning; blanks, bookmarks and unknown destinations need none."""
    done, outputs = run(tmp_path, rtf(text))
    assert outputs["text.md"].decode() == markdown + "\n"
    assert done["warnings"] == warnings


def listtable(*levels):
    """Tables of a list that paragraphs call 1, and that begins at 5 as 2."""
    inner = "".join(
        rf"{{\listlevel\levelnfc{form}\levelstartat1{{\leveltext {text};}}{{\levelnumbers;}}{more}}}"
        for form, text, more in levels
    )
    return (
        rf"{{\*\listtable{{\list\listtemplateid1{inner}{{\listname ;}}\listid7}}}}"
        r"{\*\listoverridetable{\listoverride\listid7\listoverridecount0\ls1}{\listoverride\listid7"
        r"\listoverridecount1{\lfolevel\listoverridestartat\levelstartat5}\ls2}}"
    )


NUMBERS = listtable((0, r"\'02\'00.", ""), (2, r"\'04\'00.\'01)", ""))
LISTS = {
    "numbers": (NUMBERS, r"\ls1\ilvl0 a\par b\par\pard x", "1. a\n2. b\n\nx"),
    "levels": (NUMBERS, r"\ls1 a\par\ilvl1 b\par\ilvl0 c\par", "1. a\n\n   - 1.i) b\n\n2. c"),
    "a list that continues": (NUMBERS, r"\ls1 a\par\pard x\par\ls1 b\par", "1. a\n\nx\n\n2. b"),
    "a list that begins anew": (NUMBERS, r"\ls1 a\par\pard x\par\ls2 b\par", "1. a\n\nx\n\n5. b"),
    "labels that are written out": (
        NUMBERS,
        r"{\listtext B.\tab}\ls1 a\par{\listtext C.\tab}b\par",
        "- B. a\n- C. b",
    ),
    "ticks": (listtable((23, r"\'01\u-3842 ?", r"\f2")), r"\ls1 Fever\par", "- ☑ Fever"),
    "dots": (listtable((23, r"\'01\u-3913 ?", r"\f1")), r"\ls1 a\par", "- a"),
    "ticks that are written out": ("", r"{\listtext\f2\'fe\tab}Fever\par", "- ☑ Fever"),
    "no list": (NUMBERS, r"\ls0 a\par", "a"),
}


@pytest.mark.parametrize(("tables", "text", "markdown"), LISTS.values(), ids=LISTS)
def test_items_bear_the_labels_that_the_page_shows(tables, text, markdown, tmp_path):
    """As they are written out, or else as the tables of lists have them."""
    assert text_of(tmp_path, rtf(text, tables)) == markdown + "\n"


def row(cells, edges, left=0):
    """A row of cells that end at these edges."""
    start = rf"\trleft{left}" if left else ""
    defined = "".join(rf"\cellx{edge}" for edge in edges)
    return rf"\trowd{start}{defined}\pard\intbl " + "".join(rf"{cell}\cell " for cell in cells) + r"\row "


HEAD = row(["Drug", "AM", "Noon", "PM"], [2000, 4000, 6000, 8000])
ROWS = {
    "a row that begins late": (row(["5", "6"], [6000, 8000], 4000), "|  |  | 5 | 6 |"),
    "a wide cell": (row(["Warfarin", "5"], [6000, 8000]), "| Warfarin |  |  | 5 |"),
    "a merged cell": (row(["a", "", "b", "c"], [2000, 4000, 6000, 8000]), "| a |  | b | c |"),
    "a row moved by the gap": (
        row(["a", "b", "c", "d"], [1900, 3900, 5900, 7900], -108),
        "| a | b | c | d |",
    ),
    "a row without edges of its own": (r"\pard\intbl a\cell b\cell c\cell d\cell\row ", "| a | b | c | d |"),
    "more cells than edges": (row(["a", "b"], [2000]), "| a | b |  |  |"),
}


@pytest.mark.parametrize(("text", "line"), ROWS.values(), ids=ROWS)
def test_cells_stand_in_the_columns_of_their_edges(text, line, tmp_path):
    """A dose of the evening must not stand under noon."""
    assert line in text_of(tmp_path, rtf(HEAD + text)).splitlines()


def box(result, default=0):
    return (
        rf"{{\field{{\*\fldinst {{ FORMCHECKBOX {{\*\formfield{{\fftype1\ffres{result}{{\*\ffname Check1}}"
        rf"\ffdefres{default}}}}}}}}}{{\fldrslt }}}}"
    )


def choice(at, result=""):
    return (
        rf"{{\field{{\*\fldinst {{ FORMDROPDOWN {{\*\formfield{{\fftype2\ffres{at}{{\*\ffname D}}\ffdefres0"
        rf"{{\*\ffl mild}}{{\*\ffl severe}}}}}}}}}}{{\fldrslt {result}}}}}"
    )


def test_controls_of_forms_show_ticks_and_choices(tmp_path):
    """25 stands for the default; a result that says the choice again is left out."""
    text = (
        rf"Smoker {box(1)} yes {box(0)} no {box(25, 1)} ex\par Severity {choice(1, 'severe')}, {choice(25)}"
    )
    assert text_of(tmp_path, rtf(text)) == "Smoker ☑ yes ☐ no ☑ ex\n\nSeverity severe, mild\n"


def test_a_field_with_a_result_shows_the_result_alone(tmp_path):
    """Its instruction is for Word."""
    assert text_of(tmp_path, rtf(r"{\field{\*\fldinst DATE \\@ x}{\fldrslt 1 May}}")) == "1 May\n"


def test_comments_follow_the_text_with_their_authors(tmp_path):
    """As those of Word documents do; the paragraph around continues."""
    text = (
        r"Dose 5 mg{\*\atnid JD}{\*\atnauthor Dr Doe}\chatn{\*\annotation\pard wrong, 50 mg\par} daily.\par"
    )
    assert text_of(tmp_path, rtf(text)) == "Dose 5 mg daily.\n\n## Comments\n\n- Dr Doe: wrong, 50 mg\n"


def test_the_visible_result_of_an_object_is_shown(tmp_path):
    """Word shows it in place of the object."""
    text = r"Labs: {\object\objemb{\*\objclass Excel}{\*\objdata 00}{\result Potassium 6.9}} seen"
    assert text_of(tmp_path, rtf(text)) == "Labs: Potassium 6.9 seen\n"


def test_a_watermark_is_named(tmp_path):
    """It is drawn behind the page from the header, by properties of a shape."""
    shape = r"{\shp{\*\shpinst{\sp{\sn fillColor}{\sv 12632256}}{\sp{\sn gtextUNICODE}{\sv DRAFT}}}}"
    text = text_of(tmp_path, rtf(rf"{{\header {shape}Patient Testa\par}}a"))
    assert text == "Watermark: DRAFT\n\nPage header: Patient Testa\n\na\n"


def test_bytes_after_the_end_are_left_out_with_a_warning(tmp_path):
    """Gateways leave what was in their buffers; a stray brace amid of the text ends nothing."""
    done, outputs = run(tmp_path / "a", rtf("a") + b"OTHER PATIENT")
    assert outputs["text.md"] == b"a\n"
    assert TRAILING in done["warnings"]
    done, _ = run(tmp_path / "b", rtf("a") + b"\0\0\r\n")
    assert done["warnings"] == []
    assert "stop" in text_of(tmp_path / "c", rtf(r"a}\par stop warfarin\par"))


NESTED = (
    r"\trowd\cellx3000\cellx6000\pard\intbl Insulin\cell\pard\intbl\itap2 am\nestcell 10\nestcell"
    r"{\*\nesttableprops\trowd\cellx1000\cellx2000\nestrow}{\nonesttables\par}"
    r"\pard\intbl\itap2 pm\nestcell \nestcell"
    r"{\*\nesttableprops\trowd\cellx1000\cellx2000\nestrow}{\nonesttables\par}"
    r"\pard\intbl with meals\cell\row\pard x"
)


def test_rows_of_a_table_within_a_cell_are_lines(tmp_path):
    """A row within a cell ends where its properties stand; a blank one at its end is kept apart."""
    text = text_of(tmp_path, rtf(NESTED))
    assert r"| Insulin | am \| 10<br>pm \|<br>with meals |" in text


def test_margins_without_a_paragraph_mark(tmp_path):
    """The last paragraph of a header or footer counts without its mark."""
    text = text_of(tmp_path, rtf(r"{\header Ada Roe, 4711}{\footer Ward 3}x\par"))
    assert text.startswith("Page header: Ada Roe, 4711\n")
    assert "Page footer: Ward 3" in text


def test_break_of_a_column_ends_a_paragraph(tmp_path):
    """What stands in two columns is not one word."""
    assert text_of(tmp_path, rtf(r"K 6.9\column Na 140\par")) == "K 6.9\n\nNa 140\n"


def test_comments_name_their_passages_and_times(tmp_path):
    """The text between the marks that bear the comment's name; one without marks is fixed to a point."""
    marked = rb"{\*\atrfstart 7}{\b 5 mg}\par daily{\*\atrfend 7}{\*\atnid D}{\*\atnauthor Dr Doe}\chatn "
    body = rb"{\*\annotation{\*\atnref 7}{\*\atndate %d}should be 50 mg} as before.\par " % (
        124 << 20 | 5 << 16 | 9 << 11 | 14 << 6 | 30
    )
    point = rb"{\*\atnauthor X}\chatn{\*\annotation{\*\atndate 0}here}\par"
    text = text_of(tmp_path, rb"{\rtf1 Dose " + marked + body + point + b"}")
    assert '- Dr Doe, 2024-05-09T14:30, on "5 mg daily": should be 50 mg\n- X: here' in text
    assert "atrf" not in text
    assert "7" not in text


def test_of_two_forms_of_a_text_that_in_unicode_is_read(tmp_path):
    """Old readers take the first one; each stands wherever the group does."""
    data = rb"{\rtf1 a {\upr{mu}{\*\ud{\u956 ?g}}} b{\footnote n {\upr{x}{\*\ud\u181?g}} m}.\par}"
    assert text_of(tmp_path, data) == "a \u03bcg b [n \u00b5g m].\n"
