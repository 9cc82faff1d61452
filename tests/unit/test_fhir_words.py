"""What FHIR servers say, read without trust: outcomes, progress, references, documents, NDJSON."""

import base64
import hashlib
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.config.config import Docex
from docpipe.errors import ServiceError
from docpipe.http import origin_of
from docpipe.model import Outcome
from docpipe.results.files import Declared
from docpipe.sources.fhir.arrived import Source, from_base64, judged, mismatches
from docpipe.sources.fhir.declared import FOREIGN, foreign, wanted
from docpipe.sources.fhir.intake import Counts, Intake, ndjson
from docpipe.sources.fhir.listing import Listing
from docpipe.sources.fhir.resources import bundle_of, person_of, resources
from docpipe.sources.fhir.retrieval import Retrieval
from docpipe.sources.fhir.vocabulary import outcome, parsed, progress, referred
from docpipe.sources.fhir.wire import Wire, broken, from_server, not_supported

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
WORDS = (
    *("resourceType", "id", "status", "content", "attachment", "url", "data", "contentType", "hash", "size"),
    *("contained", "subject", "reference", "type", "coding", "author", "issue", "code", "severity", "entry"),
    *("resource", "link", "relation", "response", "outcome", "presentedForm", "title", "display", "name"),
)
TYPES = st.sampled_from(["DocumentReference", "Binary", "OperationOutcome", "DiagnosticReport", "Media"])
HOSTILE = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(WORDS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=15,
)
LINE = st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" "))
LOINC = "http://loinc.org"
RESOURCE = st.builds(
    lambda kind, rest: {**(rest if isinstance(rest, dict) else {}), "resourceType": kind}, TYPES, HOSTILE
)


def oo(code: str, severity: str = "error", text: str = "why") -> dict[str, Any]:
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def read_page(intake: Intake, folder: Path, bundle: dict[str, Any]) -> Counts:
    page = folder / "page.json"
    page.write_text(json.dumps(bundle), "utf-8")
    return intake.bundle(Listing.of(page).resources, folder / "others", "page")


def reference(**attachment: Any) -> dict[str, Any]:
    resource = {"resourceType": "DocumentReference", "id": "d1", "status": "current"}
    return {**resource, "subject": {"reference": "Patient/P1"}, "content": [{"attachment": attachment}]}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("45%", 0.45),
        ("Build in progress - Status set to BUILDING at 50 % of files", 0.5),
        ("100%", 1.0),
        ("3 of 8 networks", 0.375),
        ("12/48 files", 0.25),
        ("in progress", None),
        ("140%", None),
        ("5/0", None),
        ("", None),
        (None, None),
    ],
)
def test_progress_is_read_where_there_is_some(text: str | None, part: float | None) -> None:
    """A percentage, or so many of so many; any other text says nothing."""
    assert progress(text) == part


@given(st.text())
def test_no_progress_is_out_of_bounds(text: str) -> None:
    """Whatever is written there, it is a part of one, or nothing."""
    part = progress(text)
    assert part is None or 0 <= part <= 1


def test_outcomes_tell_whether_to_try_again() -> None:
    """Codes below `transient` ask for it; `exception` does not, since failed jobs bear it too."""
    assert outcome(oo("transient")).transient
    assert outcome(oo("throttled")).transient
    assert not outcome(oo("exception")).transient
    assert not outcome(oo("processing")).transient
    assert not outcome(oo("informational", "information")).bad
    assert outcome({"resourceType": "Patient"}) is None
    assert outcome(oo("Ann Lee")).codes == ()


def test_what_a_5xx_means() -> None:
    """A proxy's is an outage; the server's own says something of the job, or of one file."""
    page = b"<html>"
    transient, processing = (json.dumps(oo(code)).encode() for code in ("timeout", "processing"))
    heard = [
        from_server(*answer) for answer in ((503, page), (503, transient), (500, processing), (501, page))
    ]
    assert heard == [False, True, True, True]
    assert [broken(503, page), broken(500, page), broken(500, transient), broken(503, processing)] == [
        False,
        True,
        False,
        True,
    ]
    assert not_supported(501, b"")
    assert not_supported(500, json.dumps(oo("not-supported")).encode())
    assert not not_supported(500, processing)


