"""HL7 v2: results, reports, documents, odd framing, and every text of a message accounted for."""

import base64
import re

import pytest

from docpipe.convert.readers.hl7.message import Marks, unescaped
from tests.unit.convert import documents
from tests.unit.convert.documents import run, text_of

PDF = documents.pdf()
DATA = base64.b64encode(PDF).decode()
HEAD = (
    "MSH|^~\\&|LAB|GENERAL|EHR|CLINIC|20240131093000-0500||{kind}|C1|P|2.5.1\r"
    "PID|1||MRN1^^^GH^MR||DOE^JANE^Q^JR^DR||19700102|F\r"
)
REQUEST = "OBR|1|P1|F1|24323-8^Metabolic panel^LN|||20240130080000|||||||||77^SMITH^JOHN\r"


def message(*segments, kind="ORU^R01", head=HEAD):
    """A message as it is sent."""
    return (head.format(kind=kind) + "".join(segment + "\r" for segment in segments)).encode()


RESULTS = message(
    REQUEST.rstrip(),
    "NTE|1||Fasting\\T\\rested",
    "OBX|1|NM|2345-7^Glucose^LN||1.10|mg/dL|70-99|H|||F|||20240130090000",
    "NTE|1||see below",
    "OBX|2|SN|718-7^Hgb^LN||>^10|g/dL||||||F",
)


def test_results_become_a_table(tmp_path):
    """One row a result, with its units, range, flag, time and notes; the header has patient and order."""
    done, outputs = run(tmp_path, RESULTS)
    text = outputs["text.md"].decode()
    assert text.startswith(
        "# Metabolic panel\n\n- Patient: DR JANE Q DOE JR, born 1970-01-02, female, number MRN1 (MR, GH)\n"
        "- Date: 2024-01-30T08:00:00\n- Author: JOHN SMITH\n- Custodian: GENERAL\n"
        "- Type: Metabolic panel (LOINC 24323-8)\n"
    )
    assert "Fasting&rested" in text.replace("\\", "")
    assert (
        "| Glucose (LOINC 2345-7) | 1.10 | mg/dL | 70-99 | H | final (F) | 2024-01-30T09:00:00 | see below |"
        in text
    )
    assert "| Hgb (LOINC 718-7) | > 10 | g/dL |" in text
    assert done["metadata"]["loinc"] == {"code": "24323-8", "display": "Metabolic panel"}


def test_every_text_of_a_message_is_there(tmp_path):
    """Fields of known and unknown segments, components and repetitions: nothing is dropped."""
    data = message(
        "PV1|1|I|WARD^101^A||||1234^HOUSE^GREG|||SURG",
        "AL1|1|DA|PEN^Penicillin^L|SV|Hives~Rash",
        "AL1|2|DA|NUT^Peanut^L|MO|Itch",
        "DG1|1||I10^Hypertension^ICD||20240101",
        "ZZ9|first&sub^second~again|third",
        kind="ADT^A08",
    )
    text = text_of(tmp_path, data)
    wanted = "WARD 101 HOUSE GREG SURG Penicillin SV Hives Rash Peanut Itch Hypertension"
    wanted += " first sub second again third"
    assert [word for word in wanted.split() if not re.search(rf"\b{word}\b", text)] == []
    assert "2024-01-01" in text


REPORT = (
    "OBX|1|TX|DS^Discharge summary||CHIEF COMPLAINT: pain",
    "OBX|2|TX|DS^Discharge summary||",
    "OBX|3|TX|DS^Discharge summary||HISTORY: long\\.br\\second line",
)


