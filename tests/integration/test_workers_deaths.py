"""The worker pool when jobs misbehave: which processes die, and which callers get an error."""

import asyncio
import contextlib
import errno
import json
import os
import random
import signal
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from docpipe.activities.activities import Activities
from docpipe.activities.spool import FolderSpool
from docpipe.errors import WorkerCrashedError, WorkerError, WorkerMemoryError, WorkerTimeoutError
from docpipe.gates.local_trouble import trouble_of
from docpipe.model import Ticket
from docpipe.workers import budget, handle
from docpipe.workers.pool import PoolState, Workers
from docpipe.workers.wire import PASSING
from tests.worker_support import MIB, TARGET, alive, spawned, unhurried, until, workers

CRASHES = {
    "sigkill": r"\(signal 9\)",
    "segfault": r"\(signal 11\)",
    "abort": r"\(signal 6\)",
    "exit": r"\(exit status 3\)",
    "sys_exit": r"\(SystemExit in tests.worker_targets, line \d+\)",
    "raise": r"\(LookupError in tests.worker_targets, line \d+\)",
    "not_json": r"\(TypeError in json.encoder, line \d+\)",
}


@pytest.mark.parametrize("deed", CRASHES)
async def test_crash_loses_nobody_else(deed):
    """One of 24 jobs takes its worker down; the other 23 come back, and the error says what happened."""
    jobs = [{"do": "echo", "value": n} for n in range(24)]
    jobs[7] = {"do": deed}
    async with workers() as pool:
        results = await asyncio.gather(*(pool.run(job, Ticket()) for job in jobs), return_exceptions=True)
    assert [r for n, r in enumerate(results) if n != 7] == [n for n in range(24) if n != 7]
    with pytest.raises(WorkerCrashedError, match=f"^The converter stopped unexpectedly {CRASHES[deed]}.$"):
        raise results[7]


async def test_error_never_quotes_the_document():
    """The text of an exception stays in the worker: neither the error nor the log has it."""
    with capture_logs() as logs:
        async with workers() as pool:
            for deed in ("raise", "sys_exit"):
                with pytest.raises(WorkerCrashedError) as caught:
                    await pool.run({"do": deed}, Ticket("run-1"))
                assert "secret" not in repr(caught.value)
    assert [line["event"] for line in logs] == ["worker_raised"] * 2
    assert "secret" not in json.dumps(logs)
    assert {line["run_id"] for line in logs} == {"run-1"}


async def test_crash_is_tried_again_in_a_fresh_worker(tmp_path):
    """The second try runs in a new process, though another idle one is there, and its result counts."""
    async with workers(tries=2) as pool:
        idle = await asyncio.gather(*(pool.run({"do": "nap_pid"}, Ticket()) for _ in range(2)))
        file = tmp_path / "first"
        second = await pool.run({"do": "flaky", "file": str(file)}, Ticket())
    assert int(file.read_text()) in idle
    assert second not in idle


async def test_crash_is_tried_so_often_and_no_more():
    """A document that kills every worker is given up."""
    with capture_logs() as logs:
        async with workers(tries=3) as pool:
            with pytest.raises(WorkerCrashedError):
                await pool.run({"do": "segfault"}, Ticket())
    assert [line["attempt"] for line in logs if line["event"] == "worker_failed"] == [1, 2, 3]


async def test_exception_is_not_tried_again_but_its_worker_is_replaced():
    """A healthy worker said no: another would say the same."""
    with capture_logs() as logs:
        async with workers(size=1, tries=3) as pool:
            before = await pool.run({"do": "pid"}, Ticket())
            with pytest.raises(WorkerCrashedError):
                await pool.run({"do": "raise"}, Ticket())
            assert await pool.run({"do": "pid"}, Ticket()) != before
    assert len(logs) == 1


@pytest.mark.parametrize("deed", ["hang", "hang_in_c", "hang_deaf"])
async def test_hang_is_killed(deed):
    """Time ends a job that sleeps, one that holds the interpreter's lock, and one that ignores signals."""
    async with workers(size=1, timeout=0.3) as pool:
        with pytest.raises(WorkerTimeoutError, match=r"^The conversion took longer than 0.3 s\.$"):
            await pool.run({"do": deed}, Ticket())
        unhurried(pool)
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(21600.0, "6 h"), (300.0, "5 min"), (90.0, "1.5 min"), (30.0, "30 s")]
)
def test_limits_are_reported_as_people_say_them(seconds, expected):
    """Five minutes are not 300.0 s."""
    assert budget.span(seconds) == expected