@pytest.mark.parametrize(
    ("reference", "actual"),
    [
        ("Binary/1", ("Binary", "1")),
        ("https://h/fhir/Binary/1/_history/2", ("Binary", "1")),
        ({"reference": "Patient/a.b-c"}, ("Patient", "a.b-c")),
        ("urn:uuid:5", None),
        ("#b", None),
        ("1", None),
        (None, None),
    ],
)
def test_references_end_in_type_and_id(reference: Any, actual: tuple[str, str] | None) -> None:
    """Whatever stands before them, and without a version."""
    assert referred(reference) == actual


def test_a_document_reference_tells_all_it_knows() -> None:
    """Facts come from the attachment first, then from the reference; the name gets its suffix."""
    resource = {
        **reference(contentType="application/pdf", url="Binary/9", size=3, hash="aGFzaA=="),
        "description": "Discharge letter",
        "date": "2024-05-17",
        "author": [{"reference": "#a"}],
        "contained": [{"id": "a", "name": [{"family": "Who", "given": ["Dr"]}]}],
        "custodian": {"display": "Clinic"},
        "type": {"coding": [{"system": LOINC, "code": "18842-5", "display": "Discharge summary"}]},
    }
    (actual,) = wanted(resource, "P1")
    assert actual.name == "DocumentReference/d1/Discharge letter.pdf"
    assert actual.declared == Declared(
        media_type="application/pdf",
        title="Discharge letter",
        created="2024-05-17",
        author="Dr Who",
        custodian="Clinic",
        loinc={"code": "18842-5", "display": "Discharge summary"},
    )
    assert (actual.url, actual.size, actual.sha1) == ("Binary/9", 3, "aGFzaA==")


def test_delayed_assembly_is_not_held_against_its_size() -> None:
    """Size 0 and the digest of nothing mean that both are not yet known (ITI-67)."""
    (actual,) = wanted(reference(url="Binary/1", size=0, hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk="), "P1")
    assert (actual.size, actual.sha1) == (None, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "superseded"}, "ignored"),
        ({"status": "entered-in-error"}, "ignored"),
        ({"subject": {"reference": "https://h/fhir/Patient/P2"}}, "refused"),
        ({"content": []}, "failed"),
        ({"content": [{"attachment": {"contentType": "text/plain"}}]}, "failed"),
        ({"content": [{"attachment": {"url": "#gone"}}]}, "failed"),
    ],
)
def test_every_reference_without_a_document_says_why(change: dict[str, Any], field: str) -> None:
    """Not current, another patient's, or without content: accounted for."""
    (actual,) = wanted(reference(url="Binary/1") | change, "P1")
    assert getattr(actual, field)
    assert actual.url is None


