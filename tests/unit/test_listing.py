"""Runs by the page, counted and summed up; and answers that are remembered."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.checkpoints import open_database, prune
from docpipe.checkpoints.listing import Listing
from docpipe.checkpoints.mirror import Mirror
from docpipe.engine.throughput import DAY_S, HOUR_S, Throughput
from docpipe.model import RunState

DAY = 86400.0


@pytest.fixture
async def store(tmp_path: Path):
    now = [1_000_000.0]
    async with open_database(tmp_path, lambda: now[0]) as store:
        store.now = now  # the test's own clock
        yield store


async def test_pages_cover_every_run_once(store) -> None:
    """Newest first, and by priority: the pages joined are all runs in that order."""
    for n in range(30):
        await store.create_runs({f"P{n:02d}": f"R{n:02d}"}, n % 3)
    for newest in (True, False):
        seen, after = [], None
        while page := await store.listing.page(newest=newest, after=after, limit=7):
            assert len(page) <= 7
            seen += page
            after = page[-1]
        key = (lambda run: run.run_id) if newest else (lambda run: (-run.priority, run.run_id))
        assert seen == sorted(seen, key=key, reverse=newest)
        assert {run.run_id for run in seen} == {f"R{n:02d}" for n in range(30)}
        assert len(seen) == 30


@pytest.mark.parametrize(
    ("ask", "sorts"),
    [
        (lambda runs, _: runs.page(limit=50), False),
        (lambda runs, last: runs.page(after=last), False),
        (lambda runs, _: runs.of_patient("P1"), False),
        (lambda runs, _: runs.count(prefix="P1"), False),
        (lambda runs, _: runs.page(prefix="P1"), True),
        (lambda runs, _: runs.page([RunState.FAILED]), True),
        (lambda runs, _: runs.count([RunState.FAILED], "P1"), False),
        (lambda runs, _: runs.ended(0.0), True),
    ],
)
async def test_indexes_lead_to_the_rows(store, ask, sorts: bool) -> None:
    """No query reads all runs: the newest come in their order, and only what a filter leaves is sorted."""
    await store.create_runs({"P1": "R1"}, 0)
    (last,) = await store.listing.page()
    asked = list[tuple[str, Any]]()

    async def remember(sql: str, *values: Any) -> list[Any]:
        asked.append((sql, values))
        return [(0,)] if "count(*) FROM (" in sql else []

    await ask(Listing(remember), last)
    ((sql, values),) = asked
    plan = [row[-1] for row in await store.read(f"EXPLAIN QUERY PLAN {sql}", *values)]
    paged = "LIMIT :limit" in sql and "WHERE" not in sql  # a scan in the order of the key ends with the page
    assert not [step for step in plan if step.startswith("SCAN runs")] or paged, plan
    assert any("B-TREE" in step for step in plan) <= sorts, plan


async def test_states_and_prefixes(store) -> None:
    """A filter holds for pages and counts; percent signs and underscores mean themselves."""
    await store.create_runs({"P1": "R1", "P10": "R2", "P%": "R3", "p1": "R4"}, 0)
    await store.finish_run("R2", RunState.COMPLETED, {"converted": 2, "failed": 1}, None, None)

    async def result(*states: RunState, prefix: str = "") -> list[str]:
        runs = await store.listing.page(states, prefix)
        assert await store.listing.count(states, prefix) == len(runs)
        return [run.run_id for run in runs]

    assert await result() == ["R4", "R3", "R2", "R1"]
    assert await result(prefix="P1") == ["R2", "R1"]
    assert await result(prefix="P%") == ["R3"]
    assert await result(prefix="r") == ["R4", "R3", "R2", "R1"]
    assert await result(RunState.QUEUED, prefix="P1") == ["R1"]
    assert await result(RunState.COMPLETED, RunState.FAILED) == ["R2"]
    assert await result(prefix="_") == []
    assert await store.listing.count(most=3) == 3
    counts = await store.listing.counts()
    assert (counts[RunState.QUEUED], counts[RunState.COMPLETED], counts[RunState.FAILED]) == (3, 1, 0)


async def test_counters_are_those_of_the_rows(store) -> None:
    """Whatever changes runs, all of them are counted, in the state in which they are."""

    async def check(**expected: int) -> None:
        counts = {state.value: count for state, count in (await store.listing.counts()).items() if count}
        rows = await store.read("SELECT state, count(*) FROM runs GROUP BY state")
        assert counts == dict(rows) == expected
        assert await store.listing.count() == sum(expected.values())
        assert await store.listing.count([RunState.QUEUED, RunState.QUEUED]) == expected.get("queued", 0)

    await check()
    await store.create_runs({"P1": "R1", "P2": "R2", "P3": "R3"}, 0)
    await store.create_runs({"P1": "R4"}, 5)  # it has one already
    await check(queued=3)
    store.start_run("R1")
    store.start_run("R1")
    await store.writer.committed()
    await check(queued=2, running=1)
    await store.finish_run("R1", RunState.COMPLETED, {"converted": 1}, None, None)
    await store.finish_run("R2", RunState.FAILED, {}, None, "broken")
    await check(queued=1, completed=1, failed=1)
    store.now[0] += 2 * DAY
    assert await prune(store, store.now[0] - DAY) == 2
    await check(queued=1)
    await store.commit_all(("DELETE FROM runs WHERE patient_id = ?", ("P3",)))
    await check()


async def test_a_mirror_counts_rows_that_are_written_anew(store) -> None:
    """Those that another engine keeps are counted once, however often they come."""
    await store.create_runs({"P1": "R1", "P2": "R2"}, 0)
    mirror = Mirror()
    runs = await store.listing.page()
    await mirror.put(runs)
    await mirror.put([replace(runs[0], state=RunState.RUNNING), runs[1]])
    await mirror.put([replace(runs[0], state=RunState.RUNNING, priority=3)])
    counts = await mirror.listing.counts()
    assert (counts[RunState.RUNNING], counts[RunState.QUEUED]) == (1, 1)
    assert [run.priority for run in await mirror.listing.page([RunState.RUNNING])] == [3]
    await mirror.drop(["R2", "R1"])
    assert await mirror.listing.count() == 0
    await mirror.close()


async def test_what_ended_by_the_hour(store) -> None:
    """Runs and documents are summed up by the hour of their end, from a time on."""
    start = 277 * 3600.0
    for n, after in enumerate((0.0, 10.0, 3599.0, 3600.0, 9000.0)):
        store.now[0] = start + after
        await store.create_runs({f"P{n}": f"R{n}"}, 0)
        await store.finish_run(f"R{n}", RunState.COMPLETED, {"converted": n, "failed": 1}, None, None)
    hours = await store.listing.ended(start + 5)
    assert [(hour.start, hour.runs, hour.documents) for hour in hours] == [
        (start, 2, 2 + 3),
        (start + 3600, 1, 4),
        (start + 7200, 1, 5),
    ]


async def test_throughput_is_that_of_the_database(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it is asked for: what ends meanwhile is added, what is old is left out."""
    throughput = Throughput(store.listing)
    start, read = 1_800_003_600.0, list[float]()
    real = store.listing.ended

    async def counting(since: float, until: float | None = None):
        read.append((until or store.now[0]) - since)
        return await real(since, until)

    monkeypatch.setattr(type(store.listing), "ended", lambda _, since, until=None: counting(since, until))
    ends = [0, 3, 4, 9, 20, 21, 300, 3000, 3595, 3599, 3601, 3609, 7300, 86_000, 90_000, 95_000, 200_000]
    for number, after in enumerate(ends):
        store.now[0] = start + after
        await store.create_runs({f"P{number}": f"R{number:03d}"}, 0)
        await store.finish_run(f"R{number:03d}", RunState.COMPLETED, {"converted": number}, None, None)
        asked = await throughput.hours(store.now[0])
        last = start + after - DAY_S
        expected = [n for n, end in enumerate(ends[: number + 1]) if start + end >= last]
        kept = [hour for hour in asked if hour.start >= last // HOUR_S * HOUR_S]
        assert sum(hour.runs for hour in kept) >= len(expected)
        assert {hour.start for hour in kept} >= {(start + ends[n]) // HOUR_S * HOUR_S for n in expected}
        if number == ends.index(3000):
            assert [(hour.start, hour.runs, hour.documents) for hour in kept] == [(start, 8, sum(range(8)))]
    days = [span for span in read if span > HOUR_S]
    assert len(days) == len({(start + after - 10) // HOUR_S for after in ends}), "once an hour"


async def test_many_at_once_and_those_that_continue(store) -> None:
    """Runs are made in one transaction; a patient with an unfinished run keeps that."""
    (first,) = await store.create_runs({"P5": "R0"}, 0)
    runs = await store.create_runs({f"P{n}": f"S{n:05d}" for n in range(10_000)}, 2)
    assert [run.patient_id for run in runs] == [f"P{n}" for n in range(10_000)]
    assert runs[5] == replace(first, priority=2), "more urgent, as it was asked for again"
    assert await store.listing.count() == 10_000
    assert await store.create_runs({}, 0) == []


@given(st.text(max_size=30).filter(lambda text: text.isprintable()))
async def test_any_id_is_found_by_its_own_prefix(tmp_path_factory, patient: str) -> None:
    """Whatever an id is made of, it is kept, and found by itself."""
    async with open_database(tmp_path_factory.mktemp("db"), lambda: 0.0) as store:
        (run,) = await store.create_runs({patient: "R1"}, 0)
        assert run.patient_id == patient
        assert await store.listing.page(prefix=patient) == [run]


async def test_answers_are_remembered_for_a_week(store) -> None:
    """The first answer to a key stays the answer, and is forgotten in time."""
    assert await store.answers.remembered("k") is None
    await store.answers.remember("k", "digest", "answer")
    await store.answers.remember("k", "other", "other")
    store.now[0] += 6 * DAY
    assert await store.answers.remembered("k") == ("digest", "answer")
    store.now[0] += 2 * DAY
    assert await store.answers.remembered("k") is None
    await store.answers.remember("k", "new", "new")
    assert await store.answers.remembered("k") == ("new", "new")


async def test_pauses_are_kept(store) -> None:
    """What is paused is known with the time at which it was first said."""
    await store.pause("docex")
    store.now[0] += 5
    await store.pause("docex")
    await store.pause("")
    assert await store.pauses() == {"docex": 1_000_000.0, "": 1_000_005.0}
    await store.unpause("docex")
    assert await store.pauses() == {"": 1_000_005.0}
