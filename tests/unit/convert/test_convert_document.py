"""The contract of `convert`: every document has an outcome, outputs are private and the same each time."""

import io
import json
import os
import random
import socket
import stat
import zipfile
from pathlib import Path

import pikepdf
import pypdfium2
import pytest

from docpipe.convert import document, preload
from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Preformatted, Table
from docpipe.convert.core.facts import few
from docpipe.convert.core.kinds import KINDS
from docpipe.convert.writers import typeset
from tests.unit.convert import documents
from tests.unit.convert.documents import cda, docx, image, payload, pdf, run, section

EXPECTED = {  # of the samples: what is not converted, and why; and what converts with a warning
    "corrupted.zip": ("stored", "This is a ZIP archive"),
    "data-descriptor.zip": ("stored", "This is a ZIP archive"),
    "droste.zip": ("stored", "This is a ZIP archive"),
    "encrypted.zip": ("stored", "This is a ZIP archive"),
    "names-shift-jis.zip": ("stored", "This is a ZIP archive"),
    "zip-of-zip.zip": ("stored", "This is a ZIP archive"),
    "password.docx": ("failed", "The document needs a password."),
    "truncated.docx": ("failed", "The file is cut short."),
    "libreoffice-writer-password.pdf": ("failed", "The PDF needs a password."),
    "xxe.xml": ("stored", "This is an XML file without any text."),
    "compressed-fragment.xml": (
        "failed",
        "The document inside of this file is damaged and cannot be decoded.",
    ),
}
EMBEDDED = {"embedded-pdf.xml": [".pdf"], "embedded-text.xml": [".txt"], "with-attachment.pdf": [".png"]}


def test_every_sample_has_its_outcome(tmp_path):
    """Each sample ends as it should, with its outputs on the disk and nothing more."""
    for path in documents.samples():
        folder = tmp_path / path.name
        done, outputs = run(folder, path.read_bytes(), name=path.name)
        outcome, reason = EXPECTED.get(path.name, ("converted", ""))
        assert (done["outcome"], (done["reason"] or "").startswith(reason)) == (outcome, True), path.name
        assert set(outputs) == (
            {"document.pdf", "text.md", "thumbnail.png"} if outcome == "converted" else set()
        )
        assert [Path(part["name"]).suffix for part in done["embedded"]] == EMBEDDED.get(path.name, [])
        on_disk = {
            str(result.relative_to(folder / "out"))
            for result in (folder / "out").rglob("*")
            if result.is_file()
        }
        numbers = range(1, len(done["embedded"]) + 1)
        assert on_disk == set(outputs) | {f"embedded/{number:03d}" for number in numbers}
        assert json.loads(json.dumps(done)) == done


def test_samples_convert_to_the_same_bytes_twice(tmp_path):
    """The same document gives the same outputs and metadata, times aside."""
    for path in documents.samples():
        data = path.read_bytes()
        first, outputs = run(tmp_path / "1" / path.name, data, name=path.name)
        second, again = run(tmp_path / "2" / path.name, data, name=path.name)
        for done in (first, second):
            done["metadata"].pop("duration_s")
            done.pop("embedded")
        assert (first, outputs) == (second, again), path.name


MADE = {
    "cda": cda(
        section("<table><thead><tr><th>A</th><th>B</th></tr></thead><tr><td>1</td><td>2</td></tr></table>")
    ),
    "cda with a pdf": cda(payload(pdf())),
    "pdf": pdf(pages=2),
    "scripted pdf": pdf(scripted=True),
    "locked pdf": pdf(encryption=pikepdf.Encryption(user="", owner="o")),
    "png": image("PNG"),
    "jpeg": image("JPEG"),
    "fax": image("TIFF", mode="1", pages=2, compression="group4"),
    "cut jpeg": image("JPEG", size=(400, 400))[:-900],
    "cut fax": image("TIFF", pages=3, size=(90, 90))[:-30_000],
    "rtf": rb"{\rtf1 {\fonttbl{\f0\fcharset204 x;}}\trowd\intbl a\cell b\cell\row\pard c\par}",
    "docx": docx("<w:p><w:r><w:t>a</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>"),
    "html": b"<html><table><tr><th>a<th>b<tr><td>1<td>2</table><ul><li>x</ul>",
    "text": "José: 37 °C".encode("cp1252"),
    "fhir": b'{"resourceType": "Bundle"}',
    "zip": documents.zipped(a="b"),
    "empty": b"",
}


