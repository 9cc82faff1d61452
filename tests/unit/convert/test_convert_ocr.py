"""OCR: scans become searchable and are marked, nothing of the picture changes, and time is kept."""

import io
import math
import os
import signal
import subprocess
import sys

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from docpipe.convert.core.base import Source
from docpipe.convert.ocr import pages, rapid, skew, tesseract
from docpipe.convert.ocr.reading import OcrError, Reading, Word
from tests.unit.convert import documents, scans
from tests.unit.convert.documents import run

CHECK = "text was read by OCR: check it against the picture"


@pytest.fixture(params=["tesseract", "rapidocr"])
def engine(request, monkeypatch):
    """Each engine that is installed; CI has tesseract."""
    scans.choose(monkeypatch, request.param)
    return request.param


@pytest.fixture
def fast(monkeypatch):
    """Tesseract alone, for what is the same with both."""
    scans.choose(monkeypatch, "tesseract")


def test_scan_becomes_searchable_and_is_marked(engine, tmp_path):
    """A picture of text keeps its pixels, has its words in a layer and in text.md, and says where from."""
    done, outputs = run(tmp_path, scans.saved(scans.page()))
    text = outputs["text.md"].decode()
    assert text.startswith("## Page 1 (read by OCR)\n")
    assert scans.recall(text) > 0.97
    assert scans.recall(scans.layer(outputs["document.pdf"])) > 0.97
    assert done["warnings"] == [CHECK]
    made = done["metadata"]
    assert [made["ocr"], made["ocr_pages"], made["pdf"]["proven"]] == [True, [1], "PDF/A-2b"]
    assert engine in made["converter"]["versions"]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_page_is_righted(engine, degrees, tmp_path):
    """A page that was scanned on its side or head is read and stands upright, by its /Rotate alone."""
    data = scans.saved(scans.turned(degrees))
    done, outputs = run(tmp_path, data)
    pdf = outputs["document.pdf"]
    assert done["metadata"]["ocr"]
    assert scans.recall(outputs["text.md"].decode()) > 0.95
    assert scans.recall(scans.layer(pdf)) > 0.95
    width, height = pypdfium2.PdfDocument(pdf)[0].get_size()
    assert width > height
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.pages[0].obj.Rotate == (360 - degrees) % 360
        (picture,) = document.pages[0].get_images().values()
        assert pikepdf.PdfImage(picture).as_pil_image().tobytes() == scans.turned(degrees).tobytes()


def test_fax_is_read_and_its_data_stays(fast, tmp_path, monkeypatch):
    """The CCITT data in the searchable PDF is byte for byte that of the one that nobody read."""
    data = scans.fax(pages=2)
    done, outputs = run(tmp_path / "read", data)
    assert done["metadata"]["ocr_pages"] == [1, 2]
    assert scans.recall(scans.layer(outputs["document.pdf"], 1)) > 0.9
    scans.choose(monkeypatch, "none")
    unread = run(tmp_path / "unread", data)[1]["document.pdf"]
    assert scans.pixels(outputs["document.pdf"], 1) == scans.pixels(unread, 1)
    with Image.open(io.BytesIO(data)) as tiff:
        offset, length = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    assert data[offset : offset + length] == scans.pixels(outputs["document.pdf"])


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_words_lie_over_their_picture(fast, rotate, tmp_path):
    """Each word of the layer stands where it is seen, on turned pages with odd boxes as well."""
    with pikepdf.open(io.BytesIO(scans.scan_pdf(scans.page(), rotate=rotate))) as document:
        page = document.pages[0]
        page.mediabox = [-50, -30, 662, 426]
        page.cropbox = [-10, -10, 622, 406]
        out = io.BytesIO()
        document.save(out)
    pdf = run(tmp_path, out.getvalue())[1]["document.pdf"]
    result = pypdfium2.PdfDocument(pdf)[0]
    words = result.get_textpage()
    left, bottom, right, top = words.get_charbox(words.search("Progress").get_next()[0])
    truth = pypdfium2.PdfDocument(scans.digital())[0].get_textpage()
    wanted = truth.get_charbox(truth.search("Progress").get_next()[0], loose=True)
    assert (left, right) == pytest.approx((wanted[0], wanted[2]), abs=6)
    assert (bottom, top) == pytest.approx((wanted[1] - 396, wanted[3] - 396), abs=6)


