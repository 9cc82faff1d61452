"""A fleet whose storage is a bucket of a real S3 server, and one whose exchange is a FHIR server."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from docpipe.config.config import Config, Docex, Storage
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.opening import open_fleet
from docpipe.fleet.queues import Queue
from docpipe.fleet.worker import working
from docpipe.model import Activity, RunState
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER
from tests.object_stores import S3


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Machines]:
    async with machines(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def runs_of(config: Config) -> AsyncIterator[FleetRuns]:
    async with open_fleet(config) as opened:
        yield FleetRuns(opened.client, opened.keys, config.fleet.prefix)


def lines(config: Config, activity: Activity) -> int:
    """How often a worker has ended an activity."""
    log = (config.state_dir / "activity_log.csv").read_text()
    return len(re.findall(rf",{activity},finish,", log))


async def test_a_bucket_is_all_that_machines_share(fleet: Machines, s3: S3) -> None:
    """One downloads, another one converts what it has never downloaded; the spool is empty in the end."""
    storage = Storage(url=s3.url, options=tuple(s3.options.items()))
    one, two = (replace(fleet.config(name), storage=storage) for name in ("one", "two"))
    others = [queue for queue in Queue if queue is not Queue.CONVERT]
    async with (
        working(one, others, converter=CONVERTER, inline=True),
        working(two, [Queue.CONVERT], converter=CONVERTER, inline=True) as converting,
        runs_of(one) as runs,
    ):
        ended = await runs.wait(await runs.submit(["P100", "P101"]))
        left = await converting.fleet_activities.activities.spool.blobs.folders("spool")  # type: ignore[attr-defined]
    assert {(run.state, run.counts["converted"]) for run in ended} == {(RunState.COMPLETED, 8)}
    assert (lines(one, Activity.DOWNLOAD), lines(one, Activity.CONVERT)) == (2, 0)
    assert (lines(two, Activity.DOWNLOAD), lines(two, Activity.CONVERT)) == (0, 16)
    assert not left
    kept = re.findall(r"<Key>([^<]*)", s3.ask("GET", "?list-type=2&prefix=pre/fix/")["body"])
    assert sum(name.endswith("/text.md") for name in kept) == 16
    assert not [name for name in kept if "/spool/" in name]


async def test_a_fhir_server(fleet: Machines) -> None:
    """Its polls and pages are activities as any others."""
    config = fleet.config("one")
    docex = Docex(base_url=fleet.services.fhir_url, kind="fhir", search_rate=None, status_rate=None)
    config = replace(config, docex=docex, fleet=replace(config.fleet, prefix="fhir"))
    fleet.store.open("docex.search", "docex.status", "tasktracker", prefix="fhir")
    async with working(config, converter=CONVERTER, inline=True), runs_of(config) as runs:
        (ended,) = await runs.wait(await runs.submit(["P100"]))
    assert ended.state is RunState.COMPLETED, ended.error
    assert ended.counts["converted"] >= 8
    assert lines(config, Activity.CHECK_STATUS) == 1
