"""Schedules of a fleet: several services begin each run once, whatever is lost meanwhile."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from docpipe.checkpoints import StoredSchedule
from docpipe.config.schedule import Schedule
from docpipe.errors import UsageError
from docpipe.fleet import planning
from docpipe.fleet.opening import open_fleet
from docpipe.fleet.planning import StoredPlans
from docpipe.fleet.worker import working
from docpipe.schedule import Roster, rounds_of
from tests.fleet_serve_support import FleetServed, serving
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
LISTED = [f"P{number}" for number in range(100, 105)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machines]:
    async with machines(tmp_path_factory.mktemp("fleet")) as made:
        (made.folder / "some.csv").write_text("\n".join(["id", *LISTED]), "utf-8")
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module", scope="module")
async def worker(made: Machines) -> AsyncIterator[None]:
    async with working(made.config("worker"), converter=CONVERTER, inline=True):
        yield


@pytest.fixture(autouse=True)
def looks_are_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test waits."""
    monkeypatch.setattr(planning, "_LOOK_S", 0.2)
    monkeypatch.setattr(planning, "CLAIM_S", 2.0)


@contextlib.asynccontextmanager
async def plans(made: Machines) -> AsyncIterator[StoredPlans]:
    """How far the schedules are, as `docpipe status` reads it."""
    config = made.config("client")
    async with open_fleet(config) as fleet:
        yield StoredPlans(fleet.blobs, fleet.keys, config.fleet.prefix)


def schedule_of(made: Machines, name: str) -> Schedule:
    return Schedule(name=name, patients=(str(made.folder / "some.csv"),), every="1h")


async def view_of(served: FleetServed) -> Any:
    """The schedule of a service that has one."""
    (view,) = (await served.get("/api/schedules"))["schedules"]
    return view


async def until(true: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.1)


async def runs_of(made: Machines, since: float) -> Counter[str]:
    """How many runs each patient has had since then, as Temporal knows it."""
    async with made.runs() as runs:
        return Counter(run.stored.patient_id for run in await runs.runs() if run.stored.created_at >= since)


async def test_what_was_missed_is_made_up_once_by_one_of_several(made: Machines) -> None:
    """Two services, of which one dies; and Redis loses the claim while runs begin."""
    began, plan = time.time(), schedule_of(made, "hourly")
    async with plans(made) as stored:
        await stored.write(StoredSchedule("hourly", began - 5 * 3600.0))
        async with serving(made, "first", schedule=(plan,)) as first:
            async with serving(made, "second", schedule=(plan,)) as second:
                made.store.empty()

                async def all_begun() -> bool:
                    for served in (first, second):
                        view = await view_of(served)
                        if not view["last_at"] or datetime.fromisoformat(view["next_at"]).timestamp() < began:
                            return False
                    return True

                await until(all_begun)
                one, other = await view_of(first), await view_of(second)
                assert (one["members"], one["begun"], one["trouble"]) == (5, other["begun"], None)
                made.store.open("docex.search", "docex.status", "tasktracker")
            text = await first.metrics()
            assert 'docpipe_schedule_patients{schedule="hourly"} 5.0' in text
        after = await stored.read("hourly")
        assert after is not None
        assert after.until > began - 3600.0
    async with made.runs() as runs:
        begun = [run for run in await runs.runs() if run.stored.created_at >= began]
        assert sorted(run.stored.patient_id for run in begun) == LISTED
        await runs.wait(begun)


async def test_begun_again_after_a_lost_note(made: Machines) -> None:
    """The process died between the runs and its note: what has begun since it was due is not begun again."""
    began = time.time()
    due = dict.fromkeys(LISTED, began)
    async with made.runs() as runs:
        first = await runs.begin_due(due, -9)
        assert {run.stored.priority for run in first} == {-9}
        await runs.wait(first)
        again = await runs.begin_due(due, -9)
        assert [run.stored.run_id for run in again] == [run.stored.run_id for run in first]
        later = await runs.begin_due({"P100": time.time()}, -9)
        assert later[0].stored.run_id != first[0].stored.run_id
        await runs.wait(later)


