"""Azurite, Microsoft's emulator of Azure Blob Storage, from npm: a container for each test."""

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import itertools
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account and the key that every Azurite has."""
PROGRAM = Path(__file__).parents[1] / ".ci" / "npm" / "node_modules" / ".bin" / "azurite-blob"
_numbers = itertools.count(1)


def program() -> str | None:
    """The server, from the PATH or where `.ci/run` puts it."""
    return shutil.which("azurite-blob") or (str(PROGRAM) if PROGRAM.exists() else None)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a blob server, with its account."""
    result = program()
    if result is None:
        pytest.skip("SKIPPED LOUDLY: Azurite is not installed: npm install --prefix .ci/npm azurite@3")
    folder = tmp_path_factory.mktemp("azurite")
    port = free_port()
    flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
    server = subprocess.Popen(
        [result, "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NODE_OPTIONS": "--no-deprecation"},
    )
    try:
        _wait_until_up(port, server)
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"
    finally:
        server.terminate()  # killed hard it loses its last seconds
        server.wait(30)


def _wait_until_up(port: int, server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Azurite ended with {server.returncode}")


@dataclass(frozen=True)
class Azure:
    """A container."""

    address: str
    container: str

    @property
    def url(self) -> str:
        return f"az://{self.container}/pre/fix"

    @property
    def options(self) -> dict[str, Any]:
        return {"account_name": ACCOUNT, "endpoint": self.address, "allow_http": True, "timeout": "20s"}


@pytest.fixture
def azure(azurite: str, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """A new container, with the key in the environment."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    container = f"container-{next(_numbers)}-{os.getpid()}"
    _create(azurite, container)
    return Azure(azurite, container)


def _create(address: str, container: str) -> None:
    """Create a container, signed with the shared key as Azure wants it."""
    date = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2021-12-02", "Content-Length": "0"}
    signed = "\n".join(
        [
            "PUT",
            *[""] * 11,
            f"x-ms-date:{date}",
            "x-ms-version:2021-12-02",
            f"/{ACCOUNT}/{ACCOUNT}/{container}",
            "restype:container",
        ]
    )
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    request = urllib.request.Request(  # noqa: S310 -- of this machine
        f"{address}/{container}?restype=container", method="PUT", headers=headers
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- likewise
        assert answer.status == 201
