"""OpenDocument: what text means by its looks, lists, tables, controls and what stands on each page."""

import io
import zipfile

import pytest

from docpipe.convert.readers.office.runs import CHANGED, HIDDEN
from docpipe.convert.readers.sheets.cells import HIDDEN as HIDDEN_ROWS
from tests.unit.convert.documents import run, text_of
from tests.unit.convert.offices import odf


def span(style, text):
    return f'<text:span text:style-name="{style}">{text}</text:span>'


def style(name, properties, *, family="text", parent=""):
    below = f' style:parent-style-name="{parent}"' if parent else ""
    return (
        f'<style:style style:name="{name}" style:family="{family}"{below}>'
        f"<style:text-properties {properties}/></style:style>"
    )


STYLES = (
    '<style:font-face style:name="F1" svg:font-family="Symbol"/>'
    + style("Strike", 'style:text-line-through-style="solid"')
    + style("Double", 'style:text-line-through-type="double"')
    + style("Unstruck", 'style:text-line-through-style="none"')
    + style("Child", 'fo:color="#000"', parent="Strike")
    + style("StruckLine", 'style:text-line-through-style="solid"', family="paragraph")
    + style("Greek", 'style:font-name="F1"')
    + style("Greek2", 'fo:font-family="Symbol"')
    + style("Up", 'style:text-position="33% 58%"')
    + style("Sub", 'style:text-position="sub 58%"')
    + style("Tiny", 'style:text-position="2% 100%"')
    + style("Bold", 'fo:font-weight="bold"')
    + style("Hide", 'text:display="none"')
    + style("HideLine", 'text:display="none"', family="paragraph")
)
LOOKS = {
    "struck": (f"<text:p>{span('Strike', 'Warfarin')} Aspirin</text:p>", "~~Warfarin~~ Aspirin"),
    "struck twice": (f"<text:p>{span('Double', 'a')} b</text:p>", "~~a~~ b"),
    "struck by a parent": (f"<text:p>{span('Child', 'a')} b</text:p>", "~~a~~ b"),
    "a struck line": ('<text:p text:style-name="StruckLine">a</text:p>', "~~a~~"),
    "a part of it that is not": (
        f'<text:p text:style-name="StruckLine">a {span("Unstruck", "b")}</text:p>',
        "~~a~~ b",
    ),
    "a span within a span": (
        f"<text:p>{span('Strike', 'a' + span('Bold', 'b'))} c</text:p>",
        "~~a~~**~~b~~** c",
    ),
    "Symbol by a declared font": (f"<text:p>100 {span('Greek', 'm')}g</text:p>", "100 μg"),
    "Symbol by its family": (f"<text:p>100 {span('Greek2', 'm')}g</text:p>", "100 μg"),
    "raised": (f"<text:p>10{span('Up', '9')}/L</text:p>", "10⁹/L"),
    "lowered": (f"<text:p>SpO{span('Sub', '2')}</text:p>", "SpO₂"),
    "hardly raised": (f"<text:p>10{span('Tiny', '9')}</text:p>", "109"),
    "bold": (f"<text:p>is {span('Bold', 'not')} for CPR</text:p>", "is **not** for CPR"),
}


@pytest.mark.parametrize(("body", "markdown"), LOOKS.values(), ids=LOOKS)
def test_looks_that_mean_something_are_kept(body, markdown, tmp_path):
    """By the text's own style, its parents and the paragraph's."""
    assert text_of(tmp_path, odf(body, automatic=STYLES)) == markdown + "\n"


HIDING = {
    "a frame": "<text:p>seen</text:p><draw:frame draw:display='none'><draw:text-box><text:p>HIV</text:p>"
    "</draw:text-box></draw:frame>",
    "a span": f"<text:p>seen {span('Hide', 'HIV')}</text:p>",
    "a line": '<text:p>seen</text:p><text:p text:style-name="HideLine">HIV</text:p>',
    "a section": '<text:p>seen</text:p><text:section text:display="none"><text:p>HIV</text:p></text:section>',
    "a hidden paragraph": (
        '<text:p>seen</text:p><text:p>HIV<text:hidden-paragraph text:is-hidden="true"/></text:p>'
    ),
    "a hidden text": '<text:p>seen<text:hidden-text text:is-hidden="true">HIV</text:hidden-text></text:p>',
}


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING)
def test_hidden_text_is_marked_with_a_warning(body, tmp_path):
    """A template's note that does not apply must not look valid."""
    done, outputs = run(tmp_path, odf(body, automatic=STYLES))
    assert "".join(outputs["text.md"].decode().split()) == "seen[hidden:HIV]"
    assert HIDDEN in done["warnings"]


