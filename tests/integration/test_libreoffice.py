"""LibreOffice itself, within the walls of a worker: it draws, opens old files, and computes nothing anew."""

import io
import os
import re
import zipfile

import pikepdf
import pypdfium2
import pytest

from docpipe.convert.libreoffice import forms, packed, program
from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers import confinement
from docpipe.workers.pool import Workers
from tests.unit.convert import symbolic
from tests.unit.convert.documents import docx
from tests.unit.convert.offices import odf, xlsx
from tests.worker_support import MIB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        program.installed() is None or not confinement.contained(),
        reason="SKIPPED LOUDLY: LibreOffice is not installed, or this kernel cannot confine it",
    ),
]
PATIENT = {"name": "TESTA PERSON", "birth_date": "1970-02-03", "id": "000111"}


@pytest.fixture
async def convert(tmp_path):
    """Converts bytes in a confined worker; returns the answer, the text and the PDF."""
    settings = {"preload": PRELOAD, "size": 1, "memory": 1024 * MIB, "timeout": 300.0, "tries": 1}
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    async with Workers(CONVERTER, **settings, rooms=rooms) as workers:
        number = iter(range(100))

        async def convert(data, name):
            path, out = tmp_path / f"file{next(number)}", tmp_path / f"out{next(number)}"
            path.write_bytes(data)
            out.mkdir()
            job = {"path": str(path), "name": name, "declared": None, "folder": str(out), "siblings": None}
            more = {"facts": {"patient": PATIENT}, "seconds": 300, "languages": (), "libreoffice": True}
            done = (await workers.execute({**job, **more}, Ticket())).value
            texts = [(out / name).read_text() for name in done.outputs if name == "text.md"]
            return done, "".join(texts), out / "document.pdf"

        yield convert


def typed(data, main, kind):
    """An office file whose parts have their types, without which LibreOffice opens none."""
    package = "application/vnd.openxmlformats-package.relationships+xml"
    office = "application/vnd.openxmlformats-officedocument"
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{at}.xml" '
        f'ContentType="{office}.spreadsheetml.worksheet+xml"/>'
        for at in (1, 2)
    )
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Default Extension="rels" ContentType="{package}"/>'
        '<Default Extension="xml" ContentType="text/xml"/>'
        f'<Override PartName="/{main}" ContentType="{office}.{kind}.main+xml"/>{sheets}</Types>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, types if name == "[Content_Types].xml" else old.read(name))
    return out.getvalue()


def letter(body):
    """A Word document."""
    return typed(docx(body), "word/document.xml", "wordprocessingml.document")


def workbook(cells):
    """A workbook of one sheet."""
    return typed(xlsx({"Ages": cells}), "xl/workbook.xml", "spreadsheetml.sheet")


def pages_of(pdf):
    """The text of each page."""
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)]


def saved_as(data, extension, form, tmp_path):
    """A document in an old format, made by LibreOffice."""
    source = tmp_path / f"source{extension}"
    source.write_bytes(data)
    with program.saved(lambda path: path.write_bytes(data), extension, (form,), 240) as files:
        return files[form].read_bytes()


DATED = (
    '<w:p><w:r><w:t xml:space="preserve">Visit date: </w:t></w:r>'
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> DATE </w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>May 1, 2001</w:t></w:r>'
    '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
)


async def test_pages_are_drawn_and_named(convert):
    """A Word document keeps the date of its visit, and each page says whose it is."""
    body = DATED + '<w:p><w:r><w:br w:type="page"/><w:t>Second page</w:t></w:r></w:p>'
    done, text, pdf = await convert(letter(body), "letter.docx")
    assert (done.outcome, done.warnings) == ("converted", [])
    assert "libreoffice" in done.metadata["converter"]["versions"]
    first, second = pages_of(pdf)
    assert "Visit date: May 1, 2001" in first
    assert "Visit date: May 1, 2001" in text
    assert "Second page" in second
    for number, page in enumerate((first, second), 1):
        assert "TESTA PERSON" in page
        assert "000111" in page
        assert f"page {number} of 2" in page


async def test_opendocument_keeps_its_date(convert):
    """The same for an OpenDocument text."""
    body = '<text:p>Visit: <text:date text:date-value="2001-05-01">May 1, 2001</text:date></text:p>'
    done, _, pdf = await convert(odf(body), "letter.odt")
    assert "libreoffice" in done.metadata["converter"]["versions"]
    assert "Visit: May 1, 2001" in pages_of(pdf)[0]


async def test_rtf_keeps_its_date(convert):
    """The same for RTF."""
    data = rb"{\rtf1\ansi Visit: {\field{\*\fldinst { DATE }}{\fldrslt {May 1, 2001}}}\par}"
    done, _, pdf = await convert(data, "letter.rtf")
    assert "libreoffice" in done.metadata["converter"]["versions"]
    assert "Visit: May 1, 2001" in pages_of(pdf)[0]


@pytest.mark.parametrize(
    ("extension", "make", "items"),
    [
        ("docx", symbolic.letter, 3),
        ("pptx", symbolic.slide, 3),
        ("odt", symbolic.open_document, 3),
        ("rtf", symbolic.rich, 0),
    ],
)
async def test_symbols_are_in_the_text_of_the_pages(convert, extension, make, items):
    """A dose copied from the PDF is that of the page and of the text; boxes and bullets are drawn."""
    done, text, pdf = await convert(make(), f"dose.{extension}")
    assert (done.outcome, done.warnings) == ("converted", [])
    assert "libreoffice" in done.metadata["converter"]["versions"]
    page = " ".join(pages_of(pdf)[0].split())
    for line in symbolic.LINES:
        assert line in text
        assert line.replace(" ", "") in page.replace(" ", "")
    for number, (_, _, sign) in enumerate(symbolic.BULLETS[:items], 1):
        assert f"{sign} item {number}" in page
    assert "✓ item 1" in page or items
    with pikepdf.open(pdf) as opened:
        fonts = {
            str(each.get("/BaseFont")) for each in opened.objects if isinstance(each, pikepdf.Dictionary)
        }
    assert not any("Symbol" in font and "OpenSymbol" not in font for font in fonts)


