"""The worker pool at work: answers, order, limits, life and death of workers that behave."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from docpipe.errors import WorkerCrashedError
from docpipe.model import Ticket, WaitKind
from docpipe.workers import handle
from docpipe.workers.pool import PoolState
from docpipe.workers.proc import children
from tests.worker_support import alive, until, workers


async def test_returns_what_the_target_returned():
    """JSON goes in and comes out unharmed, of any size and in any script."""
    value = {"text": "José 日本 \0", "numbers": [1, 2.5, None, True], "long": "x" * 3_000_000}
    async with workers() as pool:
        assert await pool.run({"do": "echo", "value": value}, Ticket()) == value


async def test_starts_no_process_before_the_first_job():
    """A docpipe that converts nothing pays nothing."""
    async with workers() as pool:
        assert pool._forkserver is None


async def test_keeps_workers_warm():
    """One job after the other meets the same process; many at once meet no more processes than places."""
    async with workers() as pool:
        one = {await pool.run({"do": "pid"}, Ticket()) for _ in range(5)}
        many = set(await asyncio.gather(*(pool.run({"do": "pid"}, Ticket()) for _ in range(40))))
    assert len(one) == 1
    assert one < many
    assert len(many) == 2


async def test_worker_is_on_its_own():
    """A worker has its own session, limits, one thread, and no descriptor but its socket."""
    async with workers(memory=300 * 2**20) as pool:
        facts = await pool.run({"do": "facts"}, Ticket())
    assert facts["session"]
    assert facts["data"] == 270 * 2**20
    assert facts["core"] == 0
    assert facts["umask"] == "0077"
    assert facts["nice"] >= 5
    assert facts["oom"] == 1000
    assert facts["threads"] == 1
    descriptors = [re.sub(r"\d+", "N", name) for name in facts["descriptors"]]
    assert sorted(descriptors) == ["/dev/null"] * 3 + ["/proc/N/clear_refs", "socket"]
    assert "PYTHONPATH" not in facts["environment"]


async def test_worker_reaches_no_host():
    """Neither a worker nor a program that it starts gets a socket to anywhere, not even to this machine."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with workers() as pool:
        assert await pool.run({"do": "connect", "port": port}, Ticket()) == ["refused"] * 4
    server.close()


SECRETS = {
    "DOCPIPE_DOCEX__TOKEN": "hush",
    "PGPASSWORD": "hush",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer hush",
    "DATABASE_URL": "postgresql://docpipe:hush@localhost/patients",
    "https_proxy": "http://docpipe:hush@proxy:3128",
    "MYSQL_PWD": "hush",
    "PIP_INDEX_URL": "https://docpipe:hush@packages.example/simple",
    "SENTRY_DSN": "https://hush@sentry.example/1",
    "REDIS_AUTH": "hush",
    "SSH_AUTH_SOCK": "/run/hush/agent",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/hush/bus",
    "A_NAME_NOBODY_KNOWS": "hush",
    "LD_PRELOAD_PATH": "hush",
    "XLANG": "hush",
}
NEEDED = {
    "LANG": "C.UTF-8",
    "LC_TIME": "C",
    "TZ": "Europe/Lisbon",
    "TESSDATA_PREFIX": "/usr/share/tessdata",
    "LD_LIBRARY_PATH": "/opt/libraries",
}


async def test_worker_knows_no_secrets(monkeypatch):
    """Whatever a hostile document makes of a worker, its environment holds what it needs and nothing else."""
    for name, value in (SECRETS | NEEDED).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/hush")
    async with workers() as pool:
        facts = await pool.run({"do": "facts"}, Ticket())
    environment = facts["environment"]
    assert "hush" not in str(environment)
    assert "hush" not in facts["first_environment"]
    assert not SECRETS.keys() & environment.keys()
    assert NEEDED.items() <= environment.items()
    assert environment["PATH"] == os.environ["PATH"]


