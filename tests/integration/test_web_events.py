"""The stream of events, over real sockets and in virtual time."""

import asyncio
import contextlib
import itertools
import json
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from docpipe.web import events
from tests.virtual import wall_clock
from tests.web_support import NEVER, Served, serving

pytestmark = pytest.mark.virtual


@dataclass
class Stream:
    """A connection, and what it was reported so far."""

    response: aiohttp.ClientResponse
    events: list[tuple[float, str, Any]] = field(default_factory=list)
    """When, the event, its data."""
    ids: list[int] = field(default_factory=list)
    comments: int = 0

    async def read(self) -> None:
        """Until the connection ends."""
        now = asyncio.get_running_loop().time
        with contextlib.suppress(aiohttp.ClientError):
            while piece := await self.response.content.readuntil(b"\n\n"):
                lines = dict(line.split(": ", 1) for line in piece.decode().splitlines() if ": " in line)
                self.comments += piece.startswith(b":")
                if "event" in lines:
                    self.ids.append(int(lines["id"]))
                    data = json.loads(lines["data"])
                    data.pop("ballast", None)
                    self.events.append((now(), lines["event"], data))

    def of(self, event: str) -> list[Any]:
        return [data for _, name, data in self.events if name == event]


@contextlib.asynccontextmanager
async def listening(served: Served, **headers: str) -> AsyncIterator[Stream]:
    """A stream that is read as it comes."""
    async with served.session.get(
        f"{served.address}/api/events", headers=headers, timeout=aiohttp.ClientTimeout()
    ) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        stream = Stream(response)
        reading = asyncio.create_task(stream.read())
        yield stream
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A service without a token; the parameter is options of the fakes."""
    async with serving(tmp_path, wall_clock, options=getattr(request, "param", None)) as running:
        yield running


stuck = pytest.mark.parametrize("served", [NEVER], indirect=True)


async def test_a_run_is_followed_to_its_end(served: Served) -> None:
    """From its beginning to its end, at most once a second, as the list would tell it; ids count up."""
    async with listening(served) as stream:
        (run,) = await served.submit("S0")
        await served.docpipe.engine.wait()
        await asyncio.sleep(10)
        runs = [data for data in stream.of("run") if data["run_id"] == run]
        assert [data["state"] for data in (runs[0], runs[-1])] == ["running", "completed"]
        assert runs[-1] == (await served.get("/api/runs")).json["runs"][0]
        times = [when for when, name, _ in stream.events if name == "run"]
        assert all(later - earlier > 0.99 for earlier, later in itertools.pairwise(times))
        assert stream.ids == sorted(stream.ids)
        assert stream.of("summary")[-1]["counts"]["completed"] == 1


@stuck
async def test_what_nobody_did_is_reported_too(served: Served) -> None:
    """A run that only waits changes what it waits for; new runs, cancelled and paused ones are reported."""
    async with listening(served) as stream:
        (run,) = await served.submit("S0")
        await asyncio.sleep(60)
        doings = [data["doing"] for data in stream.of("run") if data["doing"]]
        untils = {doing["wait"]["until"] for doing in doings if doing["wait"]}
        assert len(untils) > 3
        await served.post("/api/pause")
        (other,) = await served.submit("S1")
        await asyncio.sleep(2)
        assert stream.of("run")[-1]["run_id"] == other
        assert stream.of("service")[-1]["paused"] is not None
        await served.post("/api/resume")
        await served.post(f"/api/runs/{run}/cancel")
        await asyncio.sleep(10)
        assert [data["state"] for data in stream.of("run") if data["run_id"] == run][-1] == "cancelled"


@stuck
async def test_who_submits_sees_at_once_how_much_there_is(served: Served) -> None:
    """The summary comes with the next changes, not with the next of those that come every few seconds."""
    async with listening(served) as stream:
        for number in range(1, 5):
            await served.submit(f"S{number}")
            await asyncio.sleep(events.EVERY_S + 0.1)
            counts = stream.of("summary")[-1]["counts"]
            assert counts["queued"] + counts["running"] == number


async def test_a_connection_begins_anew(served: Served) -> None:
    """With `reset` and the summary as it is now, whatever the reader saw last."""
    await served.finished("S0")
    async with listening(served, **{"Last-Event-ID": "3"}) as stream:
        await asyncio.sleep(2)
        assert stream.events[0][1] == "reset"
        assert stream.events[0][2] == (await served.get("/api/summary")).json
        assert [name for _, name, _ in stream.events[1:]].count("service") == 1
    await asyncio.sleep(60)
    async with listening(served) as stream:
        await asyncio.sleep(2)
        assert len(stream.of("service")) == 1, "later readers get the summary though nothing has changed"


async def test_services_are_reported_when_they_change(served: Served) -> None:
    """Down and up again; not otherwise, but for a comment now and then."""
    async with listening(served) as stream:
        await asyncio.sleep(100)
        assert len(stream.of("service")) == 1
        assert stream.comments >= 5
        served.fakes.add_fault("docex.* 503")
        await served.submit("S0", "S1", "S2")
        await asyncio.sleep(30)
        states = [data["services"][0]["state"] for data in stream.of("service")]
        assert states[-1] == "down"
        served.fakes.clear_faults()
        await served.docpipe.engine.wait()
        await asyncio.sleep(2)
        assert stream.of("service")[-1]["services"][0]["state"] == "up"
        assert stream.of("service")[-1].keys() == (await served.get("/api/services")).json.keys()


@stuck
async def test_very_many_changes_are_one(served: Served) -> None:
    """Readers get a `reset`."""
    served.docpipe.engine.pause()
    async with listening(served) as stream:
        await served.submit(*(f"T{number}" for number in range(501)))
        await asyncio.sleep(2)
        assert not stream.of("run")
        assert stream.of("reset")[-1]["counts"]["queued"] == 501


@stuck
async def test_a_reader_that_does_not_read_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no memory, and others get their events all the same."""
    big = "x" * 200_000
    real = served.web.hub._event

    def larger(name: str, data: str) -> bytes:
        return real(name, f'{data[:-1]}, "ballast": "{big}"}}')

    monkeypatch.setattr(served.web.hub, "_event", larger)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.write(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()
    (ended,) = (reader.ended for reader in served.web.hub._readers)
    async with listening(served) as stream:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            await served.submit(f"S{number % 10}")
            served.web.hub.touch([run.run_id for run in await served.docpipe.checkpoints.unfinished()][:1])
            await asyncio.sleep(1)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert ended.result() is True
        assert len(served.web.hub._readers) == 1
        assert len(stream.of("run")) > 90
        assert grown < 30 * len(big)
    writer.close()


async def test_streams_end_when_docpipe_stops(served: Served) -> None:
    """At once, and no new one begins."""
    async with listening(served) as stream:
        await asyncio.sleep(1)
        served.web.hub.close()
        began = asyncio.get_running_loop().time()
        while not stream.response.content.at_eof():
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began < 2
    assert (await served.get("/api/events")).json["type"] == "urn:docpipe:problem:no-events"
    assert not served.web.hub._readers


async def test_readers_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers beyond the limit get a 503; one that leaves makes room."""
    monkeypatch.setattr(events, "READERS", 3)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(listening(served))
        answer = await served.get("/api/events")
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    await asyncio.sleep(60)
    assert not served.web.hub._readers


@stuck
async def test_without_readers_nothing_is_made(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what runs have waited for is still noted."""
    monkeypatch.setattr(served.web.hub, "_event", None)
    (run,) = await served.submit("S0")
    await asyncio.sleep(60)
    assert len((await served.get(f"/api/runs/{run}")).json["waits"]) >= 1


@stuck
async def test_a_failure_is_not_the_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is reported: it is logged, and the next second is another."""

    async def broken(*_: object) -> None:
        raise OSError

    async with listening(served) as stream:
        with monkeypatch.context() as patch:
            patch.setattr(type(served.docpipe.checkpoints), "runs", broken)
            served.web.hub.touch(["X"])
            await asyncio.sleep(3)
        await asyncio.sleep(1)
        assert len(stream.of("reset")) == 2, "for what was missed"
        (run,) = await served.submit("S0")
        await asyncio.sleep(3)
        assert run in {data["run_id"] for data in stream.of("run")}


@stuck
async def test_many_new_runs_are_reported_by_one_summary(served: Served) -> None:
    """A reader that gets a `reset` gets the summary with it, and not a second time."""
    async with listening(served) as stream:
        await asyncio.sleep(2)
        seen = len(stream.events)
        await served.submit(*(f"S{number}" for number in range(events._MANY + 1)))
        await asyncio.sleep(events.EVERY_S + 0.1)
        seen_events = [name for _, name, _ in stream.events[seen:]]
        assert (seen_events.count("reset"), seen_events.count("summary")) == (1, 0)
