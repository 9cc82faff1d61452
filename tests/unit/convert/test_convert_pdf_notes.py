"""PDF: what is struck out, noted, switched off, or beyond the page."""

import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.unit.convert.documents import run, text_of
from tests.unit.convert.placed import line, page_pdf, text

TWO = [text(72, 700, "Warfarin 5 mg daily"), text(72, 680, "Apixaban 5 mg BID")]
LEFT_OUT = "text in layers that are switched off was left out; the original has it"
BEYOND = "text outside of the visible page was left out; the original has it"


@pytest.mark.parametrize(
    "drawn",
    [
        [line(72, 704, 175, 704)],
        ["72 703.5 103 1 re f"],
        ["q 1 0 0 1 72 704 cm 0 0 m 103 0 l S Q"],
        [line(72, 704, 120, 704), line(120, 704, 175, 704)],
    ],
    ids=["line", "thin box", "moved", "in pieces"],
)
def test_line_through_text_strikes_it_out(drawn, tmp_path):
    """However the line is drawn, the words below it are struck out and others are not."""
    assert text_of(tmp_path, page_pdf([*TWO, *drawn])) == "~~Warfarin 5 mg daily~~  \nApixaban 5 mg BID\n"


def test_part_of_a_line_is_struck_out(tmp_path):
    """Only the words that the line crosses are."""
    drawn = [text(72, 700, "Metoprolol 50 mg 25 mg daily"), line(133, 704, 168, 704)]
    assert text_of(tmp_path, page_pdf(drawn)) == "Metoprolol ~~50 mg~~ 25 mg daily\n"


@pytest.mark.parametrize(
    "drawn",
    [
        [line(72, 698, 175, 698)],
        [line(72, 711.5, 175, 711.5)],
        [line(20, 704, 600, 704)],
        [line(72, 690, 72, 720)],
    ],
    ids=["underline", "above", "across the page", "upright"],
)
def test_other_lines_strike_nothing_out(drawn, tmp_path):
    """Underlines, rules and borders are no strokes."""
    assert "~~" not in text_of(tmp_path, page_pdf([*TWO, *drawn]))


def annotated(subtype, **entries):
    """A PDF of two lines with an annotation."""

    def change(document):
        note = Dictionary(
            Type=Name.Annot, Subtype=Name("/" + subtype), Rect=Array([72, 698, 180, 712]), **entries
        )
        document.pages[0].obj.Annots = Array([document.make_indirect(note)])

    return page_pdf(TWO, change=change)


QUAD = Array([72, 711, 180, 711, 72, 698, 180, 698])


def test_annotation_strikes_out(tmp_path):
    """A reviewer's stroke marks its words, also with a remark; hidden and other marks do not."""
    struck = text_of(tmp_path / "1", annotated("StrikeOut", QuadPoints=QUAD, Contents=String("see INR")))
    assert struck.startswith("~~Warfarin 5 mg daily~~  \nApixaban 5 mg BID\n")
    assert "Note: see INR" in struck
    assert "~~" not in text_of(tmp_path / "2", annotated("StrikeOut", QuadPoints=QUAD, F=2))
    assert "~~" not in text_of(tmp_path / "3", annotated("Highlight", QuadPoints=QUAD))


def test_a_stamp_says_what_it_is_called(tmp_path):
    """One without a text of its own."""
    stamped = annotated("Stamp", Name=Name.NotApproved)
    assert text_of(tmp_path / "1", stamped).endswith("Note: not approved\n")
    both = annotated("Stamp", Name=Name.Draft, Contents=String("for Dr X"))
    assert text_of(tmp_path / "2", both).endswith("Note: for Dr X\n")


def test_note_in_rich_text_alone_is_read(tmp_path):
    """Where a note has no plain text its rich one is read, and no markup with it."""
    rich = (
        '<?xml version="1.0"?><body xmlns="http://www.w3.org/1999/xhtml">'
        "<p>hold <b>dose</b> now</p><p>call</p></body>"
    )
    assert text_of(tmp_path / "1", annotated("Text", RC=String(rich))).endswith(
        "Note: hold dose now  \ncall\n"
    )
    both = annotated("Text", RC=String(rich), Contents=String("plain"))
    assert text_of(tmp_path / "2", both).endswith("Note: plain\n")


