"""Word documents: what runs mean by their looks, and what lists and headings bear before their words."""
# ruff: noqa: RUF001 - the signs are the data

import pytest

from docpipe.convert.readers.office.labels import bullet
from docpipe.convert.readers.office.numerals import numeral
from docpipe.convert.readers.office.runs import CHANGED, HIDDEN
from tests.unit.convert.documents import docx, run, text_of


def r(text, properties=""):
    """A run."""
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def p(*runs, style="", more=""):
    """A paragraph of runs."""
    named = f"<w:pStyle w:val='{style}'/>" if style else ""
    return f"<w:p><w:pPr>{named}{more}</w:pPr>{''.join(runs)}</w:p>"


def style(name, properties, *, kind="character", based="", block="", title=""):
    """A style with run properties and, in `block`, paragraph properties."""
    on = f"<w:basedOn w:val='{based}'/>" if based else ""
    return (
        f"<w:style w:type='{kind}' w:styleId='{name}'><w:name w:val='{title or name}'/>{on}"
        f"<w:pPr>{block}</w:pPr><w:rPr>{properties}</w:rPr></w:style>"
    )


SYMBOL = "<w:rFonts w:ascii='Symbol' w:hAnsi='Symbol'/>"
STRIKE, DOUBLE, HIDE = "<w:strike/>", "<w:dstrike/>", "<w:vanish/>"
UP, LOW = (f"<w:vertAlign w:val='{kind}script'/>" for kind in ("super", "sub"))
STYLES = (
    style("Greek", SYMBOL)
    + style("Old", STRIKE)
    + style("Older", "", based="Old")
    + style("OldLine", STRIKE, kind="paragraph")
    + style("High", UP)
    + style("Template", HIDE)
    + style("TemplateLine", HIDE, kind="paragraph")
    + style("Strong", "<w:b/>")
)
LOOKS = {
    "a letter in Symbol": (p(r("100 "), r("m", SYMBOL), r("g")), "100 μg"),
    "a font by style": (p(r("100 "), r("m", "<w:rStyle w:val='Greek'/>"), r("g")), "100 μg"),
    "text typed as Greek in Symbol": (p(r("α", SYMBOL)), "α"),
    "a theme over a symbol font": (
        p(r("mg", "<w:rStyle w:val='Greek'/><w:rFonts w:asciiTheme='minorHAnsi' w:hAnsi='Arial'/>")),
        "mg",
    ),
    "private characters": (p(r("\uf061", SYMBOL), r("-blocker")), "α-blocker"),
    "symbols": (
        p(
            "<w:r><w:sym w:font='Symbol' w:char='F0AD'/><w:sym w:font='Wingdings 2' w:char='F0A3'/>"
            "<w:sym w:font='Wingdings' w:char='00FC'/><w:sym w:font='Nobody' w:char='F0F0'/></w:r>"
        ),
        "↑☐✓[symbol]",
    ),
    "struck": (p(r("Warfarin", STRIKE), r(" 5 mg", STRIKE), r(" Aspirin")), "~~Warfarin 5 mg~~ Aspirin"),
    "struck twice": (p(r("a", DOUBLE), r(" b")), "~~a~~ b"),
    "struck by style": (p(r("a", "<w:rStyle w:val='Old'/>"), r(" b")), "~~a~~ b"),
    "struck by a style's parent": (p(r("a", "<w:rStyle w:val='Older'/>"), r(" b")), "~~a~~ b"),
    "a struck line": (p(r("a"), style="OldLine"), "~~a~~"),
    "two switches put each other out": (p(r("a", "<w:rStyle w:val='Old'/>"), style="OldLine"), "a"),
    "struck switched off": (p(r("a", "<w:rStyle w:val='Old'/><w:strike w:val='0'/>")), "a"),
    "raised by style": (p(r("10"), r("9", "<w:rStyle w:val='High'/>"), r("/L")), "10⁹/L"),
    "raised by position": (p(r("10"), r("12", "<w:position w:val='6'/>"), r("/L")), "10¹²/L"),
    "words moved for looks": (p(r("Clinic of the town", "<w:position w:val='6'/>")), "Clinic of the town"),
    "lowered": (p(r("SpO"), r("2", LOW)), "SpO₂"),
    "ordinals": (p(r("1"), r("st", UP)), "1st"),
    "raised letters": (p(r("5"), r("a", UP)), "5^a"),
    "bold within": (p(r("patient is "), r("not", "<w:b/>"), r(" for CPR")), "patient is **not** for CPR"),
    "bold by style": (p(r("is "), r("not", "<w:rStyle w:val='Strong'/>")), "is **not**"),
    "bold of the whole": (p(r("All "), r("bold", "<w:i/><w:b/>")), "All ***bold***"),
    "a heading's bold": (p(r("Plan", "<w:b/>"), more="<w:outlineLvl w:val='1'/>"), "## Plan"),
}


