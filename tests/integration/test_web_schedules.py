"""The API of schedules and notifications, with the client over a real socket, and their metrics."""

import asyncio
import time
from pathlib import Path

import pytest

from docpipe.client import Client, NotFoundError
from docpipe.config.schedule import Schedule
from tests.web_support import Served, serving

WEEKLY = Schedule(name="each week", patients=("all",), every="7d")
NIGHTLY = Schedule(name="night", patients=("id=S1",), every="0 3 * * *", zone="Europe/Berlin")


async def asked(served: Served, work):
    """What the blocking client answers, in a thread."""

    def ask():
        with Client(served.address) as client:
            return work(client)

    return await asyncio.to_thread(ask)


async def test_schedules_are_listed_and_paused(tmp_path: Path) -> None:
    """With the next time and the number of patients; a pause is there at once, and for programs."""
    async with serving(tmp_path, time.time, schedules=(WEEKLY, NIGHTLY)) as served:
        first, second = await asked(served, Client.schedules)
        assert (first.name, first.patients, first.every) == ("each week", ["all"], "7d")
        assert (first.last_at, first.begun, first.paused, first.trouble) == (None, 0, None, None)
        assert (first.members, first.priority) == (14, -9)
        assert (second.members, second.zone) == (1, "Europe/Berlin")
        assert first.next_at.timestamp() > time.time() - 60.0
        await asked(served, lambda client: client.pause_schedule("each week"))
        first, second = await asked(served, Client.schedules)
        assert first.paused is not None
        assert (first.next_at, second.paused) == (None, None)
        text = (await served.get("/metrics")).body.decode()
        assert 'docpipe_schedule_paused{schedule="each week"} 1.0' in text
        assert 'docpipe_schedule_patients{schedule="night"} 1.0' in text
        await asked(served, lambda client: client.unpause_schedule("each week"))
        assert (await asked(served, Client.schedules))[0].next_at is not None
        with pytest.raises(NotFoundError, match="no schedule 'x'; there are each week, night"):
            await asked(served, lambda client: client.pause_schedule("x"))


async def test_runs_below_all_others_are_listed(tmp_path: Path) -> None:
    """Their priority is negative, and so is the cursor of a page that ends with one."""
    async with serving(tmp_path, time.time) as served:
        await served.docpipe.engine.accept(["S1", "S2", "S3"], -9)
        page = (await served.get("/api/runs?order=urgent&limit=2")).json
        assert [run["priority"] for run in page["runs"]] == [-9, -9]
        rest = (await served.get(f"/api/runs?order=urgent&limit=2&cursor={page['next']}")).json
        assert [run["patient_id"] for run in rest["runs"]] == ["S3"]
        await served.docpipe.engine.wait()


async def test_notifications_without_a_receiver(tmp_path: Path) -> None:
    """They are not configured, and nothing waits."""
    async with serving(tmp_path, time.time) as served:
        view = await asked(served, Client.notifications)
        assert (view.configured, view.waiting, view.stopped) == (False, 0, False)
        assert "docpipe_notifications" not in (await served.get("/metrics")).body.decode()