async def test_worker_loads_little_of_docpipe():
    """A worker that converts loads only the forkserver, the words, and the converters."""
    async with workers() as pool:
        modules = (await pool.run({"do": "facts"}, Ticket()))["modules"]
    allowed = ("docpipe.workers", "docpipe.convert")
    words = {"docpipe", "docpipe.errors", "docpipe.model", "docpipe.workers"}
    helpers = {
        f"docpipe.workers.{name}"
        for name in ("calls", "child", "confinement", "landlock", "limits", "proc", "seccomp", "wire")
    }
    assert {name for name in modules if not name.startswith(allowed)} <= words
    assert {name for name in modules if name.startswith("docpipe.workers")} <= words | helpers


async def test_converter_loads_little_of_docpipe():
    """The same with the real converters and their imports; and the forkserver has one thread."""
    pytest.importorskip("docpipe.convert.preload")
    async with workers(preload="docpipe.convert.preload", memory=2**30) as pool:
        facts = await pool.run({"do": "facts"}, Ticket())
    assert facts["threads"] == 1
    for name in facts["modules"]:
        assert name in {"docpipe", "docpipe.errors", "docpipe.model"} or name.startswith(
            ("docpipe.workers", "docpipe.convert")
        )
        assert name not in {"docpipe.workers.pool", "docpipe.workers.handle"}


async def test_line_stands_by_priority(tmp_path):
    """The urgent go first, others in the order they came; a ticket tells what it waits for."""
    order = []
    async with workers(size=1) as pool:

        async def one(name, priority):
            ticket = Ticket(name, priority)
            tickets[name] = ticket
            await pool.run({"do": "echo"}, ticket)
            order.append(name)

        tickets = {}
        file = tmp_path / "up"
        blocker = asyncio.create_task(pool.run({"do": "touch_and_hang", "file": str(file)}, Ticket()))
        await until(file.exists)
        waiting = [
            asyncio.create_task(one(name, priority)) for name, priority in [("a", 0), ("b", 0), ("urgent", 1)]
        ]
        await until(lambda: pool.snapshot() == PoolState(size=1, busy=1, waiting=3))
        assert {ticket.wait.kind for ticket in tickets.values()} == {WaitKind.CONVERSION}
        assert [pool.place(tickets[name]) for name in ("urgent", "a", "b")] == [1, 2, 3]
        blocker.cancel()
        await asyncio.gather(*waiting)
        assert {ticket.wait for ticket in tickets.values()} == {None}
    assert order == ["urgent", "a", "b"]
    assert pool.snapshot() == PoolState(size=1, busy=0, waiting=0)


async def test_leaving_the_line_costs_nothing(tmp_path):
    """A caller cancelled in line leaves no trace; those behind continue."""
    file = tmp_path / "up"
    async with workers(size=1) as pool:
        blocker = asyncio.create_task(pool.run({"do": "touch_and_hang", "file": str(file)}, Ticket()))
        await until(file.exists)
        leaver = asyncio.create_task(pool.run({"do": "touch", "file": str(tmp_path / "never")}, Ticket()))
        stayer = asyncio.create_task(pool.run({"do": "echo", "value": 7}, Ticket()))
        await until(lambda: pool.snapshot().waiting == 2)
        leaver.cancel()
        await until(lambda: pool.snapshot().waiting == 1)
        blocker.cancel()
        assert await stayer == 7
        assert leaver.cancelled()
    assert not (tmp_path / "never").exists()


async def test_worker_is_replaced_after_many_jobs():
    """What a library leaks goes with its process."""
    async with workers(size=1, jobs=3) as pool:
        pids = [await pool.run({"do": "pid"}, Ticket()) for _ in range(7)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]


async def test_worker_that_keeps_memory_is_replaced(monkeypatch):
    """A worker that still holds much after its job does not burden the next one."""
    monkeypatch.setattr(handle, "RECYCLE_BYTES", 60 * 2**20)
    async with workers(size=1) as pool:
        first = await pool.run({"do": "hold", "bytes": 2**20}, Ticket())
        second = await pool.run({"do": "hold", "bytes": 80 * 2**20}, Ticket())
        third = await pool.run({"do": "pid"}, Ticket())
    assert first == second
    assert third != second