def test_tracked_changes_are_marked_with_a_warning(tmp_path):
    """Deleted text where it stood, inserted text over the end of a paragraph too."""
    body = (
        "<text:tracked-changes>"
        '<text:changed-region text:id="d"><text:deletion><text:p>5 mg</text:p></text:deletion>'
        "</text:changed-region>"
        '<text:changed-region text:id="i"><text:insertion/></text:changed-region></text:tracked-changes>'
        '<text:p>Dose: <text:change text:change-id="d"/><text:change-start text:change-id="i"/>50 mg</text:p>'
        '<text:p>daily<text:change-end text:change-id="i"/> now</text:p>'
    )
    done, outputs = run(tmp_path, odf(body))
    assert outputs["text.md"] == b"Dose: [deleted: 5 mg][inserted: 50 mg]\n\n[inserted: daily] now\n"
    assert done["warnings"] == [CHANGED]


def test_styles_of_the_page_do_not_reach_into_the_text(tmp_path):
    """Both files name their own styles P1: each holds where it stands."""
    data = odf(
        '<text:p text:style-name="P1">body</text:p>',
        automatic=style("P1", 'fo:color="#000"', family="paragraph"),
        styles="<office:automatic-styles>"
        + style("P1", 'style:text-line-through-style="solid"', family="paragraph")
        + "</office:automatic-styles><office:master-styles><style:master-page><style:header><text:p "
        'text:style-name="P1">old</text:p></style:header></style:master-page></office:master-styles>',
    )
    assert text_of(tmp_path, data) == "Page header: ~~old~~\n\nbody\n"


def level(at, form, *, before="", after="", levels=1, more=""):
    return (
        f'<text:list-level-style-number text:level="{at}" style:num-format="{form}" '
        f'style:num-prefix="{before}" style:num-suffix="{after}" text:display-levels="{levels}" {more}/>'
    )


def bullets(sign, font=""):
    look = f'<style:text-properties style:font-name="{font}"/>' if font else ""
    return (
        f'<text:list-level-style-bullet text:level="1" text:bullet-char="{sign}">{look}'
        "</text:list-level-style-bullet>"
    )


def listed(*items, more=""):
    inner = "".join(f"<text:list-item>{item}</text:list-item>" for item in items)
    return f'<text:list text:style-name="L" {more}>{inner}</text:list>'


def p(text):
    return f"<text:p>{text}</text:p>"


LETTERS = level(1, "A", after=".") + level(2, "i", after=")") + level(3, "1", after=".", levels=3)
OUTLINE = level(1, "1", after=".") + level(2, "1", levels=2)
LISTS = {
    "letters": (LETTERS, listed(p("a"), p("b")), "- A. a\n- B. b"),
    "levels": (LETTERS, listed(p("a") + listed(p("b"), p("c"))), "- A. a\n\n  - i) b\n  - ii) c"),
    "numbers of several levels": (OUTLINE, listed(p("a") + listed(p("b"))), "1. a\n\n   - 1.1 b"),
    "words": (level(1, "1", before="Diagnosis ", after=":"), listed(p("Gout")), "- Diagnosis 1: Gout"),
    "a pattern": (
        level(1, "1", more='loext:num-list-format="(%1%)" xmlns:loext="l"'),
        listed(p("a")),
        "- (1) a",
    ),
    "a list that begins anew": (OUTLINE, listed(p("a")) + listed(p("b")), "1. a\n\n1) b"),
    "a list that continues": (
        OUTLINE,
        listed(p("a")) + p("x") + listed(p("b"), more='text:continue-numbering="true"'),
        "1. a\n\nx\n\n2. b",
    ),
    "a list that continues by name": (
        OUTLINE,
        listed(p("a"), more='xml:id="l1"') + p("x") + listed(p("b"), more='text:continue-list="l1"'),
        "1. a\n\nx\n\n2. b",
    ),
    "a list within alone": (OUTLINE, listed(listed(p("b"))), "- 1.1 b"),
    "a number written out": (OUTLINE, listed("<text:number>7.</text:number>" + p("a")), "7. a"),
    "ticks": (bullets("\uf0fe", "Wingdings"), listed(p("Fever")), "- ☑ Fever"),
    "boxes": (bullets("☐"), listed(p("Cough")), "- ☐ Cough"),
    "dots": (bullets("•"), listed(p("a")), "- a"),
}


@pytest.mark.parametrize(("levels", "body", "markdown"), LISTS.values(), ids=LISTS)
def test_items_bear_the_labels_that_the_page_shows(levels, body, markdown, tmp_path):
    """A reference such as "see B.i below" must find its item."""
    named = f'<text:list-style style:name="L">{levels}</text:list-style>'
    assert text_of(tmp_path, odf(body, automatic=named)) == markdown + "\n"


