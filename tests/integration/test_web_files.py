"""Documents and their files over real sockets: whole, in ranges, in a sandbox; links of reports lead on."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from docpipe.engine.engine import Change
from docpipe.model import Activity, Outcome
from docpipe.storage import FolderStorage
from docpipe.web.documents import _ORIGINALS
from tests.virtual import wall_clock
from tests.web_support import Served, serving

pytestmark = pytest.mark.virtual

PATIENTS = ("S0", "é/ü", "a b%2F{c}")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A service without a token."""
    async with serving(tmp_path, wall_clock, options={"mix": "full"}) as running:
        yield running


@pytest.mark.parametrize("patient", PATIENTS)
async def test_every_file_that_is_reported_is_there(served: Served, patient: str) -> None:
    """With its type and length; originals are for saving, under a name that is safe."""
    (run,) = await served.finished(patient)
    documents = (await served.get(f"/api/runs/{run}/documents")).json["documents"]
    one = (await served.get(f"/api/runs/{run}")).json
    assert len(documents) == one["files"]
    for outcome in Outcome:
        assert sum(document["outcome"] == outcome for document in documents) == one["documents"][outcome]
    stored = [document for document in documents if document["files"]]
    assert len(stored) >= 5
    for document in stored:
        for name, url in document["files"].items():
            answer = await served.get("", url=f"{served.address}{url}")
            assert answer.status == 200, url
            assert int(answer.headers["Content-Length"]) == len(answer.body)
            assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
            assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            if name == "original":
                assert len(answer.body) == document["size"]
                saved = answer.headers["Content-Disposition"]
                assert re.match(r'attachment; filename="[^"/\\]+\.[a-z0-9]+"', saved)
                assert document["document_id"] not in saved or not document["title"]
            else:
                assert "Content-Disposition" not in answer.headers
                renamed = await served.get("", url=f"{served.address}{url}?download=1")
                assert renamed.headers["Content-Disposition"].startswith("attachment; filename=")
            head = await served.ask("HEAD", "", url=f"{served.address}{url}")
            assert (head.status, head.body) == (200, b"")
            assert head.headers["Content-Length"] == answer.headers["Content-Length"]


def test_no_original_has_a_type_that_does_something() -> None:
    """What browsers would run is bytes to them."""
    assert not {".html", ".xml", ".svg", ".mht", ".fhir"} & _ORIGINALS.keys()
    assert _ORIGINALS[".pdf"] == "application/pdf"
    assert not [name for name in _ORIGINALS.values() if name.endswith(("html", "xml"))]