@pytest.mark.parametrize("degrees", [-6, 2, 9])
def test_crooked_scans_are_straightened(degrees, fast, tmp_path):
    """A scan that lies askew is read as if it lay straight, and its words stay over their picture."""
    crooked = scans.page().rotate(degrees, expand=True, fillcolor=255)
    _, outputs = run(tmp_path, scans.saved(crooked))
    assert scans.recall(outputs["text.md"].decode()) > 0.95
    page = pypdfium2.PdfDocument(outputs["document.pdf"])[0]
    words = page.get_textpage()
    left, bottom, right, top = words.get_charbox(words.search("childhood").get_next()[0])
    truth = pypdfium2.PdfDocument(scans.digital())[0].get_textpage()
    wanted = truth.get_charbox(truth.search("childhood").get_next()[0], loose=True)
    x, y = (wanted[0] + wanted[2]) / 2 - 306, (wanted[1] + wanted[3]) / 2 - 396 - 198
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    width, height = page.get_size()
    across, up = width / 2 + x * cosine - y * sine, height / 2 + x * sine + y * cosine
    assert ((left + right) / 2, (bottom + top) / 2) == pytest.approx((across, up), abs=8)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_straight_pages_and_pictures_are_not_turned(degrees):
    """What lies straight, whichever side is up, and what has no lines stays as it is."""
    assert skew.angle(scans.turned(degrees)) == 0
    assert skew.angle(Image.effect_noise((900, 700), 80)) == 0
    assert skew.angle(Image.new("L", (900, 700), 255)) == 0


def test_only_pages_without_text_are_read(fast, tmp_path):
    """In a mixed PDF digital pages stay as they are."""
    mixed = pikepdf.open(io.BytesIO(documents.pdf(pages=1)))
    mixed.pages.extend(pikepdf.open(io.BytesIO(scans.scan_pdf(scans.page()))).pages)
    mixed.add_blank_page()
    out = io.BytesIO()
    mixed.save(out)
    done, outputs = run(tmp_path, out.getvalue())
    text = outputs["text.md"].decode()
    assert text.startswith("## Page 1\n\nHello from page 1\n\n## Page 2 (read by OCR)\n\n")
    assert text.endswith("\n\n## Page 3\n")
    assert done["metadata"]["ocr_pages"] == [2]
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as after:
        assert after.pages[0].Contents.read_bytes() == mixed.pages[0].Contents.read_bytes()


def test_header_of_a_fax_does_not_hide_the_scan(fast, tmp_path):
    """A line of text over a picture that covers the page is kept, and the picture is read, each once."""
    header = "Fax 01/02/2024 10:33 from 555-0100 to 555-0199 page 1 of 1"
    done, outputs = run(tmp_path, scans.scan_pdf(scans.page(), text=header))
    text = outputs["text.md"].decode()
    assert done["metadata"]["ocr"]
    assert text.count("555-0199") == 1
    assert scans.recall(text) > 0.95


def test_layer_of_another_scanner_is_kept(fast, tmp_path):
    """A page that somebody read already is not read again, however few its words."""
    data = scans.scan_pdf(scans.page(), text="word", mode=3)
    done, outputs = run(tmp_path, data)
    assert (done["metadata"]["ocr"], outputs["text.md"]) == (False, b"word\n")


def test_picture_without_text_is_not_text(engine, tmp_path):
    """What engines see in noise is not taken for words, and that nothing was found is reported."""
    noise = Image.effect_noise((400, 300), 80)
    done, outputs = run(tmp_path, scans.saved(noise))
    assert not done["metadata"]["ocr"]
    assert done["warnings"] == ["no text was found on 1 of 1 pages that are pictures"]
    assert outputs["text.md"] == b"[This document is a picture. No text could be read from it.]\n"
    assert done["metadata"]["words"] == 0


def test_blank_sheet_is_neither_read_nor_reported(fast, tmp_path):
    """An empty page is not text that is missing."""
    done, outputs = run(tmp_path, scans.saved(scans.page(), Image.new("L", (850, 1100), 250), form="TIFF"))
    assert done["warnings"] == [CHECK]
    assert outputs["text.md"].decode().endswith("## Page 2\n")


def test_without_an_engine_it_is_reported(tmp_path, monkeypatch):
    """Where nothing can read, the scan is converted and says that it was not read."""
    scans.choose(monkeypatch, "none")
    done, _ = run(tmp_path, scans.saved(scans.page()))
    assert done["outcome"] == "converted"
    assert done["warnings"] == ["scanned pages were not read"]
    assert done["metadata"]["needs"] == "ocr"


def test_who_does_not_want_it_is_spared(engine, tmp_path):
    """Without languages nothing is read, nor tried again when something is installed later."""
    done, _ = run(tmp_path, scans.saved(scans.page()), more={"languages": []})
    assert done["outcome"] == "converted"
    assert done["warnings"] == ["scanned pages were not read"]
    assert done["metadata"]["needs"] is None


def test_same_scan_gives_the_same_bytes(fast, tmp_path):
    """Neither times nor random ids get into what OCR makes."""
    data = scans.scan_pdf(scans.turned(180))
    assert run(tmp_path / "1", data)[1] == run(tmp_path / "2", data)[1]


class _Slow:
    """An engine to which each page takes a minute."""

    is_program = False
    libraries = ("slow 1",)
    missing = ("tlh",)

    def __init__(self, clock):
        self.clock = clock
        self.asked = []

    def read(self, _, seconds):
        """As of Engine."""
        self.asked.append(seconds)
        self.clock.now += 60
        if len(self.asked) == 2:
            raise OcrError("broken")
        return Reading((((Word("certain", 10, 10, 100, 30, 0.99),),),))

    def read_rows(self, *_):
        """None: the lines are whole."""

    def turn(self, *_):
        """As of Engine."""
        return 0


