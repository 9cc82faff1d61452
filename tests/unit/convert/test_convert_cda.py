"""CDA: header, narrative in order, the documents within, and files that are broken in the usual ways."""

import base64
import zlib

import pytest

from docpipe.convert.readers.cda.times import iso_date
from tests.narrative import narrative, share_in_order, written
from tests.unit.convert import documents
from tests.unit.convert.documents import cda, payload, run, section, text_of


def test_every_word_of_the_narrative_is_there_in_order(tmp_path):
    """For each C-CDA sample, at least 99.5% of the words of its narrative stand in text.md, in order."""
    shares = {}
    for path in documents.samples("ccda/*"):
        wanted = narrative(path.read_bytes())
        if not wanted:  # its body is a file beside it
            continue
        text = text_of(tmp_path / path.name, path.read_bytes(), name=path.name)
        shares[path.name] = share_in_order(wanted, written(text))
    assert {name: share for name, share in shares.items() if share < 0.995} == {}


def test_share_in_order_counts_what_is_missing_or_out_of_order():
    """The oracle itself: it neither overlooks a loss nor is led astray by one changed word."""
    wanted = [f"w{n}" for n in range(200)]
    assert share_in_order(wanted, wanted) == 1
    assert share_in_order(wanted, ["x", *wanted[:100], "y", *wanted[101:]]) == 0.995
    assert share_in_order(wanted, wanted[::-1]) < 0.2
    assert share_in_order(wanted, wanted[:150]) == 0.75


HEADER = """
<code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary of episode"/>
<title>A  summary</title><effectiveTime value="20240131093000-0500"/><languageCode code="en-US"/>
<recordTarget><patientRole><patient><name><prefix>Ms</prefix><family>Doe</family><given>Jane</given></name>
<birthTime value="19700102"/><administrativeGenderCode code="F"/></patient></patientRole></recordTarget>
<author><assignedAuthor><assignedPerson><name>Dr. <given>Ann</given><family>Ok</family></name>
</assignedPerson></assignedAuthor></author>
<author><assignedAuthor><assignedAuthoringDevice><softwareName>Maker</softwareName></assignedAuthoringDevice>
</assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><name>A Clinic</name>
</representedCustodianOrganization></assignedCustodian></custodian>
"""


def test_header_is_reported_in_text_and_metadata(tmp_path):
    """Title, patient, authors, date, custodian, type and language are found."""
    done, outputs = run(tmp_path, cda(section("Fine."), HEADER))
    assert {
        key: done["metadata"][key] for key in ("title", "date", "author", "custodian", "loinc", "language")
    } == {
        "title": "A summary",
        "date": "2024-01-31T09:30:00-05:00",
        "author": "Ann Ok; Maker",
        "custodian": "A Clinic",
        "loinc": {"code": "34133-9", "display": "Summary of episode"},
        "language": "en-US",
    }
    assert outputs["text.md"].decode() == (
        "# A summary\n\n"
        "- Patient: Ms Jane Doe, born 1970-01-02, female\n"
        "- Date: 2024-01-31T09:30:00-05:00\n"
        "- Author: Ann Ok; Maker\n"
        "- Custodian: A Clinic\n"
        "- Type: Summary of episode (LOINC 34133-9)\n\n"
        "## A section\n\nFine.\n"
    )


