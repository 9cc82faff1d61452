"""What is sent to Google Cloud Storage and to Azure: there is no server of theirs here, only its requests.

Each store is given credentials of its own: without any obstore would ask the machine's metadata server.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from aiohttp import web

from tests.object_stores import objects

Seen = list[tuple[str, str, dict[str, str]]]


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, Seen]]:
    """A server that notes what comes, takes what is put, and has nothing."""
    seen: Seen = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append((request.method, request.rel_url.raw_path, headers))
        status = {"PUT": 201, "GET": 404}[request.method]
        return web.Response(status=status, headers={"ETag": '"1"', "x-goog-generation": "1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    await runner.cleanup()


async def test_google_cloud_storage(server: tuple[str, Seen], tmp_path: Path) -> None:
    """An object is created only where there is none, with its type and checksum."""
    address, seen = server
    account = tmp_path / "account.json"
    nobody = {"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": True}
    account.write_text(json.dumps(nobody | {"gcs_base_url": address}), "utf-8")
    options = {"base_url": address, "allow_http": True, "service_account": str(account)}
    storage = objects("gs://bucket/pre", options)
    await storage._put("P1/0f/metadata.json", b"{}", None, create=True)
    assert await storage.get_run_file("P1", "R1", "report.json") is None
    (put, path, headers), (get, other, _) = seen
    assert (put, unquote(path)) == ("PUT", "/bucket/pre/P1/0f/metadata.json")
    assert (get, unquote(other)) == ("GET", "/bucket/pre/P1/runs/R1/report.json")
    assert headers["x-goog-if-generation-match"] == "0"
    assert headers["content-type"] == "application/json"
    assert len(headers["x-goog-meta-sha256"]) == 64


async def test_azure(server: tuple[str, Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    address, seen = server
    options = {"account_name": "account", "endpoint": address, "allow_http": True}
    storage = objects("az://container/pre", options)
    await storage._put("P1/0f/metadata.json", b"{}", None, create=True)
    assert await storage.get_run_file("P1", "R1", "report.json") is None
    (put, path, headers), (get, other, _) = seen
    assert (put, path) == ("PUT", "/container/pre/P1/0f/metadata.json")
    assert (get, other) == ("GET", "/container/pre/P1/runs/R1/report.json")
    assert headers["if-none-match"] == "*"
    assert headers["x-ms-blob-type"] == "BlockBlob"
    assert headers["x-ms-blob-content-type"] == "application/json"
    assert len(headers["x-ms-meta-sha256"]) == 64
    assert headers["authorization"].startswith("SharedKey account:")
