"""PDF: what acts by itself, what hangs on pages, forms of Adobe's own, portfolios, and text that is none."""

import io
import re
import zlib

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.unit.convert import scans
from tests.unit.convert.documents import pdf, run, text_of


@pytest.fixture(autouse=True)
def unread(monkeypatch):
    """What is read of pictures is tested elsewhere."""
    scans.choose(monkeypatch, "none")


def changed(change, data=None):
    """A PDF after `change` had it."""
    with pikepdf.open(io.BytesIO(data or pdf())) as document:
        change(document)
        out = io.BytesIO()
        document.save(out, static_id=True)
    return out.getvalue()


def note(document, subtype, **more):
    """Put an annotation on the first page."""
    made = Dictionary(Type=Name.Annot, Subtype=Name("/" + subtype), Rect=[100, 100, 200, 130], **more)
    page = document.pages[0].obj
    page.Annots = Array([*(page.Annots if "/Annots" in page else ()), document.make_indirect(made)])


def action(kind, **more):
    """An action that stands where it is, not an object of its own."""
    return Dictionary(S=Name("/" + kind), **more)


ACTIVE = {
    "script on a link": lambda d: note(d, "Link", A=action("JavaScript", JS=String("app.alert(1)"))),
    "program at the start": lambda d: d.Root.__setattr__("OpenAction", action("Launch", F=String("x.exe"))),
    "form that sends itself": lambda d: note(d, "Link", A=action("SubmitForm", F=String("http://evil"))),
    "web page at the start": lambda d: d.Root.__setattr__(
        "OpenAction", action("URI", URI=String("http://e"))
    ),
    "web page as a page opens": lambda d: d.pages[0].obj.__setattr__(
        "AA", Dictionary(O=action("URI", URI=String("http://evil")))
    ),
    "file of somebody's": lambda d: note(d, "Link", A=action("GoToR", F=String("//evil/share"))),
    "script after a harmless action": lambda d: note(
        d, "Link", A=action("GoTo", D=String("x"), Next=Array([action("JavaScript", JS=String("1"))]))
    ),
    "script in the list of names": lambda d: d.Root.__setattr__(
        "Names",
        Dictionary(JavaScript=Dictionary(Names=Array([String("a"), action("JavaScript", JS=String("1"))]))),
    ),
    "film": lambda d: note(d, "RichMedia", RichMediaContent=Dictionary(Assets=Dictionary())),
    "sound": lambda d: note(d, "Sound", Sound=d.make_stream(b"x")),
}


@pytest.mark.parametrize("change", ACTIVE.values(), ids=ACTIVE)
def test_nothing_acts_by_itself_in_the_copy(change, tmp_path):
    """Wherever an action hangs, document.pdf does not have it, says so, and keeps its text."""
    done, outputs = run(tmp_path, changed(change))
    assert done["warnings"] == ["the PDF had scripts, which were taken out of the copy"]
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as copy:
        displayed = copy.Root.unparse(resolved=True) + b"".join(
            item.unparse(resolved=True) for item in copy.objects if not isinstance(item, pikepdf.Stream)
        )
    assert not re.search(
        rb"/JavaScript|/Launch|/SubmitForm|/URI|/GoToR|/RichMediaContent|/Sound <<", displayed
    )
    assert b"/Sound 9" not in displayed
    assert outputs["text.md"] == b"Hello from page 1\n"


def test_links_stay(tmp_path):
    """A link to the web waits for a click, and is no reason to change the file."""
    data = changed(lambda d: note(d, "Link", A=action("URI", URI=String("https://example.org"))))
    done, outputs = run(tmp_path, data)
    assert (done["warnings"], outputs["document.pdf"]) == ([], data)


def test_what_people_noted_is_text(tmp_path):
    """Notes and comments, which a page does not show, follow its text, but for hidden ones."""

    def change(document):
        note(document, "Text", Contents=String("Call the patient"), T=String("Dr. Example"))
        note(document, "Highlight", Contents=String("wichtig: \u00e4rztlich"))
        note(document, "Text", Contents=String("secret"), F=2)
        note(document, "Square", Contents=String(""))

    text = run(tmp_path, changed(change))[1]["text.md"].decode()
    assert text.split("\n\n") == [
        "Hello from page 1",
        "Note by Dr. Example: Call the patient",
        "Note: wichtig: \u00e4rztlich\n",
    ]