NARRATIVE = {
    "table with spans": (
        """<table><caption>Labs</caption><thead><tr><th colspan='2'>Test</th><th>Day</th></tr></thead><tbody>
        <tr><td rowspan='2'>Na|K</td><td>135<br/>140</td><td>Mo</td></tr><tr><td>4</td><td>Tu</td></tr>
        </tbody></table>""",
        "Labs\n\n| Test |  | Day |\n| --- | --- | --- |\n| Na\\|K | 135<br>140 | Mo |\n|  | 4 | Tu |",
    ),
    "table without a head": (
        "<table><tbody><tr><td>a</td><td>b</td></tr></tbody></table>",
        "|  |  |\n| --- | --- |\n| a | b |",
    ),
    "lists within lists": (
        "<list listType='ordered'><item>one<list><item>in</item></list></item><item>two</item></list>",
        "1. one\n\n   - in\n\n2. two",
    ),
    "list in a cell": (
        "<table><tbody><tr><td>x</td><td><list><item>a</item><item>b</item></list></td></tr></tbody></table>",
        "|  |  |\n| --- | --- |\n| x | • a<br>• b |",
    ),
    "content that touches": (
        "<content>Aspirin</content><content styleCode='Bold'>81 mg</content>",
        "Aspirin **81 mg**",
    ),
    "words that are partly bold": ("A<content>spir</content>in", "Aspirin"),
    "raised numbers": ("10<sup>9</sup>/L, H<sub>2</sub>O, 1<sup>st</sup>", "10⁹/L, H₂O, 1st"),
    "lines of a printer": ("one\n     two\n     three", "one two three"),
    "lines that are meant": ("S: pain\nO: none\nP: rest", "S: pain  \nO: none  \nP: rest"),
    "footnote": ("Fine<footnote>But see here</footnote>.", "Fine [note: But see here] ."),
    "empty link": ("<linkHtml href='http://x.y'/>", "http://x.y"),
    "text beside cells": (
        "<table><tr>stray<td>a</td><td>b</td></tr></table>",
        "stray\n\n|  |  |\n| --- | --- |\n| a | b |",
    ),
    "deleted text": ("Take <content revised='delete'>two</content> one", "Take [deleted: two] one"),
    "caption of a picture": (
        "<renderMultiMedia referencedObject='M'><caption>ECG</caption></renderMultiMedia>",
        "[picture]\n\nECG",
    ),
    "what HTML hides": ("<object>seen</object>", "seen"),
    "more columns than anybody has": (
        "<table><tr><td colspan='200'>a</td><td>b</td></tr></table>",
        "|  |  |\n| --- | --- |\n| a | b |",
    ),
    "nested tables": (
        "<table><tr><td><table><tr><td>a</td><td>b</td></tr></table></td><td>c</td></tr></table>",
        "|  |  |\n| --- | --- |\n| a | b |\n\nc",
    ),
}


@pytest.mark.parametrize(("text", "markdown"), NARRATIVE.values(), ids=NARRATIVE)
def test_narrative_becomes_markdown(text, markdown, tmp_path):
    """Tables, lists, lines and marks of the narrative keep their meaning."""
    assert text_of(tmp_path, cda(section(text))) == f"## A section\n\n{markdown}\n"


def test_a_section_without_text_shows_its_entries(tmp_path):
    """Where a section has entries alone, they are listed; a section is never without its name."""
    entry = """<entry><observation><code displayName='Pulse'/><statusCode code='completed'/>
    <effectiveTime value='20240131'/><value value='61' unit='/min'/></observation></entry>
    <entry><substanceAdministration><effectiveTime><low value='2023'/></effectiveTime><consumable>
    <manufacturedProduct><manufacturedMaterial><code code='1'><originalText>Aspirin</originalText></code>
    </manufacturedMaterial></manufacturedProduct></consumable><entryRelationship><act>
    <code displayName='Note'/><text>daily</text></act></entryRelationship>
    </substanceAdministration></entry>"""
    inner = f"<section><code code='8716-3'/><text/>{entry}</section>"
    body = f"<structuredBody><component>{inner}</component></structuredBody>"
    assert text_of(tmp_path, cda(body)) == (
        "## Vital signs\n\n- Pulse: 61 /min; completed; 2024-01-31\n\n- Aspirin; 2023\n\n  - Note; daily\n"
    )


def test_documents_in_an_envelope(tmp_path):
    """A document is found in SOAP and other envelopes, as elements or as text."""
    inner = cda(section("Fine."), HEADER).split(b"?>", 1)[1]
    soap = b"<s:Envelope xmlns:s='urn:s'><s:Body>" + inner + b"</s:Body></s:Envelope>"
    text = b"<r><![CDATA[" + inner + b"]]></r>"
    escaped = b"<string>" + inner.replace(b"&", b"&amp;").replace(b"<", b"&lt;") + b"</string>"
    for number, data in enumerate((soap, text, escaped)):
        done, outputs = run(tmp_path / str(number), data)
        assert (done["media_type"], done["metadata"]["title"]) == ("application/hl7-cda+xml", "A summary")
        assert "## A section\n\nFine.\n" in outputs["text.md"].decode()