def test_resources_of_other_patients_are_distinguished() -> None:
    """By what they say of themselves; what says nothing is taken."""
    assert foreign({"resourceType": "Patient", "id": "P2"}, "P1")
    assert foreign({"resourceType": "Observation", "subject": {"reference": "Patient/P2"}}, "P1")
    assert not foreign({"resourceType": "Observation", "subject": {"reference": "http://h/Patient/P1"}}, "P1")
    assert not foreign({"resourceType": "Observation", "subject": {"reference": "Group/P2"}}, "P1")
    assert not foreign({"resourceType": "Organization"}, "P1")
    assert foreign({"resourceType": "Binary", "securityContext": {"reference": "Patient/P2"}}, "P1")
    assert not foreign(
        {"resourceType": "Binary", "securityContext": {"reference": "DocumentReference/2"}}, "P1"
    )
    assert foreign({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/P2"}}, "P1")
    both = [{"reference": "Patient/P2"}, {"reference": "Patient/P1"}]
    assert not foreign({"resourceType": "Account", "subject": both}, "P1")
    assert foreign({"resourceType": "Account", "subject": both}, "P3")


@pytest.mark.parametrize("referring", ["P1", "P2", None])
def test_a_mixed_result_keeps_what_is_the_patients_own(tmp_path: Path, referring: str | None) -> None:
    """Beside resources of others, a Binary is kept only if a reference of this patient names it."""
    binary = {"resourceType": "Binary", "id": "P2.9", "contentType": "text/plain", "data": "Ynl0ZXM="}
    lines = [binary, {"resourceType": "Patient", "id": "P2"}]
    if referring:
        subject = {"subject": {"reference": f"Patient/{referring}"}}
        lines.append(reference(contentType="text/plain", url="Binary/P2.9", title="Note") | subject)
    path = tmp_path / "1.ndjson"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, "damaged P2"]), "utf-8")
    intake = Intake(tmp_path, "P1", 100)
    _, kept = intake.lines(path, "x.ndjson", token=True)
    intake.settle()
    assert b"damaged" not in kept.read_bytes()
    if referring == "P1":
        assert [item.outcome for item in intake.items] == [None, Outcome.FAILED]
        return
    assert {item.outcome for item in intake.items} == {Outcome.REFUSED, Outcome.FAILED}
    assert not [item for item in intake.items if "P2" in f"{item.name} {item.declared} {item.reason}"]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_binary_that_nobody_refers_to(tmp_path: Path, *, mixed: bool) -> None:
    """In a result of one patient it is a document, as before."""
    binary = {"resourceType": "Binary", "id": "9", "contentType": "text/plain", "data": "Ynl0ZXM="}
    entries = [binary] + [{"resourceType": "Patient", "id": "P2"}] * mixed
    intake = Intake(tmp_path, "P1", 100)
    read_page(intake, tmp_path, {"entry": [{"resource": entry} for entry in entries]})
    intake.settle()
    assert [item.outcome for item in intake.items] == [Outcome.REFUSED if mixed else None]


def test_lines_about_others_are_taken_out_of_the_file(tmp_path: Path) -> None:
    """What is kept holds neither their resources nor the references to their documents."""
    own = reference(url="Binary/1")
    others = reference(url="Binary/2") | {"subject": {"reference": "Patient/P2"}}
    path = tmp_path / "00001.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in (own, others)), "utf-8")
    intake = Intake(tmp_path, "P1", 100)
    counts, kept = intake.lines(path, "DocumentReference.ndjson", token=True)
    assert counts.foreign == 1
    assert "P2" not in kept.read_text("utf-8")
    assert [item.outcome for item in intake.items] == [None, Outcome.REFUSED]
    assert intake.items[1].reason == FOREIGN


def test_binaries_of_the_same_result_are_used_and_not_fetched(tmp_path: Path) -> None:
    """An attachment that refers to a Binary that came along has its bytes, name and facts."""
    data = base64.b64encode(b"bytes").decode()
    binary = {"resourceType": "Binary", "id": "9", "contentType": "text/plain", "data": data}
    bundle = {
        "entry": [
            {"resource": reference(contentType="text/plain", url="Binary/9", title="Note")},
            {"resource": binary},
        ]
    }
    intake = Intake(tmp_path, "P1", 100)
    read_page(intake, tmp_path, bundle)
    (item,) = intake.items
    assert (item.name, item.source) == ("DocumentReference/d1/Note.txt", None)
    assert item.path is not None
    assert item.path.read_bytes() == b"bytes"