def test_lines_of_a_report_become_running_text(tmp_path):
    """A text sent line by line is one text, with the document's own date and author."""
    document = "TXA|1|DS^Discharge summary|TX|20240101|1^HOUSE^GREG||||2^WILSON^JAMES"
    done, outputs = run(tmp_path, message(document, *REPORT, kind="MDM^T02"))
    text = outputs["text.md"].decode()
    assert "CHIEF COMPLAINT: pain\n\nHISTORY: long  \nsecond line\n" in text
    assert [done["metadata"][key] for key in ("title", "date", "author")] == [
        "Discharge summary",
        "2024-01-01",
        "JAMES WILSON",
    ]


def test_columns_of_a_report_stay_columns(tmp_path):
    """What blanks line up is set as on a typewriter."""
    lines = (f"OBX|{n}|TX|M^Micro||DRUG{n}       S     0.5" for n in range(3))
    assert "```text\nDRUG0       S     0.5\nDRUG1" in text_of(tmp_path, message(REQUEST.rstrip(), *lines))


THIRD = len(DATA) // 3 // 4 * 4
EMBEDDED = {
    "encapsulated data": [f"OBX|1|ED|R^Report||LAB^application^pdf^Base64^{DATA}||||||F"],
    "in repetitions": [f"OBX|1|ED|R^Report||LAB^AP^PDF^Base64^{DATA[:THIRD]}~{DATA[THIRD:]}"],
    "in several segments": [
        f"OBX|1|ED|R^Report||LAB^AP^PDF^Base64^{DATA[:THIRD]}",
        f"OBX|2|ED|R^Report||LAB^AP^PDF^Base64^{DATA[THIRD:]}",
    ],
    "hexadecimal": [f"OBX|1|ED|R^Report||LAB^AP^PDF^Hex^{PDF.hex()}"],
    "as text": [f"OBX|1|ST|R^Report||{DATA}"],
}


@pytest.mark.parametrize("segments", EMBEDDED.values(), ids=EMBEDDED)
def test_embedded_document_is_taken_out(segments, tmp_path):
    """A PDF within a message is a document of its own, and its base64 is no text."""
    done, outputs = run(tmp_path, message(REQUEST.rstrip(), *segments))
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.pdf"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == PDF
    text = outputs["text.md"].decode()
    assert "The content is a PDF, kept beside this document as embedded-1.pdf." in text
    assert "Report" in text
    assert DATA[:60] not in text


def test_pointers_and_damaged_documents_are_reported(tmp_path):
    """What lies elsewhere, and what cannot be decoded, is a warning and a sentence."""
    segments = ("OBX|1|RP|I^Image||http://pacs/1^x", "OBX|2|ED|R^Report||LAB^AP^PDF^Base64^!!")
    done, outputs = run(tmp_path, message(*segments))
    assert done["warnings"] == [
        "the content is a separate file that this document refers to",
        "an embedded document could not be decoded",
    ]
    assert "http://pacs/1" in outputs["text.md"].decode()


FRAMED = {
    "line feeds": RESULTS.replace(b"\r", b"\n"),
    "both": RESULTS.replace(b"\r", b"\r\n"),
    "MLLP": b"\x0b" + RESULTS + b"\x1c\r",
    "in a batch": b"FHS|^~\\&|A\rBHS|^~\\&|B\r" + RESULTS + b"BTS|1\rFTS|1\r",
    "other marks": RESULTS.replace(b"|", b"#").replace(b"^", b"@"),
    "an unescaped line": RESULTS.replace(b"see below", b"see\rbelow").replace(b"MSH", b"MSH", 1),
}


@pytest.mark.parametrize("data", FRAMED.values(), ids=FRAMED)
def test_framing_and_line_ends_do_not_matter(data, tmp_path):
    """However a message is wrapped, its results are the same."""
    text = text_of(tmp_path, data)
    assert "| Glucose (LOINC 2345-7) | 1.10 | mg/dL | 70-99 | H | final (F) |" in text
    assert "JANE Q DOE" in text