def test_what_was_typed_onto_the_page_is_text(tmp_path):
    """Text in a box of its own on top of the page is the page's text, once."""

    def change(document):
        look = document.make_stream(b"BT /F1 12 Tf 2 10 Td (Typed on top) Tj ET")
        look.update({"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 100, 30])})
        look.Resources = document.pages[0].Resources
        note(document, "FreeText", Contents=String("Typed on top"), AP=Dictionary(N=look), F=4)

    text = run(tmp_path, changed(change))[1]["text.md"].decode()
    assert text == "Hello from page 1\n\nTyped on top\n"


def test_files_pinned_to_a_page_are_documents(tmp_path):
    """A file on a page's pin is unpacked like those of the document, one that is both only once."""

    def change(document):
        document.attachments["list.txt"] = b"in the list"
        file = document.make_stream(b"on a pin", Type=Name.EmbeddedFile)
        note(document, "FileAttachment", FS=Dictionary(F=String("pin.txt"), EF=Dictionary(F=file)))
        note(document, "FileAttachment", FS=document.attachments["list.txt"].obj)

    done, _ = run(tmp_path, changed(change))
    assert [part["name"] for part in done["embedded"]] == ["list.txt", "pin.txt"]


def test_portfolio_is_reported(tmp_path):
    """The files in a portfolio are documents; the cover alone says nothing, so this is reported."""

    def change(document):
        document.attachments["a.txt"] = b"a"
        document.Root.Collection = Dictionary(Type=Name.Collection)

    done, _ = run(tmp_path, changed(change))
    assert done["warnings"] == ["the PDF is a portfolio: the files in it are documents of their own"]
    assert len(done["embedded"]) == 1


DATASETS = (
    b'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1><Patient>'
    b"<LastName>Example</LastName><birth_date>1950-01-31</birth_date><empty/></Patient>"
    b'<Notes><body xmlns="http://www.w3.org/1999/xhtml"><p>rich <b>text</b></p></body></Notes>'
    b"</form1></xfa:data></xfa:datasets>"
)


@pytest.mark.parametrize("template", [b"<template/>", b"<template><script>xfa.host.x()</script></template>"])
def test_form_of_adobes_own_gives_its_values(template, tmp_path):
    """A form whose page only says "Please wait" is set from its values, with a warning."""

    def change(document):
        parts = [String("template"), document.make_stream(template)]
        parts += [String("datasets"), document.make_stream(DATASETS)]
        document.Root.AcroForm = Dictionary(Fields=Array(), XFA=Array(parts))

    done, outputs = run(tmp_path, changed(change, pdf(text="Please wait... Adobe Reader")))
    text = outputs["text.md"].decode()
    assert "| Patient / Last Name | Example |" in text
    assert "| Patient / birth date | 1950-01-31 |" in text
    assert "rich text" in text
    assert "Please wait" not in text
    assert done["warnings"][0].startswith("the PDF is a form that only Adobe's programs show")
    assert done["metadata"]["pdf"]["proven"] == "PDF/A-2b"


XFA_TEMPLATE = b"""<template xmlns="http://www.xfa.org/schema/xfa-template/3.3/">
<subform name="form1"><subform>
<field name="smoker"><caption><value><text>Current smoker</text></value></caption>
<ui><checkButton/></ui></field>
<field name="dnr"><ui><checkButton/></ui><items><text>Y</text><text>N</text></items></field>
<field name="sev"><caption><value><text>Severity</text></value></caption><ui><choiceList/></ui>
<items><text>mild</text><text>severe</text></items>
<items save="1"><text>1</text><text>2</text></items></field>
<exclGroup name="sex"><field name="f"><caption><value><text>female</text></value></caption>
<items><text>F</text></items></field>
<field name="m"><caption><value><text>male</text></value></caption>
<items><text>M</text></items></field>
</exclGroup></subform></subform></template>"""
XFA_DATA = (
    b'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1><smoker>1</smoker><dnr/>'
    b"<sev>2</sev><sex>F</sex><other>x</other></form1></xfa:data></xfa:datasets>"
)


@pytest.mark.parametrize("whole", [False, True], ids=["packets", "one stream"])
def test_values_of_adobes_own_form_are_called_as_the_form_calls_them(whole, tmp_path):
    """By its template: captions, ticks, and what a choice shows."""

    def change(document):
        parts = [String("template"), document.make_stream(XFA_TEMPLATE)]
        parts += [String("datasets"), document.make_stream(XFA_DATA)]
        xdp = b'<x:xdp xmlns:x="http://ns.adobe.com/xdp/">' + XFA_TEMPLATE + XFA_DATA + b"</x:xdp>"
        form = document.make_stream(xdp) if whole else Array(parts)
        document.Root.AcroForm = Dictionary(Fields=Array(), XFA=form)

    markdown = text_of(tmp_path, changed(change, pdf(text="Please wait... Adobe Reader")))
    assert markdown.partition("| --- | --- |\n")[2].splitlines() == [
        "| Current smoker | ☑ |",
        "| dnr | ☐ |",
        "| Severity | severe |",
        "| sex | ◉ female ○ male |",
        "| other | x |",
    ]


def test_form_with_pages_keeps_them(tmp_path):
    """A form in XFA that has pages as well is shown as those, and its values where those lack them."""

    def change(document):
        parts = [String("datasets"), document.make_stream(DATASETS)]
        document.Root.AcroForm = Dictionary(Fields=Array(), XFA=Array(parts))

    done, outputs = run(tmp_path, changed(change))
    text = outputs["text.md"].decode()
    assert text.startswith("Hello from page 1\n\n# Form\n")
    assert "| Patient / Last Name | Example |" in text
    assert done["warnings"] == ["the PDF is a form in XFA; parts of it may not be shown"]


def _without_small_letters(document):
    """Have the font say that most of its shapes are nobody's business."""
    cmap = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
        b"2 beginbfrange <00> <60> <0000> <61> <FF> <E061> endbfrange endcmap end"
    )
    document.pages[0].Resources.Font.F1.ToUnicode = document.make_stream(cmap)


def test_text_without_letters_is_reported(tmp_path):
    """A page whose fonts do not say what their shapes mean is not text, and is reported."""
    done, _ = run(tmp_path, changed(_without_small_letters))
    text = "the fonts of 1 of 1 pages do not name their letters; the text may be unreadable"
    assert done["warnings"][0] == text


def test_text_without_letters_is_read_from_the_page(tmp_path, monkeypatch):
    """Where there is an engine, such a page is read as it looks, in place of its text."""
    monkeypatch.undo()
    scans.choose(monkeypatch, "tesseract")
    done, outputs = run(tmp_path, changed(_without_small_letters))
    assert outputs["text.md"] == b"## Page 1 (read by OCR)\n\nHello from page 1\n"
    assert done["metadata"]["ocr_pages"] == [1]


def test_hyphens_at_the_ends_of_lines_stay(tmp_path):
    """A word that a line's end divides is one word with its hyphen: nobody can tell whether it had one."""

    def change(document):
        lines = ("medi-", "cation for COVID-", "19")
        displayed = " T* ".join(f"({line}) Tj" for line in lines)
        document.pages[0].Contents = document.make_stream(
            f"BT /F1 12 Tf 14 TL 72 700 Td {displayed} ET".encode()
        )

    text = run(tmp_path, changed(change))[1]["text.md"].decode()
    assert text.split() == ["medi-cation", "for", "COVID-19"]


def test_unknown_encryption_fails_plainly(tmp_path):
    """A handler that nobody knows is a clear failure."""
    data = pdf(encryption=pikepdf.Encryption(user="", owner="o"))
    done, outputs = run(tmp_path, data.replace(b"/Filter /Standard", b"/Filter /FooBarred"))
    assert (done["outcome"], outputs) == ("failed", {})
    assert "PDF" in done["reason"]


def test_huge_pages_have_small_previews(tmp_path):
    """A page as large or as long as PDF allows does not become a picture of gigabytes."""
    for number, box in enumerate(
        ([0, 0, 14400, 14400], [0, 0, 10, 14400], [0, 0, 14400, 1], [0, 0, 9e9, 9e9])
    ):
        data = changed(lambda d, box=box: d.pages[0].__setattr__("mediabox", Array(box)))
        done, outputs = run(tmp_path / str(number), data)
        assert done["outcome"] == "converted"
        assert len(outputs.get("thumbnail.png", b"")) < 100_000


@pytest.mark.parametrize("data", [b"%PDF-", b"%PDF-1.7\n%%EOF", b"%PDF-1.4\n" + b"%" * 5000])
def test_next_to_nothing_fails_plainly(data, tmp_path):
    """A file that is hardly more than its first bytes is reported as what it is."""
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], outputs) == ("failed", {})


def test_fifty_megabytes_of_one_letter_are_no_trouble(tmp_path):
    """A stream that unpacks to much more than it weighs is read in the memory there is, or fails plainly."""

    def change(document):
        packed = zlib.compress(b" " * (50 * 2**20))
        document.pages[0].Contents = pikepdf.Stream(document, packed, Filter=Name.FlateDecode)

    done, _ = run(tmp_path, changed(change))
    assert done["outcome"] in {"converted", "failed"}


def test_one_page_of_many_that_cannot_be_opened_is_reported(tmp_path):
    """A damaged page costs itself."""
    data = changed(lambda d: d.Root.Pages.Kids.__setitem__(1, Dictionary(Type=Name.Catalog)), pdf(pages=3))
    done, outputs = run(tmp_path, data)
    assert done["outcome"] == "converted"
    assert b"Hello from page 3" in outputs["text.md"]