def test_headings_bear_the_numbers_of_the_outline(tmp_path):
    """But for those that are taken out of it."""
    outline = (
        '<office:styles><text:outline-style style:name="Outline"><text:outline-level-style text:level="1" '
        'style:num-format="I" style:num-suffix="."/><text:outline-level-style text:level="2" '
        'style:num-format=""/></text:outline-style>'
        '<style:style style:name="Out" style:family="paragraph" style:list-style-name=""/></office:styles>'
    )
    body = (
        '<text:h text:outline-level="1">a</text:h><text:h text:outline-level="2">b</text:h>'
        '<text:h text:outline-level="1" text:is-list-header="true">c</text:h>'
        '<text:h text:outline-level="1" text:style-name="Out">d</text:h>'
        '<text:h text:outline-level="1">e</text:h>'
    )
    assert text_of(tmp_path, odf(body, styles=outline)) == "# I. a\n\n## b\n\n# c\n\n# d\n\n# II. e\n"


def cells(*texts):
    return "".join(
        text if text.startswith("<") else f"<table:table-cell><text:p>{text}</text:p></table:table-cell>"
        for text in texts
    )


def table(*rows):
    inner = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return f"<table:table>{inner}</table:table>"


WIDE = '<table:table-cell table:number-columns-spanned="2"><text:p>wide</text:p></table:table-cell>'
COVERED = "<table:covered-table-cell/>"
NESTED = f"<table:table-cell>{table(cells('AM', '5 mg'))}</table:table-cell>"
TABLES = {
    "spans": (table(cells(WIDE, COVERED, "x"), cells("a", "b", "c")), ["| wide |  | x |", "| a | b | c |"]),
    "spans without covered cells": (table(cells(WIDE, "x"), cells("a", "b", "c")), ["| wide |  | x |"]),
    "what a cell covers": (
        table(
            cells(WIDE, "<table:covered-table-cell><text:p>under</text:p></table:covered-table-cell>", "x")
        ),
        ["| wide | [hidden: under] | x |"],
    ),
    "a table within a cell": (
        table(cells("Drug", "Dose"), cells("Warfarin", NESTED)),
        ["| Warfarin | AM \\| 5 mg |"],
    ),
}


@pytest.mark.parametrize(("body", "lines"), TABLES.values(), ids=TABLES)
def test_cells_stand_in_their_columns(body, lines, tmp_path):
    """Whatever spans, and whatever is within."""
    text = text_of(tmp_path, odf(body))
    assert [line for line in lines if line not in text.splitlines()] == []


def test_a_table_that_lays_out_a_page_is_read_in_order(tmp_path):
    """One with headings in a cell beside a table is no table of values."""
    cell = (
        f"<table:table-cell><text:h>Plan</text:h>{table(cells('a', 'b'), cells('c', 'd'))}</table:table-cell>"
    )
    assert text_of(tmp_path, odf(table(cells("left", cell)))).startswith("left\n\n# Plan\n\n|")


def test_slides_show_their_tables(tmp_path):
    """Impress puts a table and a picture of it into one frame."""
    frame = f"<draw:frame>{table(cells('Warfarin', 'STOP'))}<draw:image/></draw:frame>"
    text = text_of(tmp_path, odf(f"<draw:page>{frame}</draw:page>", "presentation"))
    assert "| Warfarin | STOP |" in text


FORMS = (
    '<office:forms xmlns:form="f"><form:form>'
    '<form:checkbox form:id="c1" form:label="Smoker" form:current-state="checked"/>'
    '<form:checkbox form:id="c2" form:label="Diabetes"/>'
    '<form:radio form:id="r1" form:label="left" form:current-selected="true"/>'
    '<form:radio form:id="r2" form:label="right"/>'
    '<form:text form:id="t" form:current-value="72 kg"/><form:text form:id="e" form:value=""/>'
    '<form:listbox form:id="l"><form:option form:label="mild"/><form:option form:label="severe" '
    'form:current-selected="true"/></form:listbox>'
    '<form:button form:id="b" form:label="Print"/>'
    "</form:form></office:forms>"
)


def control(id_):
    return f'<draw:control draw:control="{id_}"/>'


def test_controls_show_what_is_ticked_chosen_and_filled_in(tmp_path):
    """In their place in the text, with their labels; buttons show nothing."""
    body = (
        f"{FORMS}<text:p>History: {control('c1')} {control('c2')}</text:p>"
        f"<text:p>Side {control('r1')}{control('r2')}</text:p>"
        f"<text:p>Weight {control('t')}, severity {control('l')}.{control('b')}{control('e')}</text:p>"
    )
    assert text_of(tmp_path, odf(body)) == (
        "History: ☑ Smoker ☐ Diabetes\n\nSide ☑ left ☐ right\n\nWeight 72 kg , severity severe .\n"
    )


