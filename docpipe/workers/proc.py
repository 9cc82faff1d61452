"""Processes as Linux describes them in /proc; on other systems the functions return 0 or []."""

import contextlib
import os
from pathlib import Path
from typing import Final

CROWD: Final = 64
"""More processes than these are none that a converter has reason to start."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """The living children of every thread of a process; [] if it is gone.

    Source: proc_pid_task_tid_children(5). The list can miss a child that ends while it is read.
    """
    pids: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            pids += map(int, (thread / "children").read_bytes().split())
    except OSError:
        pass  # it ended meanwhile, or the kernel has no such file
    return pids


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (its resident set), 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):  # a zombie has an empty file for an instant
        return 0


def family(pid: int) -> tuple[int, int]:
    """How many processes a process and its descendants are, and the bytes they hold.

    Pages they share are counted for each. Of a crowd beyond `CROWD` only the beginning is looked at.
    """
    waiting, count, held = [pid], 0, 0
    while waiting and count < CROWD:
        one = waiting.pop()
        count, held = count + 1, held + resident(one)
        waiting += children(one)
    return count + len(waiting), held


def threads() -> int:
    """How many threads this process has, 0 if that is unknown."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 0


def user_threads() -> int:
    """How many threads the user of this process has on this machine, 0 if that is unknown.

    RLIMIT_NPROC counts them. Source: proc_pid_status(5).
    """
    mine, count = os.getuid(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text("ascii", "replace")
        except OSError:  # it ended meanwhile
            continue
        facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if int(facts.get("Uid", "-1").split()[0]) == mine:
            count += int(facts.get("Threads", "1"))
    return count


def open_peak() -> int:
    """A descriptor for `forget_peak`, which stays usable when the file itself is out of reach; -1 without."""
    try:
        return os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def forget_peak(descriptor: int) -> None:
    """Let this process's peak of memory (ru_maxrss) start anew.

    Source: proc_pid_clear_refs(5), the value 5.
    """
    with contextlib.suppress(OSError):
        os.write(descriptor, b"5")


def leave_no_memory_in_cores() -> None:
    """Should a core be written all the same, as where it is piped to a program, no memory is in it.

    Programs that this process starts inherit it. Source: core(5).
    """
    _write("/proc/self/coredump_filter", b"0")


def offer_to_oom_killer() -> None:
    """When the machine runs out of memory this process is the one to end, not the main process."""
    _write("/proc/self/oom_score_adj", b"1000")


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - Path.write_bytes would create it elsewhere
            file.write(data)
    except OSError:
        pass