@pytest.mark.parametrize(("body", "markdown"), LOOKS.values(), ids=LOOKS)
def test_looks_that_mean_something_are_kept(body, markdown, tmp_path):
    """By the run itself, by its style, and by what the style is based on."""
    assert text_of(tmp_path, docx(body, {"styles": ("styles", STYLES)})) == markdown + "\n"


HIDING = {
    "a run": (p(r("seen"), r(" HIV", HIDE)), "seen [hidden: HIV]"),
    "runs of several looks": (p(r("a", HIDE), r(" b", HIDE + "<w:strike/>")), "[hidden: a ~~b~~]"),
    "a style": (p(r("seen"), r(" HIV", "<w:rStyle w:val='Template'/>")), "seen [hidden: HIV]"),
    "a line's style": (p(r("seen")) + p(r("HIV"), style="TemplateLine"), "seen\n\n[hidden: HIV]"),
}


@pytest.mark.parametrize(("body", "markdown"), HIDING.values(), ids=HIDING)
def test_hidden_text_is_marked_with_a_warning(body, markdown, tmp_path):
    """A template's note that does not apply must not look valid."""
    done, outputs = run(tmp_path, docx(body, {"styles": ("styles", STYLES)}))
    assert outputs["text.md"].decode() == markdown + "\n"
    assert HIDDEN in done["warnings"]


def test_text_that_a_style_hides_and_the_run_shows_is_kept(tmp_path):
    """And nothing is said of hidden text, nor where only a blank is hidden."""
    body = p(r("seen", "<w:rStyle w:val='Template'/><w:vanish w:val='0'/>"), r(" ", HIDE))
    done, outputs = run(tmp_path, docx(body, {"styles": ("styles", STYLES)}))
    assert outputs["text.md"] == b"seen\n"
    assert done["warnings"] == []


def test_tracked_changes_are_marked_with_a_warning(tmp_path):
    """Deleted and inserted text, with their looks; also in rows."""
    body = (
        "<w:p>" + r("Dose: ") + "<w:del><w:r><w:delText>5 mg</w:delText></w:r></w:del>"
        f"<w:ins>{r('50 mg')}</w:ins>{r(' daily')}</w:p>"
    )
    done, outputs = run(tmp_path, docx(body))
    assert outputs["text.md"] == b"Dose: [deleted: 5 mg][inserted: 50 mg] daily\n"
    assert done["warnings"] == [CHANGED]


def tr(*cells, before=0, after=0):
    """A row of cells, each a text or the content of a cell."""
    grid = "".join(
        f"<w:grid{name} w:val='{number}'/>"
        for name, number in (("Before", before), ("After", after))
        if number
    )
    inner = "".join(f"<w:tc>{cell if cell.startswith('<') else p(r(cell))}</w:tc>" for cell in cells)
    return f"<w:tr><w:trPr>{grid}</w:trPr>{inner}</w:tr>"


def tbl(*rows):
    """A table."""
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


