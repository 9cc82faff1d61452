"""A worker reaches nothing but its room and what it runs on; the same deeds succeed without confinement."""

import os
import site
import sys
import tempfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from docpipe.check import Bench, Finding, Fit, parts
from docpipe.config.config import Config, Convert
from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers import confinement, landlock, seccomp
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers
from tests.worker_support import MIB

confines = pytest.mark.skipif(
    landlock.abi() < landlock.SIGNALS_SINCE,
    reason="SKIPPED LOUDLY: this kernel has no Landlock, or an old one",
)


def pool(target="tests.worker_reaches:reach", **changes):
    """A pool of one worker."""
    settings = {"preload": None, "size": 1, "memory": 256 * MIB, "timeout": 60.0, "tries": 1}
    return Workers(target, **(settings | changes))


def world(folder):
    """A storage, a state folder and a home beside a worker's room; what could be done to them."""
    for name in ("storage/P2", "state", "home/.ssh", "rooms"):
        (folder / name).mkdir(parents=True)
    other, state, home = (
        folder / "storage/P2/text.md",
        folder / "state/checkpoints.db",
        folder / "home/.bashrc",
    )
    for file in (other, state, home):
        file.write_text("of others")
    files = {f"{deed} {file.name}": [deed, str(file)] for file in (other, state, home) for deed in ON_FILES}
    near = (folder / "storage", folder / "home", folder / "rooms")
    far = (Path(tempfile.gettempdir()), SHARED_MEMORY, Path.cwd())
    lists = {f"list {place}": ["list", str(place)] for place in (*near, *far)}
    made = {f"{deed} in {place}": [deed, str(place / NEW)] for place in (*near, *far) for deed in MAKING}
    made |= {f"move out to {place}": ["move_out", str(place / NEW)] for place in near}
    processes = {
        f"{deed} main": [deed, os.getpid()] for deed in ("signal", "signal_by_descriptor", "signal_group")
    }
    main = {f"read {name} of main": ["read", f"/proc/{os.getpid()}/{name}"] for name in ("status", "cmdline")}
    machine = {"read passwd": ["read", "/etc/passwd"], "list etc": ["list", "/etc"]}
    libraries = {"write to libraries": ["create", f"{site.getsitepackages()[0]}/docpipe-test"]}
    return (
        files | lists | made | processes | {"signal parent": ["signal_parent"]} | main | machine | libraries
    )


ON_FILES = ("read", "write", "truncate", "move_in")
MAKING = ("create", "make_folder")
NEW = f"docpipe-test-{os.getpid()}"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- it is what workers must not have
BY_SECCOMP = {"fifo": ["fifo"], "link": ["link", "/etc/passwd"], "run own program": ["run_own_program"]}
"""Refused without Landlock, too."""


@confines
async def test_worker_reaches_nothing_outside_of_its_room(tmp_path):
    """Files, folders and processes of others are out of reach; its own folder is not."""
    deeds = world(tmp_path) | BY_SECCOMP | {"hard link": ["hard_link", str(tmp_path / "home/.bashrc")]}
    deeds["remove"] = ["remove", str(tmp_path / "home/.bashrc")]
    async with pool(rooms=tmp_path / "rooms") as workers:
        allowed = {"own": ["write_own"]}
        assert await workers.run({"deeds": deeds | allowed}, Ticket()) == ["own"]


async def test_deeds_would_succeed(tmp_path):
    """Each of those deeds is refused by Landlock alone: without it nothing is in their way."""
    deeds = world(tmp_path)
    async with pool(rooms=tmp_path / "rooms", confined=False) as workers:
        assert await workers.run({"deeds": deeds}, Ticket()) == list(deeds)


@confines
async def test_workers_do_not_reach_each_other(tmp_path):
    """Neither the room of another worker, nor its document, nor the process."""
    async with pool(rooms=tmp_path, size=2) as workers:
        first = await workers._acquire("r", fresh=True)
        file = first.room.path / "own" / "text.md"
        file.write_text("of another patient")
        deeds = {
            "read": ["read", str(file)],
            "write": ["write", str(file)],
            "list": ["list", str(first.room.path)],
            "signal": ["signal", first.born.result()],
            "memory": ["read", f"/proc/{first.born.result()}/mem"],
        }
        assert await workers.run({"deeds": deeds}, Ticket()) == []
        await workers._end(first)


