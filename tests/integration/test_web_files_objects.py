"""Files of documents from an object store, over real sockets: ranges, what is gone, a store that is down."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from docpipe.config.config import Storage
from tests.object_stores import S3, Way, objects, way_to
from tests.web_support import Served, serving


@pytest.fixture
async def way(s3: S3) -> AsyncIterator[Way]:
    """The way to a bucket."""
    async with way_to(s3.address) as way:
        yield way


@pytest.fixture
async def served(tmp_path: Path, s3: S3, way: Way) -> AsyncIterator[Served]:
    """A service that keeps its documents in the bucket."""
    options = tuple((s3.options | {"endpoint": way.address}).items())
    quick = {"search_seconds": (0.1, 0.2)}
    storage = Storage(url=s3.url, options=options)
    async with serving(tmp_path, time.time, options=quick, storage=storage) as running:
        yield running


async def first_document(served: Served) -> tuple[str, dict[str, Any]]:
    (run,) = await served.finished("S0")
    documents = (await served.get(f"/api/runs/{run}/documents")).json["documents"]
    return run, next(document for document in documents if document["files"])


async def test_documents_are_served_from_a_bucket(served: Served, way: Way, s3: S3) -> None:
    """Whole and in ranges; what is gone is not found, and what goes while it is sent breaks off."""
    run, document = await first_document(served)
    url = document["files"]["text.md"]
    whole = await served.get(url)
    assert (whole.status, whole.headers["Content-Length"]) == (200, str(len(whole.body)))
    part = await served.get(url, headers={"Range": "bytes=2-5"})
    assert (part.status, part.body) == (206, whole.body[2:6])
    assert (await served.get(url, headers={"Range": f"bytes={len(whole.body)}-"})).status == 416
    report = await served.get(f"/api/runs/{run}/files/report.html")
    assert (report.status, b"/api/documents/" in report.body) == (200, True)
    services = (await served.get("/api/services")).json
    assert "storage" in {service["name"] for service in services["services"]}
    assert services["disk"]["storage_free_bytes"] is None
    metrics = (await served.get("/metrics")).body
    assert b'docpipe_service_up{service="storage"} 1.0' in metrics
    assert b'docpipe_requests_total{endpoint="storage",status="200"}' in metrics
    assert b'docpipe_disk_free_bytes{folder="storage"}' not in metrics

    # What is gone when its bytes are asked for, though it was there when its size was.
    way.fault = lambda method, path: "reset" if method == "GET" and path.endswith("text.md") else None
    asked = f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n"
    answer = await served.raw(asked.encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")

    way.fault = lambda _method, _path: "503"
    for path in (url, f"/api/runs/{run}/documents", f"/api/runs/{run}/files/report.html"):
        down = await served.get(path)
        assert (down.status, down.json["type"]) == (503, "urn:docpipe:problem:storage")
        assert "status 503" in down.json["detail"]
    assert b"storage" in (await served.get("/readyz")).body

    way.fault = lambda _method, _path: None
    key = f"S0/{document['document_id']}/text.md"
    objects(s3.url, s3.options).tree().remove(key)
    assert (await served.get(url)).status == 404
