"""Answers that are shared: they include what callers did themselves, and what events reported."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from docpipe.checkpoints import StoredRun
from docpipe.model import RunState
from docpipe.web.shared import FRESH_S
from tests.integration.test_web_events import listening
from tests.virtual import wall_clock
from tests.web_support import NEVER, Served, serving

pytestmark = pytest.mark.virtual
SHARED = ("/api/runs", "/api/summary", "/api/services")


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A service without a token; the parameter is options of the fakes."""
    async with serving(tmp_path, wall_clock, options=getattr(request, "param", None)) as running:
        yield running


stuck = pytest.mark.parametrize("served", [NEVER], indirect=True)


async def test_many_readers_cost_as_much_as_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is read once for all requests at the same time, and anew a second later."""
    await served.finished("S0")
    await asyncio.sleep(2)
    listing = served.docpipe.checkpoints.listing
    real, pages = listing.page, list[object]()

    async def counted(*args: Any, **words: Any) -> Any:
        pages.append(words)
        return await real(*args, **words)

    monkeypatch.setattr(listing, "page", counted)
    answers = await asyncio.gather(*(served.get("/api/runs") for _ in range(50)))
    assert len({answer.body for answer in answers}) == 1
    assert len(pages) == 1
    await served.get("/api/runs?limit=7")
    assert len(pages) == 2
    await asyncio.sleep(1)
    await served.get("/api/runs")
    assert len(pages) == 3


async def test_many_who_come_back_get_what_is_made_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart: the summary that each stream begins with is the one that the page asks for."""
    await asyncio.sleep(2)
    listing = served.docpipe.checkpoints.listing
    real, counts = listing.counts, list[int]()

    async def counted() -> dict[RunState, int]:
        counts.append(1)
        return await real()

    monkeypatch.setattr(listing, "counts", counted)
    async with contextlib.AsyncExitStack() as stack:
        begun = [stack.enter_async_context(listening(served)) for _ in range(30)]
        streams = await asyncio.gather(*begun)
        summary = (await served.get("/api/summary")).json
        assert len(counts) == 1
        await asyncio.sleep(0.1)
        assert [stream.of("reset") for stream in streams] == [[summary]] * 30


@stuck
async def test_whoever_changes_something_sees_it(served: Served) -> None:
    """At once, however recently the same was asked for before."""
    (run,) = await served.submit("S0")
    paths = (*SHARED, f"/api/runs/{run}")

    async def seen() -> list[Any]:
        return [(await served.get(path)).json for path in paths]

    await seen()
    (other,) = await served.submit("S1")
    runs, summary, _, _ = await seen()
    assert runs["runs"][0]["run_id"] == other
    assert summary["counts"]["queued"] + summary["counts"]["running"] == 2
    assert (await served.post("/api/pause")).status == 204
    assert (await seen())[2]["paused"] is not None
    assert (await served.post("/api/resume")).status == 204
    assert (await seen())[2]["paused"] is None
    assert (await served.post(f"/api/runs/{run}/cancel")).status == 202
    runs, summary, _, one = await seen()
    assert {runs["runs"][1]["state"], one["state"]} <= {"cancelling", "cancelled"}
    assert summary["counts"]["running"] < 2
    await served.docpipe.engine.cancel(other)
    await served.docpipe.engine.wait()
    failed = await served.docpipe.checkpoints.runs([run])
    await served.docpipe.checkpoints.finish_run(run, RunState.FAILED, {}, failed[0].task_id, "why")
    await asyncio.sleep(1)
    assert (await seen())[3]["state"] == "failed"
    assert (await served.post(f"/api/runs/{run}/retry")).status == 202
    runs, _, _, one = await seen()
    assert (runs["runs"][1]["retries"], one["retries"], one["error"]) == (1, 1, None)


async def end(served: Served, run: str, state: RunState) -> None:
    """Write another state, behind everybody's back."""
    await served.docpipe.checkpoints.finish_run(run, state, {}, None, None)


@stuck
async def test_nobody_loads_less_than_the_events_report(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that loaded something older after an event would show it for ever."""
    (run,) = await served.submit("S0")
    served.docpipe.engine.runs.clear()  # what is reported is what is stored
    checkpoints = served.docpipe.checkpoints
    real = checkpoints.runs
    async with listening(served) as stream:
        await asyncio.sleep(3)

        async def slow(run_ids: Sequence[str]) -> list[StoredRun]:
            monkeypatch.undo()
            assert (await served.get("/api/runs")).json["runs"][0]["state"] == "running"
            await end(served, run, RunState.FAILED)
            return await real(run_ids)

        monkeypatch.setattr(checkpoints, "runs", slow)
        reported = len(stream.events)
        served.web.hub.touch([run])
        while len(stream.events) == reported:
            await asyncio.sleep(0.01)
        assert stream.of("run")[-1]["state"] == "failed"
        assert (await served.get("/api/runs")).json["runs"][0]["state"] == "failed"


@stuck
async def test_whoever_comes_later_loads_what_no_event_reported(served: Served) -> None:
    """Changes that nobody listens to are forgotten, and so is what was shared before them."""
    (run,) = await served.submit("S0")
    served.docpipe.engine.runs.clear()
    now, checked = asyncio.get_running_loop().time, 0
    for turn in range(20):
        state = (RunState.FAILED, RunState.COMPLETED)[turn % 2]
        await asyncio.sleep(1.07)
        await served.get(f"/api/runs/{run}")
        asked = now()
        await end(served, run, state)
        served.web.hub.touch([run])
        while served.web.hub._changed:
            await asyncio.sleep(0.01)
        if now() < asked + FRESH_S:
            checked += 1
            assert (await served.get(f"/api/runs/{run}")).json["state"] == state
    assert checked


async def test_a_shared_answer_is_for_those_who_may_ask(tmp_path: Path) -> None:
    """The guard stands before it."""
    async with serving(tmp_path, wall_clock, token="a-token-for-tests") as served:  # noqa: S106 -- of this service
        for path in SHARED:
            assert (await served.get(path)).status == 200
            assert (await served.get(path, headers={"Authorization": "Bearer other"})).status == 401
        served.headers = {}
        assert (await served.get("/api/runs")).status == 401


@stuck
async def test_one_who_leaves_does_not_spoil_it_for_others(served: Served) -> None:
    """Nor does a request for what is not there."""
    (run,) = await served.submit("S0")
    await asyncio.sleep(2)
    leaving = asyncio.create_task(served.get(f"/api/runs/{run}"))
    await asyncio.sleep(0)
    leaving.cancel()
    answers = await asyncio.gather(*(served.get(f"/api/runs/{run}") for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    missing = await asyncio.gather(*(served.get(f"/api/runs/{'0' * 26}") for _ in range(5)))
    assert {answer.status for answer in missing} == {404}
