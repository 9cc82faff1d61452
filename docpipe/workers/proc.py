"""What Linux says of processes in /proc; on other systems these know nothing and say so with 0 or []."""

import os
from pathlib import Path
from typing import Final

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


def family_resident(pid: int) -> int:
    """Bytes that a process and all its descendants hold; pages they share are counted for each."""
    return resident(pid) + sum(map(family_resident, children(pid)))


def threads() -> int:
    """How many threads this process has, 0 if that is unknown."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 0


def forget_peak() -> None:
    """Let this process's peak of memory (ru_maxrss) start anew.

    Source: proc_pid_clear_refs(5), the value 5.
    """
    _write("/proc/self/clear_refs", b"5")


def offer_to_oom_killer() -> None:
    """When the machine runs out of memory this process is the one to end, not the main process."""
    _write("/proc/self/oom_score_adj", b"1000")


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - Path.write_bytes would create it elsewhere
            file.write(data)
    except OSError:
        pass