@pytest.mark.parametrize("size", [(2**30, "1 GiB"), (3 * 2**29, "1.5 GiB"), (900 * MIB, "900 MiB")])
def test_sizes_are_reported_as_people_say_them(size):
    """A GiB is not 1073741824 bytes."""
    assert budget.size(size[0]) == size[1]


async def test_time_is_not_taken_twice(tmp_path):
    """A document that took all of its time is not tried again, though a crash would be."""
    with capture_logs() as logs:
        async with workers(size=1, timeout=0.3, tries=3) as pool:
            with pytest.raises(WorkerTimeoutError):
                await pool.run({"do": "hang"}, Ticket("run-1"))
    assert [line["attempt"] for line in logs if line["event"] == "worker_failed"] == [1]


@pytest.mark.parametrize("deed", ["echo", "hang"])
async def test_run_has_a_budget(deed):
    """Once its documents took so long the rest is not tried, whatever became of them; others are."""
    async with workers(size=1, budget=1e-9, timeout=0.3) as pool:
        with contextlib.suppress(WorkerTimeoutError):
            await pool.run({"do": deed}, Ticket("slow"))
        unhurried(pool)
        with pytest.raises(
            WorkerTimeoutError, match=r"took 1e-09 s to convert in all; this one was not tried"
        ):
            await pool.run({"do": "echo"}, Ticket("slow"))
        assert await pool.run({"do": "echo", "value": 1}, Ticket("other")) == 1
        assert [await pool.run({"do": "echo", "value": 1}, Ticket()) for _ in range(2)] == [1, 1]
        pool.forget("slow")
        assert await pool.run({"do": "echo", "value": 1}, Ticket("slow")) == 1
        assert pool.snapshot() == PoolState(size=1, busy=0, waiting=0)


async def test_run_that_is_over_has_its_time_again(tmp_path):
    """Clearing the spool of a run makes the pool forget it, too."""
    nothing = dict.fromkeys(field.name for field in fields(Activities) if field.name[0] != "_")
    async with workers(size=1, budget=1e-9) as pool:
        activities = Activities(**(nothing | {"workers": pool, "spool": FolderSpool(tmp_path)}))
        for _ in range(2):
            assert await pool.run({"do": "echo", "value": 1}, Ticket("run-1")) == 1
            await activities.clear_spool("run-1")


def test_budget_counts_by_run():
    """Time adds up for each run alone; without a limit nothing is refused."""
    times = iter([0.0, 4.0, 10.0, 15.0, 20.0, 21.0])
    spent = budget.Budget(6.0, lambda: next(times))
    for run_id in ("a", "b", "a"):
        spent.check(run_id)
        with contextlib.suppress(ValueError), spent.spend(run_id):
            raise ValueError
    spent.check("a")  # 5 of 6 seconds
    spent.check("b")
    unlimited = budget.Budget(None)
    with unlimited.spend("a"):
        pass
    unlimited.check("a")


async def test_worker_ends_itself_when_nobody_watches():
    """While the main process is stopped, a hanging worker's own alarm ends it, as a timeout."""
    async with workers(size=1) as pool:
        pid = await pool.run({"do": "pid"}, Ticket())
        job = asyncio.create_task(pool.run({"do": "hang"}, Ticket()))
        await until(lambda: Path(f"/proc/{pid}/wchan").exists())
        os.kill(pid, signal.SIGALRM)
        with pytest.raises(WorkerTimeoutError):
            await job


@pytest.mark.parametrize(
    "job",
    [
        {"do": "list_hog"},  # MemoryError
        {"do": "hog_and_abort"},  # what typst makes of it
        {"do": "map_hog", "bytes": 300 * MIB},  # shared memory, which no limit of the kernel's counts
        {"do": "child_hog", "bytes": 300 * MIB},  # a program started by the worker
    ],
    ids=lambda job: job["do"],
)
async def test_memory_is_reported_as_memory(job):
    """However a job eats its memory, its worker ends, and the error says so."""
    async with workers(size=1) as pool:
        with pytest.raises(WorkerMemoryError, match=r"^The document needs more than 256 MiB of memory\.$"):
            await pool.run(job, Ticket())
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