def test_further_people_and_the_visit_are_reported(tmp_path):
    """Signatures, participants, the visit and the service are in the header."""
    more = """<legalAuthenticator><assignedEntity><assignedPerson><name><given>Lee</given>
    <family>Gal</family></name></assignedPerson></assignedEntity></legalAuthenticator><participant>
    <associatedEntity><code displayName='Mother'/><associatedPerson><name>Mo Doe</name></associatedPerson>
    </associatedEntity></participant>
    <documentationOf><serviceEvent><effectiveTime><low value='2020'/><high value='2021'/></effectiveTime>
    </serviceEvent></documentationOf><componentOf><encompassingEncounter>
    <effectiveTime value='20240131'/><location><healthCareFacility><location><name>Ward 1</name>
    </location></healthCareFacility></location>
    </encompassingEncounter></componentOf>"""
    text = text_of(tmp_path, cda(section("Fine."), HEADER + more))
    assert (
        "- Authenticated by: Lee Gal\n- Participant: Mo Doe, Mother\n- Encounter: 2024-01-31, Ward 1\n"
        "- Service: 2020 to 2021\n"
    ) in text


def test_type_by_translation_or_by_the_name_of_its_system(tmp_path):
    """The LOINC code of the type is found where a local one stands first, or the system has a name only."""
    codes = (
        """<code code='X' codeSystem='1.2'>
        <translation code='34133-9' codeSystem='2.16.840.1.113883.6.1'/></code>""",
        "<code code='34133-9' codeSystemName='LOINC'/>",
    )
    for number, code in enumerate(codes):
        done, _ = run(tmp_path / str(number), cda(section("Fine."), code))
        assert done["metadata"]["loinc"] == {"code": "34133-9", "display": None}


def test_sections_nest(tmp_path):
    """A section within a section has a heading one level down, after its parent's text."""
    body = (
        "<structuredBody><component><section><title>A</title><text>a</text><entry><act><text>no</text></act>"
        "</entry>"
        "<component><section><code displayName='B'/><text>b</text></section></component></section>"
        "</component>"
        "<component><section><title>C</title><text>c</text></section></component></structuredBody>"
    )
    assert text_of(tmp_path, cda(body)) == "## A\n\na\n\n### B\n\nb\n\n## C\n\nc\n"


PDF = documents.pdf()
BARE = zlib.compressobj(wbits=-15)
BARE_PDF = BARE.compress(PDF) + BARE.flush()
PAYLOADS = {
    "base64": payload(PDF),
    "deflate, bare": payload(BARE_PDF, more=" compression='DF'"),
    "deflate as zlib": payload(zlib.compress(PDF), more=" compression='DF'"),
    "deflate as gzip": payload(zlib.compress(PDF, wbits=31), more=" compression='GZ'"),
    "deflate that is a lie": payload(PDF, more=" compression='DF'"),
    "base64 that does not say so": payload(PDF).replace(' representation="B64"', ""),
    "base64 in lines": payload(PDF).replace("J", "J\n  "),
    "base64 without its padding": payload(PDF).replace("=<", "<"),
    "a data url": payload(PDF).replace(">JVBE", ">data:application/pdf;base64,JVBE"),
    "another type declared": payload(PDF, "text/rtf"),
}


