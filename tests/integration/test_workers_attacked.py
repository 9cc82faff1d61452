"""A converter that a document took over: what it tries, in a worker as the pool makes it, is refused."""

import errno
import mmap
import os
import platform
import re
import signal
import socket
from pathlib import Path

import msgspec
import pytest

from docpipe.errors import WorkerCrashedError
from docpipe.model import Ticket
from docpipe.workers import landlock
from docpipe.workers.answers import Conversion
from docpipe.workers.calls import numbers
from docpipe.workers.limits import SPARE_BYTES
from docpipe.workers.pool import Workers
from docpipe.workers.seccomp import refuse_calls
from tests import worker_kernel
from tests.worker_support import MIB, alive, until

TARGET = "tests.worker_attacks:attack"
LIMITS = ("RLIMIT_DATA", "RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC")


def attacked(**changes):
    """A pool of one worker whose converter does what its job says."""
    target = changes.pop("target", TARGET)
    settings = {"preload": None, "size": 1, "memory": 256 * MIB, "timeout": 60.0, "tries": 1}
    return Workers(target, **(settings | changes))


async def attempt(what, **job):
    """What a single attempt in a fresh worker got."""
    async with attacked() as pool:
        return await pool.run({"try": what, **job}, Ticket())


@pytest.mark.parametrize("limit", LIMITS)
async def test_limits_cannot_be_raised(limit):
    """Hard limits are set, and neither a worker nor a program that it starts has the right to raise them."""
    async with attacked() as pool:
        for what in ("raise_limit", "raise_limit_after_exec"):
            assert (await pool.run({"try": what, "limit": limit}, Ticket())).startswith("refused"), what


async def test_memory_beyond_the_limit_is_little():
    """Raised as far as it can be, the limit of memory gives no more than the spare for an answer."""
    got = await attempt("memory", bytes=230 * MIB + SPARE_BYTES)
    assert got == "refused: MemoryError"
    assert SPARE_BYTES <= 16 * MIB


async def test_file_over_the_limit_is_refused():
    """No output, and no other file, is larger than one output may be."""
    assert await attempt("large_file") == "refused: OSError 27"


async def test_descriptors_run_out():
    """A worker opens few files at a time."""
    assert await attempt("many_files") == "refused: OSError 24"


@pytest.mark.parametrize("what", ["core", "rights"])
async def test_worker_leaves_no_core_and_has_no_rights(what):
    """A core would hold a document; a right of root would undo the limits."""
    assert await attempt(what) == "refused: PermissionError None"


async def test_forkserver_lets_no_worker_look_into_it():
    """A worker that could write to the memory of its parent would rule all later workers."""
    assert await attempt("parent_memory") == "refused: PermissionError 13"


def refused_calls():
    """Every call that is refused whatever its arguments are, and those that are for some."""
    calls = numbers(platform.machine())
    clone_new_user, clone_new_net = 0x10000000, 0x40000000
    shared_without_file, readable = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, mmap.PROT_READ
    validated = 3 | mmap.MAP_ANONYMOUS  # MAP_SHARED_VALIDATE
    of_arguments = {
        "clone": [(clone_new_user | signal.SIGCHLD,), (clone_new_net | signal.SIGCHLD,)],
        "socketpair": [
            (socket.AF_UNIX, socket.SOCK_DGRAM, 0, 0),
            (socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC, 0, 0),
            (socket.AF_INET, socket.SOCK_STREAM, 0, 0),
        ],
        "mmap": [(0, 4096, readable, flags, -1, 0) for flags in (shared_without_file, validated)],
        "prlimit64": [(1, 0, 0, 0)],
        "fcntl": [(1, command, 1) for command in (8, 15, 1024, 1026)],
        "ioctl": [(1, command, 0) for command in (0x5412, 0x541C, 0x8901, 0x8912, 0x89FF)],
        "setpriority": [(0, 1, 0), (1, 0, 0), (2, 0, 0)],
        "sched_setaffinity": [(1, 0, 0)],
        "sched_setscheduler": [(1, 0, 0)],
        "sched_setparam": [(1, 0)],
        "sched_setattr": [(1, 0, 0)],
    }
    result = {}
    for name, number in calls.items():
        wanted = errno.ENOSYS if name == "clone3" else errno.EACCES
        for index, arguments in enumerate(of_arguments.get(name, [(0,) * 6])):
            result[f"{name} {index}"] = (number, arguments, wanted)
    if platform.machine() == "x86_64":
        getpid = 39
        result["x32"] = (getpid | 0x40000000, (), errno.EACCES)
    return result


