"""Ids of runs sort in the order in which they were made, whatever the clock does."""

import random
import time

from docpipe.checkpoints import open_database
from docpipe.model import RunIds


def test_ids_sort_by_time():
    """A later id is larger; the same source and time give the same id."""
    now = [1_800_000_000.0]
    ids = RunIds(lambda: now[0], random.Random(1))
    first = ids.new()
    now[0] += 0.001
    assert first < ids.new()
    assert RunIds(lambda: 1_800_000_000.0, random.Random(1)).new() == first
    assert len(first) == 26


def test_a_clock_that_is_set_back_changes_no_order():
    """Ids grow within a process when the clock steps back by years, and grow on when it comes back."""
    times = [1_800_000_000.0, 1_500_000_000.0, 1_500_000_001.0, 1_800_000_000.0, 1_900_000_000.0]
    ids = RunIds(lambda: times.pop(0), random.Random(1))
    made = [ids.new() for _ in range(5)]
    assert made == sorted(set(made))


def test_a_later_process_continues_after_the_last_id():
    """The latest run stays the latest where the clock was set back between two processes."""
    last = RunIds(lambda: 1_800_000_000.0, random.Random(1)).new()
    later = RunIds(lambda: 1_500_000_000.0, random.Random(2), after=last)
    made = [later.new() for _ in range(3)]
    assert [last, *made] == sorted({last, *made})
    ahead = RunIds(lambda: 1_900_000_000.0, random.Random(2), after=last).new()
    assert ahead == RunIds(lambda: 1_900_000_000.0, random.Random(2)).new()


async def test_the_database_knows_the_last_id(tmp_path):
    """It is the largest, in whatever order runs were added; there is none in a new database."""
    async with open_database(tmp_path, time.time) as checkpoints:
        assert await checkpoints.newest_run_id() == ""
        made = RunIds()
        ids = [made.new() for _ in range(3)]
        for number, run_id in enumerate(reversed(ids)):
            await checkpoints.create_runs({f"P{number}": run_id}, 0)
        assert await checkpoints.newest_run_id() == ids[-1]
