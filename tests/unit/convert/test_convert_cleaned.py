"""Whatever reader made a text, it has no end of a line but the newline, and nothing that does not print."""

import json

import pytest

from docpipe.convert.core.blocks import Heading, Listing, Paragraph, Preformatted, Table, cleaned
from docpipe.convert.document import convert

SIGNS = "\u2028\u2029\x85\v\f\r\u202e"
TEXT = "one\u2028two\u2029three\x85four\u202efive"
HL7 = f"MSH|^~\\&|A|B|C|D|20200101||ORU^R01|1|P|2.5\rPID|1||5||{TEXT}\rOBX|1|ST|x^{TEXT}||{TEXT}||||||F\r"
FHIR = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": TEXT},
    "valueString": TEXT,
    "note": [{"text": TEXT}],
}
NAMES = {"resourceType": "Patient", "name": [{"family": TEXT, "given": [TEXT]}]}
PAGE = f"<title>{TEXT}</title><h1>{TEXT}</h1><p>{TEXT}<table><tr><td>{TEXT}</table><ol><li>{TEXT}</ol>"
CASES = {
    "a.hl7": HL7,
    "a.json": json.dumps(FHIR),
    "b.json": json.dumps(NAMES),
    "c.json": json.dumps({TEXT: [TEXT]}),
    "a.txt": TEXT,
    "a.csv": f"a;b\n{TEXT};{TEXT}\nc;d\n",
    "a.html": f"<html>{PAGE}",
    "a.xml": f"<r a='x'><b>{TEXT}</b></r>",
    "a.eml": f"Subject: x\nFrom: a@b.example\nContent-Type: text/plain; charset=utf-8\n\n{TEXT}\n",
}


@pytest.mark.parametrize("name", CASES)
def test_no_reader_lets_other_ends_of_lines_through(tmp_path, name):
    """Browsers and editors take these signs for the end of a line, and the page hung on one."""
    (tmp_path / name).write_bytes(CASES[name].encode())
    (tmp_path / "out").mkdir()
    job = {"path": str(tmp_path / name), "name": name, "folder": str(tmp_path / "out"), "languages": []}
    done = convert(job)
    assert done["outcome"] == "converted", done["reason"]
    text = (tmp_path / "out" / "text.md").read_bytes().decode()
    assert "one" in text
    assert "two" in text
    assert not set(SIGNS) & set(text)


def test_every_text_of_every_block_is_cleaned():
    """Headings, paragraphs, cells, items and their labels; what is not text stays."""
    blocks = (
        Heading(2, "a\u2028b"),
        Preformatted("a\tb\x85c"),
        Listing(((Paragraph("a\u2029b"), Listing(((Paragraph("\u202ec"),),))),), 3, ("x\u2028",)),
        Table((("h\u2028",),), (("c\x85",), ("plain",))),
    )
    assert cleaned(blocks) == (
        Heading(2, "a\nb"),
        Preformatted("a\tb\nc"),
        Listing(((Paragraph("a\nb"), Listing(((Paragraph("c"),),))),), 3, ("x\n",)),
        Table((("h\n",),), (("c\n",), ("plain",))),
    )