def test_controls_on_a_sheet_are_shown(tmp_path):
    """They float over the cells."""
    body = (
        f'<table:table table:name="S">{FORMS}<table:shapes>{control("c1")}</table:shapes><table:table-row>'
        f"{cells('a', 'b')}</table:table-row></table:table>"
    )
    assert "☑ Smoker" in text_of(tmp_path, odf(body, "spreadsheet"))


def test_old_form_fields_show_ticks_and_choices(tmp_path):
    """As Writer keeps those of Word."""
    kind = "vnd.oasis.opendocument.field."
    body = (
        f'<text:p xmlns:field="f"><field:fieldmark field:type="{kind}FORMCHECKBOX"><field:param '
        'field:name="Checkbox_Checked" field:value="true"/></field:fieldmark>yes '
        f'<field:fieldmark field:type="{kind}FORMCHECKBOX"/>no '
        f'<field:fieldmark field:type="{kind}FORMDROPDOWN"><field:param field:name="Dropdown_ListEntry" '
        'field:value="mild"/><field:param field:name="Dropdown_ListEntry" field:value="severe"/>'
        '<field:param field:name="Dropdown_Selected" field:value="1"/></field:fieldmark></text:p>'
    )
    assert text_of(tmp_path, odf(body)) == "☑ yes ☐ no severe\n"


def test_a_sheet_names_its_patient_in_the_page_header(tmp_path):
    """The sheet's name and the page's number, which every sheet has, are left out."""
    body = f'<table:table table:name="S"><table:table-row>{cells("K", "6.9")}</table:table-row></table:table>'
    master = (
        "<office:master-styles><style:master-page><style:header><style:region-left>"
        "<text:p>Patient: Testa</text:p></style:region-left></style:header><style:footer>"
        "<text:p>Page <text:page-number>1</text:page-number></text:p>"
        "</style:footer></style:master-page><style:master-page><style:header><text:p><text:sheet-name>???"
        "</text:sheet-name></text:p></style:header></style:master-page></office:master-styles>"
    )
    text = text_of(tmp_path, odf(body, "spreadsheet", styles=master))
    assert text.startswith("Page header: Patient: Testa\n\n## S\n")
    assert "Page footer" not in text
    assert "???" not in text


def test_masters_and_footers_of_slides_stand_once(tmp_path):
    """What each slide bears is named; what a slide only could fill in is left out."""
    box = "<draw:frame {}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>".format
    master = (
        '<office:master-styles><style:master-page style:name="M">'
        + box('presentation:class="title"', "Click to edit")
        + box("", "DRAFT")
        + box('presentation:class="footer"', "<presentation:footer/>")
        + '</style:master-page><style:master-page style:name="unused">'
        + box("", "nobody")
        + "</style:master-page></office:master-styles>"
    )
    page = (
        f'<draw:page draw:master-page-name="M" presentation:use-footer-name="f1">{box("", "a")}</draw:page>'
    )
    footer = '<presentation:footer-decl presentation:name="f1">Patient Testa</presentation:footer-decl>'
    body = footer + page + page
    assert text_of(tmp_path, odf(body, "presentation", styles=master)) == (
        "On each slide: DRAFT\n\n## Slide 1\n\na\n\n## Slide 2\n\na\n\nSlide footer: Patient Testa\n"
    )


def test_hidden_rows_and_columns_of_a_sheet_are_marked(tmp_path):
    """They may be another patient's."""
    body = (
        '<table:table table:name="S"><table:table-column/><table:table-column table:visibility="collapse"/>'
        f"<table:table-row>{cells('K', 'b')}</table:table-row>"
        f'<table:table-row table:visibility="filter">{cells("Jane Roe", "c")}</table:table-row></table:table>'
    )
    done, outputs = run(tmp_path, odf(body, "spreadsheet"))
    text = outputs["text.md"].decode()
    assert "| K | b (hidden column) |" in text
    assert "| Jane Roe (hidden row) | c |" in text
    assert HIDDEN_ROWS in done["warnings"]


def test_a_value_without_its_text_is_shown(tmp_path):
    """Some writers leave the text of a number to the reader."""
    body = (
        '<table:table table:name="S"><table:table-row><table:table-cell office:value-type="float" '
        'office:value="7.4"/></table:table-row></table:table>'
    )
    assert "7.4" in text_of(tmp_path, odf(body, "spreadsheet"))


def test_template_of_a_drawing_is_read(tmp_path):
    """As the templates of texts, sheets and presentations are."""
    frame = "<draw:frame><draw:text-box><text:p>left lung</text:p></draw:text-box></draw:frame>"
    drawing = odf(f"<draw:page>{frame}</draw:page>", "drawing")
    wanted = b"application/vnd.oasis.opendocument.graphics-template"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(drawing)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, wanted if name == "mimetype" else old.read(name))
    assert "left lung" in text_of(tmp_path, out.getvalue(), more={"libreoffice": False})
