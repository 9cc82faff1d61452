"""Outlook's winmail.dat: what people read in it, and what was attached."""

# ruff: noqa: E501 -- a property a line

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.readers.mail import tnef
from tests.unit.convert import documents
from tests.unit.convert.documents import run, text_of

PDF = documents.pdf()


def attribute(level, tag, data, kind=6):
    """An attribute of a stream."""
    return struct.pack("<BHHI", level, tag, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def value(kind, data):
    """A value as properties have it, filled up to four bytes."""
    if kind in {0x1E, 0x1F, 0x102, 0x0D}:
        return struct.pack("<II", 1, len(data)) + data + bytes(-len(data) % 4)
    return data + bytes(-len(data) % 4)


def properties(*pairs, named=b""):
    """A list of MAPI properties."""
    rows = [struct.pack("<HH", kind, tag) + value(kind, data) for tag, kind, data in pairs]
    return struct.pack("<I", len(rows) + bool(named)) + named + b"".join(rows)


def stream(*attributes):
    """A stream of TNEF."""
    page = attribute(1, 0x9007, struct.pack("<II", 1252, 0))
    return tnef.SIGNATURE + b"\1\0" + page + b"".join(attributes)


def wide(text):
    return (text + "\0").encode("utf-16-le")


NAMED = (
    struct.pack("<HH", 0x1E, 0x8001)
    + bytes(16)
    + struct.pack("<II", 1, 6)
    + wide("ab")[:6]
    + bytes(2)
    + value(0x1E, b"x\0")
)
MESSAGE = attribute(
    1,
    0x9003,
    properties(
        (0x0037, 0x1F, wide("Labs of today")),
        (0x0C1A, 0x1E, "Jos\xe9\0".encode("cp1252")),
        (0x0C1F, 0x1E, b"jose@example.org\0"),
        (0x0039, 64, struct.pack("<Q", 133_500_000_000_000_000)),
        (0x1000, 0x1F, wide("potassium 6.9\r\n\r\nplease call")),
        named=NAMED,
    ),
)
RECIPIENTS = attribute(
    1,
    0x9004,
    struct.pack("<I", 1)
    + properties((0x3001, 0x1E, b"Ann\0"), (0x39FE, 0x1E, b"a@b.c\0"), (0x0C15, 3, b"\2\0\0\0")),
)
ATTACHMENT = (
    attribute(2, 0x9002, bytes(14))
    + attribute(2, 0x8010, b"LABS~1.PDF\0")
    + attribute(2, 0x800F, PDF)
    + attribute(2, 0x9005, properties((0x3707, 0x1F, wide("labs of May.pdf"))))
)


def test_a_message_is_read_as_mail_is(tmp_path):
    """Subject, sender, recipients, time, text, and attachments by their long names."""
    done, outputs = run(tmp_path, stream(MESSAGE, RECIPIENTS, ATTACHMENT))
    assert outputs["text.md"].decode() == (
        "# Labs of today\n\nFrom: José &lt;jose@example.org>  \nCc: Ann &lt;a@b.c>  \n"
        "Date: 2024-01-17 21:20:00 UTC  \nAttachments: labs of May.pdf\n\npotassium 6.9\n\nplease call\n"
    )
    assert [part["name"] for part in done["embedded"]] == ["labs of May.pdf"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == PDF
    assert done["metadata"]["title"] == "Labs of today"


BODIES = {
    "plain attribute": (attribute(1, 0x800C, "d\xe9j\xe0 vu\0".encode("cp1252")), "déjà vu\n"),
    "html": (
        attribute(1, 0x9003, properties((0x1013, 0x102, b"<p>K <b>6.9</b> today"))),
        "K **6.9** today\n",
    ),
    "rtf": (
        attribute(
            1,
            0x9003,
            properties(
                (0x1009, 0x102, struct.pack("<II4sI", 40, 23, b"MELA", 0) + b"{\\rtf1\\ansi K 6.9\\par}")
            ),
        ),
        "K 6.9\n",
    ),
}


@pytest.mark.parametrize(("body", "text"), BODIES.values(), ids=BODIES)
def test_body_in_every_form(body, text, tmp_path):
    """As an attribute of old, as HTML, as RTF that is stored."""
    assert text_of(tmp_path, stream(body)) == text


def test_a_message_within_is_a_mail(tmp_path):
    """A forwarded message stands behind the name of its interface."""
    inner = properties((0x3701, 0x0D, bytes(16) + stream(MESSAGE, ATTACHMENT)))
    done, _ = run(tmp_path, stream(attribute(2, 0x9002, bytes(14)) + attribute(2, 0x9005, inner)))
    assert [(part["name"], part["declared"]) for part in done["embedded"]] == [
        ("Labs of today.eml", "message/rfc822")
    ]
    mail = (tmp_path / "out" / "embedded" / "001").read_bytes()
    done, outputs = run(tmp_path / "b", mail)
    assert "potassium 6.9" in outputs["text.md"].decode()
    assert [part["name"] for part in done["embedded"]] == ["labs of May.pdf"]


def test_damaged_streams_give_what_is_there(tmp_path):
    """What is cut short is reported; one with nothing in it is kept as it is."""
    done, outputs = run(tmp_path / "a", stream(MESSAGE, ATTACHMENT)[:-400])
    assert "potassium 6.9" in outputs["text.md"].decode()
    assert (
        done["warnings"][0]
        == "the Outlook attachment is damaged or cut short; what remains of it is converted"
    )
    done, _ = run(tmp_path / "b", stream())
    assert (done["outcome"], done["reason"]) == (
        "stored",
        "The Outlook attachment has neither text nor files.",
    )


def test_an_attachment_that_is_a_link_is_reported(tmp_path):
    """Its bytes are elsewhere."""
    done, _ = run(tmp_path, stream(MESSAGE, attribute(2, 0x9002, bytes(14))))
    assert done["warnings"] == ["an attachment could not be taken out, or was only a link"]


@given(st.binary(max_size=200))
def test_no_stream_fails_to_be_parsed(data):
    """Whatever the bytes, there is an answer."""
    assert tnef.parsed(tnef.SIGNATURE + data) is not None
    assert tnef.parsed(stream(attribute(1, 0x9003, data), attribute(1, 0x9004, data))) is not None


def test_winmail_within_a_mail(tmp_path):
    """The text of the mail and that of its winmail.dat are both reached."""
    whole = (
        b"From: a\r\nTo: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nsee\r\n--B\r\n"
        b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + stream(MESSAGE)
    )
    done, outputs = run(tmp_path, whole + b"\r\n--B--\r\n")
    assert b"see" in outputs["text.md"]
    inner = Path(tmp_path / "out" / "embedded" / "001").read_bytes()
    assert "potassium 6.9" in text_of(tmp_path / "b", inner)
    assert [part["name"] for part in done["embedded"]] == ["winmail.dat"]