async def test_the_files_of_a_run(served: Served) -> None:
    """Are there once it has ended; the links of its report lead to documents."""
    (run,) = await served.submit("é/ü")
    early = await served.get(f"/api/runs/{run}/files/report.html")
    assert (early.status, early.json["type"]) == (404, "urn:docpipe:problem:no-such-file")
    await served.docpipe.engine.wait()
    types = {
        "manifest.json": "application/json",
        "report.json": "application/json",
        "report.html": "text/html; charset=utf-8",
    }
    for name, media_type in types.items():
        answer = await served.get(f"/api/runs/{run}/files/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    links = re.findall(r'href="([^"#]+)"', answer.body.decode())
    assert links
    for link in links:
        assert link.startswith(f"/api/documents/{quote('é/ü', safe='')}/")
        assert (await served.get("", url=f"{served.address}{link}")).status == 200
    assert (await served.get(f"/api/runs/{run}/files/checkpoints.db")).status == 404


async def test_documents_are_reported_while_the_run_is_under_way(served: Served) -> None:
    """None before there is an archive; then the same, from checkpoints, as later from the manifest."""
    (run,) = await served.submit("S0")
    path = f"/api/runs/{run}/documents"
    await asyncio.sleep(0.5)
    assert (await served.get(path)).json["documents"] == []
    assert (await served.get(f"/api/runs/{run}")).json["files"] is None
    served.fakes.add_fault("tracker.* 503")  # it cannot end now
    while (await served.get(f"/api/runs/{run}")).json["activities"][-1]["activity"] != Activity.UPDATE_STATUS:
        await asyncio.sleep(1)
    early, body = (await served.get(path)).json["documents"], (await served.get(f"/api/runs/{run}")).json
    assert body["state"] == "running"
    assert len(early) == body["files"] == sum(body["documents"].values())
    served.fakes.clear_faults()
    await served.docpipe.engine.wait()
    assert (await served.get(path)).json["documents"] == early
    ended = (await served.get(f"/api/runs/{run}")).json
    assert (ended["files"], ended["documents"]) == (body["files"], body["documents"])


async def test_documents_still_to_be_converted_have_no_outcome(served: Served) -> None:
    """They are listed all the same, with what the exchange declares."""
    (run,) = await served.submit("S0")
    stopped = asyncio.Event()

    def stop(change: Change) -> None:
        if change.activity is Activity.DOWNLOAD and change.outcome == "ok":
            served.docpipe.engine.pause()
            stopped.set()

    served.docpipe.engine.listeners.append(stop)
    await stopped.wait()
    await asyncio.sleep(1)
    documents = (await served.get(f"/api/runs/{run}/documents")).json["documents"]
    pending = [document for document in documents if document["outcome"] is None]
    assert len(pending) > 5
    assert all(document["path"] and not document["files"] for document in pending)
    assert any(document["title"] for document in pending)
    assert not any(document["attention"] or document["findings"] for document in pending)


@pytest.fixture
async def url(served: Served) -> str:
    """A file of ten bytes."""
    folder = Path(served.docpipe.storage.location("S0", document_id="0123456789abcdef"))
    folder.mkdir(parents=True)
    (folder / "text.md").write_bytes(b"0123456789")
    (folder / "thumbnail.png").write_bytes(b"")
    return "/api/documents/S0/0123456789abcdef/text.md"


@pytest.mark.parametrize(
    ("asked", "status", "body", "expected"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=9-1000", 206, b"9", "bytes 9-9/10"),
        ("Bytes= 0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=a-b", 200, b"0123456789", None),
        ("bytes=\u0661-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        (f"bytes={'9' * 30}-", 200, b"0123456789", None),
    ],
)
async def test_ranges(
    served: Served, url: str, asked: str, *, status: int, body: bytes | None, expected: str
) -> None:
    """One range, from the front or the back, is sent; several, or what is none, are the whole file."""
    answer = await served.get(url, headers={"Range": asked})
    assert answer.status == status
    assert answer.headers.get("Content-Range") == expected
    assert body is None or answer.body == body
    if status != 416:
        assert answer.headers["Accept-Ranges"] == "bytes"
    guarded = await served.get(url, headers={"Range": asked, "If-Range": '"x"'})
    assert (guarded.status, guarded.body) == (200, b"0123456789")


async def test_an_empty_file(served: Served, url: str) -> None:
    """Is sent, and has no ranges."""
    empty = url.replace("text.md", "thumbnail.png")
    assert (await served.get(empty)).body == b""
    assert (await served.get(empty, headers={"Range": "bytes=0-"})).status == 416


@pytest.mark.parametrize(
    "name", ["original", "original.pdf", "original.PDF", "original.tar.gz", "metadata.md", "run"]
)
async def test_names_that_are_not_there(served: Served, url: str, name: str) -> None:
    """Are not found, be they known or not."""
    answer = await served.get(url.replace("text.md", name))
    assert (answer.status, answer.json["type"]) == (404, "urn:docpipe:problem:no-such-file")


async def test_a_file_that_shrinks_breaks_off(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than end as if it were whole."""

    async def large(*_: object, **__: object) -> int:
        return 100

    monkeypatch.setattr(FolderStorage, "size", large)
    began = asyncio.get_running_loop().time()
    answer = await served.raw(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\n0123456789")
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_storage_that_cannot_be_read(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported as that."""

    async def broken(*_: object, **__: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FolderStorage, "size", broken)
    assert (await served.get(url)).json["type"] == "urn:docpipe:problem:storage"


async def test_a_download_that_nobody_takes_is_given_up(served: Served, url: str) -> None:
    """After a minute, and its file is closed."""
    folder = Path(served.docpipe.storage.location("S0", document_id="0123456789abcdef"))
    (folder / "document.pdf").write_bytes(bytes(64 << 20))
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    path = unquote(url).replace("text.md", "document.pdf")
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()

    def open_files() -> list[str]:
        return [
            str(link.resolve())
            for link in Path("/proc/self/fd").iterdir()
            if "document.pdf" in str(link.resolve())
        ]

    await asyncio.sleep(30)
    assert open_files()
    await asyncio.sleep(60)
    assert not open_files()
    writer.close()