@pytest.mark.parametrize("text", ["ffffffff", "00000002" + b"[]".hex(), "00000002" + b"{}".hex()])
async def test_nonsense_from_a_worker_is_a_crash(text):
    """A worker that a document took over cannot harm the main process by its answers."""
    async with workers(size=1) as pool:
        with pytest.raises(WorkerCrashedError, match="signal 9"):
            await pool.run({"do": "nonsense", "bytes": text}, Ticket())
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


async def test_half_an_answer_is_a_timeout():
    """A worker that begins an answer and does not end it is waited for no longer than any other."""
    async with workers(size=1, timeout=0.3) as pool:
        with pytest.raises(WorkerTimeoutError):
            await pool.run({"do": "nonsense", "bytes": "00000003"}, Ticket())


@pytest.mark.parametrize("own_session", [False, True])
async def test_program_dies_with_its_timed_out_worker(tmp_path, own_session, monkeypatch):
    """What a worker started dies with it, even in a session of its own."""
    file = tmp_path / "pids"
    # Its time is over once the program is there, however long that takes on a busy machine.
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600.0 * file.exists())
    monkeypatch.setattr("docpipe.workers.pool.time", clock)
    async with workers(size=1) as pool:
        job = {"do": "spawn", "file": str(file), "own_session": own_session}
        with pytest.raises(WorkerTimeoutError):
            await pool.run(job, Ticket())
        worker, program = (int(pid) for pid in file.read_text().split())
        assert not alive(worker)
        await until(lambda: not alive(program))


async def test_program_dies_with_its_cancelled_worker(tmp_path):
    """A job that is cancelled does not continue: its worker is dead when the cancellation is through."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        job = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        worker, program = await spawned(file)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert not alive(worker)
        await until(lambda: not alive(program))
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


@pytest.mark.parametrize("own_session", [False, True])
async def test_program_left_running_ends_with_its_job(tmp_path, own_session):
    """A job that returns and leaves a program running has it killed."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        await pool.run(
            {"do": "spawn", "file": str(file), "leave": True, "own_session": own_session}, Ticket()
        )
        daemon = await pool.run({"do": "orphan"}, Ticket())
        programs = [int(file.read_text().split()[1]), daemon]
        await until(lambda: not any(map(alive, programs)))


async def test_close_kills_what_runs(tmp_path):
    """Closing the pool ends running jobs and their programs, and cancels their callers and those in line."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        running = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        pids = await spawned(file)
        waiting = asyncio.create_task(pool.run({"do": "echo"}, Ticket()))
        await until(lambda: pool.snapshot().waiting == 1)
    assert not any(map(alive, pids))
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    with pytest.raises(RuntimeError):
        await pool.run({"do": "echo"}, Ticket())


async def test_close_does_not_wait_for_a_stuck_forkserver(tmp_path):
    """A forkserver that is stopped cannot leave by itself: it is killed, and nobody of it is left."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        running = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        pids = await spawned(file)
        os.kill(pool._forkserver._process.pid, signal.SIGSTOP)
    await until(lambda: not any(map(alive, pids)))
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_stuck_forkserver_is_replaced(monkeypatch):
    """A forkserver that does not confirm a kill is killed itself; the pool continues with a new one."""
    monkeypatch.setattr("docpipe.workers.handle.PATIENCE_S", 0.2)
    async with workers(size=1) as pool:
        await pool.run({"do": "echo"}, Ticket())
        pool._timeout = 0.3
        os.kill(pool._forkserver._process.pid, signal.SIGSTOP)
        with pytest.raises(WorkerTimeoutError):
            await pool.run({"do": "hang"}, Ticket())
        unhurried(pool)
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


async def test_death_of_an_idle_worker_costs_nobody_a_try():
    """A worker that is killed while it waits, as by the kernel for want of memory, is not handed a job."""
    async with workers(size=1) as pool:
        os.kill(await pool.run({"do": "pid"}, Ticket()), signal.SIGKILL)
        await until(pool._idle[0].gone.done)
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1


async def test_lost_forkserver_costs_nobody_a_try(tmp_path):
    """Jobs in flight when the forkserver dies are done again, though they have but one try."""
    jobs = [{"do": "kill_parent", "file": str(tmp_path / "killed")}] + [{"do": "echo", "value": 1}] * 20
    with capture_logs() as logs:
        async with workers() as pool:
            results = await asyncio.gather(*(pool.run(job, Ticket()) for job in jobs))
    assert results == ["recovered"] + [1] * 20
    assert {line["event"] for line in logs} == {"worker_lost"}


