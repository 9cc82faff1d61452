"""Texts that a gateway filled up with zeros: read as if they were not."""

import pytest

from tests.unit.convert.documents import cda, section, text_of

TEXTS = {
    "text": b"INR 9.1\r\nstop warfarin\r\n",
    "hl7": b"MSH|^~\\&|A\rOBX|1|TX|a^INR||INR 9.1, stop warfarin\r",
    "cda": cda(section("INR 9.1, stop warfarin")),
    "rtf": b"{\\rtf1\\ansi INR 9.1, stop warfarin\\par}",
    "html": b"<html><body><p>INR 9.1, stop warfarin</p></body></html>",
    "fhir": b'{"resourceType": "Basic", "author": {"display": "INR 9.1, stop warfarin"}}',
    "utf-16": "INR 9.1, stop warfarin".encode("utf-16-le"),
    "big-endian utf-16": "INR 9.1, stop warfarin".encode("utf-16-be"),
}


@pytest.mark.parametrize("size", [511, 512, 4096])
@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS)
def test_zeros_behind_a_text_are_no_text(data, size, tmp_path):
    """However long the filling is, and whether it has an even number of bytes or not."""
    text = text_of(tmp_path, data.ljust(size, b"\0"))
    assert "INR 9.1" in text
    assert "stop warfarin" in text
    assert "\0" not in text


@pytest.mark.parametrize("data", [TEXTS["text"], TEXTS["hl7"], TEXTS["cda"]])
def test_zeros_before_a_text_are_no_text(data, tmp_path):
    """A block of zeros before the text hides nothing of it."""
    assert "stop warfarin" in text_of(tmp_path, bytes(512) + data)


def test_zeros_between_records_end_lines(tmp_path):
    """Words of two records that fill their blocks do not run together."""
    text = text_of(tmp_path, b"INR 9.1".ljust(80, b"\0") + b"stop warfarin".ljust(80, b"\0"))
    assert text == "INR 9.1  \nstop warfarin\n"