@pytest.mark.parametrize("body", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_a_document_of_its_own(body, tmp_path):
    """An embedded PDF is unpacked, whatever is claimed of how it is packed, and noted in the text."""
    done, outputs = run(tmp_path, cda(body, HEADER))
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.pdf"]
    path = tmp_path / "out" / "embedded" / "001"
    assert path.read_bytes() == PDF
    assert (
        "[The content of this document is a PDF, kept beside it as embedded-1.pdf.]"
        in outputs["text.md"].decode()
    )


def test_payload_that_is_nothing_is_reported(tmp_path):
    """What cannot be decoded is a warning beside a readable header, and a failure where nothing else is."""
    attributes = 'mediaType="text/rtf" representation="B64" compression="DF"'
    broken = f"<nonXMLBody><text {attributes}>dhUhk!#</text></nonXMLBody>"
    done, outputs = run(tmp_path / "a", cda(broken, HEADER))
    assert done["outcome"] == "converted"
    assert done["warnings"] == ["an embedded document could not be decoded"]
    done, outputs = run(tmp_path / "b", f"<component>{broken}</component>".encode())
    assert (done["outcome"], outputs) == ("failed", {})
    assert done["reason"] == "The document inside of this file is damaged and cannot be decoded."


def test_deflate_bomb_is_refused(tmp_path):
    """A payload that inflates beyond the limit fails before it is whole in memory."""
    bomb = zlib.compressobj(wbits=-15)
    packed = b"".join(bomb.compress(bytes(2**24)) for _ in range(17)) + bomb.flush()
    done, _ = run(tmp_path, cda(payload(packed, more=" compression='DF'"), HEADER))
    assert (done["outcome"], done["reason"]) == (
        "failed",
        "An embedded document unpacks to more than it may.",
    )


def test_payload_beyond_ten_megabytes_is_read(tmp_path):
    """libxml2 refuses text over 10 MB unless asked; a large scan within a CDA is common."""
    scan = PDF + b"%" * 9_000_000
    done, _ = run(tmp_path, cda(payload(scan), HEADER))
    assert (done["outcome"], len(done["embedded"])) == ("converted", 1)


def test_plain_text_body_is_text(tmp_path):
    """An unstructured body that is not encoded is the document's own text."""
    body = '<nonXMLBody><text mediaType="text/plain">S: pain\nO: none\nP: rest</text></nonXMLBody>'
    assert text_of(tmp_path, cda(body)) == "S: pain  \nO: none  \nP: rest\n"


def test_reference_to_a_file_beside(tmp_path):
    """A referred file is named; a warning says when the archive lacks it."""
    body = '<nonXMLBody><text><reference value=".\\docs\\scan.pdf"/></text></nonXMLBody>'
    done, outputs = run(tmp_path / "a", cda(body), siblings=["x/scan.pdf"])
    assert done["warnings"] == []
    assert "the file scan.pdf" in outputs["text.md"].decode()
    done, _ = run(tmp_path / "b", cda(body), siblings=["x/other.pdf"])
    assert done["warnings"] == ["the document refers to a separate file that the archive lacks"]


def test_picture_that_does_not_say_it_is_encoded_and_one_that_is_a_file(tmp_path):
    """An observationMedia without `representation` is taken out; one that refers to a file names it."""
    png = base64.b64encode(documents.image()).decode()
    media = (
        f"<entry><observationMedia ID='A'><value mediaType='image/png'>{png}</value></observationMedia>"
        "</entry>"
        "<entry><observationMedia ID='B'><value><reference value='img/x.jpg'/></value></observationMedia>"
        "</entry>"
    )
    displayed = "<renderMultiMedia referencedObject='A'/> <renderMultiMedia referencedObject='B'/>"
    body = section(displayed).replace("</section>", media + "</section>")
    done, outputs = run(tmp_path, cda(body), siblings={"img/x.jpg": "/somewhere"})
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.png"]
    assert "[picture: embedded-1.png] [picture: x.jpg]" in outputs["text.md"].decode()
    assert done["warnings"] == []


def test_pictures_in_the_narrative_are_carried_along(tmp_path):
    """An observationMedia is an embedded document, and the narrative says where it belongs."""
    png = base64.b64encode(documents.image()).decode()
    body = section("See <renderMultiMedia referencedObject='M1'/> above.").replace(
        "</section>",
        f"<entry><observationMedia ID='M1'><value mediaType='image/png' representation='B64'>{png}</value>"
        "</observationMedia></entry></section>",
    )
    done, outputs = run(tmp_path, cda(body))
    assert [(part["name"], part["declared"]) for part in done["embedded"]] == [
        ("embedded-1.png", "image/png")
    ]
    assert "See [picture: embedded-1.png] above." in outputs["text.md"].decode()


BROKEN = {
    "raw ampersand": cda(section("M & M, a &lt; b & c")),
    "undeclared entity": cda(section("M&nbsp;&amp; M, a &lt; b &amp; c")),
    "undeclared prefix": cda(section("<content xsi:type='x'>M &amp; M</content>, a &lt; b &amp; c")),
    "control character": cda(section("M\x03 &amp; M, a &lt; b &amp; c")),
    "bare less-than": cda(section("M &amp; M, a < b &amp; c")),
    "rubbish before": b"OK 200 "
    + cda(section("M &amp; M, a &lt; b &amp; c")).replace(b'<?xml version="1.0" encoding="UTF-8"?>', b""),
    "rubbish after": cda(section("M &amp; M, a &lt; b &amp; c")) + b"\x1a<!--",
    "breaks as in HTML": cda(section("M &amp; M,<br>a &lt; b<br>&amp; c")),
    "crossed tags": cda(section("<a>M &amp; <u>M</a>, a</u> &lt; b &amp; c")),
    "number of no character": cda(section("M&#2; &amp; M, a &lt; b &amp; c")),
}


WIDE = {
    "UTF-16": ("UTF-16", "utf-16"),
    "without a mark": ("UTF-16", "utf-16-le"),
    "big-endian": ("UTF-16", "utf-16-be"),
    "that claims to be UTF-8": ("UTF-8", "utf-16"),
}


@pytest.mark.parametrize(("expected", "encoding"), WIDE.values(), ids=WIDE)
def test_utf16_is_read_without_mending(expected, encoding, tmp_path):
    """Wide characters are fine, whatever the declaration says, and the last of them is not cut in two."""
    data = cda(section("José")).decode().replace("UTF-8", expected).encode(encoding)
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], done["warnings"]) == ("converted", [])
    assert "José" in outputs["text.md"].decode()


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_xml_is_mended_once_with_a_warning(data, tmp_path):
    """The usual faults of real files are put right, and the reader of the text is reported."""
    done, outputs = run(tmp_path, data, name="a.xml")
    assert done["warnings"] == ["the XML was not well-formed and was mended; check it against the original"]
    assert "M & M, a < b & c" in " ".join(outputs["text.md"].decode().split())


