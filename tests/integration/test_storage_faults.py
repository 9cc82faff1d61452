"""An object store on a bad day: it breaks off, loses answers, is down, refuses; nothing half is found."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
import pytest

from docpipe.errors import StateError, UnreachableError
from docpipe.gates import gate as gates
from docpipe.model import Ticket, WaitKind
from docpipe.storage import hashed_names
from docpipe.storage.attempts import BucketError
from docpipe.storage.objects import ObjectStorage
from tests.integration.test_storage_contract import DOCUMENT, PATIENT, RUN, sources
from tests.object_stores import S3, Way, gate_of, objects, way_to

META = "metadata.json"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr(gates, "FIRST_RETRY_S", 0.01)


@pytest.fixture
async def way(s3: S3) -> AsyncIterator[Way]:
    """The way to a bucket."""
    async with way_to(s3.address) as way:
        yield way


def through(way: Way, s3: S3, **words: object) -> ObjectStorage:
    """A storage on that way, behind a gate."""
    return objects(s3.url, s3.options | {"endpoint": way.address}, gate=gate_of(), **words)


async def put(storage: ObjectStorage, tmp_path: Path, text: bytes = b"text") -> None:
    files = sources(tmp_path, original_pdf=b"%PDF", text_md=text)
    await storage.put_document(PATIENT, DOCUMENT, files, {"title": text.decode()}, Ticket("R1"))


async def test_cancelled_at_any_request(way: Way, s3: S3, tmp_path: Path) -> None:
    """Wherever a write ends, what is found is whole, old or new, or not there; and a repetition completes."""
    storage, plain = through(way, s3), objects(s3.url, s3.options)
    step, finished = 0, False
    while not finished:
        step += 1
        await put(plain, tmp_path, b"old")
        way.hanging, way.seen = asyncio.Event(), []
        way.fault = lambda _method, _path, step=step: "hang" if len(way.seen) == step else None
        writing = asyncio.create_task(put(storage, tmp_path, b"newer"))
        hanging = asyncio.create_task(way.hanging.wait())
        await asyncio.wait({writing, hanging}, return_when=asyncio.FIRST_COMPLETED)
        finished = writing.done()
        writing.cancel()
        hanging.cancel()
        await asyncio.gather(writing, hanging, return_exceptions=True)
        result = await plain.find_document(PATIENT, DOCUMENT)
        if result is not None:
            assert await plain.get_document_file(PATIENT, DOCUMENT, "text.md") == result["title"].encode()
        way.fault = lambda _method, _path: None
        await put(storage, tmp_path, b"newest")
        assert (await plain.find_document(PATIENT, DOCUMENT))["title"] == "newest"
    assert step == 6  # DELETE, two PUTs, LIST, the metadata; then none is left to hang


@pytest.mark.parametrize("fault", ["503", "reset", "lost"])
async def test_every_request_fails_once(way: Way, s3: S3, tmp_path: Path, fault: str) -> None:
    """Each is tried again until it is answered; what was written, with its answer lost, is no obstacle."""
    storage, failed = through(way, s3), set()

    def once(method: str, path: str) -> str | None:
        first = (method, path) not in failed
        failed.add((method, path))
        return fault if first else None

    way.fault = once
    await put(storage, tmp_path)
    assert (await storage.find_document(PATIENT, DOCUMENT, Ticket()))["title"] == "text"
    await storage.put_run_files(PATIENT, RUN, {"report.json": b"1"}, Ticket())
    assert await storage.get_run_file(PATIENT, RUN, "report.json", Ticket()) == b"1"
    assert len(failed) >= 7


async def test_in_an_outage_one_probes(way: Way, s3: S3, tmp_path: Path) -> None:
    """The others wait without a request, and their tickets say so; then all continue."""
    storage = through(way, s3)
    service = storage._attempts.gate.service
    way.fault = lambda _method, _path: "503"
    tickets = [Ticket(f"R{number}") for number in range(20)]
    files = sources(tmp_path, text_md=b"text")
    writing = [
        asyncio.create_task(storage.put_document(f"P{number}", DOCUMENT, files, {}, ticket))
        for number, ticket in enumerate(tickets)
    ]
    while service.view().outage is None or service.view().outage.probes < 3:
        await asyncio.sleep(0.01)
    waiting = [ticket for ticket in tickets if ticket.wait and ticket.wait.kind is WaitKind.OUTAGE]
    assert len(waiting) >= 18
    assert {ticket.wait.what for ticket in waiting} == {"storage"}
    # Eight at most were on their way when it went down, and each probe is one.
    assert len(way.seen) <= 8 + 3 + service.view().outage.probes + 2
    assert "status 503" in service.view().outage.reason
    way.fault = lambda _method, _path: None
    await asyncio.gather(*writing)
    assert service.up
    assert len(objects(s3.url, s3.options).tree().patients()) == 20


async def test_a_pause_sends_nobody_but_readers(way: Way, s3: S3, tmp_path: Path) -> None:
    """Runs wait until it is unpaused; documents can be read meanwhile."""
    storage = through(way, s3)
    await put(storage, tmp_path)
    service, ticket = storage._attempts.gate.service, Ticket()
    service.pause()
    way.seen.clear()
    finding = asyncio.create_task(storage.find_document(PATIENT, DOCUMENT, ticket))
    while ticket.wait is None:
        await asyncio.sleep(0.01)
    assert (ticket.wait.kind, way.seen) == (WaitKind.PAUSE, [])
    assert await storage.get_document_file(PATIENT, DOCUMENT, "text.md") == b"text"
    service.unpause()
    assert await finding is not None


async def test_what_will_not_get_better_is_reported(way: Way, s3: S3, tmp_path: Path) -> None:
    """A refusal, or a missing bucket, is final, reported in docpipe's own words, and no outage."""
    storage = through(way, s3)
    way.fault = lambda _method, _path: "403"
    with pytest.raises(BucketError) as refused:
        await put(storage, tmp_path)
    assert refused.value.strerror == "the store refuses docpipe: check its credentials and what they permit"
    with pytest.raises(StateError, match="check its credentials"):
        await storage.check()
    assert storage._attempts.gate.service.up
    nowhere = objects("s3://not-there", s3.options, gate=gate_of())
    for trial in (
        put(nowhere, tmp_path),
        nowhere.put_run_files(PATIENT, RUN, {"report.json": b"1"}, Ticket()),
    ):
        with pytest.raises(BucketError, match="no such bucket"):
            await trial
    with pytest.raises(StateError, match="no such bucket"):
        await nowhere.check()
    away = objects("s3://bucket", s3.options | {"endpoint": "http://127.0.0.1:9"}, gate=gate_of())
    with pytest.raises(UnreachableError, match="no connection"):
        await away.check()