class _Clock:
    now = 1000.0

    def monotonic(self):
        """As of time."""
        return self.now


def test_time_is_kept(tmp_path, monkeypatch):
    """Reading stops at its share of the time and tells what was left out; no page gets more than remains."""
    clock = _Clock()
    engine = _Slow(clock)
    monkeypatch.setattr(pages, "engine", lambda _: engine)
    monkeypatch.setattr(pages, "time", clock)
    path = tmp_path / "scan.pdf"
    path.write_bytes(scans.scan_pdf(*[scans.page()] * 5))
    source = Source(path, "application/pdf", began=1000.0, seconds=300.0)
    read = pages.read(path, [pages.Page(at) for at in range(5)], source)
    assert (sorted(read.texts), read.failed, read.pending) == ([0, 2, 3], [1], [4])
    assert engine.asked == [60, 60, 60, 60]
    clock.now, engine.asked = 1000.0, []
    short = Source(path, "application/pdf", began=1000.0, seconds=50.0)
    assert len(pages.read(path, [pages.Page(at) for at in range(5)], short).pending) == 4
    assert engine.asked == [pytest.approx(0.85 * 50)]


def test_what_was_left_out_is_reported(tmp_path, monkeypatch):
    """The warnings count the pages that were read, that failed, and languages that are missing."""
    clock = _Clock()
    monkeypatch.setattr(pages, "engine", lambda _: _Slow(clock))
    monkeypatch.setattr(pages, "time", clock)
    monkeypatch.setattr("docpipe.convert.document.time", clock)
    done, outputs = run(tmp_path, scans.scan_pdf(*[scans.page()] * 5))
    assert done["warnings"] == [
        CHECK,
        "only the first 4 of 5 scanned pages were read",
        "1 of 5 scanned pages could not be read",
        "the language tlh is not installed for OCR",
    ]
    assert done["metadata"]["ocr_pages"] == [1, 3, 4]
    assert outputs["text.md"].decode().count(" No text could be read from it.]\n") == 2


def test_stuck_tesseract_is_given_up(tmp_path, monkeypatch):
    """A program that does not answer is killed when the page's time is up, and so is not left running."""
    program = tmp_path / "tesseract"
    program.write_text('#!/bin/sh\necho $$ > "$0.pid"\nexec sleep 1000\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tesseract, "installed", lambda: ("5", frozenset({"eng", "osd"})))
    with pytest.raises(TimeoutError):
        tesseract.Tesseract(("eng",)).read(scans.page(), 0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "tesseract.pid").read_text()), signal.SIG_DFL)


@pytest.mark.parametrize("script", ["exit 1", "exec cat > /dev/null", "kill -9 $$", 'printf "5\\t1\\t2"'])
def test_broken_tesseract_costs_the_text_alone(script, tmp_path, monkeypatch):
    """Whatever the program does, the scan is converted."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tesseract"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tesseract, "installed", lambda: ("5", frozenset({"eng", "osd"})))
    done, outputs = run(tmp_path, scans.saved(scans.page()))
    assert (done["outcome"], done["metadata"]["ocr"]) == ("converted", False)
    assert "document.pdf" in outputs
    assert len(done["warnings"]) == 1


def test_languages_are_those_installed(monkeypatch):
    """Of the wished languages those that are there are used; names are never taken for options."""
    monkeypatch.setattr(tesseract, "installed", lambda: ("5", frozenset({"eng", "spa"})))
    engine = tesseract.Tesseract(("spa", "fra", "--help", "eng"))
    assert (engine._languages, engine.missing) == ("spa+eng", ("fra",))
    assert tesseract.Tesseract(("fra",))._languages == "eng"
    monkeypatch.setattr(tesseract, "installed", lambda: ("5", frozenset({"osd"})))
    with pytest.raises(OcrError):
        tesseract.Tesseract(("eng",))


def test_engine_is_chosen_by_what_is_there(monkeypatch):
    """Tesseract goes first; a RapidOCR that cannot be loaded is no engine."""
    monkeypatch.setattr(tesseract, "installed", lambda: ("5", frozenset({"eng"})))
    assert isinstance(pages.engine(("eng",)), tesseract.Tesseract)
    monkeypatch.setattr(tesseract, "installed", lambda: None)
    monkeypatch.setattr(rapid, "installed", lambda: True)
    monkeypatch.setattr(rapid, "_MODELS", (("Det", "not-there.onnx"),))
    assert pages.engine(("eng",)) is None


def test_engines_are_not_imported_to_be_found():
    """A worker that reads no scan loads nothing of RapidOCR, which has threads and weighs much."""
    code = (
        "import sys, docpipe.convert.preload; "
        "sys.exit(bool({'onnxruntime', 'rapidocr', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
