"""Object stores for tests: moto's S3 server in this process, buckets in it, and a way to it that breaks."""

import asyncio
import contextlib
import http.client
import io
import itertools
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from docpipe.gates import Gate, Health, Quota, Service
from docpipe.gates.line import Slots
from docpipe.storage import FolderStorage, Storage, folder_name, folder_or_bucket
from docpipe.storage.attempts import Attempts
from docpipe.storage.objects import ObjectStorage
from docpipe.storage.stores import open_store

KINDS = ("folder", "memory", "s3", "azure", "gcs")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret-of-nobody"}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- only these tests pay for it

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> "S3":
    """A new bucket, with keys in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{next(_numbers)}"
    s3 = S3(moto, bucket)
    s3.ask("PUT", "")
    return s3


@dataclass(frozen=True)
class S3:
    """A bucket."""

    address: str
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/pre/fix"

    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint": self.address, "region": "us-east-1", "allow_http": True, "timeout": "20s"}

    def ask(self, method: str, path: str) -> http.client.HTTPMessage:
        """Something of the server itself; the headers of its answer."""
        at = URL(self.address)
        connection = http.client.HTTPConnection(at.host, at.port)
        connection.request(method, f"/{self.bucket}{path}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status < 300, (answer.status, body)
        answer.headers["body"] = body.decode(errors="replace").replace("\n", " ")
        return answer.headers


def gate_of(**health: Any) -> Gate:
    """A gate that loses no time."""
    rng = random.Random(0)
    service = Service("storage", clock=_wall, rng=rng, health=Health(rng, **({"first": 0.02} | health)))
    return Gate(service, Quota.local("storage", None, clock=_wall), observers=[])


def _wall() -> float:
    return asyncio.get_running_loop().time() + 1e9


def objects(
    url: str,
    options: dict[str, Any] | None = None,
    *,
    gate: Gate | None = None,
    name: Callable[[str], str] = folder_name,
) -> ObjectStorage:
    """An object storage as the configuration would open it."""
    bucket = folder_or_bucket(url, options or {}, Path())
    return ObjectStorage(open_store(bucket), bucket, Attempts(gate, Slots(8, _wall)), name)


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A storage of each kind."""
    if request.param == "folder":
        return FolderStorage(tmp_path / "storage")
    if request.param == "memory":
        return objects("memory://")
    bucket = request.getfixturevalue(request.param)
    return objects(bucket.url, bucket.options)


Fault = Callable[[str, str], str | None]
"""Method and path of a request to what becomes of it: None, "503", "reset", "lost", "hang", "slow", "403"."""


@dataclass
class Way:
    """A proxy before an S3 server, on which requests meet with faults."""

    address: str
    fault: Fault = lambda _method, _path: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def way_to(address: str) -> AsyncIterator[Way]:
    """The proxy, on a free port."""
    way = Way("")
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), auto_decompress=False
    ) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            raw = request.rel_url.raw_path_qs
            way.seen.append((request.method, raw))
            fault, body = way.fault(request.method, raw), await request.read()
            if fault in ("503", "403"):
                code = "SlowDown" if fault == "503" else "AccessDenied"
                return web.Response(status=int(fault), text=f"<Error><Code>{code}</Code></Error>")
            if fault == "hang":
                way.hanging.set()
                await way.released.wait()
            if fault in ("hang", "reset"):
                request.transport.abort()
                return web.Response()
            async with session.request(
                request.method,
                URL(f"{address}{raw}", encoded=True),
                data=io.BytesIO(body) if body else None,
                headers={name: value for name, value in request.headers.items() if name != "Host"},
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
            ) as answer:
                if fault == "lost":
                    await answer.read()
                    request.transport.abort()
                    return web.Response()
                ours = ("Connection", "Server", "Date")
                headers = {name: value for name, value in answer.headers.items() if name not in ours}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)

        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        way.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield way
        finally:
            way.released.set()
            await runner.cleanup()
