"""How many workers a machine has room for, read from made trees of /proc and /sys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.workers.machine import OWN_MEMORY, default_workers

GIB = 2**30


def tree(root, files):
    """Files by their path below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


MACHINE = {"proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB"}
V2 = MACHINE | {"proc/self/cgroup": "0::/"}
V1 = MACHINE | {"proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x"}
CASES = {
    "bare machine, bound by CPUs": (MACHINE, 8, 8),
    "bare machine, bound by memory": (MACHINE, 64, 15),
    "small machine": ({"proc/meminfo": "MemTotal: 1000000 kB"}, 4, 1),
    "nothing known": ({}, 3, 3),
    "version 2, no limits": (
        V2 | {"sys/fs/cgroup/cpu.max": "max 1", "sys/fs/cgroup/memory.max": "max"},
        8,
        8,
    ),
    "version 2, CPU quota": (V2 | {"sys/fs/cgroup/cpu.max": "250000 100000"}, 8, 2),
    "version 2, less than a CPU": (V2 | {"sys/fs/cgroup/cpu.max": "50000 100000"}, 8, 1),
    "version 2, memory": (V2 | {"sys/fs/cgroup/memory.max": 4 * GIB}, 8, 3),
    "version 2, memory.high": (V2 | {"sys/fs/cgroup/memory.high": 3 * GIB}, 8, 2),
    "version 2, inside a group": (
        V2 | {"proc/self/cgroup": "0::/a.slice/b", "sys/fs/cgroup/a.slice/b/memory.max": 3 * GIB},
        8,
        2,
    ),
    "version 2, the group around it is tighter": (
        V2
        | {
            "proc/self/cgroup": "0::/a.slice/b",
            "sys/fs/cgroup/a.slice/b/memory.max": 8 * GIB,
            "sys/fs/cgroup/a.slice/memory.max": 3 * GIB,
        },
        8,
        2,
    ),
    "a path of outside": (
        V2 | {"proc/self/cgroup": "0::/../../x", "sys/fs/cgroup/cpu.max": "max 1"},
        8,
        8,
    ),
    "version 1, a path of the host": (
        V1
        | {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 3 * GIB,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": 400000,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": 100000,
        },
        8,
        2,
    ),
    "version 1, CPU quota under the short name": (
        V1
        | {
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": 400000,
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": 100000,
        },
        8,
        4,
    ),
    "version 1, no limits": (
        V1
        | {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
        },
        8,
        8,
    ),
    "both versions": (
        V1 | {"proc/self/cgroup": "1:memory:/\n0::/", "sys/fs/cgroup/unified/memory.max": 3 * GIB},
        8,
        2,
    ),
    "unreadable": (V2 | {"sys/fs/cgroup/cpu.max": "cat cat", "sys/fs/cgroup/memory.max": "lots"}, 8, 8),
}


@pytest.mark.parametrize("case", CASES)
def test_workers_of_a_machine(tmp_path, case):
    """As many as CPUs and memory allow at 1 GiB each, the tightest limit around us first."""
    files, cpus, expected = CASES[case]
    assert default_workers(GIB, root=tree(tmp_path, files), cpus=cpus) == expected


@given(total=st.integers(0, 2**45), memory=st.integers(2**28, 2**36), cpus=st.integers(1, 256))
def test_workers_fit(tmp_path_factory, total, memory, cpus):
    """There is at least one; more only where memory and CPUs have room for all of them."""
    root = tree(tmp_path_factory.mktemp("m"), {"proc/meminfo": f"MemTotal: {total // 1024} kB"})
    n = default_workers(memory, root=root, cpus=cpus)
    assert 1 <= n <= cpus
    assert n == 1 or n * memory + OWN_MEMORY <= total


def test_workers_of_this_machine():
    """The real tree can be read."""
    assert default_workers(GIB) >= 1
