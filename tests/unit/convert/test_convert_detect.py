"""The type of a file, from its bytes; names and declared types are hints for plain text alone."""

import gzip
import io
import random
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.core.detect import detect, detect_by_head
from docpipe.convert.core.encoding import decode
from docpipe.convert.core.kinds import CDA, DOCX, EMPTY, ENCRYPTED_OFFICE, UNKNOWN, XLSB, kind_of
from tests.unit.convert import documents

ROOT = '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>x</title></ClinicalDocument>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


MAIL = b"From: a\r\nTo: b\r\nDate: c\r\nContent-Type: application/pdf\r\n\r\n"


def _old_tar(data):
    """A TAR as it was before POSIX: without a mark, but with a sum."""
    info = tarfile.TarInfo("a.pdf")
    info.size = len(data)
    head = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    head[257:512] = bytes(255)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data.ljust(512, b"\0") + bytes(1024)


def _tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


CASES = {
    "cda": (ROOT.encode(), CDA),
    "cda with a mark": (b"\xef\xbb\xbf<?xml version='1.0'?>\r\n" + ROOT.encode(), CDA),
    "cda in utf-16": (ROOT.encode("utf-16"), CDA),
    "cda in utf-16 without a mark": (ROOT.encode("utf-16-le"), CDA),
    "cda with a prefix": (b'<n1:ClinicalDocument xmlns:n1="urn:hl7-org:v3"/>', CDA),
    "cda behind a prolog": (
        b"\n <?xml version='1.0'?><?xml-stylesheet href='a'?><!-- <html> -->" + ROOT.encode(),
        CDA,
    ),
    "cda behind a doctype": (b"<!DOCTYPE ClinicalDocument [<!ENTITY a 'b'>]>" + ROOT.encode(), CDA),
    "cda fragment": (b"<component><nonXMLBody><text>x</text></nonXMLBody></component>", CDA),
    "fhir xml": (b'<Patient xmlns="http://hl7.org/fhir"/>', "application/fhir+xml"),
    "xhtml": (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "text/html"),
    "html": (b"<!DOCTYPE html><html></html>", "text/html"),
    "html fragment": (b"<p>Hello</p>", "text/html"),
    "html that begins with a frame": (
        b'<iframe src="x.html"></iframe><p>Warfarin 5&nbsp;mg<br>',
        "text/html",
    ),
    "html that begins with a row": (b"<tr><td>K<td>6.9", "text/html"),
    "xml with a root as html has": (b"<data><p>K</p></data>", "application/xml"),
    "html after a comment": (b"<!-- hello --><HTML><BODY>x", "text/html"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    "xml": (b"<?xml version='1.0'?><a/>", "application/xml"),
    "prose": (b"<see note below> and so on", "text/plain"),
    "fhir json": (b'{"id": "1", "resourceType" : "Bundle"}', "application/fhir+json"),
    "json": (b'{"a": 1}', "application/json"),
    "a list of words": (b"[draft] this is prose", "text/plain"),
    "hl7": (b"MSH|^~\\&|LAB|", "application/hl7-v2"),
    "hl7 framed": (b"\x0bMSH|^~\\&|LAB|\r\x1c\r", "application/hl7-v2"),
    "dicom": (bytes(128) + b"DICM", "application/dicom"),
    "pdf": (b"%PDF-1.4\n", "application/pdf"),
    "pdf behind rubbish": (b"\x00" * 900 + b"%PDF-1.4\n", "application/pdf"),
    "rtf": (b"{\\rtf1 x}", "text/rtf"),
    "mail": (b"Received: from a\r\n by b\r\nFrom: c\r\nSubject: d\r\n\r\n", "message/rfc822"),
    "tiff": (b"II*\0\x08\0\0\0", "image/tiff"),
    "big-endian tiff": (b"MM\0*\0\0\0\x08", "image/tiff"),
    "jpeg": (documents.image("JPEG"), "image/jpeg"),
    "png": (documents.image("PNG"), "image/png"),
    "gif": (documents.image("GIF", mode="L"), "image/gif"),
    "bmp": (documents.image("BMP"), "image/bmp"),
    "webp": (documents.image("WEBP"), "image/webp"),
    "prose that begins like a bitmap": (b"BM is a bowel movement", "text/plain"),
    "docx": (documents.docx(""), DOCX),
    "docx cut short": (documents.docx("x" * 500)[:120], DOCX),
    "xlsx": (
        documents.zipped(**{"[Content_Types].xml": "x", "xl/workbook.xml": "x"}),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "odt": (
        documents.zipped(mimetype="application/vnd.oasis.opendocument.text", **{"content.xml": "x"}),
        "application/vnd.oasis.opendocument.text",
    ),
    "zip": (documents.zipped(a="b"), "application/zip"),
    "zip with a liar inside": (documents.zipped(mimetype="text/html"), "application/zip"),
    "zip with a folder called word": (documents.zipped(**{"word/a.txt": "b"}), "application/zip"),
    "empty zip": (documents.zipped(), "application/zip"),
    "gzip": (gzip.compress(b"x"), "application/gzip"),
    "tar": (_tar(), "application/x-tar"),
    "encrypted office": (OLE + "EncryptedPackage".encode("utf-16-le"), ENCRYPTED_OFFICE),
    "doc": (OLE + "WordDocument".encode("utf-16-le"), "application/msword"),
    "msg with an encrypted attachment": (
        OLE + "EncryptedPackage __substg1.0_0037".encode("utf-16-le"),
        "application/vnd.ms-outlook",
    ),
    "mailbox": (b"From a@b Wed Jan 31 12:00:00 2024\nFrom: c\n\nd", "application/mbox"),
    "saved page": (
        b"From: <Saved by Blink>\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n",
        "multipart/related",
    ),
    "flat odf": (
        b'<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>',
        "application/vnd.oasis.opendocument.flat",
    ),
    "xlsb": (documents.zipped(**{"[Content_Types].xml": "x", "xl/workbook.bin": "x"}), XLSB),
    "msg": (OLE + "__substg1.0_0037".encode("utf-16-le"), "application/vnd.ms-outlook"),
    "text": (b"Hello\n", "text/plain"),
    "text that speaks of a pdf": (b"The file begins with %PDF-1.4 and is cut.\n", "text/plain"),
    "pdf behind a line of text": (b"sent by gateway\n%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf behind bytes": (b"\x01\x02\xff" * 9 + b"%PDF-1.4\n", "application/pdf"),
    "pdf behind a printer's command": (
        b"\x1b%-12345X@PJL\r\n%PDF-1.4\n1 0 obj" + bytes(40),
        "application/pdf",
    ),
    "mail with a bare pdf": (MAIL + b"%PDF-1.4\n" + bytes(range(256)) * 9, "message/rfc822"),
    "mail with a bare picture": (MAIL + documents.image("JPEG"), "message/rfc822"),
    "hl7 with raw bytes": (b"MSH|^~\\&|LAB|\rOBX|1|ED|||" + bytes(range(256)) * 9, "application/hl7-v2"),
    "tnef with a pdf": (b"\x78\x9f\x3e\x22\x01\0%PDF-1.4\n", "application/vnd.ms-tnef"),
    "old tar with a pdf": (_old_tar(b"%PDF-1.4\n"), "application/x-tar"),
    "rtf with raw bytes": (b"{\\rtf1 x\\bin600 " + bytes(range(256)) * 9, "text/rtf"),
    "rtf behind a mark": (b"\xef\xbb\xbf\r\n{\\rtf1 x}" + bytes(99), "text/rtf"),
    "text filled up": (b"Hello\n" + bytes(500), "text/plain"),
    "text behind zeros": (bytes(501) + b"Hello\n", "text/plain"),
    "text in blocks": (b"Hello".ljust(80, b"\0") * 9, "text/plain"),
    "utf-16 filled up": ("Hello you".encode("utf-16-le") + bytes(501), "text/plain"),
    "big-endian utf-16 behind zeros": (bytes(500) + "Hello you".encode("utf-16-be"), "text/plain"),
    "hl7 filled up": (b"MSH|^~\\&|LAB|\r" + bytes(500), "application/hl7-v2"),
    "cda filled up": (ROOT.encode() + bytes(501), CDA),
    "nothing but zeros": (bytes(600), UNKNOWN),
    "ppm": (b"P6\n# a scan\n2 2\n255\n" + b"\xff" * 12, "image/x-portable-pixmap"),
    "deep pgm": (b"P5 2 2 65535\n" + b"\xff" * 8, "image/x-portable-graymap"),
    "pbm in digits": (b"P1\n3 1\n1 0 1\n", "image/x-portable-bitmap"),
    "pbm": (b"P4\n9 2\n" + b"\xff" * 4, "image/x-portable-bitmap"),
    "prose that begins like a bitmap of netpbm": (b"P2 5 10 mg of it twice a day\n", "text/plain"),
    "list that begins like a bitmap of netpbm": (b"P6 100 200 255 are the rooms\n", "text/plain"),
    "tga": (documents.image("TGA"), "image/x-tga"),
    "packed tga": (documents.image("TGA", compression="tga_rle"), "image/x-tga"),
    "tga with a palette": (documents.image("TGA", mode="P"), "image/x-tga"),
    "pcx": (documents.image("PCX"), "image/x-pcx"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif"),
    "avif by its second brand": (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
    "heic by its outer brand": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
    "appledouble": (b"\0\x05\x16\x07\0\2\0\0" + bytes(40), "application/applefile"),
    "text in cp1252": (b"Jos\xe9\n", "text/plain"),
    "text in utf-16": ("Grüße".encode("utf-16"), "text/plain"),
    "empty": (b"", EMPTY),
    "noise": (bytes(range(256)) * 4, UNKNOWN),
}


@pytest.mark.parametrize(("data", "media_type"), CASES.values(), ids=CASES)
def test_type_is_recognised_by_bytes(data, media_type, tmp_path):
    """Each type is recognised, from bytes and from a file alike, whatever its name and declaration say."""
    path = tmp_path / "x"
    path.write_bytes(data)
    assert detect(data) == media_type
    assert detect(path, "report.pdf", "application/pdf") == media_type
    assert detect_by_head(path, "report.pdf", "application/pdf") == media_type


@pytest.mark.parametrize("kind", ["zip", "ole"])
def test_type_is_found_within_bounds(kind, tmp_path):
    """The main process holds little, however large the directory of a ZIP or an old office file is."""
    path, noise = tmp_path / "x", random.Random(1)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("[Content_Types].xml", b"x")
            archive.writestr("word/document.xml", b"x")
            for number in range(500):
                info = zipfile.ZipInfo(f"{number:05d}{noise.randbytes(20_000).hex()}")
                info.comment = bytes(20_000)
                archive.writestr(info, b"x")
        wanted = DOCX
    else:
        filling = bytes(2**20 - 10)
        path.write_bytes(
            bytes.fromhex("d0cf11e0a1b11ae1") + filling + "WordDocument".encode("utf-16-le") + filling * 20
        )
        wanted = "application/msword"
    tracemalloc.start()
    try:
        assert detect_by_head(path, "x", None) == wanted
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


def test_hints_tell_csv_from_text():
    """A table in CSV looks like text: its name or its declared type says that it is one."""
    assert detect(b"a,b\n1,2\n", "Results.CSV") == "text/csv"
    assert detect(b"a,b\n1,2\n", declared="text/csv; charset=utf-8") == "text/csv"
    assert detect(b"a,b\n1,2\n") == "text/plain"


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"PK\x03\x04", b"<", b"<!DOCTYPE", b"{", b"\xd0\xcf\x11\xe0"]),
)
def test_detection_never_fails(data, head):
    """Whatever the bytes, there is an answer, and it has a safe extension."""
    extension = kind_of(detect(head + data, "\x00../../x", "nonsense; charset")).extension
    assert extension.startswith(".")
    assert extension[1:].isalnum()


def test_detection_loads_only_the_standard_library():
    """The main process asks for types too, and must not load what belongs to workers."""
    code = "import sys, docpipe.convert.core.detect; print(*(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "lxml",
        "PIL",
        "pikepdf",
        "pypdfium2",
        "typst",
        "img2pdf",
        "charset_normalizer",
        "filetype",
    }


@pytest.mark.parametrize("data", [b"\x01\x02\x03\x04", b"\x01\x02\x03\x04" * 50, bytes(range(8)) * 20])
def test_small_numbers_are_no_text(data: bytes) -> None:
    """Bytes such as a table of small numbers are letters of many scripts in UTF-16, and of none in truth."""
    assert detect(data, "en0", None) == UNKNOWN


@pytest.mark.parametrize("text", ["1 2 3 4 ", "0 0 1 1 2 2 ", "a b c d ", "1 2 3 4 5 6 7 8 9 0 "])
def test_a_row_of_digits_is_no_utf_16(text: str) -> None:
    """Every other byte a blank is a row of figures, not signs for thousandths and minutes."""
    assert decode(text.encode()).text == text


@pytest.mark.parametrize(
    "text", ["Варфарин 5 мг", "Βαρφαρίνη 5 mg", "וורפרין 5", "وارفارين 5", "วาร์ฟาริน 5", "Варфарин warfarin 5"]
)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_of_other_scripts_is_still_known(text: str, encoding: str) -> None:
    """With Latin among it, too."""
    assert decode(text.encode(encoding)).text == text