@pytest.mark.parametrize("data", MADE.values(), ids=MADE)
def test_made_documents_convert_to_the_same_bytes_twice(data, tmp_path):
    """The same holds for documents made here, so that it is tested without samples too."""
    first, outputs = run(tmp_path / "1", data)
    second, again = run(tmp_path / "2", data)
    assert outputs == again
    assert first["metadata"] | {"duration_s": 0} == second["metadata"] | {"duration_s": 0}


def test_answer_has_all_that_was_agreed(tmp_path):
    """The keys of the answer and of the metadata are those that others rely on."""
    done, _ = run(tmp_path, MADE["text"], declared="text/plain")
    assert set(done) == {
        "outcome",
        "reason",
        "media_type",
        "extension",
        "outputs",
        "metadata",
        "embedded",
        "warnings",
    }
    assert set(done["metadata"]) == {
        "media_type",
        "declared_media_type",
        "title",
        "date",
        "author",
        "custodian",
        "loinc",
        "language",
        "pages",
        "words",
        "ocr",
        "ocr_pages",
        "needs",
        "pdf",
        "warnings",
        "converter",
        "duration_s",
    }
    assert (done["extension"], done["metadata"]["words"], done["metadata"]["pages"]) == (".txt", 3, 1)
    assert set(done["metadata"]["converter"]["versions"]) == {
        "docpipe",
        "chardet",
        "typst",
        "pypdfium2",
    }


def test_outputs_are_private(tmp_path):
    """Only the owner may read the outputs, embedded documents included."""
    run(tmp_path, MADE["cda with a pdf"])
    out = tmp_path / "out"
    modes = {path.relative_to(out).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*")}
    assert modes == {
        "text.md": 0o600,
        "document.pdf": 0o600,
        "thumbnail.png": 0o600,
        "embedded": 0o700,
        "embedded/001": 0o600,
    }


def test_facts_of_the_exchange_fill_gaps(tmp_path):
    """What the exchange says counts only where the document itself is silent."""
    facts = {"title": "T", "author": "A", "created": "2024-01-31T00:00:00Z"}
    made = run(tmp_path / "text", MADE["text"], facts=facts)[0]["metadata"]
    assert [made[key] for key in ("title", "author", "date")] == ["T", "A", "2024-01-31T00:00:00Z"]
    made = run(tmp_path / "pdf", MADE["pdf"], facts=facts)[0]["metadata"]
    assert [made[key] for key in ("title", "author", "date")] == [
        "A made PDF",
        "A",
        "2024-01-31T12:00:00+01:00",
    ]


def test_what_has_no_converter_is_named(tmp_path):
    """A stored document says what it is."""
    done, outputs = run(tmp_path, b"7z\xbc\xaf\x27\x1c" + bytes(60))
    assert (done["outcome"], done["extension"], outputs) == ("stored", ".7z", {})
    assert done["reason"] == (
        "This is a 7-Zip archive; docpipe cannot open such archives; unpack it with another program."
    )


def test_empty_file_fails_plainly(tmp_path):
    """There is nothing in an empty file."""
    assert run(tmp_path, b"")[0]["reason"] == "The file is empty."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "The document needs more memory than one document may use."),
        (RecursionError(), "The document is nested too deeply to be read."),
        (ValueError("Jane Doe"), "This is a plain text that could not be read (ValueError)."),
        (OSError("odd"), "This is a plain text that could not be read (OSError)."),
    ],
)
def test_errors_of_libraries_become_reasons(error, reason, tmp_path, monkeypatch):
    """Whatever a library raises, the document fails with a sentence that bears none of its text."""

    def fail(*_):
        raise error

    where = "writers.thumbnail.render" if isinstance(error, MemoryError) else "readers.text.from_text.decode"
    monkeypatch.setattr(f"docpipe.convert.{where}", fail)
    done, outputs = run(tmp_path, b"text")
    assert (done["outcome"], done["reason"], outputs) == ("failed", reason, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_full_disk_is_not_the_documents_fault(tmp_path, monkeypatch):
    """A disk that is full is raised, since the document may convert once there is room."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(document, "_store", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, b"text")


def test_every_kind_with_a_reader_has_one():
    """The table of types names modules that exist and have a `read`."""
    for kind in KINDS.values():
        if kind.reader:
            assert callable(__import__(f"docpipe.convert.readers.{kind.reader}", fromlist=["read"]).read)


def test_conversion_needs_no_network(tmp_path, monkeypatch):
    """Pages, entities, style sheets and pictures that point outside are never fetched."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    page = (
        b"<html><link rel=stylesheet href=http://127.0.0.1:9/a.css><img src=http://127.0.0.1:9/a.png alt=a>x"
    )
    assert run(tmp_path / "html", page)[0]["outcome"] == "converted"
    data = cda(section("x")).replace(
        b"?>",
        b'?><?xml-stylesheet href="http://127.0.0.1:9/a.xsl"?><!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        1,
    )
    assert run(tmp_path / "cda", data)[0]["outcome"] == "converted"


