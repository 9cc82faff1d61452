"""PDF: the fields of forms, ticked and unticked, chosen and filled in, at their places."""

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.unit.convert.documents import text_of
from tests.unit.convert.placed import page_pdf, text


def form(*fields, operators=(), rotate=0):
    """A PDF with fields on its page; (rectangle, entries) each, or with a parent's entries as a third."""

    def change(document):
        page = document.pages[0].obj
        page.Rotate = rotate
        notes, roots = Array(), Array()
        parents = {}
        for rectangle, entries, *above in fields:
            widget = document.make_indirect(
                Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=Array(rectangle), **{"F": 4, **entries})
            )
            notes.append(widget)
            if above:
                key = above[0]["T"]
                if key not in parents:
                    parents[key] = document.make_indirect(
                        Dictionary(**{**above[0], "T": String(key), "Kids": Array()})
                    )
                    roots.append(parents[key])
                parents[key].Kids.append(widget)
                widget.Parent = parents[key]
            else:
                roots.append(widget)
        page.Annots = notes
        document.Root.AcroForm = Dictionary(
            Fields=roots, DA=String("/F1 12 Tf 0 g"), DR=Dictionary(page.Resources)
        )

    return page_pdf(list(operators), change=change)


def box(state, **more):
    """A box whose tick is a drawing."""
    return {"FT": Name.Btn, "AS": Name("/" + state), "V": Name("/" + state), **more}


def typed(value, **more):
    """A field to write in."""
    return {"FT": Name.Tx, "V": String(value), "DA": String("/F1 12 Tf 0 g"), **more}


def test_boxes_say_whether_they_are_ticked(tmp_path):
    """A ticked box and one that is not stand beside their labels, left or right of them."""
    drawn = [text(72, 700, "Smoker"), text(72, 680, "Diabetes"), text(95, 640, "Do not resuscitate")]
    data = form(
        ([150, 698, 162, 710], box("Yes", T=String("a"))),
        ([150, 678, 162, 690], box("Off", T=String("b"))),
        ([75, 638, 87, 650], box("On", T=String("c"))),
        operators=drawn,
    )
    lines = text_of(tmp_path, data).replace("|", "").splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert "Smoker ☑" in words
    assert "Diabetes ☐" in words
    assert "☑ Do not resuscitate" in words


def test_one_of_several_is_the_chosen_one(tmp_path):
    """Of radio buttons the chosen one differs from the others."""
    group = {"FT": Name.Btn, "T": "pregnant", "Ff": 1 << 15, "V": Name.no}
    drawn = [text(72, 700, "Pregnant: yes"), text(190, 700, "no")]
    data = form(
        ([155, 698, 167, 710], {"AS": Name.Off}, group),
        ([210, 698, 222, 710], {"AS": Name.no}, group),
        operators=drawn,
    )
    assert " ".join(text_of(tmp_path, data).split()) == "Pregnant: yes ○ no ◉"


def test_state_without_a_look_comes_from_the_value(tmp_path):
    """A box that no program has drawn yet is ticked if its value says so."""
    drawn = [text(72, 700, "Smoker"), text(72, 640, "Diabetes")]
    data = form(
        ([150, 698, 162, 710], {"FT": Name.Btn, "V": Name.Yes, "T": String("a")}),
        ([150, 638, 162, 650], {"FT": Name.Btn, "V": Name.Off, "T": String("b")}),
        operators=drawn,
    )
    assert " ".join(text_of(tmp_path, data).split()) == "Smoker ☑ Diabetes ☐"


def test_values_stand_beside_their_labels(tmp_path):
    """What was filled in is where it was, whichever order the fields have, and an empty field is empty."""
    drawn = [
        text(72, 700 - 20 * at, name)
        for at, name in enumerate(["Aspirin", "Warfarin", "Metformin", "Insulin"])
    ]
    data = form(
        ([200, 656, 320, 672], typed("1000 mg", T=String("m"))),
        ([200, 636, 320, 652], typed("", T=String("x"))),
        ([200, 696, 320, 712], typed("81 mg", T=String("a"))),
        ([200, 676, 320, 692], typed("STOPPED", T=String("w"))),
        operators=drawn,
    )
    markdown = text_of(tmp_path, data)
    for line in ("| Aspirin | 81 mg |", "| Warfarin | STOPPED |", "| Metformin | 1000 mg |"):
        assert line in markdown
    assert "Insulin" in markdown


def test_choices_are_called_as_the_form_calls_them(tmp_path):
    """Of a list the chosen entries are the text, by the names that people see, and no others."""
    options = Array([Array([String("1"), String("mild")]), Array([String("3"), String("severe")])])
    data = form(
        ([150, 696, 250, 712], {"FT": Name.Ch, "V": String("3"), "Opt": options, "T": String("s")}),
        operators=[text(72, 700, "Severity")],
    )
    markdown = text_of(tmp_path, data)
    assert "severe" in markdown
    assert "mild" not in markdown


