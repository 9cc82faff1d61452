"""What goes wrong on purpose: each fault as a client sees it, and whether the effect took place."""

import asyncio

import aiohttp
import pytest

import fakes
from fakes import Fault
from tests.fakes_support import PATIENT, talking

DROPPED = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


@pytest.mark.parametrize(
    ("answer", "status", "content_type"),
    [
        ("500", 500, "application/problem+json"),
        ("503 retry_after=120", 503, "application/problem+json"),
        ("html200", 200, "text/html"),
        ("html502", 502, "text/html"),
        ("empty504", 504, None),
    ],
)
async def test_answers_without_an_effect(answer, status, content_type):
    """Canned answers come so often, and nothing is done; then all is well."""
    async with talking() as talk:
        talk.running.add_fault(f"docex.search {answer} times=2")
        for _ in range(2):
            met = await talk.search()
            assert (met.status, met.headers.get("Content-Type")) == (status, content_type)
            assert ("Retry-After" in met.headers) == ("retry_after" in answer)
            assert not talk.running.docex.searches
        assert (await talk.search()).status == 202
        assert [seen.fault for seen in talk.running.docex.requests] == [answer.split()[0]] * 2 + [None]


@pytest.mark.parametrize(
    ("answer", "effects"), [("reset", 0), ("close", 0), ("hang seconds=0", 0), ("lost", 1), ("truncate", 1)]
)
async def test_connections_that_break(answer, effects):
    """The connection breaks, before or after the effect; the same key finds out which."""
    async with talking() as talk:
        talk.running.add_fault(f"tracker.create {answer} times=1")
        with pytest.raises(DROPPED):
            await talk.task()
        assert len(talk.running.tracker.tasks) == effects
        assert (await talk.task()).status == 201
        assert len(talk.running.tracker.tasks) == 1
        (first, _) = talk.running.tracker.requests
        assert first.status == (201 if answer == "truncate" else None)


async def test_reset_and_close_differ():
    """A reset is one on the wire; a close is an end without an answer."""
    async with talking() as talk:
        talk.running.add_fault("tracker.create reset times=1")
        talk.running.add_fault("tracker.create close times=1")
        with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
            await talk.task()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await talk.task()


async def test_forgotten_keys():
    """An answer is lost and the key forgotten: a second task comes, unless the client looks first."""
    async with talking() as talk:
        talk.running.add_fault("tracker.create lost times=1")
        talk.running.add_fault("tracker.create forget times=1")
        with pytest.raises(DROPPED):
            await talk.task()
        assert len((await talk.tracker("GET", "/v1/tasks?external_ref=run-1")).json["tasks"]) == 1
        assert (await talk.task()).status == 201
        assert len(talk.running.tracker.tasks_of("run-1")) == 2


async def test_late_answer():
    """The effect is there at once, the answer only later: a client that gives up early can repeat the key."""
    async with talking() as talk:
        talk.running.add_fault("docex.search late seconds=3600 times=1")
        first = asyncio.create_task(talk.search())
        while not talk.running.docex.searches:
            await asyncio.sleep(0)
        assert (await talk.search()).json["id"] == next(iter(talk.running.docex.searches))
        assert not first.done()
        talk.running.world.closing.set()
        assert (await first).status == 202