@confines
async def test_document_stays_as_it_is(tmp_path):
    """The original is linked into the room, and can be read there, not written, replaced or added to."""
    (tmp_path / "document").write_text("document")
    (tmp_path / "out").mkdir()
    deeds = {name: [name] for name in ("write_given", "remove_given", "add_to_given", "read_given")}
    job = {"path": str(tmp_path / "document"), "folder": str(tmp_path / "out"), "deeds": deeds}
    async with pool("tests.worker_reaches:convert", rooms=tmp_path) as workers:
        await workers.run(job, Ticket())
    assert (tmp_path / "out" / "text.md").read_text() == "read_given"
    assert (tmp_path / "document").read_text() == "document"


@confines
async def test_worker_that_cannot_be_confined_does_not_work(tmp_path, monkeypatch):
    """Where Landlock is there and fails, nothing is converted outside of it."""
    script = "import docpipe.workers.landlock as it\ndef refuse(_): raise OSError\nit.confine = refuse\n"
    (tmp_path / "refusing_landlock.py").write_text(script)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    async with pool(preload="refusing_landlock") as workers:
        with pytest.raises(Exception, match="exit status 70"):
            await workers.run({"deeds": {}}, Ticket())


def test_folder_of_a_project_is_not_a_folder_of_libraries(tmp_path, monkeypatch):
    """Of what is on the path of imports by chance, only imported packages may be read."""
    (tmp_path / "project" / "package").mkdir(parents=True)
    (tmp_path / "project" / "package" / "__init__.py").touch()
    (tmp_path / "project" / "secret.toml").touch()
    (tmp_path / "libraries" / "x-1.dist-info").mkdir(parents=True)
    paths = [str(tmp_path / "project"), str(tmp_path / "libraries"), str(tmp_path / "not there")]
    monkeypatch.setattr(sys, "path", [*sys.path, *paths])
    __import__("package")
    monkeypatch.delitem(sys.modules, "package", raising=False)
    assert str(tmp_path / "project" / "package") not in confinement.libraries()
    __import__("package")
    actual = confinement.libraries()
    monkeypatch.delitem(sys.modules, "package")
    assert str(tmp_path / "libraries") in actual
    assert str(tmp_path / "project" / "package") in actual
    assert not [name for name in actual if str(tmp_path / "project" / "secret.toml").startswith(f"{name}/")]
    assert not any(Path.home().is_relative_to(name) for name in actual)


GAPS = [
    (7, True, []),
    (5, True, ["signals"]),
    (0, True, ["files", "signals"]),
    (0, False, ["system calls", "files", "signals"]),
]


@pytest.mark.parametrize(("version", "filtered", "gaps"), GAPS)
async def test_what_a_kernel_cannot_do_is_reported(monkeypatch, version, filtered, gaps):
    """In the log at the start, and by `docpipe check`; conversions continue."""
    monkeypatch.setattr(landlock, "abi", lambda: version)
    monkeypatch.setattr(seccomp, "supported", lambda: filtered)
    with capture_logs() as logs:
        async with pool():
            pass
    events = [line["what"] for line in logs if line["event"] == "workers_not_kept_from"]
    assert [text[: len(gap)] for text, gap in zip(events, gaps, strict=True)] == gaps
    bench = Bench(Config(), lambda _: InlineWorkers("builtins:len", clock=lambda: 0.0))
    findings = [events async for events in parts.confinement(bench)]
    if gaps:
        assert [type(finding) for finding in findings] == [Finding] * len(gaps)
        assert not any(finding.wrong for finding in findings)
        assert [finding.problem for finding in findings] == [
            f"converters are not kept from {text.partition(': ')[0]}" for text in events
        ]
    else:
        assert [type(finding) for finding in findings] == [Fit]


async def test_without_landlock_conversions_continue(tmp_path, monkeypatch):
    """On a kernel that has none, as today."""
    script = "import docpipe.workers.landlock as it\nit._system_call = lambda: None\n"
    (tmp_path / "no_landlock.py").write_text(script)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    async with pool(preload="no_landlock") as workers:
        assert await workers.run({"deeds": {"own": ["write_own"], "x": ["read", __file__]}}, Ticket()) == [
            "own",
            "x",
        ]


@confines
async def test_real_converters_work_confined(tmp_path):
    """A text through typst with a font of the machine's, and its PDF again."""
    (tmp_path / "letter.txt").write_text("Letter \N{CHECK MARK} αβγ 日本")
    (tmp_path / "out").mkdir()
    job = {"path": str(tmp_path / "letter.txt"), "name": "letter.txt", "folder": str(tmp_path / "out")}
    convert = Convert()
    async with Workers(CONVERTER, preload=PRELOAD, size=1, memory=convert.memory, timeout=60.0) as workers:
        done = await workers.run(job, Ticket())
    assert (done.outcome, done.outputs) == ("converted", ["document.pdf", "text.md", "thumbnail.png"])
