"""Pictures and scans: a PDF without loss, in a sensible size, and honest about what was not read."""

import base64
import io
import struct
import sys
import zlib

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from tests.unit.convert import documents, scans
from tests.unit.convert.documents import image, run

FORMS = {
    "png": image("PNG"),
    "png with holes": image("PNG", mode="RGBA"),
    "png of 16 bits": image("PNG", mode="I;16"),
    "png with a palette": image("PNG", mode="P"),
    "jpeg": image("JPEG"),
    "jpeg in cmyk": image("JPEG", mode="CMYK"),
    "bmp": image("BMP"),
    "gif": image("GIF", mode="L"),
    "gif that moves": image("GIF", mode="L", pages=3),
    "webp": image("WEBP"),
    "webp with holes": image("WEBP", mode="RGBA"),
    "jpeg 2000": image("JPEG2000", size=(64, 64)),
    "ppm": image("PPM"),
    "pgm of white": b"P5 60 40 255\n" + b"\xff" * 2400,
    "pbm": image("PPM", mode="1"),
    "tga": image("TGA"),
    "packed tga": image("TGA", compression="tga_rle"),
    "pcx": image("PCX"),
    "avif": image("AVIF"),
    "tiff": image("TIFF"),
    "tiff of floats": image("TIFF", mode="F"),
    "tiff in g4": image("TIFF", mode="1", compression="group4"),
    "tiff in g3": image("TIFF", mode="1", compression="group3"),
    "tiff in lzw": image("TIFF", compression="tiff_lzw"),
    "tiff in jpeg": image("TIFF", compression="jpeg"),
    "tiff in cmyk": image("TIFF", mode="CMYK"),
}


@pytest.fixture(autouse=True)
def unread(monkeypatch):
    """What is read of pictures is tested elsewhere."""
    scans.choose(monkeypatch, "none")


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_picture_becomes_a_page(data, tmp_path):
    """Every form becomes a PDF of one page with a preview, and says that it was not read."""
    done, outputs = run(tmp_path, data)
    assert done["outcome"] == "converted"
    assert done["warnings"][0] == "scanned pages were not read"
    assert done["metadata"]["pages"] == 1
    assert done["metadata"]["ocr"] is False
    assert Image.open(io.BytesIO(outputs["thumbnail.png"])).width == 400
    assert outputs["text.md"] == b"[This document is a picture. No text could be read from it.]\n"
    assert done["metadata"]["words"] == 0


def test_fax_keeps_its_pages_and_its_own_encoding(tmp_path):
    """Each frame of a TIFF is a page, and CCITT data goes in as it is, in provable PDF/A."""
    done, outputs = run(tmp_path, image("TIFF", mode="1", pages=3, compression="group4", dpi=(204, 196)))
    assert done["metadata"]["pages"] == 3
    assert done["metadata"]["pdf"]["proven"] == "PDF/A-2b"
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as document:
        filters = {str(picture.Filter) for page in document.pages for picture in page.get_images().values()}
    assert "CCITTFaxDecode" in str(filters)


def test_pixels_survive(tmp_path):
    """What was in the picture is in the PDF, to the pixel."""
    original = Image.effect_noise((80, 50), 90).convert("RGB")
    data = io.BytesIO()
    original.save(data, "PNG")
    _, outputs = run(tmp_path, data.getvalue())
    with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as document:
        (raw,) = document.pages[0].get_images().values()
        assert pikepdf.PdfImage(raw).as_pil_image().convert("RGB").tobytes() == original.tobytes()


@pytest.mark.parametrize(
    ("size", "dpi", "page"),
    [
        ((1700, 2200), None, (612, 792)),  # a letter at 200 dpi that does not say so
        ((2200, 1700), None, (792, 612)),
        ((1700, 2200), (200, 200), (612, 792)),
        ((850, 1100), (100, 100), (612, 792)),
        ((8, 8), (300, 300), (612, 612)),
    ],
)
def test_page_has_a_sensible_size(size, dpi, page, tmp_path):
    """The resolution is believed where it makes a page; else the picture is fitted to a letter."""
    _, outputs = run(tmp_path, image("PNG", size=size, mode="L", **({"dpi": dpi} if dpi else {})))
    result = pypdfium2.PdfDocument(outputs["document.pdf"])[0].get_size()
    assert [round(side) for side in result] == pytest.approx(page, abs=1)