@pytest.mark.parametrize("mix", ["tiny", "full"])
async def test_broken_downloads(mix):
    """A download is cut, then continued with a range; or a bit is flipped in it."""
    async with talking(mix=mix, redirect=None) as talk:
        archive = (await talk.ready())["archive"]
        whole = (await talk.ask("GET", archive["url"])).body
        talk.running.add_fault("docex.archive truncate times=1")
        got = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError):
            await _read_into(got, talk, archive["url"])
        assert got == whole[: len(whole) // 2]
        rest = await talk.ask("GET", archive["url"], headers={"Range": f"bytes={len(got)}-"})
        assert got + rest.body == whole
        talk.running.add_fault("docex.archive corrupt times=1")
        other = (await talk.ask("GET", archive["url"])).body
        assert sum(a != b for a, b in zip(other, whole, strict=True)) == 1
        talk.running.add_fault("docex.archive slow seconds=0.02 times=1")
        assert (await talk.ask("GET", archive["url"])).body == whole


async def _read_into(got, talk, url):
    async with talk.session.get(url) as response:
        async for block in response.content.iter_any():
            got += block


async def test_one_poisoned_patient():
    """Only the requests about one patient fail: its search, status, link, download, and its task."""
    async with talking() as talk:
        ready = [await talk.ready(PATIENT | {"id": id_}, id_) for id_ in ("P1", "P2")]
        made = [await talk.task(id_, id_, title=f"Documents of {id_}") for id_ in ("P1", "P2")]
        talk.running.add_fault(Fault("*", "500", patient="P1"))
        for n, id_ in enumerate(("P1", "P2")):
            path = made[n].headers["Location"]
            answers = [
                await talk.search(f"again {id_}", PATIENT | {"id": id_}),
                await talk.status(ready[n]["id"]),
                await talk.ask("GET", ready[n]["archive"]["url"]),
                await talk.task(id_, f"again {id_}", title=f"Documents of {id_}"),
                await talk.tracker("GET", f"/v1/tasks?external_ref={id_}"),
                await talk.tracker("PATCH", path, {"status": "completed"}),
            ]
            assert [answer.status for answer in answers] == (
                [500] * 6 if n == 0 else [202, 200, 307, 201, 200, 200]
            )
        assert (await talk.search("odd", {})).status == 400  # about nobody


async def test_windows_of_time():
    """A fault that is over does not show; one of the options counts from the start."""
    async with talking(
        faults=(Fault("docex.*", "503", until=1e-9), Fault("docex.search", "502", since=3600))
    ) as talk:
        assert (await talk.search()).status == 202
        talk.running.add_fault("docex.search 504")
        assert (await talk.search()).status == 504
        talk.running.clear_faults()
        assert (await talk.search()).status == 202


async def test_stops_at_once():
    """The servers stop while requests hang, are late, or slow, and every client hears of it."""
    body = {"patient": PATIENT}
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        async with fakes.serve(fakes.FakeOptions(search_rate=None)) as running:
            for answer in ("hang", "late seconds=7200", "delay seconds=7200"):
                running.add_fault(f"docex.search {answer} times=5")
            url = f"{running.docex_url}/v1/searches"
            asked = [
                asyncio.create_task(session.post(url, json=body, headers={"Idempotency-Key": f"k{n}"}))
                for n in range(15)
            ]
            while len(running.docex.requests) < len(asked):
                await asyncio.sleep(0)
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, DROPPED) for answer in answers) == 5
    assert sum(getattr(answer, "status", 0) == 202 for answer in answers) == 10


@pytest.mark.virtual
async def test_latency_counts_as_a_network_does():
    """Requests arrive half of the latency after they were sent, and answers come as much later."""
    async with talking(latency=0.02, jitter=0.02) as talk:
        now = asyncio.get_running_loop().time
        for n in range(20):
            sent = now()
            await talk.search(f"k{n}")
            arrived = talk.running.docex.requests[-1].at
            assert arrived - sent >= 0.01 - 1e-6
            assert now() - arrived >= 0.01 - 1e-6


@pytest.mark.virtual
async def test_the_same_seed_gives_the_same_trouble():
    """Under virtual time, arrivals, faults and answers of a crowd repeat to the microsecond for a seed."""

    async def trouble(seed):
        fault = Fault("docex.*", "503", probability=0.3)
        options = {"seed": seed, "latency": 0.05, "jitter": 0.2, "faults": (fault,)}
        async with talking(**options) as talk:
            people = [PATIENT | {"id": f"P{n}"} for n in range(30)]
            await asyncio.gather(*(talk.search(f"k{n}", person) for n, person in enumerate(people)))
            start = talk.running.world.clock.start
            return [
                (round(seen.at - start, 6), seen.key, seen.status) for seen in talk.running.docex.requests
            ]

    assert await trouble(1) == await trouble(1)
    assert await trouble(1) != await trouble(2)
