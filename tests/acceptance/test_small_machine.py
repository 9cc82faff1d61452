"""A machine with 2 GiB and one CPU: everything works, slower."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fakes
from docpipe.workers.machine import default_workers
from tests.acceptance.conftest import ROOT, Box, Ended

READS_SCANS = True  # with all that takes memory
MEMORY = 2 * 2**30
_ENTER = """
import os, resource, sys
for file in filter(None, sys.argv[1].split(":")):
    with open(file, "w") as group:
        group.write(str(os.getpid()))
if not sys.argv[1]:
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@dataclass(frozen=True)
class Machine:
    """A small machine: a control group, or nothing but limits of each process where none can be made."""

    group: Path | None

    async def run(self, box: Box, *words: str) -> Ended:
        """Run Python in it."""
        entrance = "" if self.group is None else str(self.group / "cgroup.procs")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _ENTER, entrance, str(MEMORY), *words),
            cwd=box.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **box.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())

    def killed(self) -> int:
        """How often the kernel killed somebody in it for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            if self.group is not None and (self.group / name).exists():
                rows = dict(line.split() for line in (self.group / name).read_text("ascii").splitlines())
                return int(rows.get("oom_kill", 0))
        return 0


@contextlib.contextmanager
def small_machine(name: str) -> Iterator[Machine]:
    """Make the machine: memory by a control group of version 1 or 2, the CPU by affinity."""
    for mount, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = mount / name
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if not (mount / "cgroup.procs").exists():
                continue
            group.mkdir()
            stack.callback(group.rmdir)
            (group / limit).write_text(str(MEMORY), "ascii")
            stack.pop_all()
            break
    else:
        group = None
    try:
        yield Machine(group)
    finally:
        if group is not None:
            group.rmdir()


async def test_everything_works_on_a_small_machine(box: Box, services: fakes.Running) -> None:
    """With 2 GiB and one CPU one worker converts the full mix, and nobody is killed."""
    with small_machine(f"docpipe-test-{os.getpid()}") as machine:
        workers = f"from docpipe.workers.machine import default_workers; print(default_workers({2**30}))"
        assert (await machine.run(box, "-c", workers)).out.strip() == "1"
        people = ("--patient", "P121", "--patient", "P122")
        ended = await machine.run(box, "-m", "docpipe", "run", *people, "--json")
        assert ended.status == 0, ended.err
        assert machine.killed() == 0
    for run in ended.json["runs"]:
        assert run["state"] == "completed_with_errors", run  # one of the fakes' documents is corrupt
        assert run["documents"]["failed"] == 1
        assert run["documents"]["converted"] >= 12
    assert services.count_429() == 0


def test_room_is_left_for_the_main_process(tmp_path: Path) -> None:
    """Of 2 GiB one worker's GiB is given away, of 4 GiB three, however many CPUs there are."""
    (tmp_path / "proc").mkdir()
    for gib, workers in ((2, 1), (4, 3), (16, 8)):
        (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: {gib * 2**20} kB\n", "ascii")
        assert default_workers(2**30, root=tmp_path, cpus=8) == workers