def test_orientation_of_a_camera_is_heeded(tmp_path):
    """A picture taken sideways stands upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0132] = "2024:01:31 09:30:00"
    done, outputs = run(tmp_path, image("JPEG", size=(90, 40), exif=exif))
    width, height = pypdfium2.PdfDocument(outputs["document.pdf"])[0].get_size()
    assert height > width
    assert done["metadata"]["date"] == "2024-01-31T09:30:00"


def test_truncated_jpeg_shows_what_is_there(tmp_path):
    """A JPEG that was cut off is shown as far as it goes, with a warning."""
    noise = io.BytesIO()
    Image.effect_noise((400, 400), 90).save(noise, "JPEG")
    done, outputs = run(tmp_path, noise.getvalue()[:20_000])
    assert done["outcome"] == "converted"
    assert done["warnings"][1] == "the picture is damaged or cut short; what remains of it is converted"
    assert "document.pdf" in outputs


def test_truncated_tiff_saves_the_pages_that_are_there(tmp_path):
    """A scan that was cut off keeps the pages before the cut."""
    data = documents.image("TIFF", pages=3, size=(100, 100))
    with Image.open(io.BytesIO(data)) as scan:
        offsets = []
        for at in range(3):
            scan.seek(at)
            offsets.append(scan.tag_v2[273][0])
    broken = bytearray(data)
    done, _ = run(tmp_path / "whole", bytes(broken))
    assert done["metadata"]["pages"] == 3
    done, outputs = run(tmp_path / "cut", data[: offsets[2] + 10])
    assert done["outcome"] == "converted"
    assert len(done["warnings"]) == 2
    assert len(pypdfium2.PdfDocument(outputs["document.pdf"])) >= 2


def test_decompression_bomb_is_refused(tmp_path):
    """A picture of a few kilobytes that claims a million by a million pixels is not unpacked."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], outputs) == ("failed", {})
    assert done["reason"] == "The picture unpacks to more pixels than it may."


def test_limit_on_pixels_is_docpipes_own(tmp_path, monkeypatch):
    """The limit is the one set here, at once an error, whatever Pillow would only warn of."""
    monkeypatch.setattr("docpipe.convert.readers.image.frames.MOST_PIXELS", 2_000)
    done, _ = run(tmp_path, image("PNG", size=(60, 40)))
    assert done["reason"] == "The picture unpacks to more pixels than it may."


def test_damaged_picture_fails_plainly(tmp_path):
    """A picture without a sound header is reported as damaged."""
    done, _ = run(tmp_path, image("PNG")[:20])
    assert (done["outcome"], done["reason"]) == ("failed", "This is a PNG picture that is damaged.")


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAACQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xy"
    "bmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAACxt"
    "ZGF0AAAAICgBrxmA93yFN//6L/EfKdW/qRL2s540/3T9l9T+O8zg"
)
"""64 by 64 points, blue on the left and red on the right, as Pillow's plugin with an encoder writes it."""


def test_heic_needs_an_extra(tmp_path, monkeypatch):
    """Without the plugin the picture is stored, with what to install."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    done, _ = run(tmp_path, HEIC)
    assert (done["outcome"], done["media_type"]) == ("stored", "image/heic")
    assert done["reason"] == "This is a HEIC picture; install docpipe[heic] to have it converted."
    assert done["metadata"]["needs"] == "heic"


def test_heic_is_a_picture_as_any_other(tmp_path):
    """Its PDF shows its colours in their places."""
    pytest.importorskip("pi_heif", reason="SKIPPED LOUDLY: install docpipe[heic]")
    done, _ = run(tmp_path, HEIC)
    assert (done["outcome"], done["metadata"]["pages"]) == ("converted", 1)
    page = Image.open(tmp_path / "out" / "thumbnail.png").convert("RGB")
    left, right = (page.getpixel((page.width * at // 4, page.height // 2)) for at in (1, 3))
    assert left[2] > left[0] + 100
    assert right[0] > right[2] + 100


def test_libraries_write_no_temporary_files(tmp_path, monkeypatch):
    """What a library writes to a disk that is full can abort the whole process, so it writes to memory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    done, _ = run(tmp_path, FORMS["png"])
    assert done["outcome"] == "converted"
    assert done["metadata"]["pdf"]["proven"] == "PDF/A-2b"