@given(st.lists(RESOURCE | HOSTILE, max_size=6))
def test_nothing_that_a_server_sends_stops_the_reading(lines: list[Any]) -> None:
    """Each line is taken or reported, whatever it holds; names are unique, and every item has one outcome."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "file"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8", newline="\n")
        intake = Intake(folder, "P1", 1000)
        counts, _ = intake.lines(path, "x.ndjson", token=True)
        assert counts.lines == len(lines)
        names = [item.name for item in intake.items]
        assert len(set(names)) == len(names)
        for item in intake.items:
            assert item.outcome is not None or item.path is not None
        read_page(intake, folder, {"entry": lines})


@given(HOSTILE)
def test_hostile_answers_are_read_without_an_error(value: Any) -> None:
    """Manifests, Bundles and outcomes may be anything at all."""
    outcome(value)
    if isinstance(value, dict):
        person_of({"link": value, **(value if isinstance(value, dict) else {}), "resourceType": "Patient"})
        if (bundle := bundle_of({"link": value, "entry": value, "resourceType": "Bundle"})) is not None:
            assert isinstance(bundle.next, str | None)
            assert all(isinstance(resource, dict) for resource, _ in resources(bundle))
        foreign(value, "P1")
        list(wanted(value, "P1"))
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "answer").write_text(json.dumps(value), "utf-8")
        assert Retrieval.readable(folder / "answer") in (True, False)


@given(st.lists(LINE, max_size=8), st.integers(1, 20))
def test_long_lines_are_skipped_and_others_kept(lines: list[bytes], longest: int) -> None:
    """No line over the limit is held; those around it come whole."""
    file = io.BytesIO(b"".join(line + b"\n" for line in lines))
    actual = list(ndjson(file, longest))
    assert actual == [line + b"\n" if len(line) < longest else None for line in lines]


@given(st.binary())
def test_base64_is_read_in_every_dress(data: bytes) -> None:
    """With line ends, without padding, and with the alphabet of URLs."""
    plain = base64.b64encode(data).decode()
    for text in (plain, plain.rstrip("="), "\n".join(plain), base64.urlsafe_b64encode(data).decode()):
        assert from_base64(text) == data
    assert from_base64("a*b") is None
    assert from_base64(None) is None


def test_checksums_are_known_in_base64_and_in_hex(tmp_path: Path) -> None:
    """R4 has base64 of SHA-1; servers have sent hex."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    digest = hashlib.sha1(b"bytes", usedforsecurity=False).digest()
    for message in (base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper(), None):
        assert mismatches(path, 5, message) == []
    assert len(mismatches(path, 6, "x")) == 2


def test_items_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    """So many are taken; of the rest only the number is known."""
    intake = Intake(tmp_path, "P1", 2)
    for number in range(5):
        intake.resource(reference(url=f"Binary/{number}"), Counts(), token=True)
    assert (len(intake.items), intake.beyond) == (2, 3)


def test_broken_json_is_nothing() -> None:
    """Neither broken text nor endless nesting is an error."""
    assert parsed(b"{") is parsed(b"[" * 100_000) is None


def wire(*origins: str) -> Wire:
    """A way to a server, of which only addresses are asked."""
    unused: Any = None
    config = Docex(base_url="https://h.example/fhir", kind="fhir", archive_origins=origins)
    return Wire(unused, config, unused, unused, unused, unused)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("/fhir/jobs/1?x=1", "/fhir/jobs/1?x=1"),
        ("jobs/1", "/fhir/jobs/1"),
        ("https://h.example/fhir/jobs/1", "/fhir/jobs/1"),
        ("https://h.example:443/fhir/jobs/1", "/fhir/jobs/1"),
        ("http://inside:8080/fhir/jobs/1", "/fhir/jobs/1"),
        ("https://files.example/jobs/1", "https://files.example/jobs/1"),
    ],
)
def test_where_to_ask_is_at_home_or_at_a_named_origin(address: str, asked: str) -> None:
    """Credentials go to no other origin, whatever address the server tells."""
    way = wire("https://files.example")
    assert way.at_home(address, "https://h.example/fhir/DocumentReference?patient=1") == asked
    assert way.trusted(origin_of(way.whole(asked)))