async def test_calls_are_refused():
    """Each system call of the table is refused, and clone3 is not known, so that clone is taken."""
    assert len(numbers(platform.machine())) > 100
    assert await attempt("calls", calls=refused_calls()) == "refused: PermissionError None"


async def test_what_converters_need_is_not_refused():
    """Threads, programs, pipes, private memory and temporary files."""
    assert await attempt("what_converters_need") == "got: thread program pair True file"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have no such interrupt")
async def test_calls_of_another_architecture_are_refused():
    """Numbers of 32 bits would get around a filter of those of 64."""
    assert await attempt("old_interrupt") == "refused: PermissionError 13"


@pytest.mark.parametrize("what", ["memory_file", "shared_memory", "limit_parent", "slow_down_parent"])
async def test_others_and_uncounted_memory_are_out_of_reach(what):
    """By the ways that Python has for it."""
    assert await attempt(what) == "refused: PermissionError 13"


async def test_modes_of_files_stay(tmp_path):
    """A file that cannot be opened could be opened to others instead."""
    file = tmp_path / "other-patient"
    file.touch(mode=0o600)
    assert await attempt("chmod", file=str(file)) == "refused: PermissionError 13"


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
async def test_no_program_of_this_machine_is_reached(tmp_path, kind):
    """Neither at a path nor at an abstract name, nor by half a pair of sockets that is connected anew."""
    path, abstract = str(tmp_path / "agent"), f"\0docpipe-test-{os.getpid()}-{kind}"
    for address in (path, abstract):
        with socket.socket(socket.AF_UNIX, getattr(socket, kind)) as agent:
            agent.bind(address)
            if kind == "SOCK_STREAM":
                agent.listen()
            job = {"family": "AF_UNIX", "type": kind, "address": address}
            assert await attempt("socket", **job) == "refused: PermissionError 13"
            assert await attempt("pair", address=address) == "refused: PermissionError 13"


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernel(machine):
    """As far as the headers that are installed here know them; none stands twice."""
    calls = numbers(machine)
    assert len(set(calls.values())) == len(calls)
    if not HEADERS[machine].exists():
        pytest.skip("SKIPPED LOUDLY: no headers of the kernel are installed")
    defined = re.findall(r"#define __NR(?:3264)?_+(\w+)\s+(\d+)", HEADERS[machine].read_text())
    known = {name: int(number) for name, number in defined}
    assert {name: known.get(name, number) for name, number in calls.items()} == calls
    assert len(calls.keys() & known.keys()) > 80