async def test_another_takes_over(made: Machines) -> None:
    """The one that began runs ends without a word: another has its claim as soon as that has run out."""
    plan = schedule_of(made, "taken over")
    async with serving(made, "one", schedule=(plan,)) as one, serving(made, "two", schedule=(plan,)) as two:
        agendas = [served.serving.scheduler._agenda for served in (one, two)]
        holders = [[await agenda.mine("taken over") for agenda in agendas] for _ in range(10)]
        assert {sum(holder) for holder in holders} == {1}
    async with serving(made, "third", schedule=(plan,)) as third:
        await until(lambda: third.serving.scheduler._agenda.mine("taken over"))


async def test_a_pause_holds_on_all_and_is_not_made_up(made: Machines) -> None:
    """It is known to another service, to a later one, and to `status`."""
    plan = schedule_of(made, "paused")

    async def paused(served: FleetServed) -> bool:
        return (await view_of(served))["paused"] is not None

    async with (
        serving(made, "first", schedule=(plan,)) as first,
        serving(made, "second", schedule=(plan,)) as second,
    ):
        assert (await first.ask("POST", "/api/schedules/paused/pause")).status == 204
        assert (await first.ask("POST", "/api/schedules/none/pause")).status == 404
        await until(lambda: paused(second))
    began = time.time()
    async with plans(made) as stored, serving(made, "third", schedule=(plan,)) as third:
        before = await stored.read("paused")
        assert before is not None
        assert before.paused is not None
        await stored.write(replace(before, until=began - 5 * 3600.0))
        assert await paused(third)
        assert (await view_of(third))["next_at"] is None
        assert (await third.ask("POST", "/api/schedules/paused/resume")).status == 204

        async def next_is_known() -> bool:
            return (await view_of(third))["next_at"] is not None

        await until(next_is_known)
        after = await stored.read("paused")
        assert after is not None
        assert after.until >= began
        assert after.last_at is None
    due = {one.patient_id for one in Roster(LISTED).due(rounds_of(plan), began, time.time())}
    assert set(await runs_of(made, began)) <= due


async def test_a_file_that_is_not_there(made: Machines) -> None:
    """The start is refused, as on one machine."""
    plan = Schedule(name="lost", patients=("nobody.csv",), every="1h")
    with pytest.raises(UsageError, match=r"Schedule 'lost': .*nobody\.csv cannot be read"):
        async with serving(made, "lost", schedule=(plan,)):
            pass


async def test_nobody_is_named_anywhere(made: Machines) -> None:
    """Neither in the storage nor in Temporal's database nor in Redis: all is encrypted, or a keyed hash."""
    files = [path for path in (made.folder / "storage" / ".fleet").rglob("*") if path.is_file()]
    assert any("schedules" in path.parts for path in files)
    files += made.temporal.database.parent.glob(f"{made.temporal.database.name}*")
    client = made.store.client
    client.config_set("rdbcompression", "no")
    keys = client.keys()
    kept = [*keys, *(client.dump(key) or b"" for key in keys)]
    assert keys  # claims of schedules have run out by now
    for name in ("hourly", "some.csv", *(f'"{patient}"' for patient in LISTED)):
        assert not [path for path in files if name.encode() in path.read_bytes() or name in path.name]
        assert not [value for value in kept if name.encode() in value]


async def test_a_storage_that_is_away_is_waited_for(made: Machines) -> None:
    """The service begins, and follows the schedule from where it was once the storage is back."""
    began, plan = time.time(), schedule_of(made, "waits")

    async def away(_plans: StoredPlans, _name: str) -> None:
        raise OSError(5, "Input/output error")

    async with plans(made) as stored:
        await stored.write(StoredSchedule("waits", began - 5 * 3600.0))
    patch = pytest.MonkeyPatch()
    patch.setattr(StoredPlans, "read", away)
    async with serving(made, "first", schedule=(plan,)) as served:
        patch.undo()

        async def begun() -> bool:
            return (await view_of(served))["last_at"] is not None

        await until(begun)