async def test_no_secret_and_no_patient_in_what_is_reported(way: Way, s3: S3) -> None:
    """The texts of a store's errors bear keys and signatures; ours do not."""
    storage = through(way, s3)
    way.fault = lambda _method, _path: "503"
    with pytest.raises(OSError, match="status 503") as error:
        await storage.get_document_file("Jane-Doe", DOCUMENT, "text.md")
    assert "Jane-Doe" not in f"{error.value} {error.value.strerror}"


async def test_objects_tell_of_no_patient(s3: S3, tmp_path: Path) -> None:
    """They have a type and a checksum, and with a keyed hash no id in their names."""
    storage = objects(s3.url, s3.options, name=hashed_names("k" * 32))
    files = sources(tmp_path, text_md=b"text")
    await storage.put_document("Jane-Doe", DOCUMENT, files, {"title": "T"})
    (patient,) = storage.tree().patients()
    assert patient == storage.folder_of("Jane-Doe") == "1b64636c51c0548b0037caaadc65ae4b"
    assert (await storage.find_document("Jane-Doe", DOCUMENT))["title"] == "T"
    attributes = obstore.get(storage.store, f"{patient}/{DOCUMENT}/text.md").attributes
    assert attributes == {
        "Content-Type": "text/markdown; charset=utf-8",
        "sha256": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
    }


async def test_somebody_else_writes_the_same_document(way: Way, s3: S3, tmp_path: Path) -> None:
    """Two docpipes with one bucket leave a document whole, never metadata of one with files of the other."""
    one, other = through(way, s3), objects(s3.url, s3.options)

    async def meanwhile() -> None:
        await put(other, tmp_path / "other", b"of another")

    (tmp_path / "other").mkdir()
    writing: list[asyncio.Task[None]] = []

    def fault(method: str, path: str) -> str | None:
        if method == "PUT" and path.endswith(META) and not writing:
            writing.append(asyncio.create_task(meanwhile()))
            return "reset"  # and is tried again when the other has written
        return None

    way.fault = fault
    await put(one, tmp_path)
    await asyncio.gather(*writing)
    result = await other.find_document(PATIENT, DOCUMENT)
    assert await other.get_document_file(PATIENT, DOCUMENT, "text.md") == result["title"].encode()


async def test_an_upload_that_breaks_off_is_taken_back(way: Way, s3: S3, tmp_path: Path) -> None:
    """A large file of which a part fails leaves no incomplete upload, and is sent again."""
    failed = []

    def fault(_method: str, path: str) -> str | None:
        if "partNumber=2" in path and not failed:
            failed.append(path)
            return "reset"
        return None

    way.fault = fault
    files = sources(tmp_path, original_pdf=bytes(11 * 2**20))
    await through(way, s3).put_document(PATIENT, DOCUMENT, files, {}, Ticket())
    assert failed
    assert "<Upload>" not in s3.ask("GET", "?uploads")["body"]