async def test_peak_of_one_job_is_not_blamed_on_the_next():
    """A crash after another job's large peak is a crash, not a want of memory."""
    async with workers(size=1, tries=1) as pool:
        await pool.run({"do": "hold", "bytes": 180 * 2**20}, Ticket())
        await pool.run({"do": "hold", "bytes": 1}, Ticket())
        with pytest.raises(WorkerCrashedError, match="signal 11"):
            await pool.run({"do": "segfault"}, Ticket())


async def test_leaves_no_descriptor_and_no_process():
    """After a pool there are as many descriptors as before, and no child, zombie or not."""

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    others = set(children(os.getpid()))  # what earlier tests have left running, such as multiprocessing's
    async with workers() as pool:
        await pool.run({"do": "echo"}, Ticket())
    before = descriptors()
    for _ in range(3):
        async with workers(tries=1) as pool:
            for deed in ("echo", "sigkill", "raise", "exit", "echo"):
                with contextlib.suppress(WorkerCrashedError):
                    await pool.run({"do": deed}, Ticket())
    assert descriptors() == before
    assert set(children(os.getpid())) <= others  # the kernel lists those that nobody has waited for, too


async def test_dead_workers_leave_no_zombie():
    """The forkserver reaps at once what dies, grandchildren too."""
    async with workers(size=1, tries=1) as pool:
        for deed in ("sigkill", "orphan", "raise", "exit"):
            with contextlib.suppress(WorkerCrashedError):
                await pool.run({"do": deed}, Ticket())
        forkserver = pool._forkserver._process.pid
        children = Path(f"/proc/{forkserver}/task/{forkserver}/children")
        await until(lambda: not children.read_text().split())


async def test_works_from_another_folder(tmp_path):
    """The pool runs from any folder: a `json.py` that lies there is not taken for the real one."""
    (tmp_path / "json.py").write_text("raise SystemExit('this is not the real json')")
    script = (
        "import asyncio\n"
        "from docpipe.model import Ticket\n"
        "from docpipe.workers.pool import Workers\n"
        "async def main():\n"
        "    async with Workers('builtins:sorted', preload=None, size=1, memory=2**28, timeout=60) as pool:\n"
        "        print(await pool.run([3, 1, 2], Ticket()))\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-P", "-W", "error", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[1, 2, 3]", "")


async def test_worker_serves_one_run():
    """A worker that a document of one patient took over never sees another's: neither busy nor kept idle."""
    async with workers(size=2) as pool:
        seen = defaultdict(set)
        for run in ("a", "b", "c", "a", "b", "c"):
            jobs = (pool.run({"do": "pid"}, Ticket(run)) for _ in range(4))
            seen[run] |= set(await asyncio.gather(*jobs))
            assert len(children(pool._forkserver._process.pid)) <= 2
    pids = [pid for result in seen.values() for pid in result]
    assert len(pids) == len(set(pids))


async def test_a_process_for_each_document():
    """As `convert.isolation` asks for it, with one place and with several."""
    async with workers(size=2, jobs=1) as pool:
        pids = await asyncio.gather(*(pool.run({"do": "pid"}, Ticket("a")) for _ in range(6)))
    assert len(set(pids)) == 6


async def test_workers_of_a_finished_run_end():
    """They hold memory, and nobody else may have them."""
    async with workers(size=1) as pool:
        pid = await pool.run({"do": "pid"}, Ticket("a"))
        pool.forget("b")
        assert alive(pid)
        pool.forget("a")
        await until(lambda: not alive(pid))
        assert pool._idle == []


async def test_second_try_keeps_within_the_places(tmp_path):
    """A document that is tried again has a fresh worker, and idle ones of others make room for it."""
    async with workers(size=1, tries=2) as pool:
        other = await pool.run({"do": "pid"}, Ticket("a"))
        await pool.run({"do": "flaky", "file": str(tmp_path / "died")}, Ticket("b"))
        assert not alive(other)
        assert len(children(pool._forkserver._process.pid)) == 1