async def test_program_dies_with_its_forkserver(tmp_path):
    """Programs whose worker was killed by the kernel, for its parent died, are killed by the main process."""
    file = tmp_path / "pids"
    async with workers(size=1) as pool:
        job = asyncio.create_task(pool.run({"do": "spawn", "file": str(file)}, Ticket()))
        pids = await spawned(file)
        file.unlink()
        os.kill(pool._forkserver._process.pid, signal.SIGKILL)
        again = await spawned(file)
        assert not any(map(alive, pids))
        assert not set(pids) & set(again)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job


@pytest.mark.parametrize(
    "broken", [{"preload": "no_such_module"}, {"target": "tests.worker_targets:missing"}]
)
async def test_broken_installation_is_reported(broken, capfd):
    """Where the converter cannot be imported jobs fail soon and clearly; standard error has the traceback."""
    settings = {"target": TARGET, "preload": None} | broken
    async with Workers(**settings, size=1, memory=256 * MIB, timeout=60.0) as pool:
        with pytest.raises(WorkerCrashedError, match=r"^The converter could not be started \("):
            await pool.run({"do": "echo"}, Ticket())
    assert "Error" in capfd.readouterr().err


async def test_a_machine_that_starts_no_process_is_waited_for(monkeypatch):
    """A fork that is refused is no death of the document, however often; the ticket says why it waits."""
    monkeypatch.setattr("docpipe.gates.local_trouble.RETRY_S", 0.05)
    ticket = Ticket()
    with capture_logs() as logs:
        async with workers(preload="tests.worker_no_fork") as pool:
            job = asyncio.create_task(pool.run({"do": "echo", "value": 1}, ticket))
            await until(lambda: ticket.wait is not None)
            assert "no process can be started" in ticket.wait.what
            assert await job == 1
    assert {line["event"] for line in logs} == {"local_trouble"}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN])
async def test_a_machine_at_its_limit_is_waited_for(monkeypatch, number):
    """Nor is it the document's fault that there is no descriptor or memory for another process."""
    monkeypatch.setattr("docpipe.gates.local_trouble.RETRY_S", 0.01)
    left = [OSError(number, os.strerror(number))] * 5
    real = handle.socket.socketpair

    def refused(*args):
        if left:
            raise left.pop()
        return real(*args)

    monkeypatch.setattr(handle.socket, "socketpair", refused)
    async with workers() as pool:
        assert await pool.run({"do": "echo", "value": 1}, Ticket()) == 1
    assert not left


@pytest.mark.parametrize("number", sorted(PASSING))
async def test_a_machine_that_fails_in_a_worker_is_reported_as_such(number):
    """What a worker meets of the machine reaches the caller as the error of the system that it is."""
    async with workers() as pool:
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- its number is looked at
            await pool.run({"do": "os_error", "errno": number}, Ticket())
        assert trouble_of(caught.value) is not None


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE, errno.EACCES, errno.ENOENT])
async def test_limits_of_a_worker_are_the_documents_own(number):
    """A document that reaches the limits of its worker fails alone, and is not tried without end."""
    async with workers() as pool:
        with pytest.raises(WorkerCrashedError):
            await pool.run({"do": "os_error", "errno": number}, Ticket())


async def test_storm():
    """200 jobs while workers and the forkserver are killed at random: each ends, and the pool stays whole."""
    rng = random.Random(20)
    async with workers(size=4, tries=3) as pool:

        async def killer():
            while True:
                await asyncio.sleep(rng.uniform(0.001, 0.02))
                if (forkserver := pool._forkserver) is None:
                    continue
                pids = [w.born.result() for w in forkserver._living.values() if w.born.done()]
                if rng.random() < 0.02:
                    pids = [forkserver._process.pid]
                if pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rng.choice(pids), signal.SIGKILL)

        storm = asyncio.create_task(killer())
        jobs = [{"do": "nap", "seconds": rng.uniform(0, 0.02), "value": n} for n in range(200)]
        results = await asyncio.gather(*(pool.run(job, Ticket()) for job in jobs), return_exceptions=True)
        storm.cancel()
        good = [n for n, result in enumerate(results) if result == n]
        assert all(isinstance(r, WorkerError) for n, r in enumerate(results) if n not in good)
        assert len(good) > 100
        assert pool.snapshot() == PoolState(size=4, busy=0, waiting=0)
        pids = await asyncio.gather(*(pool.run({"do": "nap_pid"}, Ticket()) for _ in range(4)))
        assert len(set(pids)) == 4
