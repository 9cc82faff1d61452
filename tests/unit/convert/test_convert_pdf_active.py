"""document.pdf has moves within it, links that wait for a click, and nothing else that acts or leads out."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from docpipe.convert.readers.pdf import active, from_pdf
from tests.unit.convert import scans
from tests.unit.convert.documents import pdf, run
from tests.unit.convert.test_convert_pdf_parts import action, changed, note

HOSTILE = sorted((Path(__file__).parents[4] / "shared" / "hostile" / "pdf").glob("*.pdf"))
BAD = re.compile(
    rb"/(JavaScript|JS|Launch|SubmitForm|ResetForm|ImportData|GoToR|GoToE|Thread|Rendition|RichMedia\w+|"
    rb"EmbeddedFiles|EF|AF|XFA|AA|Requirements|Collection|Ref|FFilter|3DD|OPI)\b|evil"
)


@pytest.fixture(autouse=True)
def unread(monkeypatch):
    """What is read of pictures is tested elsewhere."""
    scans.choose(monkeypatch, "none")


def everything(data):
    """All objects of a PDF as text, and the trailer."""
    with pikepdf.open(io.BytesIO(data)) as document:
        streams = [" ".join(o.keys()).encode() for o in document.objects if isinstance(o, pikepdf.Stream)]
        rest = [o.unparse(resolved=True) for o in document.objects if not isinstance(o, pikepdf.Stream)]
        return b"\n".join([*streams, *rest, document.trailer.unparse()])


SCRIPT = {"JS": String("app.alert('evil')")}
EVIL = String("\\\\evil\\share\\x.pdf")


def deep(document):
    """An action behind 200 harmless ones, each standing directly in the one before."""
    last = action("JavaScript", **SCRIPT)
    for _ in range(200):
        last = action("GoTo", D=Array([document.pages[0].obj, Name.Fit]), Next=last)
    note(document, "Link", A=last)


def rooted(**more):
    return lambda document: [document.Root.__setattr__(key, value) for key, value in more.items()]


def chained(document):
    first = action("GoTo", D=String("x"), Next=action("URI", URI=String("https://evil")))
    document.Root.OpenAction = first


def indirect(document):
    note(document, "Link", A=document.make_indirect(action("JavaScript", Type=Name.Font, **SCRIPT)))


def on_a_page(document):
    document.pages[0].obj.AA = Dictionary(
        O=action("GoTo", D=String("x"), Next=action("URI", URI=String("evil")))
    )


def outlined(document):
    item = Dictionary(Title=String("x"), A=action("Launch", F=EVIL))
    document.Root.Outlines = Dictionary(First=document.make_indirect(item))


def disguised(document):
    """An outline's item that is an action, too."""
    item = Dictionary(Title=String("x"), S=Name.Whatever, **SCRIPT)
    document.Root.Outlines = Dictionary(First=Dictionary(Title=String("y"), Next=item))


def external(document):
    document.Root.Extra = document.make_stream(b"", F=EVIL, FFilter=Name.FlateDecode)


def referring(document):
    document.Root.Extra = document.make_stream(b"", Subtype=Name.Form, Ref=Dictionary(F=EVIL))


def pinned(document):
    note(document, "FileAttachment", FS=Dictionary(F=EVIL))