async def test_old_word_with_symbols_is_drawn_from_what_was_saved(convert, tmp_path):
    """A DOC in which a dose is in the Symbol font."""
    body = (
        f"<w:p>{symbolic.run_of('Dose 100 ')}{symbolic.in_word_font('Symbol', chr(0xF06D))}"
        f"{symbolic.run_of('g daily')}</w:p>"
    )
    done, text, pdf = await convert(saved_as(letter(body), ".docx", "doc", tmp_path), "dose.doc")
    assert (done.outcome, done.warnings) == ("converted", [])
    assert "Dose 100 μg daily" in text
    assert "Dose 100 μg daily" in pages_of(pdf)[0]


async def test_old_word_is_opened(convert, tmp_path):
    """A DOC is read as its DOCX would be, in text and pages, and keeps a stored date."""
    old = saved_as(letter(DATED), ".docx", "doc", tmp_path)
    result = next(re.finditer(rb"\x14\0?([^\x14\x15]*\d[^\x14\x15]*)\x15", old))
    stored = re.sub(rb"\d", b"1", result[1])
    old = old[: result.start(1)] + stored + old[result.end(1) :]
    date = stored.replace(b"\0", b"").decode("ascii")
    done, text, pdf = await convert(old, "letter.doc")
    assert (done.outcome, done.media_type) == ("converted", "application/msword")
    assert f"Visit date: {date}" in text
    assert f"Visit date: {date}" in pages_of(pdf)[0]


async def test_old_workbooks_keep_their_results(convert, tmp_path):
    """An age that was computed when the workbook was saved is not computed anew."""
    cells = (
        '<row r="1"><c r="A1"><f>TODAY()-TODAY()+54</f><v>54</v></c>'
        '<c r="B1" t="str"><f>"age "&amp;YEAR(TODAY())</f><v>age 2001</v></c></row>'
    )
    old = saved_as(workbook(cells), ".xlsx", "xls", tmp_path)
    done, text, _ = await convert(old, "ages.xls")
    assert (done.outcome, done.media_type) == ("converted", "application/vnd.ms-excel")
    assert "54" in text
    assert "age " in text


async def test_a_drawing_without_text_has_a_page(convert):
    """What was only stored for want of text is shown."""
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100">'
        b'<rect width="90" height="60" fill="red"/></svg>'
    )
    done, text, pdf = await convert(svg, "body.svg")
    assert done.outcome == "converted"
    assert text == "[This document has no text.]\n"
    picture = pypdfium2.PdfDocument(pdf)[0].render().to_pil().convert("RGB")
    assert any(red > 200 and green < 60 for _, (red, green, _) in picture.getcolors(1 << 20))


async def test_nothing_else_is_read_or_run(convert, tmp_path):
    """A picture by a link to a file of the machine and a macro are not followed."""
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET OF ANOTHER PATIENT")
    body = (
        f'<text:section text:name="s"><text:section-source xlink:href="{secret.as_uri()}" '
        'xmlns:xlink="http://www.w3.org/1999/xlink"/><text:p>before</text:p></text:section><text:p>after</text:p>'
    )
    done, _, pdf = await convert(odf(body), "letter.odt")
    assert done.outcome == "converted"
    assert "SECRET" not in "".join(pages_of(pdf))
    with pikepdf.open(pdf) as opened:
        assert "/OpenAction" not in opened.Root or opened.Root.OpenAction.get("/S") != "/JavaScript"


@pytest.mark.parametrize("extension", ["docx", "odt", "rtf", "doc", "ppt", "xls"])
async def test_broken_files_are_an_outcome(convert, extension, tmp_path):
    """Cut off and mangled files end as an outcome, and the worker lives on."""
    cells = '<row r="1"><c r="A1"><v>5</v></c></row>'
    slides = (
        '<draw:page draw:name="a"><draw:frame><draw:text-box><text:p>x</text:p></draw:text-box></draw:frame>'
    )
    data = {
        "docx": lambda: letter(DATED),
        "odt": lambda: odf("<text:p>x</text:p>"),
        "rtf": lambda: rb"{\rtf1 x\par}" * 9,
        "doc": lambda: saved_as(letter(DATED), ".docx", "doc", tmp_path),
        "ppt": lambda: saved_as(odf(f"{slides}</draw:page>", "presentation"), ".odp", "ppt", tmp_path),
        "xls": lambda: saved_as(workbook(cells), ".xlsx", "xls", tmp_path),
    }[extension]()
    for at in (len(data) // 3, len(data) // 2, len(data) - 10):
        broken = data[:at] + bytes(64) + data[at + 64 :]
        done, _, _ = await convert(broken, f"broken.{extension}")
        assert done.outcome in {"converted", "stored", "failed"}


def test_every_form_has_its_copy(tmp_path):
    """The copies that LibreOffice gets of packed files are whole packages."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(letter(DATED))
    packed.word(source, target)
    with zipfile.ZipFile(source) as one, zipfile.ZipFile(target) as other:
        assert one.namelist() == other.namelist()
    assert all(callable(form.frozen) for form in forms.FORMS.values())
    assert os.path.getsize(target) > 0  # noqa: PTH202