def test_cp1252_that_claims_utf8_is_mended(tmp_path):
    """A wrong declaration of the encoding does not lose the document."""
    data = cda(section("José Müller")).decode().encode("cp1252")
    done, outputs = run(tmp_path, data)
    assert len(done["warnings"]) == 1
    assert "José Müller" in outputs["text.md"].decode()


HOPELESS = {
    "cut short": (cda(section("x" * 500))[:300], "The file is cut short."),
    "too deep": (
        cda(section("<content>" * 600 + "</content>" * 600)),
        "The XML is nested too deeply to be read.",
    ),
    "empty": (cda(""), "The clinical document has neither text nor embedded documents."),
    "a tag that swallows text": (
        cda(section("a <b c='d <p>lost</p> e")),
        "The XML is damaged at line 1, column ",
    ),
}


@pytest.mark.parametrize(("data", "reason"), HOPELESS.values(), ids=HOPELESS)
def test_hopeless_xml_fails_with_a_plain_reason(data, reason, tmp_path):
    """What cannot be mended fails in a sentence that says why, without the document's text."""
    done, outputs = run(tmp_path, data)
    assert (done["outcome"], outputs) == ("failed", {})
    assert done["reason"].startswith(reason)


def test_entities_are_never_expanded_or_fetched(tmp_path):
    """Neither an external entity nor a bomb of entities reaches the text or the memory."""
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET")
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    for number, (declared, used) in enumerate(
        [(f'<!ENTITY x SYSTEM "file://{secret}">', "&x;"), (f'<!ENTITY e0 "lol">{lines}', "&e11;")]
    ):
        data = cda(section(f"before {used} after")).replace(b"?>", f"?><!DOCTYPE a [{declared}]>".encode(), 1)
        done, outputs = run(tmp_path / str(number), data)
        text = outputs.get("text.md", b"").decode()
        assert "SECRET" not in text
        assert text.count("lol") < 5
        assert done["outcome"] in {"converted", "failed"}


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("20240131", "2024-01-31"),
        ("202401", "2024-01"),
        ("2024", "2024"),
        ("20240131093059.123+0100", "2024-01-31T09:30:59+01:00"),
        ("202401310930-0500", "2024-01-31T09:30-05:00"),
        ("2024-01-31T09:30:00Z", "2024-01-31T09:30:00Z"),
        ("20241301", "2024"),
        ("20240131250000", "2024-01-31"),
        ("nullFlavor", None),
        ("", None),
    ],
)
def test_hl7_times_become_iso_8601(value, date):
    """A time is as exact as the document says, and keeps its zone."""
    assert iso_date(value) == date


def test_crossed_tags_beside_a_prefix_that_nobody_declared(tmp_path):
    """What is mended keeps its text, whatever its attributes are called."""
    body = section('<paragraph w:a="1&amp;2" ID="x">One <content>two</paragraph></content> three.')
    text = text_of(tmp_path, cda(body))
    assert "One" in text
    assert "three." in text
