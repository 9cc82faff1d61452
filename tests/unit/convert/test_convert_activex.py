"""Word: controls of ActiveX show what they hold, or a warning says that they do not."""

import io
import struct
import uuid
import zipfile

import pytest

from docpipe.convert.readers.word.activex import UNREAD
from tests.unit.convert.documents import OFFICE, docx, run
from tests.unit.convert.offices import PACKAGE

BOX = "{8BD21D40-EC42-11CE-9E0D-00AA006002F3}"
FIELD = "{8BD21D10-EC42-11CE-9E0D-00AA006002F3}"
BAG = "persistPropertyBag"


def controlled(classid, persistence, kept_apart=None, **values):
    """A document with a control behind a word."""
    base = docx(
        "<w:p><w:r><w:t>Smoker</w:t></w:r><w:r><w:object>"
        f'<w:control xmlns:r="{OFFICE}" r:id="c1"/></w:object>'
        "</w:r><w:r><w:t>today</w:t></w:r></w:p>"
    )
    kept = "".join(f'<ax:ocxPr ax:name="{name}" ax:value="{value}"/>' for name, value in values.items())
    link = f'<Relationship Id="c1" Type="{OFFICE}/control" Target="activeX/a1.xml"/></Relationships>'
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(base)) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "word/_rels/document.xml.rels":
                data = data.replace(b"</Relationships>", link.encode())
            after.writestr(name, data)
        after.writestr(
            "word/activeX/a1.xml",
            '<ax:ocx xmlns:ax="http://schemas.microsoft.com/office/2006/activeX" '
            f'ax:classid="{classid}" ax:persistence="{persistence}" '
            f'xmlns:r="{OFFICE}" r:id="b1">{kept}</ax:ocx>',
        )
        if kept_apart is not None:
            after.writestr(
                "word/activeX/_rels/a1.xml.rels",
                f'<Relationships xmlns="{PACKAGE}"><Relationship Id="b1" Target="a1.bin" '
                'Type="http://schemas.microsoft.com/office/2006/relationships/activeXControlBinary"/></Relationships>',
            )
            after.writestr("word/activeX/a1.bin", kept_apart)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "markdown"),
    [
        (controlled(BOX, BAG, Value="1", Caption="current"), "Smoker \u2611 current today"),
        (controlled(BOX, BAG, Value="0", Caption="current"), "Smoker \u2610 current today"),
        (controlled(BOX, BAG, Caption="current"), "Smoker \u2610 current today"),
        (controlled(FIELD, BAG, Value="1"), "Smoker 1 today"),
    ],
)
def test_controls_have_their_states_and_values(tmp_path, data, markdown):
    """A box is ticked or not, and a field has its text."""
    done, outputs = run(tmp_path, data)
    assert outputs["text.md"].decode() == markdown + "\n"
    assert UNREAD not in done["metadata"]["warnings"]


def test_a_control_that_cannot_be_read_has_a_warning(tmp_path):
    """Its values are in a form of their own."""
    done, outputs = run(tmp_path, controlled(BOX, "persistStreamInit"))
    assert "Smoker" in outputs["text.md"].decode()
    assert UNREAD in done["metadata"]["warnings"]


def binary(value, caption, *, classid=BOX, wide=False, cut=0):
    """A control as Word keeps it: its class, then MorphDataControl of MS-OFORMS 2.2.5."""
    texts = [text.encode("utf-16-le" if wide else "latin-1") for text in (value, caption)]
    counts = [len(text) | (0 if wide else 0x80000000) for text in texts]
    mask = 1 | 1 << 6 | 1 << 8 | 1 << 22 | 1 << 23  # bits, display style, size, value, caption
    fixed = struct.pack("<IB3xII", 0x2C80081B, 4, *counts)
    more = struct.pack("<II", 2540, 635) + b"".join(text + bytes(-len(text) % 4) for text in texts)
    body = struct.pack("<Q", mask) + fixed + more
    whole = uuid.UUID(classid).bytes_le + struct.pack("<HH", 0x0200, len(body)) + body
    return whole[: len(whole) - cut]


@pytest.mark.parametrize(
    ("classid", "data", "markdown"),
    [
        (BOX, binary("1", "current"), "Smoker \u2611 current today"),
        (BOX, binary("0", "current"), "Smoker \u2610 current today"),
        (BOX, binary("1", "\u20ac 5", wide=True), "Smoker \u2611 \u20ac 5 today"),
        (BOX, binary("1", "current")[16:], "Smoker \u2611 current today"),
        (FIELD, binary("20 a day", "", classid=FIELD), "Smoker 20 a day today"),
    ],
)
def test_controls_in_their_binary_form_are_read(classid, data, markdown, tmp_path):
    """As Word keeps most of them."""
    done, outputs = run(tmp_path, controlled(classid, "persistStreamInit", data))
    assert outputs["text.md"].decode() == markdown + "\n"
    assert UNREAD not in done["metadata"]["warnings"]


@pytest.mark.parametrize("data", [b"", b"\0\2", binary("1", "current", cut=4), b"\xff" * 90], ids=len)
def test_a_damaged_control_has_a_warning(data, tmp_path):
    """Its state is not guessed."""
    done, outputs = run(tmp_path, controlled(BOX, "persistStreamInit", data))
    assert "\u2610" not in outputs["text.md"].decode()
    assert UNREAD in done["metadata"]["warnings"]
