"""What no run needs any more leaves the storage; what a history refers to stays."""

import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from docpipe.fleet.payloads import AGAIN_S
from docpipe.fleet.tidying import tidy, tidy_once
from docpipe.storage.blobs import FolderBlobs

NOW = 2_000_000_000.0
DAY = 86_400.0


@dataclass
class Temporal:
    """Knows when the histories of workflows began."""

    began: dict[str, list[float]] = field(default_factory=dict)
    away: bool = False

    async def list_workflows(self, query: str) -> AsyncIterator[Any]:
        if self.away:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        for when in self.began.get(query.removeprefix("WorkflowId = '").removesuffix("'"), ()):
            yield SimpleNamespace(start_time=datetime.fromtimestamp(when, UTC))


async def kept(folder: Path, ages: dict[str, float]) -> FolderBlobs:
    """Files by name, each of an age in seconds."""
    blobs = FolderBlobs(folder)
    for name, age in ages.items():
        await blobs.put(name, b"x")
        os.utime(folder / ".fleet" / name, (NOW - age, NOW - age))
    return blobs


async def swept(temporal: Any, blobs: FolderBlobs) -> set[str]:
    """What is left."""
    await tidy(temporal, blobs, "docpipe", lambda: NOW, random.Random(0))
    return {*await blobs.written("payloads"), *await blobs.written("spool")}


async def test_payloads_stay_as_long_as_a_history(tmp_path: Path) -> None:
    """Of the oldest one that Temporal keeps of their workflow, with what was written just before it began."""
    ages = {
        "payloads/docpipe:known/older": 31 * DAY,
        "payloads/docpipe:known/with-it": 30 * DAY + AGAIN_S,
        "payloads/docpipe:known/new": 1.0,
        "payloads/docpipe:forgotten/old": 1 * DAY,
        "payloads/docpipe:begins/now": 10.0,
        "payloads/another:fleet/old": 900 * DAY,
        "payloads/shared/old": 31 * DAY,
        "payloads/shared/new": 29 * DAY,
    }
    temporal = Temporal({"docpipe:known": [NOW - DAY, NOW - 30 * DAY]})
    assert await swept(temporal, await kept(tmp_path, ages)) == {
        "payloads/docpipe:known/with-it",
        "payloads/docpipe:known/new",
        "payloads/docpipe:begins/now",
        "payloads/another:fleet/old",
        "payloads/shared/new",
    }


async def test_the_spool_of_runs_that_were_terminated_goes_at_last(tmp_path: Path) -> None:
    """A run that was ended in Temporal itself has left its files."""
    ages = {"spool/R1/files/00001.0": 31 * DAY, "spool/R2/files/00001.0": 29 * DAY}
    assert await swept(Temporal(), await kept(tmp_path, ages)) == {"spool/R2/files/00001.0"}


async def test_nobody_is_disturbed_by_a_temporal_that_is_away(tmp_path: Path) -> None:
    """Nothing is removed then, and the next time comes."""
    blobs = await kept(tmp_path, {"payloads/docpipe:forgotten/old": time.time()})
    temporal: Any = Temporal(away=True)
    with capture_logs() as logs:
        await tidy_once(temporal, blobs, "docpipe")
    assert [entry["event"] for entry in logs] == ["storage_not_tidied"]
    assert await blobs.names("payloads") == ["payloads/docpipe:forgotten/old"]
    temporal.away = False
    with capture_logs() as logs:
        await tidy_once(temporal, blobs, "docpipe")
    assert [(entry["event"], entry["files"]) for entry in logs] == [("storage_tidied", 1)]


async def test_a_payload_in_use_is_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a new history refers to is written again, although the worker knows it."""
    from docpipe.fleet import payloads  # noqa: PLC0415 -- beside its use

    now = [0.0]
    monkeypatch.setattr(payloads.time, "monotonic", lambda: now[0])
    storage, payload = payloads.InStorage(FolderBlobs(tmp_path)), payloads.Payload(data=b"x" * 20_000)
    name = await storage._store("docpipe:a", payload)
    (tmp_path / ".fleet" / name).unlink()
    await storage._store("docpipe:a", payload)
    assert not (tmp_path / ".fleet" / name).exists()
    now[0] = AGAIN_S
    await storage._store("docpipe:a", payload)
    assert (tmp_path / ".fleet" / name).exists()