WIDE = "<w:tcPr><w:gridSpan w:val='2'/></w:tcPr>" + p(r("wide"))
TABLES = {
    "a row that begins late": (tbl(tr("a", "b", "c"), tr("x", "y", before=1)), "|  | x | y |"),
    "a row that ends early": (tbl(tr("a", "b", "c"), tr("x", "y", after=1)), "| x | y |  |"),
    "a wide cell": (tbl(tr("a", "b", "c"), tr(WIDE, "y")), "| wide |  | y |"),
    "a table within a cell": (
        tbl(tr("Drug", "Dose"), tr("Warfarin", tbl(tr("AM", "5 mg")) + p())),
        "| Warfarin | AM \\| 5 mg |",
    ),
}


@pytest.mark.parametrize(("body", "line"), TABLES.values(), ids=TABLES)
def test_cells_stand_in_their_columns(body, line, tmp_path):
    """An evening dose must not stand under morning."""
    assert line in text_of(tmp_path, docx(body)).splitlines()


def test_a_table_that_lays_out_a_page_is_read_in_order(tmp_path):
    """One with headings in a cell beside a table is no table of values."""
    cell = p(r("Plan"), more="<w:outlineLvl w:val='0'/>") + tbl(tr("a", "b"), tr("c", "d"))
    assert text_of(tmp_path, docx(tbl(tr("left", cell)))).startswith("left\n\n# Plan\n\n|")


@pytest.mark.parametrize(
    ("properties", "word", "warning"),
    [
        ("<w:hidden/>", "hidden", HIDDEN),
        ("<w:del/>", "deleted", CHANGED),
        ("<w:ins/>", "inserted", CHANGED),
    ],
)
def test_hidden_and_changed_rows_are_marked(properties, word, warning, tmp_path):
    """In each of their cells."""
    row = tr("x", "y").replace("<w:trPr>", f"<w:trPr>{properties}")
    done, outputs = run(tmp_path, docx(tbl(tr("a", "b"), row)))
    assert f"| [{word}: x] | [{word}: y] |".encode() in outputs["text.md"]
    assert done["warnings"] == [warning]


WHITE = "<w:color w:val='FFFFFF'/>"
ON_BLUE = "<w:shd w:fill='000080'/>"


def test_white_text_on_white_paper_is_hidden(tmp_path):
    """With a warning."""
    done, outputs = run(tmp_path, docx(p(r("seen "), r("and not seen", WHITE))))
    assert outputs["text.md"] == b"seen [hidden: and not seen]\n"
    assert done["warnings"] == [HIDDEN]


@pytest.mark.parametrize(
    "body",
    [
        p(r("white", WHITE + ON_BLUE)),
        p(r("white", WHITE + "<w:highlight w:val='blue'/>")),
        p(r("white", WHITE), more=ON_BLUE),
        p(r("white", WHITE), style="Banner"),
        tbl(tr("a", f"<w:tcPr>{ON_BLUE}</w:tcPr>" + p(r("white", WHITE)))),
        (
            "<w:tbl><w:tblPr><w:tblStyle w:val='Dark'/></w:tblPr>"
            f"<w:tr><w:tc>{p(r('white', WHITE))}</w:tc><w:tc>{p(r('b'))}</w:tc></w:tr></w:tbl>"
        ),
        p("<w:r><w:pict><w:txbxContent>" + p(r("white", WHITE)) + "</w:txbxContent></w:pict></w:r>"),
    ],
    ids=["shaded", "marked", "a shaded paragraph", "a style", "a cell", "a table's style", "a text box"],
)
def test_white_text_on_something_is_seen(body, tmp_path):
    """What lies behind it may be dark."""
    banner = style("Banner", "", kind="paragraph", block=ON_BLUE)
    dark = style("Dark", "", kind="table", block=ON_BLUE)
    done, outputs = run(tmp_path, docx(body, {"styles": ("styles", banner + dark)}))
    assert b"white" in outputs["text.md"]
    assert done["warnings"] == []


def test_inserted_and_deleted_cells_are_marked(tmp_path):
    """Each by itself."""
    changed = "".join(
        f"<w:tc><w:tcPr><w:cell{kind}/></w:tcPr>{p(r(text))}</w:tc>"
        for kind, text in (("Del", "x"), ("Ins", "y"))
    )
    done, outputs = run(tmp_path, docx(tbl(tr("a", "b"), f"<w:tr>{changed}</w:tr>")))
    assert b"| [deleted: x] | [inserted: y] |" in outputs["text.md"]
    assert done["warnings"] == [CHANGED]