def layered(content, *, base="ON", **more):
    """A PDF with a layer `/L` that is off, and one `/M` that is on."""

    def change(document):
        off, on = (
            document.make_indirect(Dictionary(Type=Name.OCG, Name=String(name))) for name in ("off", "on")
        )
        usual = (
            Dictionary(OFF=Array([off])) if base == "ON" else Dictionary(BaseState=Name.OFF, ON=Array([on]))
        )
        document.Root.OCProperties = Dictionary(OCGs=Array([off, on]), D=usual)
        if state := more.get("state"):
            on.Usage = Dictionary(View=Dictionary(ViewState=Name(state)))
            event = Dictionary(
                Event=Name(more["event"]), OCGs=Array([on]), Category=Array([Name(more["event"])])
            )
            usual.AS = Array([event])
        page = document.pages[0]
        some = Dictionary(Type=Name.OCMD, OCGs=Array([off, on]), P=Name(more.get("policy", "/AnyOn")))
        if expression := more.get("expression"):
            some.VE = expression(off, on)
        page.Resources.Properties = Dictionary(L=off, M=on, S=some)
        form = document.make_stream(text(72, 600, "In a form").encode())
        form.update({"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 612, 792])})
        form.Resources = Dictionary(Font=page.Resources.Font)
        form.OC = off
        page.Resources.XObject = Dictionary(F=form)

    return page_pdf([TWO[1], *content], change=change)


@pytest.mark.parametrize("base", ["ON", "OFF"])
def test_layer_that_is_off_is_left_out(base, tmp_path):
    """What its layer hides is no text, with a warning; the file itself stays as it is."""
    data = layered(["/OC /L BDC", text(72, 650, "Hidden dose 50 mg"), "/Span BMC EMC EMC", TWO[0]], base=base)
    done, outputs = run(tmp_path, data)
    assert outputs["text.md"] == b"Warfarin 5 mg daily  \nApixaban 5 mg BID\n"
    assert done["warnings"] == [LEFT_OUT]
    assert outputs["document.pdf"] == data


def test_layer_that_is_on_stays(tmp_path):
    """A layer that is shown is text like any other, without a warning."""
    done, outputs = run(tmp_path, layered(["/OC /M BDC", TWO[0], "EMC"]))
    assert b"Warfarin" in outputs["text.md"]
    assert done["warnings"] == []


@pytest.mark.parametrize(("policy", "stays"), [("/AnyOn", True), ("/AllOn", False), ("/AnyOff", True)])
def test_layers_that_decide_together(policy, stays, tmp_path):
    """Content of several layers is shown by their rule."""
    text_md = run(tmp_path, layered(["/OC /S BDC", TWO[0], "EMC"], policy=policy))[1]["text.md"]
    assert (b"Warfarin" in text_md) == stays


EXPRESSIONS = {
    "not on": (lambda off, on: Array([Name.Not, on]), False),
    "not off": (lambda off, on: Array([Name.Not, off]), True),
    "both": (lambda off, on: Array([Name.And, on, Array([Name.Or, off, on])]), True),
    "one of two that are off": (lambda off, on: Array([Name.Or, off, Array([Name.Not, on])]), False),
    "what nobody can read": (lambda off, on: Array([Name.Xor, off, on]), True),
}


@pytest.mark.parametrize(("expression", "stays"), EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_layers_that_an_expression_joins(expression, stays, tmp_path):
    """It takes precedence over the rule, unless it cannot be read."""
    data = layered(["/OC /S BDC", TWO[0], "EMC"], expression=expression)
    assert (b"Warfarin" in run(tmp_path, data)[1]["text.md"]) is stays


@pytest.mark.parametrize(
    ("event", "state", "stays"),
    [("/View", "/OFF", False), ("/View", "/ON", True), ("/Print", "/OFF", True)],
)
def test_layers_that_a_viewer_switches_for_the_screen(event, state, stays, tmp_path):
    """What is only printed is not on the screen; what is not printed is."""
    data = layered(["/OC /M BDC", TWO[0], "EMC"], event=event, state=state)
    assert (b"Warfarin" in run(tmp_path, data)[1]["text.md"]) is stays


def test_drawing_of_a_layer_that_is_off_is_left_out(tmp_path):
    """A form that belongs to a layer is hidden with it."""
    done, outputs = run(tmp_path, layered(["/F Do"]))
    assert b"In a form" not in outputs["text.md"]
    assert done["warnings"] == [LEFT_OUT]


def test_text_beyond_the_page_is_left_out(tmp_path):
    """What lies outside of what the page shows is no text, with a warning; what lies at its edge is."""

    def change(document):
        document.pages[0].obj.CropBox = Array([50, 50, 560, 720])

    drawn = [*TWO, text(72, 760, "Other patient"), text(-300, 400, "Jane Roe"), text(52, 54, "At the edge")]
    done, outputs = run(tmp_path, page_pdf(drawn, change=change))
    assert outputs["text.md"] == b"Warfarin 5 mg daily  \nApixaban 5 mg BID\n\nAt the edge\n"
    assert done["warnings"] == [BEYOND]


def test_broken_layers_cost_no_text(tmp_path):
    """Where the list of layers is no list, the page is read as it is."""

    def change(document):
        document.Root.OCProperties = Dictionary(D=Array([1]), OCGs=Name.X)

    assert "Warfarin" in text_of(tmp_path, page_pdf(TWO, change=change))