def test_mutated_documents_never_escape(tmp_path):
    """Three hundred seeded mutants of small documents: each has an outcome, and none raises."""
    rng = random.Random(2)
    outcomes = set()
    for number in range(300):
        name = rng.choice(list(MADE))
        data = bytearray(MADE[name])
        for _ in range(rng.randint(1, 12)):
            if not data:
                break
            at = rng.randrange(len(data))
            match rng.randrange(4):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randrange(1, 200)]
                case 2:
                    data[at:at] = data[at : at + rng.randrange(1, 200)]
                case _:
                    data[at:at] = rng.choice(
                        [b"&", b"<", b"\\'", b"{", b"\0", b"\xff" * 9, b"9" * 12, b"-1", b"]]>"]
                    )
        done, _ = run(tmp_path / str(number), bytes(data))
        outcomes.add(done["outcome"])
        assert (done["reason"] is None) == (done["outcome"] == "converted"), name
    assert outcomes == {"converted", "failed", "stored"}


def test_preload_sets_one_thread():
    """Libraries that heed the environment use one thread."""
    assert preload
    assert {os.environ[name] for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")} == {"1"}


BLOCKS = [
    Heading(1, "#eval(1) *not bold* $x$"),
    Paragraph("a\nb @label <l> // comment"),
    Listing(((Paragraph("x"), Listing(((Paragraph("y"),),), 3)), (Paragraph("z"),))),
    Table((("A", "B"),), (("1", "2" * 80),)),
    Preformatted("a   b\n\tc"),
]


def test_typst_sees_data_not_markup():
    """Signs of Typst's language are set as they are."""
    made = typeset.render(BLOCKS, Facts(title="T #x", author="A", language="de-DE", date="2024-01-31"))
    assert (made.proven, made.warnings) == ("PDF/A-2b", ())
    page = pypdfium2.PdfDocument(made.pdf)
    text = page[0].get_textpage().get_text_range()
    assert "#eval(1) *not bold* $x$" in text
    assert "@label <l> // comment" in text
    assert page.get_metadata_dict()["Title"] == "T #x"
    assert page.get_metadata_dict()["CreationDate"].startswith("D:20240131")


def test_glyphs_that_no_font_has_cost_pdfa_and_are_reported():
    """A character without a glyph does not stop the PDF; the warning says where to read it."""
    made = typeset.render([Paragraph("\U0001fbf0 \U00012345 a")], Facts())
    assert made.proven is None
    assert made.warnings == ("the PDF lacks some characters because no font has them; the text has them",)


def test_large_documents_are_set_in_parts():
    """A table beyond what Typst holds in memory becomes one PDF all the same, with pages numbered through."""
    table = Table((("Day", "Value"),), tuple((f"day {n}", str(n)) for n in range(4_500)))
    made = typeset.render([Heading(1, "Large"), table, Paragraph("The end")], Facts(title="Large"))
    document = pypdfium2.PdfDocument(made.pdf)
    texts = [page.get_textpage().get_text_range() for page in document]
    feet = [page.get_textpage().get_text_bounded(top=60).strip() for page in document]
    assert made.proven is None
    assert "day 4499" in texts[-1]
    assert "The end" in texts[-1]
    assert feet == [f"page {n} of {len(document)}" for n in range(1, len(document) + 1)]


def test_wide_tables_are_set_as_records():
    """A table with more columns than a page holds is set row by row, each value with its name."""
    table = Table((tuple(f"N{n}" for n in range(30)),), (tuple(f"v{n}" for n in range(30)),))
    made = typeset.render([table], Facts())
    text = " ".join(pypdfium2.PdfDocument(made.pdf)[0].get_textpage().get_text_range().split())
    assert "N0: v0; N1: v1" in text
    assert "N29: v29" in text


@pytest.mark.parametrize("kind", ["pdf", "html", "mail"])
def test_what_a_document_states_of_itself_is_cut(kind, tmp_path):
    """A title of megabytes costs nothing; the main process keeps it, in 10,000 documents."""
    long, folder = "T" * 20_000, tmp_path / "out"
    folder.mkdir()
    path = tmp_path / "in"
    if kind == "pdf":
        with pikepdf.new() as made:
            made.add_blank_page()
            made.docinfo["/Title"], made.docinfo["/Author"] = long, long
            made.save(path)
    elif kind == "html":
        path.write_text(f"<html><head><title>{long}</title></head><body>text</body></html>")
    else:
        parts = "".join(
            f"--b\nContent-Type: text/plain; x={long}\n"
            f'Content-Disposition: attachment; filename="{long}{number}.txt"\n\nx\n'
            for number in range(3)
        )
        path.write_text(
            f"From: a@b.c\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n"
        )
    answer = document.convert({"path": str(path), "name": "a", "declared": long, "folder": str(folder)})
    assert answer["outcome"] == "converted"
    assert len(json.dumps(answer)) < 8_000


def test_warnings_are_as_many_as_somebody_reads():
    """All of them together are bounded, each one is, and none comes twice."""
    made = few(["first", "first", "x" * 10_000, *(f"{number} {'y' * 400}" for number in range(1_000))])
    assert made[0] == "first"
    assert len(made[1]) == 500
    assert 10 < len(made) < 30
    assert len(few([str(number) for number in range(1_000)])) == 200, "as many as the main process takes"


def test_archive_member_with_a_hostile_name(tmp_path):
    """A name of 4,000 characters, with slashes, controls and marks, does not matter."""
    done, _ = run(
        tmp_path, b"text", name="../\x00\u202e/" + "x" * 4_000 + ".pdf", declared="\x00/\uffff; charset=\x00"
    )
    assert done["outcome"] == "converted"


def test_word_document_in_a_zip_without_a_directory(tmp_path):
    """A Word document that lost its end is read as far as it goes; cut in its first part, it fails."""
    whole = io.BytesIO(MADE["docx"])
    assert zipfile.is_zipfile(whole)
    done, _ = run(tmp_path / "a", MADE["docx"][:-30])
    assert (done["outcome"], done["warnings"]) == (
        "converted",
        ["the file is damaged; its readable parts are converted"],
    )
    done, _ = run(tmp_path / "b", MADE["docx"][:120])
    assert (done["outcome"], done["reason"]) == ("failed", "The file is cut short.")
