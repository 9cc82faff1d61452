"""What a file is, told from its bytes; names and declared types are hints for plain text alone."""

import gzip
import io
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import CDA, DOCX, EMPTY, ENCRYPTED_OFFICE, UNKNOWN, XLSB, kind_of
from tests.unit.convert import documents

ROOT = '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>x</title></ClinicalDocument>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


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
    "text in cp1252": (b"Jos\xe9\n", "text/plain"),
    "text in utf-16": ("Grüße".encode("utf-16"), "text/plain"),
    "empty": (b"", EMPTY),
    "noise": (bytes(range(256)) * 4, UNKNOWN),
}


@pytest.mark.parametrize(("data", "media_type"), CASES.values(), ids=CASES)
def test_type_is_told_from_bytes(data, media_type, tmp_path):
    """Each type is recognised, from bytes and from a file alike, whatever its name and declaration say."""
    path = tmp_path / "x"
    path.write_bytes(data)
    assert detect(data) == media_type
    assert detect(path, "report.pdf", "application/pdf") == media_type


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
