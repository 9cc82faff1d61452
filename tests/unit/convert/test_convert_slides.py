"""Slides: what text means by its looks, numbered points, and what stands on each slide."""
# ruff: noqa: RUF001 - the signs are the data

import pytest

from docpipe.convert.readers.office.runs import HIDDEN
from tests.unit.convert import offices
from tests.unit.convert.documents import OFFICE, run, text_of
from tests.unit.convert.offices import DRAWING, PACKAGE, pptx, shape


def r(text, attributes="", inner=""):
    return f"<a:r><a:rPr {attributes}>{inner}</a:rPr><a:t>{text}</a:t></a:r>"


def sp(*paragraphs, style="", more=""):
    body = "".join(f"<a:p>{each}</a:p>" for each in paragraphs)
    return f"<p:sp>{more}<p:txBody><a:lstStyle>{style}</a:lstStyle>{body}</p:txBody></p:sp>"


SYMBOL = '<a:latin typeface="Symbol"/>'
NUMBERED = '<a:pPr><a:buAutoNum type="{}"/></a:pPr>'.format
TICK = '<a:pPr><a:buFont typeface="Wingdings"/><a:buChar char="\uf0fe"/></a:pPr>'
SHAPES = {
    "struck": (sp(r("Warfarin", 'strike="sngStrike"') + r(" Aspirin")), "~~Warfarin~~ Aspirin"),
    "struck twice": (sp(r("a", 'strike="dblStrike"') + r(" b", 'strike="noStrike"')), "~~a~~ b"),
    "struck by the shape": (
        sp(r("a"), style='<a:lvl1pPr><a:defRPr strike="sngStrike"/></a:lvl1pPr>'),
        "~~a~~",
    ),
    "raised": (sp(r("10") + r("9", 'baseline="30000"') + r("/L")), "10⁹/L"),
    "lowered": (sp(r("SpO") + r("2", 'baseline="-25000"')), "SpO₂"),
    "a letter in Symbol": (sp(r("100 ") + r("m", inner=SYMBOL) + r("g")), "100 μg"),
    "a private character": (sp(r("\uf061-", inner='<a:sym typeface="Symbol"/>')), "α-"),
    "bold within": (sp(r("is ") + r("not", 'b="1"') + r(" given")), "is **not** given"),
    "numbers": (sp(*[NUMBERED("arabicPeriod") + r(text) for text in "ab"]), "1. a\n2. b"),
    "letters": (sp(*[NUMBERED("alphaUcParenR") + r(text) for text in "ab"]), "- A) a\n- B) b"),
    "a number to begin with": (
        sp('<a:pPr><a:buAutoNum type="romanLcParenBoth" startAt="4"/></a:pPr>' + r("a")),
        "- (iv) a",
    ),
    "ticks": (sp(TICK + r("Fever")), "- ☑ Fever"),
}


@pytest.mark.parametrize(("body", "markdown"), SHAPES.values(), ids=SHAPES)
def test_looks_and_labels_that_mean_something_are_kept(body, markdown, tmp_path):
    """Of the run, and of the shape's own style of lists."""
    assert text_of(tmp_path, pptx(body)) == f"## Slide 1\n\n{markdown}\n"


def test_footers_and_masters_stand_once(tmp_path):
    """What a slide fills in itself is not taken from its master."""
    names = f'xmlns:p="{offices.SLIDE}" xmlns:a="{offices.DRAWING}"'
    master = shape("DRAFT") + shape("Click to edit", kind="title")
    more = {
        "ppt/slides/_rels/slide1.xml.rels": offices.relations(("slideLayout", "../layout.xml")),
        "ppt/slides/_rels/slide2.xml.rels": offices.relations(("slideLayout", "../layout.xml")),
        "ppt/layout.xml": f"<p:sldLayout {names}><p:cSld><p:spTree/></p:cSld></p:sldLayout>",
        "ppt/_rels/layout.xml.rels": offices.relations(("slideMaster", "master.xml")),
        "ppt/master.xml": (
            f"<p:sldMaster {names}><p:cSld><p:spTree>{master}</p:spTree></p:cSld></p:sldMaster>"
        ),
    }
    slide = shape("a") + shape("Patient Testa", kind="ftr") + shape("7", kind="sldNum")
    assert text_of(tmp_path / "a", pptx(slide, slide, more=more)) == (
        "On each slide: DRAFT\n\n## Slide 1\n\na\n\n## Slide 2\n\na\n\nSlide footer: Patient Testa\n"
    )
    more["ppt/layout.xml"] = more["ppt/layout.xml"].replace("<p:sldLayout ", '<p:sldLayout showMasterSp="0" ')
    assert "DRAFT" not in text_of(tmp_path / "b", pptx(slide, more=more))