IN_TABLES = (
    "<w:style w:type='table' w:styleId='Base'><w:tblStylePr w:type='firstRow'><w:rPr><w:strike/></w:rPr>"
    "</w:tblStylePr><w:tblStylePr w:type='lastCol'><w:tcPr><w:shd w:fill='FF0000'/></w:tcPr></w:tblStylePr>"
    "</w:style><w:style w:type='table' w:styleId='Plan'><w:basedOn w:val='Base'/><w:tblStylePr "
    "w:type='lastRow'><w:rPr><w:vanish/><w:color w:val='FF0000'/></w:rPr></w:tblStylePr></w:style>"
    + style("OldLine", STRIKE, kind="paragraph")
)


def test_styles_of_tables_strike_and_hide(tmp_path):
    """The rows that the table sets apart; their colours belong to places and flag no value."""
    look = "<w:tblPr><w:tblStyle w:val='Plan'/><w:tblLook w:val='0160'/></w:tblPr>"
    displayed = tr("b", "2"), tr("<w:tcPr/>" + p(r("c"), style="OldLine"), "3")
    head = tr("a", "<w:tcPr/>" + p(r("1"), style="OldLine"))
    body = f"<w:tbl>{look}{head}{''.join(displayed)}{tr('d', '4')}</w:tbl>"
    assert text_of(tmp_path, docx(body, {"styles": ("styles", IN_TABLES)})).splitlines() == [
        "| ~~a~~ | 1 |",
        "| --- | --- |",
        "| b | 2 |",
        "| ~~c~~ | 3 |",
        "| [hidden: d] | [hidden: 4] |",
    ]


def test_a_deleted_item_leaves_the_numbers_of_its_list(tmp_path):
    """It is no item of its own."""
    number = "<w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr>"
    deleted = (
        f"<w:p><w:pPr>{number}<w:rPr><w:del/></w:rPr></w:pPr>"
        "<w:del><w:r><w:delText>stop aspirin</w:delText></w:r></w:del></w:p>"
    )
    body = p(r("one"), more=number) + deleted + p(r("two"), more=number)
    numbering = (
        "<w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:numFmt w:val='decimal'/>"
        "<w:lvlText w:val='%1.'/></w:lvl></w:abstractNum>"
        "<w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>"
    )
    text = text_of(tmp_path, docx(body, {"numbering": ("numbering", numbering)}))
    assert text == "1. one\n\n   [deleted: stop aspirin]\n\n2. two\n"


def sdt(properties, *content):
    """A content control within a paragraph."""
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{''.join(content)}</w:sdtContent></w:sdt>"


BOX = "<w14:checkbox xmlns:w14='w14'><w14:checked w14:val='{}'/></w14:checkbox>".format
CONTROLS = {
    "ticked": (sdt(BOX(1), r("☒")) + r(" yes"), "☑ yes"),
    "not ticked": (sdt(BOX(0), r("☐")) + r(" no"), "☐ no"),
    "ticked with a sign of its own": (sdt(BOX(1), r("\uf0fb")), "☑"),
    "a prompt": (
        r("Severity: ") + sdt("<w:showingPlcHdr/><w:dropDownList/>", r("Choose an item.")),
        "Severity: [Choose an item.]",
    ),
    "a choice": (
        r("Severity: ") + sdt("<w:dropDownList/>", r("sev"), r("ere", STRIKE)),
        "Severity: sev~~ere~~",
    ),
    "a choice without a text": (
        r("Severity: ")
        + sdt(
            "<w:dropDownList w:lastValue='3'><w:listItem w:displayText='severe' w:value='3'/>"
            "</w:dropDownList>"
        ),
        "Severity: severe",
    ),
    "a date": (sdt("<w:date w:fullDate='2024-01-31T00:00:00Z'/>"), "2024-01-31"),
}


