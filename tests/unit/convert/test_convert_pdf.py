"""PDF: text, scans, passwords, damage, scripts, attachments, and what PDF/A can be proven."""

import functools
import html
import io
import re
import unicodedata
from collections import Counter

import pikepdf
import pypdfium2
import pytest

from tests.unit.convert import documents, scans
from tests.unit.convert.documents import pdf, run


def test_digital_pdf_keeps_its_bytes_and_gives_its_text(tmp_path):
    """The original serves as document.pdf, its text is given by page, its facts are metadata."""
    data = pdf(pages=2)
    done, outputs = run(tmp_path, data)
    made = done["metadata"]
    assert outputs["document.pdf"] == data
    assert outputs["text.md"] == b"## Page 1\n\nHello from page 1\n\n## Page 2\n\nHello from page 2\n"
    assert [made[key] for key in ("title", "date", "pages", "words", "ocr")] == [
        "A made PDF",
        "2024-01-31T12:00:00+01:00",
        2,
        8,
        False,
    ]
    assert done["warnings"] == []


def test_pages_without_text_are_reported(tmp_path, monkeypatch):
    """A page that shows something but has no text is a scan nobody read; a blank page is not."""
    scans.choose(monkeypatch, "none")
    scanned = pikepdf.open(io.BytesIO(pdf()))
    picture = run(tmp_path / "image", documents.image("JPEG", size=(600, 800)))[1]["document.pdf"]
    scanned.pages.extend(pikepdf.open(io.BytesIO(picture)).pages)
    scanned.add_blank_page()
    out = io.BytesIO()
    scanned.save(out)
    done, outputs = run(tmp_path / "pdf", out.getvalue())
    assert done["warnings"] == ["scanned pages were not read"]
    assert done["metadata"]["pages"] == 3
    text = outputs["text.md"].decode()
    assert text.endswith(
        "## Page 2\n\n[This page is a picture. No text could be read from it.]\n\n## Page 3\n"
    )
    first = text.removeprefix("## Page 1\n\n").partition("## Page 2")[0]
    assert done["metadata"]["words"] == len(first.split())


def test_user_password_fails_plainly(tmp_path):
    """A PDF that asks for a password cannot be read, and says so."""
    data = pdf(encryption=pikepdf.Encryption(user="u", owner="o"))
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], done["reason"], outputs) == ("failed", "The PDF needs a password.", {})


def test_owner_password_opens_and_the_copy_is_free(tmp_path):
    """Restrictions do not keep anybody from reading; document.pdf has none."""
    data = pdf(encryption=pikepdf.Encryption(user="", owner="o"))
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], outputs["text.md"]) == ("converted", b"Hello from page 1\n")
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as copy:
        assert not copy.is_encrypted


def test_damaged_pdf_is_mended_with_a_warning(tmp_path):
    """A PDF whose directory is lost is rebuilt from its objects."""
    data = pdf(pages=2, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    broken = data.replace(b"/Type /Pages", b"/Type /Pagez").replace(b"startxref", b"startxxxx")
    done, outputs = run(tmp_path, broken)
    assert done["outcome"] == "converted"
    assert len(pypdfium2.PdfDocument(outputs["document.pdf"])) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf()[:200], "The PDF is cut short and cannot be mended."),
        (b"%PDF-1.4\n" + b"x" * 300 + b"%%EOF", "The PDF is damaged and cannot be mended."),
    ],
)
def test_hopeless_pdf_fails_plainly(data, reason, tmp_path):
    """What cannot be mended fails with the likely cause."""
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], done["reason"], outputs) == ("failed", reason, {})


def test_scripts_are_taken_out_of_the_copy(tmp_path):
    """JavaScript in a PDF does not reach the reader of document.pdf."""
    done, outputs = run(tmp_path, pdf(scripted=True))
    assert done["warnings"] == ["the PDF had scripts, which were taken out of the copy"]
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as copy:
        assert "/OpenAction" not in copy.Root


