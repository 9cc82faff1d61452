"""The number of workers for which this machine, or its container, has room."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OWN_MEMORY: Final = 512 * 2**20
"""Bytes left for the main process."""
_ROOT: Final = Path("/")


def default_workers(memory: int, *, root: Path = _ROOT, cpus: int | None = None) -> int:
    """As many as CPUs and memory allow at `memory` bytes each, at least one.

    A control group's limits count where they are below the machine's: cpu.max and memory.max of
    version 2, cpu.cfs_quota_us and memory.limit_in_bytes of version 1, of every group around us.
    A quota of 1.5 CPUs is one worker: the rest is for the main process.

    Args:
        memory: limit of one worker in bytes.
        root: where /proc and /sys are, for tests.
        cpus: CPUs this process may run on, for tests.
    """
    cpus, room = usable_cpus(root=root, cpus=cpus), usable_memory(root=root)
    by_memory = cpus if room is None else (room - OWN_MEMORY) // memory
    return max(1, min(cpus, by_memory))


def usable_cpus(*, root: Path = _ROOT, cpus: int | None = None) -> int:
    """Whole CPUs that this process may use, 0 for a part of one."""
    return int(min([float(_usable_cpus() if cpus is None else cpus), *_cpu_quotas(root)]))


def usable_memory(*, root: Path = _ROOT) -> int | None:
    """Bytes of memory that this process and its workers may use; None where it is unknown."""
    return min([*_machine_memory(root), *_memory_limits(root)], default=None)


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine_memory(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            yield int(line.split()[1]) * 1024  # proc_meminfo(5): kB, which are KiB


def _cpu_quotas(root: Path) -> Iterator[float]:
    for group in _groups(root, "cpu"):
        quota, _, period = _text(group / "cpu.max").partition(" ")  # "max 100000" or "150000 100000"
        if not quota:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:  # not "max", not -1
            yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[int]:
    for group in _groups(root, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            if (limit := _text(group / name)).isdigit():
                yield int(limit)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of our control groups, and of those around them, for one controller.

    Source: cgroups(7). In a container /proc/self/cgroup can name a path of the host that is not to be
    seen inside, where the mount itself is our group: folders that are missing hold no limit.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names == "":  # version 2, alone or beside version 1
            tops = [mounts, mounts / "unified"]
        elif controller in names.split(","):
            tops = [mounts / controller, mounts / names]
        else:
            continue
        inner = Path(path.lstrip("/"))
        for top in tops:
            yield from (top / folder for folder in (inner, *inner.parents) if ".." not in folder.parts)


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
