"""Word: controls of ActiveX show what they hold, or a warning says that they do not."""

import io
import zipfile

import pytest

from docpipe.convert.readers.word.activex import UNREAD
from tests.unit.convert.documents import OFFICE, docx, run

BOX = "{8BD21D40-EC42-11CE-9E0D-00AA006002F3}"
FIELD = "{8BD21D10-EC42-11CE-9E0D-00AA006002F3}"
BAG = "persistPropertyBag"


def controlled(classid, persistence, **values):
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
            f'ax:classid="{classid}" ax:persistence="{persistence}">{kept}</ax:ocx>',
        )
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