@pytest.mark.parametrize(("runs", "markdown"), CONTROLS.values(), ids=CONTROLS)
def test_content_controls_show_their_state(runs, markdown, tmp_path):
    """What is ticked and chosen, and what nobody has filled in."""
    assert text_of(tmp_path, docx(p(runs))) == markdown + "\n"


def test_a_watermark_is_named(tmp_path):
    """It is drawn behind the page from the header; words drawn in the text follow it."""
    art = "<w:r><w:pict xmlns:v='v'><v:shape><v:textpath string='{}'/></v:shape></w:pict></w:r>".format
    parts = {"header1": ("hdr", p(art("DRAFT - NOT SIGNED")) + p(r("Patient Testa")))}
    assert text_of(tmp_path, docx(p(r("a"), art("drawn")), parts)) == (
        "Watermark: DRAFT - NOT SIGNED\n\nPage header: Patient Testa\n\na\n\ndrawn\n"
    )


def lvl(at, form, text, more=""):
    """A level of a numbering."""
    return (
        f"<w:lvl w:ilvl='{at}'><w:start w:val='1'/><w:numFmt w:val='{form}'/>{more}"
        f"<w:lvlText w:val='{text}'/></w:lvl>"
    )


def tick(character, font="Wingdings"):
    """A level whose bullet is a character of a symbol font."""
    return (
        f"<w:lvl w:ilvl='0'><w:numFmt w:val='bullet'/><w:lvlText w:val='{character}'/>"
        f"<w:rPr><w:rFonts w:ascii='{font}'/></w:rPr></w:lvl>"
    )


def numbering(*abstracts, more=""):
    """A part of numberings; list n is the abstract numbering n."""
    listed = "".join(
        f"<w:abstractNum w:abstractNumId='{at}'>{inner}</w:abstractNum>"
        for at, inner in enumerate(abstracts, 1)
    )
    nums = "".join(
        f"<w:num w:numId='{at}'><w:abstractNumId w:val='{at}'/></w:num>" for at, _ in enumerate(abstracts, 1)
    )
    return listed + nums + more


def item(text, number=1, level=0):
    """A paragraph in a list."""
    at = f"<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{number}'/></w:numPr>"
    return p(r(text), more=at)


IN_LIST = "<w:numPr><w:numId w:val='1'/></w:numPr>"
OUTLINE = lvl(0, "decimal", "%1.") + lvl(1, "decimal", "%1.%2") + lvl(2, "lowerRoman", "%1.%2.%3)")
RESTARTED = (
    "<w:num w:numId='8'><w:abstractNumId w:val='1'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='7'/>"
    "</w:lvlOverride></w:num><w:num w:numId='9'><w:abstractNumId w:val='1'/></w:num>"
)
LISTS = {
    "letters": (lvl(0, "upperLetter", "%1."), item("a") + item("b"), "- A. a\n- B. b"),
    "text around the number": (lvl(0, "decimal", "Diagnosis %1:"), item("Gout"), "- Diagnosis 1: Gout"),
    "levels within": (
        OUTLINE,
        item("a") + item("b", level=1) + item("c", level=1) + item("d") + item("e", level=1),
        "1. a\n\n   - 1.1 b\n   - 1.2 c\n\n2. d\n\n   - 2.1 e",
    ),
    "a level that is left out": (OUTLINE, item("c", level=2), "- 1.1.i) c"),
    "digits of a legal list": (
        lvl(0, "upperRoman", "%1.") + lvl(1, "decimal", "%1.%2", "<w:isLgl/>"),
        item("a") + item("b", level=1),
        "- I. a\n\n  - 1.1 b",
    ),
    "a list that continues": (OUTLINE, item("a") + p(r("x")) + item("b"), "1. a\n\nx\n\n2. b"),
    "a list that continues elsewhere": (OUTLINE, item("a") + p(r("x")) + item("b", 9), "1. a\n\nx\n\n2. b"),
    "a list that begins anew": (OUTLINE, item("a") + p(r("x")) + item("b", 8), "1. a\n\nx\n\n7. b"),
    "an item without words": (OUTLINE, item("a") + item("") + item("c"), "- 1\\. a\n- 3\\. c"),
    "bullets": (tick("\uf0b7", "Symbol"), item("a") + item("b"), "- a\n- b"),
    "ticks": (tick("\uf0fe"), item("Fever"), "- ☑ Fever"),
    "boxes": (tick("\uf0a8"), item("Cough"), "- ☐ Cough"),
    "boxes of another font": (tick("\uf0a3", "Wingdings 2"), item("Cough"), "- ☐ Cough"),
}