def test_field_without_a_text_beside_it_bears_its_name(tmp_path):
    """The text for people comes first, else the field's name in words; beside a label neither is shown."""
    data = form(
        ([72, 696, 250, 712], typed("72 kg", T=String("form1[0].bodyWeight[0]"))),
        ([72, 596, 250, 612], typed("180 cm", T=String("f2"), TU=String("Height of the patient"))),
        ([150, 496, 250, 512], typed("81 mg", T=String("f3"), TU=String("Aspirin dose"))),
        operators=[text(72, 500, "Aspirin")],
    )
    markdown = text_of(tmp_path, data)
    assert "body Weight: 72 kg" in markdown
    assert "Height of the patient: 180 cm" in markdown
    assert "Aspirin dose" not in markdown


def test_what_is_not_shown_or_no_value_is_no_text(tmp_path):
    """Hidden fields and buttons to press give nothing, passwords no more than stars."""
    data = form(
        ([150, 696, 250, 712], typed("hidden value", T=String("h")) | {"F": 2}),
        ([150, 656, 250, 672], typed("secret", T=String("p"), Ff=1 << 13)),
        ([150, 616, 250, 632], {"FT": Name.Btn, "Ff": 1 << 16, "T": String("Submit")}),
        operators=[text(72, 740, "Plain")],
    )
    assert text_of(tmp_path, data).replace("\\*", "").split() == ["Plain"]


def test_several_lines_stay_lines(tmp_path):
    """What was typed on several lines keeps them beside the label."""
    value = typed("first line\rsecond line", T=String("n"), Ff=1 << 12)
    markdown = text_of(tmp_path, form(([150, 640, 400, 712], value), operators=[text(72, 698, "Notes")]))
    assert markdown.index("Notes") < markdown.index("first line") < markdown.index("second line")
    assert "first line second line" not in markdown


@pytest.mark.parametrize("rotate", [0, 90])
def test_fields_of_turned_pages(rotate, tmp_path):
    """On a page that is turned for display a tick stays with its line."""
    place = [612 - 510, 150, 612 - 498, 162] if rotate else [150, 498, 162, 510]
    matrix = "0 1 -1 0 612 0" if rotate else "1 0 0 1 0 0"
    drawn = [f"q {matrix} cm", text(72, 500, "Smoker"), text(72, 300, "Other"), "Q"]
    data = form((place, box("Yes", T=String("a"))), operators=drawn, rotate=rotate)
    assert text_of(tmp_path, data).split() == ["Smoker", "☑", "Other"]


def test_damaged_fields_cost_no_text(tmp_path):
    """A field without a rectangle, or with itself as its parent, is passed over."""

    def change(document):
        page = document.pages[0].obj
        odd = document.make_indirect(Dictionary(Subtype=Name.Widget, FT=Name.Tx, V=String("x")))
        loop = document.make_indirect(Dictionary(Subtype=Name.Widget, Rect=Array([1, 2, 3, 4])))
        loop.Parent = loop
        page.Annots = Array([odd, loop, pikepdf.Dictionary()])
        document.Root.AcroForm = Dictionary(Fields=Array([odd, loop]))

    assert text_of(tmp_path, page_pdf([text(72, 700, "Plain")], change=change)) == "Plain\n"


def test_fields_on_no_page_are_listed(tmp_path):
    """Programs that fill in forms leave values behind whose boxes were taken out."""

    def change(document):
        kid = document.make_indirect(Dictionary(FT=Name.Btn, T=String("latexAllergy"), V=Name.Yes))
        parent = document.make_indirect(Dictionary(T=String("history"), Kids=Array([kid])))
        kid.Parent = parent
        loose = Dictionary(FT=Name.Tx, T=String("a"), TU=String("Allergies"), V=String("penicillin"))
        empty = Dictionary(FT=Name.Tx, T=String("b"), V=String(" "))
        document.Root.AcroForm = Dictionary(Fields=Array([parent, loose, empty]))

    markdown = text_of(tmp_path, page_pdf([text(72, 700, "Plain")], change=change))
    assert markdown.startswith("Plain\n\nValues of the form that are on no page:\n\n")
    assert "| latex Allergy | ☑ |\n| Allergies | penicillin |\n" in markdown


def test_struck_text_of_a_rich_value_is_struck(tmp_path):
    """The plain value has its words, but not that they no longer hold."""
    rich = (
        '<?xml version="1.0"?><body xmlns="http://www.w3.org/1999/xhtml"><p>Take '
        '<span style="text-decoration:line-through">5</span> 10 mg</p></body>'
    )
    field = typed("Take 5 10 mg", T=String("n"), RV=String(rich))
    data = form(([150, 696, 350, 712], field), operators=[text(72, 700, "Plan")])
    assert "Take ~~5~~ 10 mg" in " ".join(text_of(tmp_path, data).split())
