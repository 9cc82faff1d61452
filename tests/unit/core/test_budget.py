"""Documents in documents have one budget for a run: number, bytes and depth."""

import pytest

from docpipe.engine import budget
from docpipe.engine.pipeline import retrieve
from docpipe.model import Activity, RunState
from docpipe.results.files import MOST_EMBEDDED
from tests.unit.core.support import MemoryActivities, MemoryRun, checkpoint, done, member


def part(path, size=1, **more):
    return member(path, **{"size": size, "derived_from": "x"} | more)


def nested(depth):
    """A mail in a mail, and so on."""
    inner = [] if not depth else [nested(depth - 1)]
    return part(f"mail{depth}", embedded=inner)


def fan(width, height, name="m"):
    parts = [fan(width, height - 1, f"{name}.{n}") for n in range(width)] if height else []
    return part(name, embedded=parts)


async def ended(members, run=None):
    run, activities = run or MemoryRun(), MemoryActivities(members)
    ending = await retrieve(run, activities)
    return ending, activities.facts.documents, run


async def test_depth():
    """What lies more than five documents deep is refused, and nothing below it is looked for."""
    ending, files, run = await ended([nested(80)])
    assert ending.counts == {"converted": 6, "refused": 1}
    assert ending.state is RunState.COMPLETED_WITH_ERRORS
    assert files[-1].reason == "A document nested more than 5 deep in others."
    assert run.times(Activity.CONVERT) == 6


async def test_number(monkeypatch):
    """One number for a run, the files of the archive included; the rest is one entry a document."""
    monkeypatch.setattr(budget, "MOST", 30)
    ending, files, run = await ended([fan(5, 3), member("a.txt")])
    assert run.times(Activity.CONVERT) == 30
    assert ending.counts["converted"] == 30
    rest = [file for file in files if file.outcome == "refused"]
    assert all("more documents, " in file.path and "the rest" in file.reason for file in rest)
    assert len(rest) <= 30
    assert len(files) == 30 + len(rest)


async def test_duplicates_count():
    """Copies cost no conversion, but a line each."""
    same = [part("copy") for _ in range(40)]
    left = budget.Budget(files=10)
    taken = left.parts("00001", "m", same)
    assert len(taken) == 11
    assert taken[-1].path == "m/(more documents, 30)"
    assert taken[-1].size == 30


async def test_bytes(monkeypatch):
    """What does not fit any more is refused; what is smaller still fits."""
    monkeypatch.setattr(budget, "LARGEST", 100)
    parts = [part("a", 50), part("b", 49), part("c", 40)]
    ending, files, _ = await ended([member("m", embedded=parts)])
    assert [file.outcome for file in files] == ["converted", "converted", "converted", "refused"]
    assert files[-1].path == "c"
    assert "larger than 4 GiB" in files[-1].reason
    ending, files, _ = await ended([member("m", embedded=parts), member("big", size=50)])
    assert ending.counts == {"converted": 3, "refused": 2}, "the files of the archive count"


async def test_a_large_archive_leaves_room_for_what_is_in_its_documents(monkeypatch):
    """Where larger archives are configured, documents in documents may be as large as the archive."""
    monkeypatch.setattr(budget, "LARGEST", 100)
    left = budget.of_run([member("m", size=90), member("n", size=60)], {"00001": done([])})
    assert left.size == 150


@pytest.mark.parametrize("first", ["00001.1", "00001.2"])
async def test_a_resumed_run_keeps_what_it_accepted(monkeypatch, first):
    """Whatever the order in which conversions ended, what has a checkpoint is not refused afterwards."""
    monkeypatch.setattr(budget, "MOST", 2)
    parts = [part("a"), part("b")]
    past = {Activity.CONVERT: {"00001": checkpoint(parts), first: checkpoint([])}}
    ending, files, _ = await ended([member("m", embedded=parts)], MemoryRun(past=past))
    accepted = {file.path: file.outcome for file in files}
    assert accepted["a" if first.endswith("1") else "b"] == "converted"
    assert ending.counts == {"converted": 2, "refused": 1}


async def test_a_resumed_run_has_no_second_budget(monkeypatch):
    """What earlier attempts took, in number and bytes, is taken."""
    monkeypatch.setattr(budget, "LARGEST", 100)
    parts = [part("a", 60), part("b", 60)]
    past = {"00001": done(parts), "00001.2": done([])}
    left = budget.of_run([member("m", size=30)], past)
    assert (left.files, left.size) == (MOST_EMBEDDED - 1, 10)
    assert [p.outcome for p in left.parts("00001", "m", parts)] == ["refused", None]


def test_documents_in_documents_are_fewer_than_files():
    """An archive may have 10,000 files, but documents within documents are held in memory to the end."""
    assert budget.of_run([member("m")], {}).files == MOST_EMBEDDED < budget.MOST
    assert budget.of_run([member("m")] * (budget.MOST - 3), {}).files == 3