ACTS = {
    "another type": lambda d: note(d, "Link", A=action("JavaScript", Type=Name.Annot, **SCRIPT)),
    "another type, an object of its own": indirect,
    "deep": deep,
    "a stream": lambda d: note(d, "Link", A=d.make_stream(b"", S=Name.JavaScript, **SCRIPT)),
    "an embedded file": lambda d: note(d, "Link", A=action("GoToE", F=EVIL, D=String("x"))),
    "a thread": lambda d: note(d, "Link", A=action("Thread", F=EVIL, D=0)),
    "a kind that nobody knows": lambda d: note(d, "Link", A=action("EvilExec", F=EVIL)),
    "the web behind a move at the start": chained,
    "the web behind a move of a page": on_a_page,
    "the web behind a click on a move": lambda d: note(
        d, "Link", A=action("GoTo", D=String("x"), Next=action("URI", URI=String("https://evil")))
    ),
    "an unknown move": lambda d: note(d, "Link", A=action("Named", N=Name.SaveAsEvil)),
    "a script as an address": lambda d: note(d, "Link", A=action("URI", URI=String("javascript:evil()"))),
    "a file as an address": lambda d: note(d, "Link", A=action("URI", URI=String("file://evil/x"))),
    "a share with slashes": lambda d: note(d, "Link", A=action("URI", URI=String(" //evil/share"))),
    "a program for printers": lambda d: setattr(
        d.Root, "Extra", d.make_stream(b"evil", Type=Name.XObject, Subtype=Name.PS)
    ),
    "a program for printers in a form": lambda d: setattr(
        d.Root,
        "Extra",
        d.make_stream(b"", Subtype=Name.Form, Subtype2=Name.PS, PS=d.make_stream(b"evil")),
    ),
    "a share as an address": lambda d: note(d, "Link", A=action("URI", URI=EVIL)),
    "an address under a key of nobody": lambda d: note(
        d, "Link", Zz=action("URI", URI=String("https://evil"))
    ),
    "a share that relative addresses continue": rooted(URI=Dictionary(Base=EVIL)),
    "an outline": outlined,
    "an outline in disguise": disguised,
    "requirements": rooted(
        Requirements=Array([Dictionary(S=Name.EnableJavaScripts, RH=Dictionary(**SCRIPT))])
    ),
    "a stream elsewhere": external,
    "a page of another file": referring,
    "a pin to another file": pinned,
    "an action in a list": rooted(Zz=Array([Array([action("Launch", F=EVIL)])])),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_acts_is_taken_out(tmp_path, name):
    """However deep or disguised, and whatever its kind; the text stays."""
    done, outputs = run(tmp_path, changed(ACTS[name]))
    assert not BAD.search(everything(outputs["document.pdf"]))
    assert outputs["text.md"] == b"Hello from page 1\n"
    expected = (
        [] if name == "a pin to another file" else ["the PDF had scripts, which were taken out of the copy"]
    )
    assert done["warnings"] == expected


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_files_of_others(tmp_path, path):
    """PDFs that acted in an earlier version."""
    _, outputs = run(tmp_path, path.read_bytes())
    text = everything(outputs["document.pdf"])
    assert not re.search(BAD.pattern.replace(b"|evil", b""), text)
    assert b"/URI" not in text


def harmless(document):
    page = document.pages[0].obj
    note(document, "Link", A=action("GoTo", D=Array([page, Name.Fit]), Next=action("Named", N=Name.NextPage)))
    for target in (
        "https://a.example/x?y=z",
        "mailto:a@b.example",
        "HTTP://a.example",
        "page.html",
        "tel:+1",
    ):
        note(document, "Link", A=action("URI", URI=String(target)))
    document.Root.OpenAction = Array([page, Name.Fit])
    item = document.make_indirect(Dictionary(Title=String("x"), A=action("GoTo", D=String("x"))))
    item.Next = Dictionary(Title=String("y"), Dest=String("x"))
    document.Root.Outlines = Dictionary(First=item)
    element = Dictionary(S=Name.P, A=Dictionary(O=Name.Layout, Placement=Name.Block))
    document.Root.StructTreeRoot = Dictionary(K=Array([element, Dictionary(S=Name.Link)]))
    page.Trans = Dictionary(S=Name.Dissolve)
    page.Group = Dictionary(S=Name.Transparency, CS=Name.DeviceRGB)
    document.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(S=Name.D)]))


def test_what_is_harmless_is_no_reason_to_change_the_file(tmp_path):
    """Moves, links at a click, outlines, structure, transitions, labels: the copy is the original."""
    data = changed(harmless)
    done, outputs = run(tmp_path, data)
    assert (done["warnings"], outputs["document.pdf"] == data) == ([], True)


def attached(document):
    document.attachments["a.txt"] = b"a"
    document.Root.Collection = Dictionary(Type=Name.Collection)
    document.Root.AF = Array([document.attachments["a.txt"].obj])


def test_files_within_are_documents_and_not_in_the_copy(tmp_path):
    """A program that is attached cannot be started from the copy; that alone is no warning of scripts."""
    done, outputs = run(tmp_path, changed(attached))
    assert [part["name"] for part in done["embedded"]] == ["a.txt"]
    assert not BAD.search(everything(outputs["document.pdf"]))
    assert not [warning for warning in done["warnings"] if "scripts" in warning]


@pytest.mark.parametrize("text", [b"<x:script>evil</x:script>", "<script>evil".encode("utf-16"), b"<plain/>"])
@pytest.mark.parametrize("parts", [1, 2])
def test_forms_of_adobe_s_own_go(tmp_path, text, parts):
    """Whatever they hold and however they are written: viewers would run what is in them."""

    def change(document):
        half = len(text) // parts
        streams = [document.make_stream(text[at : at + half]) for at in range(0, half * parts, half)]
        xfa = Array([thing for stream in streams for thing in (String("x"), stream)])
        document.Root.AcroForm = Dictionary(Fields=Array([]), XFA=xfa if parts > 1 else streams[0])
        document.Root.NeedsRendering = True

    _, outputs = run(tmp_path, changed(change))
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as copy:
        assert "/XFA" not in copy.Root.AcroForm


def test_what_cannot_be_gone_through_is_set_anew(tmp_path, monkeypatch):
    """A PDF whose objects break the search keeps its text, and nothing of what might act."""

    def odd(_pdf):
        raise pikepdf.PdfError

    monkeypatch.setattr(active, "disarm", odd)
    done, outputs = run(tmp_path, changed(ACTS["another type"]))
    assert done["outcome"] == "converted"
    assert from_pdf._UNSAFE in done["warnings"]
    assert not BAD.search(everything(outputs["document.pdf"]))
    assert outputs["text.md"] == b"Hello from page 1\n"


def test_a_pdf_that_only_one_library_opens_is_set_anew(tmp_path, monkeypatch):
    """What pdfium shows, but pikepdf cannot open, might hold anything."""

    def refused(*_args, **_more):
        raise pikepdf.PdfError

    monkeypatch.setattr(from_pdf, "pikepdf", SimpleNamespace(**(vars(pikepdf) | {"open": refused})))
    done, outputs = run(tmp_path, pdf())
    assert from_pdf._UNSAFE in done["warnings"]
    assert outputs["document.pdf"] != pdf()