def test_declared_charset_is_obeyed(tmp_path):
    """MSH-18 names the encoding of what is not UTF-8."""
    head = HEAD.replace("2.5.1\r", "2.5.1||||||8859/2\r")
    data = message("NTE|1||Łódź świąteczna", head=head).decode().encode("iso8859-2")
    assert "Łódź świąteczna" in text_of(tmp_path, data)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("\\H\\bold\\N\\", "bold"),
        ("one\\.br\\two\\.sp2\\three", "one\ntwo\nthree"),
        ("\\X41C3A9\\", "Aé"),
        ("\\C2842\\x\\M123456\\", "x"),
        ("C:\\temp\\file", "C:\\temp\\file"),
        ("no end \\", "no end \\"),
    ],
)
def test_escapes(text, plain):
    """Escapes of chapter 2.7 mean what they say, and what is none stays."""
    assert unescaped(text, Marks()) == plain


def test_message_cut_anywhere_is_read_or_fails_plainly(tmp_path):
    """No cut of a message escapes as an exception."""
    for at in range(9, len(RESULTS), 37):
        done, _ = run(tmp_path / str(at), RESULTS[:at])
        assert done["outcome"] in {"converted", "failed"}
        assert "could not be read (" not in (done["reason"] or "")


def cells(text, first):
    """The cells of the row of a table that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


STATES = {
    "F": ("1.1", "final (F)"),
    "C": ("1.1", "corrected, it replaces an earlier result (C)"),
    "D": ("~~1.1~~", "deleted (D)"),
    "W": ("~~1.1~~", "wrong, for example posted to the wrong patient (W)"),
    "X": ("1.1", "no result could be obtained (X)"),
    "N": ("1.1", "not ordered, so not done (N)"),
    "Q": ("1.1", "Q"),
}


@pytest.mark.parametrize(("code", "wanted"), STATES.items(), ids=STATES)
def test_states_of_results_are_words(code, wanted, tmp_path):
    """No reader needs the table of codes, and what is no result any more is struck out."""
    text = text_of(tmp_path, message(f"OBX|1|NM|1^Glucose^LN||1.1|mg/dL|||||{code}"))
    assert cells(text, "Glucose")[1:] == [wanted[0], "mg/dL", wanted[1]]


def test_a_text_of_the_wrong_patient_is_struck_out(tmp_path):
    """A report that was withdrawn, line by line."""
    data = message("OBX|1|TX|1^Report||first line\\.br\\second line||||||W")
    assert "~~first line~~  \n~~second line~~" in text_of(tmp_path, data)


VALUES = {
    "no type": ("", "10^9/L, K & Na, 3~4 cm", "10^9/L, K & Na, 3~4 cm"),
    "an unknown type": ("Befund", "A & B 10^9", "A & B 10^9"),
    "a code without parts": ("IS", "A & B 10^9", "A & B 10^9"),
    "no type but a code": ("", "112283007^Escherichia coli^SCT", "Escherichia coli (SNOMED CT 112283007)"),
    "a code of another type": ("ST", "1^Staph^L~2^Strep^L", "Staph (local 1); Strep (local 2)"),
    "a code": ("CE", "1^Staph^L", "Staph (local 1)"),
    "deleted": ("NM", '""', "(no value)"),
    "deleted text": ("TX", '""', "(no value)"),
    "a range": ("NR", "1^5", "1 to 5"),
}


@pytest.mark.parametrize(("kind", "value", "text"), VALUES.values(), ids=VALUES)
def test_only_values_of_a_type_with_parts_are_taken_apart(kind, value, text, tmp_path):
    """A count of 10^9 in a field that has no type is no pair of codes."""
    row = cells(text_of(tmp_path, message(f"OBX|1|{kind}|1^Count^L||{value}||||||F")), "Count")
    assert row[1].replace("\\", "") == text


def test_lines_of_a_text_without_a_type_stay_lines(tmp_path):
    """Where the sign for repetitions ends long lines, they are lines."""
    line = "a line of a report that is long"
    data = message(f"OBX|1||1^Report^L||{line} one~{line} two~{line} three")
    assert f"{line} one<br>{line} two<br>{line} three" in text_of(tmp_path, data).replace("  \n", "<br>")


MARKUP = {
    "html": ("TX", "<html><body><p>No &lt;5mm nodule</p><p>b <b>not</b> c</p></body></html>"),
    "html in a string": ("ST", "<div>No &lt;5mm nodule</div><div>b <strong>not</strong> c</div>"),
    "html without a type": ("", "<P>No &lt;5mm nodule<BR><P>b <b>not</b> c"),
    "rtf": ("FT", "{\\E\\rtf1\\E\\ansi No <5mm nodule\\E\\par b \\E\\b not\\E\\b0  c\\E\\par}"),
    "rtf without escapes": ("TX", "{\\rtf1\\ansi No <5mm nodule\\par b \\b not\\b0  c\\par}"),
}


@pytest.mark.parametrize(("kind", "value"), MARKUP.values(), ids=MARKUP)
def test_markup_within_a_value_is_read(kind, value, tmp_path):
    """RTF and HTML that stand in a field of text are no source code."""
    text = text_of(tmp_path, message(f"OBX|1|{kind}|1^Path^L||{value}||||||F"))
    assert "No <5mm nodule" in text
    assert re.search(r"b (\*\*)?not(\*\*)? c", text)
    assert not re.search(r"rtf1|&lt;/?p|&lt;div", text)


def test_markup_in_a_note_is_read(tmp_path):
    """Likewise, beside results."""
    text = text_of(tmp_path, message("OBR|1||A|1^Path^L", "NTE|1||<p>Repeat <b>today</b></p>"))
    assert "Repeat **today**" in text


def test_less_than_is_no_markup(tmp_path):
    """A text that begins with a sign of comparison stays as it is."""
    data = message("OBX|1|ST|1^HCG^L||<5||||||F")
    assert cells(text_of(tmp_path, data), "HCG")[1] == "<5"


def test_head_names_the_patient_of_today(tmp_path):
    """The legal name first, aliases apart, numbers with their issuers, and the death."""
    names = "OLD^JANE^^^^^M~DOE^JANE^^^^^L||19700102|F|NICK^JANE|"
    data = message(
        f"PID|1||N1^^^GH&1.2&ISO^MR~N2^^^NHS^NH||{names}{'|' * 19}20240105|Y",
        head="MSH|^~\\&|LAB|GENERAL|EHR|CLINIC|20240131093000-0500||{kind}|C1|T|2.5.1\r",
    )
    text = text_of(tmp_path, data)
    numbers = "number N1 (MR, GH 1.2 ISO), number N2 (NH, NHS)"
    assert f"- Patient: JANE DOE, born 1970-01-02, female, {numbers}\n" in text
    assert "- Other names: JANE OLD, JANE NICK\n" in text
    assert "- Died: 2024-01-05\n" in text
    assert "- Processing: training, not real (T)\n" in text


def test_head_tells_what_a_document_is_worth(tmp_path):
    """Whether it is restricted, unfinished, or stands in place of another one."""
    document = "TXA|1|DS^Discharge summary|TX|20240101|1^HOUSE^GREG|||||||D2|D1||||DO|V|OB"
    text = text_of(tmp_path / "a", message(document, *REPORT, kind="MDM^T10"))
    assert "- State: it replaces an earlier one\n" in text
    assert "- Confidentiality: very restricted (V)\n- Completion: documented (DO)\n" in text
    assert "- Availability: obsolete (OB)\n- Refers to the earlier document: D1\n" in text
    usual = "TXA|1|DS^Discharge summary|TX|20240101|1^HOUSE^GREG|||||||D2|||||AU|U|AV"
    text = text_of(tmp_path / "b", message(usual, *REPORT, kind="MDM^T02"))
    assert "Confidentiality:" not in text.partition("## ")[0]