def test_unknown_machine_has_no_filter(monkeypatch):
    """Where the numbers are not known nothing is claimed."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not refuse_calls()
    assert numbers("riscv64") == {}


@pytest.mark.parametrize("what", ["fork_storm", "fork_chain"])
async def test_fork_storm_ends(what):
    """A worker that starts programs without end is stopped with all of them, and the next one works."""
    async with attacked(memory=2**40) as pool:
        with pytest.raises(WorkerCrashedError, match="it started too many programs"):
            await pool.run({"try": what}, Ticket())
        left = Path(f"/proc/{pool._forkserver._process.pid}/task/{pool._forkserver._process.pid}/children")
        await until(lambda: not left.read_text().split())
        pid = int((await pool.run({"try": "nothing"}, Ticket())).removeprefix("got: "))
        assert alive(pid)
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(
    landlock.abi() < landlock.SIGNALS_SINCE,
    reason="SKIPPED LOUDLY: this kernel has no Landlock, or an old one",
)
async def test_the_kernel_gives_nothing(tmp_path):
    """With arguments that would work, each attempt but those that are documented is refused."""
    got = await worker_kernel.attempts(tmp_path)
    assert len(got) > 50
    assert {what for what, answer in got.items() if not answer.startswith("refused")} == worker_kernel.OPEN


CONVERTED = {
    "outcome": "converted",
    "reason": None,
    "media_type": "text/plain",
    "extension": ".txt",
    "outputs": ["text.md"],
    "metadata": {"media_type": "text/plain", "warnings": []},
    "embedded": [],
    "warnings": [],
}


def conversion(folder, **job):
    """A job of files; its converter lies as the job says."""
    (folder / "document").write_bytes(b"document")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return {
        "path": str(folder / "document"),
        "folder": str(out),
        "leave": "nothing",
        "answer": CONVERTED,
        **job,
    }


async def test_conversion_leaves_its_files(tmp_path):
    """What an honest converter makes is where the job wants it, and its worker continues."""
    async with attacked(target="tests.worker_attacks:lie") as pool:
        for _ in range(2):
            assert await pool.run(conversion(tmp_path), Ticket()) == msgspec.convert(CONVERTED, Conversion)
            assert (tmp_path / "out" / "text.md").read_text() == "text"
        assert pool._idle[0].jobs == 2


@pytest.mark.parametrize(
    "job",
    [
        {"answer": {**CONVERTED, "outputs": ["../../../document"]}},
        {"answer": {**CONVERTED, "embedded": [{"name": "x", "declared": None}]}},
        {"answer": []},
        {"leave": "none"},
        {"leave": "folder"},
        {"bytes": '\0\0\0\x0c{"ok":"yes"}'},
        {"bytes": '\0\0\xc3\x50{"ok":true,"value":' + "[" * 49_981},
    ],
    ids=["path", "nothing embedded", "list", "none", "folder", "type", "deep"],
)
async def test_lie_is_the_failure_of_one_document(tmp_path, job):
    """The worker is ended, the caller has an error of this document, and the next one is converted."""
    async with attacked(target="tests.worker_attacks:lie") as pool:
        with pytest.raises(WorkerCrashedError):
            await pool.run(conversion(tmp_path, **job), Ticket())
        assert list((tmp_path / "out").iterdir()) == []
        assert await pool.run(conversion(tmp_path), Ticket()) == msgspec.convert(CONVERTED, Conversion)


async def test_worker_that_leaves_more_is_not_used_again(tmp_path):
    """Its document is as good as any; its room is removed with it."""
    async with attacked(target="tests.worker_attacks:lie", rooms=tmp_path) as pool:
        assert await pool.run(conversion(tmp_path, leave="more"), Ticket()) == msgspec.convert(
            CONVERTED, Conversion
        )
        assert pool._idle == []
        assert not list(tmp_path.glob(".worker-*"))
        await pool.run(conversion(tmp_path), Ticket())
        assert [path.name for path in tmp_path.glob(".worker-*")] == [".worker-2"]
    assert not list(tmp_path.glob(".worker-*"))


async def test_full_disk_is_no_fault_of_the_document(tmp_path, monkeypatch):
    """Neither where a document is brought in nor where its outputs are taken."""
    for name in ("_link_or_copy", "_copy_bytes"):

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(f"docpipe.workers.rooms.{name}", full)
            async with attacked(target="tests.worker_attacks:lie") as pool:
                with pytest.raises(OSError, match="No space") as caught:
                    await pool.run(conversion(tmp_path), Ticket())
        assert caught.value.errno == errno.ENOSPC


async def test_document_that_is_gone_fails_alone(tmp_path):
    """An original that cannot be read is reported, and tried once."""
    job = conversion(tmp_path)
    (tmp_path / "document").unlink()
    async with attacked(target="tests.worker_attacks:lie", tries=2) as pool:
        with pytest.raises(WorkerCrashedError, match=r"brought to its converter .*\(No such file"):
            await pool.run(job, Ticket())