STRUCK = '<a:lvl1pPr><a:defRPr strike="sngStrike"/></a:lvl1pPr>'
SIGNS = f"<a:lvl1pPr><a:defRPr>{SYMBOL}</a:defRPr></a:lvl1pPr>"
TICKED = '<a:lvl1pPr><a:buFont typeface="Wingdings"/><a:buChar char="\uf0fe"/></a:lvl1pPr>'
COUNTED = '<a:lvl1pPr><a:buFont typeface="Arial"/><a:buAutoNum type="alphaLcParenR"/></a:lvl1pPr>'


def place(kind, number, *paragraphs, style=""):
    """A placeholder, of a slide or of what it inherits from."""
    named = f'<p:nvSpPr><p:nvPr><p:ph{kind and f" type={kind!r}"} idx="{number}"/></p:nvPr></p:nvSpPr>'
    return sp(*paragraphs, style=style, more=named)


def inheriting(slide, *, layout="", master="", styles="", default=""):
    """A slide with a layout, a master and the styles of its text, and the presentation's own."""
    names = f'xmlns:p="{offices.SLIDE}" xmlns:a="{offices.DRAWING}"'
    tree = "<p:cSld><p:spTree>{}</p:spTree></p:cSld>".format
    presentation = (
        f'<p:presentation xmlns:r="{offices.OFFICE}" {names}><p:sldIdLst><p:sldId id="1" r:id="r1"/>'
        f"</p:sldIdLst><p:defaultTextStyle>{default}</p:defaultTextStyle></p:presentation>"
    )
    more = {
        "ppt/presentation.xml": presentation,
        "ppt/slides/_rels/slide1.xml.rels": offices.relations(("slideLayout", "../layout.xml")),
        "ppt/layout.xml": f"<p:sldLayout {names}>{tree(layout)}</p:sldLayout>",
        "ppt/_rels/layout.xml.rels": offices.relations(("slideMaster", "master.xml")),
        "ppt/master.xml": (
            f"<p:sldMaster {names}>{tree(master)}<p:txStyles>{styles}</p:txStyles></p:sldMaster>"
        ),
    }
    return pptx(slide, more=more)


BODY = place("", 1, r("a m"), r("b"))
INHERITED = {
    "by the layout's number": (BODY, {"layout": place("body", 1, style=STRUCK)}, "- ~~a m~~\n- ~~b~~"),
    "not by another number": (BODY, {"layout": place("title", 7, style=STRUCK)}, "- a m\n- b"),
    "by the master's type": (BODY, {"master": place("body", 9, style=STRUCK)}, "- ~~a m~~\n- ~~b~~"),
    "by the master's text": (BODY, {"styles": f"<p:bodyStyle>{SIGNS}</p:bodyStyle>"}, "- α μ\n- β"),
    "by the presentation": (sp(r("a m")), {"default": SIGNS}, "α μ"),
    "unless the run has its own": (
        place("", 1, r("a", 'strike="noStrike"')),
        {"layout": place("body", 1, style=STRUCK)},
        "a",
    ),
    "ticks": (BODY, {"styles": f"<p:bodyStyle>{TICKED}</p:bodyStyle>"}, "- ☑ a m\n- ☑ b"),
    "a sign of its own in the master's font": (
        place("", 1, '<a:pPr><a:buChar char="\uf0a8"/></a:pPr>' + r("Cough")),
        {"styles": f"<p:bodyStyle>{TICKED}</p:bodyStyle>"},
        "- ☐ Cough",
    ),
    "a sign in the text's font": (
        sp('<a:pPr><a:buChar char="\uf0fe"/></a:pPr>' + r("\uf0fc", inner='<a:latin typeface="Wingdings"/>')),
        {},
        "- ☑ ✓",
    ),
    "numbers": (BODY, {"layout": place("body", 1, style=COUNTED)}, "- a) a m\n- b) b"),
}


@pytest.mark.parametrize(("slide", "above", "markdown"), INHERITED.values(), ids=INHERITED)
def test_looks_and_labels_are_inherited(slide, above, markdown, tmp_path):
    """From the placeholder of the layout and the master, from the master's styles and the presentation's."""
    assert text_of(tmp_path, inheriting(slide, **above)) == f"## Slide 1\n\n{markdown}\n"


def test_comments_of_newer_programs_are_read(tmp_path):
    """With the answers to them."""
    ours = "http://schemas.microsoft.com/office/2018/10/relationships/comments"
    output = "<t:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></t:txBody>".format
    parts = {
        "ppt/slides/_rels/slide1.xml.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" '
        f'Type="{ours}" Target="../comments/c.xml"/></Relationships>',
        "ppt/comments/c.xml": f'<t:cmLst xmlns:t="t" xmlns:a="{DRAWING}"><t:cm>{output("should be 50 mg")}'
        f"<t:replyLst><t:reply>{output('agreed')}</t:reply></t:replyLst></t:cm></t:cmLst>",
    }
    text = text_of(tmp_path, pptx(sp("<a:p><a:r><a:t>5 mg</a:t></a:r></a:p>"), more=parts))
    assert text.endswith("Comments:\n\n- should be 50 mg\n- reply: agreed\n")