@pytest.mark.parametrize(("levels", "body", "markdown"), LISTS.values(), ids=LISTS)
def test_items_bear_the_labels_that_the_page_shows(levels, body, markdown, tmp_path):
    """A reference such as "see B.i below" must find its item."""
    parts = {"numbering": ("numbering", numbering(levels, more=RESTARTED))}
    assert text_of(tmp_path, docx(body, parts)) == markdown + "\n"


def test_lists_and_headings_by_inherited_styles(tmp_path):
    """A style's parent may make it a heading, or a list; headings bear their numbers."""
    parts = {
        "styles": (
            "styles",
            style(
                "H", "", kind="paragraph", title="heading 1", block="<w:numPr><w:numId w:val='1'/></w:numPr>"
            )
            + style(
                "H2", "", kind="paragraph", title="heading 2", block="<w:numPr><w:numId w:val='1'/></w:numPr>"
            )
            + style("MyH", "", kind="paragraph", based="H")
            + style("L", "", kind="paragraph", block="<w:numPr><w:numId w:val='2'/></w:numPr>")
            + style("MyL", "", kind="paragraph", based="L")
            + style(
                "Plain",
                "",
                kind="paragraph",
                based="H",
                block="<w:outlineLvl w:val='9'/><w:numPr><w:numId w:val='0'/></w:numPr>",
            ),
        ),
        "numbering": (
            "numbering",
            numbering(
                lvl(0, "decimal", "%1") + lvl(1, "decimal", "%1.%2", "<w:pStyle w:val='H2'/>"),
                lvl(0, "lowerLetter", "%1)"),
            ),
        ),
    }
    body = (
        p(r("Plan"), style="MyH")
        + p(r("Drugs"), style="H2")
        + p(r("x"), style="MyL")
        + p(r("y"), style="MyL")
        + p(r("z"), style="Plain")
    )
    assert text_of(tmp_path, docx(body, parts)) == "# 1 Plan\n\n## 1.1 Drugs\n\n- a) x\n- b) y\n\nz\n"


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (4, "lowerRoman", "iv"),
        (1994, "upperRoman", "MCMXCIV"),
        (0, "lowerRoman", "0"),
        (27, "lowerLetter", "aa"),
        (28, "upperLetter", "BB"),
        (28, "lowerLetterCounted", "ab"),
        (3, "decimalZero", "03"),
        (12, "ordinal", "12th"),
        (23, "ordinal", "23rd"),
        (42, "cardinalText", "Forty-two"),
        (21, "ordinalText", "Twenty-first"),
        (20, "ordinalText", "Twentieth"),
        (3, "decimalEnclosedCircle", "③"),
        (21, "decimalEnclosedCircle", "21"),
        (12, "chineseCounting", "十二"),
        (2, "russianUpper", "Б"),
        (3, "chicago", "‡"),
        (7, "nobody knows", "7"),
        (12, "arabicIndic", "١٢"),
        (255, "hex", "FF"),
        (-1, "lowerRoman", "-1"),
    ],
)
def test_numerals_of_lists(number, form, text):
    """Each form of number, and digits where there is none."""
    assert numeral(number, form) == text


def test_bullets_that_say_nothing_have_no_label():
    """Dots and dashes lead the eye; boxes, ticks and words say something."""
    assert [bullet(sign) for sign in ("•", "o", "-", "▪", "\uf0b7", "")] == [""] * 6
    assert [bullet(sign) for sign in ("☑", "□", "✗", "Note:")] == ["☑", "☐", "✗", "Note:"]