@pytest.mark.parametrize("address", ["ftp://h.example/1", "https://[", "mailto:a@b"])
def test_addresses_of_no_use_are_refused(address: str) -> None:
    """With a sentence, not a traceback."""
    with pytest.raises(ServiceError):
        wire().at_home(address, "https://h.example/fhir/x")


def test_files_may_come_from_anywhere_unless_origins_are_named() -> None:
    """Named origins are trusted with credentials; where none is named, others are allowed without."""
    assert wire().allowed("https://other.example")
    assert not wire().trusted("https://other.example")
    assert not wire("https://files.example").allowed("https://other.example")
    assert wire("https://files.example").trusted("https://files.example")


@pytest.mark.parametrize(
    ("size", "sha1", "another"),
    [(3, "", False), (3, "wrong", False), (4, "right", False), (4, "wrong", True), (None, "wrong", False)],
)
def test_a_file_of_another_size_and_checksum_is_another_file(
    tmp_path: Path, size: int | None, sha1: str, *, another: bool
) -> None:
    """One of the two may be a mistake of the server; both are not."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    digest = {"right": hashlib.sha1(b"abc", usedforsecurity=False).hexdigest(), "wrong": "0" * 40}
    source = Source("Binary/1", "text/plain", size, digest.get(sha1))
    assert judged(path, source, "text/plain").another is another


@pytest.mark.parametrize(
    ("more", "another"),
    [
        ({"id": "1"}, False),
        ({}, False),
        ({"id": "2"}, True),
        ({"id": "1", "securityContext": {"reference": "Patient/P2"}}, True),
    ],
)
def test_a_binary_says_which_one_it_is(tmp_path: Path, more: dict[str, Any], *, another: bool) -> None:
    """A Binary as JSON is unwrapped only if it is the one that was asked for, and of this patient."""
    path = tmp_path / "a"
    path.write_text(json.dumps({"resourceType": "Binary", "data": "YWJj", **more}), "utf-8")
    source = Source("http://h/fhir/Binary/1", "text/plain", patient="P1")
    verdict = judged(path, source, "application/fhir+json")
    wrong, other = verdict.problems, verdict.another
    assert (bool(wrong), other) == (another, another)
    assert (path.read_bytes() == b"abc") is not another


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(
    "declared", ["application/pdf", "application/fhir+xml", "application/fhir+json", None]
)
def test_a_binary_is_replaced_by_its_content(tmp_path: Path, form: str, declared: str | None) -> None:
    """In JSON and in XML, also where the document is FHIR itself: servers answer with the resource then."""
    data = base64.b64encode(b"<Bundle/>").decode()
    path = tmp_path / "a"
    if form == "json":
        path.write_text(json.dumps({"data": data, "contentType": "x/y", "resourceType": "Binary", "id": "1"}))
    else:
        members = f'<id value="1"/><contentType value="x/y"/><data value="{data}"/>'
        path.write_text(f'<Binary xmlns="http://hl7.org/fhir">{members}</Binary>')
    verdict = judged(path, Source("https://h/fhir/Binary/1", declared), f"application/fhir+{form}")
    assert (verdict.problems, verdict.media_type, path.read_bytes()) == ([], "x/y", b"<Bundle/>")


def test_a_binary_without_data_is_no_document(tmp_path: Path) -> None:
    """As HAPI FHIR sends it above 10 MiB; a document that only mentions a Binary is kept."""
    path = tmp_path / "a"
    path.write_text('{"resourceType": "Binary", "_data": {"extension": []}}')
    assert judged(path, Source("Binary/1", "application/pdf"), "application/fhir+json").empty
    path.write_text('{"resourceType": "Bundle", "type": "Binary"}')
    assert not judged(path, Source("Binary/1", "application/fhir+json"), "application/fhir+json").problems