def test_attachments_are_documents_of_their_own(tmp_path):
    """A file attached to a PDF is unpacked under a name of ours, and keeps its own for people."""
    with pikepdf.open(io.BytesIO(pdf())) as document:
        document.attachments["../../evil.txt"] = b"attached"
        out = io.BytesIO()
        document.save(out)
    done, _ = run(tmp_path, out.getvalue())
    path = tmp_path / "out" / "embedded" / "001"
    assert [part["name"] for part in done["embedded"]] == ["../../evil.txt"]
    assert path.read_bytes() == b"attached"


def test_filled_forms_show_what_was_filled_in(tmp_path):
    """The value of a form's field is part of the text."""
    with pikepdf.open(io.BytesIO(pdf())) as document:
        field = document.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T=pikepdf.String("pulse"),
                V=pikepdf.String("72 bpm"),
                Rect=[72, 600, 300, 630],
                DA=pikepdf.String("/F1 12 Tf 0 g"),
                F=4,
            )
        )
        page = document.pages[0]
        page.Annots = document.make_indirect([field])
        document.Root.AcroForm = document.make_indirect(
            pikepdf.Dictionary(
                Fields=[field], DR=page.Resources, DA=pikepdf.String("/F1 12 Tf 0 g"), NeedAppearances=True
            )
        )
        out = io.BytesIO()
        document.save(out)
    done, outputs = run(tmp_path, out.getvalue())
    assert done["outcome"] == "converted"
    assert "72 bpm" in outputs["text.md"].decode()


def test_claims_of_pdfa_are_checked(tmp_path):
    """What a file claims is reported beside what could be proven, and a false claim proves nothing."""
    honest = run(tmp_path / "a", documents.image("PNG"))[1]["document.pdf"]
    done, outputs = run(tmp_path / "b", honest)
    assert done["metadata"]["pdf"] == {"claimed": "PDF/A-2b", "proven": "PDF/A-2b"}
    assert outputs["document.pdf"] == honest
    with pikepdf.open(io.BytesIO(honest)) as document:
        document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.Launch, F=pikepdf.String("x"))
        out = io.BytesIO()
        document.save(out)
    done, _ = run(tmp_path / "c", out.getvalue())
    assert done["metadata"]["pdf"] == {"claimed": "PDF/A-2b", "proven": None}


normal = functools.partial(unicodedata.normalize, "NFKC")
DIFFER = {
    "bad-page.pdf": 60,
    "habibi.pdf": 4,
    "imagemagick-images.pdf": 4,
    "multicolumn.pdf": 2,
    "protected.pdf": 20,
}
"""Words that differ from pdfium's: raised and lowered ones, those run together, those off a broken page."""


def test_every_word_that_pdfium_sees_is_in_the_text(tmp_path):
    """For each digital sample, the words of text.md are those of pdfium, in the order of the page."""
    word = re.compile(r"\w+")
    for path in documents.samples("pdf/*.pdf"):
        done, outputs = run(tmp_path / path.name, path.read_bytes())
        if done["outcome"] != "converted":
            assert path.name == "libreoffice-writer-password.pdf"
            continue
        document = pypdfium2.PdfDocument(path)
        wanted = [w for page in document for w in word.findall(normal(page.get_textpage().get_text_range()))]
        text = html.unescape(re.sub(r"\\([^\w\s])", r"\1", outputs["text.md"].decode()))
        text = re.sub(r" \[(?:red|orange|yellow)\]", "", text)  # what colours flag is no word of the page
        text = text.replace("[hidden: ", "[")  # nor is what marks text that the page does not show
        got = [
            w
            for line in text.splitlines()
            if not line.startswith(("## Page", "[This page is a picture"))
            for w in word.findall(normal(line))
        ]
        got, wanted = ((Counter(words)) for words in (got, wanted))
        assert ((wanted - got) + (got - wanted)).total() <= DIFFER.get(path.name, 0), path.name