def test_hidden_shapes_are_marked_with_a_warning(tmp_path):
    """As hidden text of a letter is; also by the group around them."""
    gone = sp(r("gone"), more='<p:nvSpPr><p:cNvPr id="1" hidden="1"/></p:nvSpPr>')
    done, outputs = run(tmp_path, pptx(shape("a") + gone))
    assert outputs["text.md"] == b"## Slide 1\n\na\n\n[hidden: gone]\n"
    assert done["warnings"] == [HIDDEN]
    group = f'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="2" hidden="1"/></p:nvGrpSpPr>{shape("b")}</p:grpSp>'
    assert "[hidden: b]" in text_of(tmp_path / "b", pptx(shape("a") + group))


def test_text_in_cells_that_another_covers_is_hidden(tmp_path):
    """PowerPoint keeps what they held."""
    cell = "<a:tc {}><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>".format
    wide, covered = cell("gridSpan='2'", "a"), cell("hMerge='1'", "x")
    table = (
        f"<p:graphicFrame><a:graphic><a:tbl><a:tr>{wide}{covered}</a:tr>"
        f"<a:tr>{cell('', 'b')}{cell('', 'c')}</a:tr></a:tbl></a:graphic></p:graphicFrame>"
    )
    text = text_of(tmp_path, pptx(table))
    assert "| a | [hidden: x] |" in text
    assert "| b | c |" in text


NEWER = "http://schemas.microsoft.com/office/2018/10/relationships/"


def with_comments(comments, people, kinds):
    """A presentation of one slide, whose shape 7 says `AB 5 mg x`, with comments and their authors."""

    def link(type_, target):
        return f'<Relationship Id="{target[-9:]}" Type="{type_}" Target="{target}"/>'

    parts = {
        "ppt/slides/_rels/slide1.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f"{link(kinds + 'comments', '../comments/c.xml')}</Relationships>",
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f'<Relationship Id="r1" Type="{OFFICE}/slide" Target="slides/slide1.xml"/>{people}</Relationships>',
        **comments,
    }
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="7" name="x"/></p:nvSpPr><p:txBody><a:p><a:r><a:t>AB 5 </a:t></a:r>'
        "<a:r><a:t>mg x</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    return pptx(shape, more=parts)


@pytest.mark.parametrize(
    ("place", "passage"),
    [
        ('<spMk id="7"/><txMk cp="3" len="4"/>', ', on "5 mg"'),
        ('<spMk id="7"/>', ', on "AB 5 mg x"'),
        ('<spMk id="9"/><txMk cp="3" len="4"/>', ""),
        ('<spMk id="7"/><txMk cp="900" len="-4"/>', ""),
        ("<sldMk/>", ""),
    ],
)
def test_comments_on_slides_have_author_time_and_passage(place, passage, tmp_path):
    """Answers follow what they answer."""
    text = "<txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></txBody>".format
    people = f'<Relationship Id="p" Type="{NEWER}authors" Target="authors.xml"/>'
    comments = {
        "ppt/authors.xml": '<authorLst><author id="{B}" name="Dr Roe"/>'
        '<author id="{E}" name="Dr Poe"/></authorLst>',
        "ppt/comments/c.xml": f'<cmLst xmlns:a="{DRAWING}"><cm authorId="{{B}}" '
        f'created="2024-01-02T03:04:05" status="resolved"><txMkLst>{place}</txMkLst>'
        f'<replyLst><reply authorId="{{E}}" '
        f'created="2024-01-03T03:04:05">{text("yes")}</reply></replyLst>{text("wrong?")}</cm></cmLst>',
    }
    out = text_of(tmp_path, with_comments(comments, people, NEWER))
    items = f"- Dr Roe, 2024-01-02, resolved{passage}: wrong?\n- Dr Poe, 2024-01-03, reply: yes\n"
    assert out.endswith(f"Comments:\n\n{items}")


def test_older_comments_on_slides_have_author_and_time(tmp_path):
    """Their authors are in a part of their own."""
    people = f'<Relationship Id="p" Type="{OFFICE}/commentAuthors" Target="commentAuthors.xml"/>'
    comments = {
        "ppt/commentAuthors.xml": '<cmAuthorLst><cmAuthor id="0" name="Dr Doe"/></cmAuthorLst>',
        "ppt/comments/c.xml": '<cmLst><cm authorId="0" dt="2024-01-02T03:04:05">'
        "<text>check</text></cm></cmLst>",
    }
    out = text_of(tmp_path, with_comments(comments, people, OFFICE + "/"))
    assert out.endswith("- Dr Doe, 2024-01-02: check\n")
