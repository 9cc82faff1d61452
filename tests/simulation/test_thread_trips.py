"""How often a run goes through a thread: a trip costs the event loop more than most of what is done there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.world import Plan, simulate

PATIENTS = 5
MOST = 18
"""Trips for each patient of four documents: two for a document, and a dozen for what is done once.

Commits are left out, since patients share them.
"""


async def trips(folder: Path, patients: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of so many patients, those of starting and stopping included."""
    count, loop = 0, type(asyncio.get_running_loop())
    real = loop.run_in_executor

    def run_in_executor(self: Any, executor: Any, *work: Any) -> Any:
        nonlocal count
        count += not getattr(executor, "_thread_name_prefix", "").startswith("checkpoint-writer")
        return real(self, executor, *work)

    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(loop, "run_in_executor", run_in_executor)
        story = await simulate(Plan(folder, patients=patients))
    assert all(run.counts["converted"] for run in story.runs)
    return count


@pytest.mark.virtual
async def test_a_patient_takes_few_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of several patients less those of one: what starts and stops is not counted."""
    one = await trips(tmp_path / "one", 1, monkeypatch)
    several = await trips(tmp_path / "several", 1 + PATIENTS, monkeypatch)
    assert PATIENTS < several - one <= MOST * PATIENTS, (several - one) / PATIENTS
