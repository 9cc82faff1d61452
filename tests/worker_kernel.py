"""What a document that took over its converter asks the kernel for, with arguments that would work.

    python -m tests.worker_kernel

prints what each attempt got in a worker as the pool makes it. Each is harmless where it succeeds.
"""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from docpipe.model import Ticket
from docpipe.workers.calls import numbers
from docpipe.workers.pool import Workers

MIB = 2**20
PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424
NEW_USER, NEW_EVERYTHING = 0x10000000, 0x7E020000
OPEN = {"a file's existence and size, by a path that is known"}
"""What is not refused, and why that is borne: see the page "security"."""


def call(name, *arguments):
    """A system call by its name, or by its number; its result.

    Raises:
        OSError: what the kernel answered.
    """
    number = numbers(platform.machine())[name] if isinstance(name, str) else name
    library = ctypes.CDLL(None, use_errno=True)
    got = library.syscall(
        ctypes.c_long(number),
        *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments),
    )
    if got == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got


def buffer(size, data=b""):
    """Memory of our own, for a call to read or write."""
    return ctypes.create_string_buffer(data, size)


def other_memory(job, name):
    """Read or write four bytes of another process at an address that it has."""
    mine = buffer(4)
    local = struct.pack("QQ", ctypes.addressof(mine), 4)
    remote = struct.pack("QQ", job["address"], 4)
    return call(name, job["main"], buffer(16, local), 1, buffer(16, remote), 1, 0)


def descriptor_of(job):
    """A descriptor of another process, by its number there."""
    of = call(PIDFD_OPEN, job["main"], 0)
    return call("pidfd_getfd", of, 0, 0)


def signal_on_ready(job):
    """Let the kernel send another process a signal when one of our descriptors is ready."""
    left, right = socket.socketpair()
    with left, right:
        fcntl.fcntl(left, fcntl.F_SETOWN, job["main"])
        fcntl.fcntl(left, 10, signal.SIGURG)  # F_SETSIG
        fcntl.fcntl(left, fcntl.F_SETFL, os.O_ASYNC)
        right.send(b"x")
    return "an owner"


def program_of_memory(_):
    """A program that is in no file."""
    memory = os.memfd_create("x")
    os.write(memory, Path("/bin/true").read_bytes())
    return subprocess.run([f"/proc/self/fd/{memory}"], check=True).returncode


def addresses(_):
    """The machine's addresses, by a socket that is allowed."""
    left, right = socket.socketpair()
    with left, right:
        return fcntl.ioctl(left, 0x8912, buffer(16))  # SIOCGIFCONF


def core(_):
    """Let a core hold memory again."""
    library = ctypes.CDLL(None)
    library.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
    try:
        Path("/proc/self/coredump_filter").write_text("0x33")
    finally:
        library.prctl(4, 0, 0, 0, 0)
    return "memory in cores"


def handle(job):
    """Open a file by its handle, which passes no folder."""
    handle, mount = buffer(136, struct.pack("Ii", 128, 0)), buffer(4)
    with contextlib.suppress(OSError):
        call(303 if platform.machine() == "x86_64" else 264, -100, job["file"].encode(), handle, mount, 0)
    root = os.open(".", os.O_RDONLY)
    return call("open_by_handle_at", root, handle, 0)


def abstract(job):
    """A socket with an abstract name."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"\0docpipe-{os.getpid()}")
    return "a name"


def limits(_):
    """Any hard limit, one higher."""
    got = []
    for name in ("DATA", "CORE", "FSIZE", "NOFILE", "NPROC"):
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (hard, hard + 1))
            got.append(name)
    if not got:
        raise PermissionError(errno.EPERM, "refused")
    return got


def room_in_memory(_):
    """More pages without a file than the limit of memory counts."""
    with mmap.mmap(-1, 300 * MIB) as pages:
        return len(pages)


def write(path):
    """Open a file to write."""
    os.close(os.open(path, os.O_WRONLY))
    return "a descriptor"


def read(path):
    """Open a file to read."""
    os.close(os.open(path, os.O_RDONLY))
    return "a descriptor"


def shared_file(_):
    """A file that is memory."""
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        return file.write(b"x")


ATTEMPTS: dict[str, Callable] = {
    "io_uring": lambda _: call("io_uring_setup", 8, buffer(120)),
    "pidfd_getfd of main": descriptor_of,
    "process_vm_readv of main": lambda job: other_memory(job, "process_vm_readv"),
    "process_vm_writev to main": lambda job: other_memory(job, "process_vm_writev"),
    "ptrace of main (seize)": lambda job: call("ptrace", 0x4206, job["main"], 0, 0),
    "ptrace of the forkserver": lambda _: call("ptrace", 0x4206, os.getppid(), 0, 0),
    "/proc/main/mem": lambda job: read(f"/proc/{job['main']}/mem"),
    "/proc/main/environ": lambda job: read(f"/proc/{job['main']}/environ"),
    "/proc/forkserver/mem": lambda _: read(f"/proc/{os.getppid()}/mem"),
    "/proc/main/fd": lambda job: os.listdir(f"/proc/{job['main']}/fd"),  # noqa: PTH208
    "userfaultfd": lambda _: call("userfaultfd", 1),
    "memory file and a program of it": program_of_memory,
    "memfd_secret": lambda _: call("memfd_secret", 0),
    "abstract socket": abstract,
    "socket by path": lambda job: socket.socket(socket.AF_UNIX).connect(job["socket"]),
    "netlink": lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "vsock": lambda _: socket.socket(40, socket.SOCK_STREAM),
    "the machine's addresses": addresses,
    "pages without a file over the limit": room_in_memory,
    "System V shared memory": lambda _: call("shmget", 0, MIB, 0o1600),
    "a file that is memory": shared_file,
    "any hard limit, raised": limits,
    "limits of main": lambda job: resource.prlimit(job["main"], resource.RLIMIT_NOFILE, (9, 9)),
    "memory in a core": core,
    "signal to main": lambda job: os.kill(job["main"], 0),
    "signal to the forkserver": lambda _: os.kill(os.getppid(), 0),
    "signal to the group of main": lambda job: os.killpg(os.getpgid(job["main"]), 0),
    "signal by descriptor": lambda job: call(PIDFD_SEND_SIGNAL, call(PIDFD_OPEN, job["main"], 0), 0, None, 0),
    "signal when ready": signal_on_ready,
    "clone3 with namespaces": lambda _: call("clone3", buffer(88, struct.pack("Q", NEW_EVERYTHING)), 88),
    "clone with a namespace of users": lambda _: call("clone", NEW_USER | signal.SIGCHLD, 0, 0, 0, 0),
    "unshare": lambda _: call("unshare", NEW_USER),
    "setns": lambda job: call("setns", call(PIDFD_OPEN, job["main"], 0), NEW_USER),
    "add_key": lambda _: call("add_key", buffer(5, b"user"), buffer(2, b"x"), buffer(2, b"x"), 1, -3),
    "keyctl": lambda _: call("keyctl", 0, -3, 1),
    "request_key": lambda _: call("request_key", buffer(5, b"user"), buffer(2, b"x"), None, -3),
    "bpf": lambda _: call("bpf", 0, buffer(72, struct.pack("IIII", 2, 4, 4, 1)), 72),
    "perf_event_open": lambda _: call(
        "perf_event_open", buffer(112, struct.pack("IIQ", 1, 112, 0)), 0, -1, -1, 0
    ),
    "mount": lambda _: call("mount", buffer(2, b"x"), buffer(2, b"."), buffer(6, b"tmpfs"), 0, None),
    "fsopen": lambda _: call("fsopen", buffer(6, b"tmpfs"), 0),
    "open_tree": lambda _: call("open_tree", -100, buffer(2, b"/"), 1),
    "chroot": lambda _: os.chroot("."),
    "open_by_handle_at": handle,
    "TIOCSTI": lambda _: fcntl.ioctl(0, 0x5412, buffer(2, b"x")),
    "a terminal": lambda _: read("/dev/tty"),
    "the kernel's log": lambda _: call("syslog", 3, buffer(64), 64),
    "/dev/mem": lambda _: read("/dev/mem"),
    "a higher priority": lambda _: os.nice(-1),
    "priority of main": lambda job: os.setpriority(os.PRIO_PROCESS, job["main"], 19),
    "processors of main": lambda job: os.sched_setaffinity(job["main"], {0}),
    "a lease on a file": lambda _: fcntl.fcntl(0, fcntl.F_SETLEASE, fcntl.F_UNLCK),
    "watching files": lambda _: call("inotify_add_watch", call("inotify_init1", 0), buffer(2, b"/"), 2),
    "x32 numbers": lambda _: call(39 | 0x40000000),
    "not to be killed for want of memory": lambda _: write("/proc/self/oom_score_adj"),
    "a kernel setting": lambda _: write("/proc/sys/kernel/core_pattern"),
    "a file's existence and size, by a path that is known": lambda job: os.stat(job["file"]).st_size,  # noqa: PTH116
    "the file itself": lambda job: read(job["file"]),
}


def attempt(job):
    """What `job["name"]` got."""
    try:
        got = ATTEMPTS[job["name"]](job)
    except (OSError, ValueError) as error:
        return f"refused ({errno.errorcode.get(getattr(error, 'errno', 0), type(error).__name__)})"
    return f"got {got}"


async def attempts(folder, *, confined=True):
    """What each attempt got in a worker."""
    (folder / "rooms").mkdir(exist_ok=True)
    (folder / "file").write_text("of others")
    secret = ctypes.create_string_buffer(b"main")
    settings = {"preload": None, "size": 1, "memory": 256 * MIB, "timeout": 60.0, "tries": 1}
    got = {}
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(folder / "socket"))
        agent.listen()
        about = {"main": os.getpid(), "address": ctypes.addressof(secret), "socket": str(folder / "socket")}
        rooms = {"rooms": folder / "rooms", "confined": confined}
        async with Workers("tests.worker_kernel:attempt", **settings, **rooms) as pool:
            for name in ATTEMPTS:
                job = {**about, "file": str(folder / "file"), "name": name}
                got[name] = await pool.run(job, Ticket())
    assert secret.value == b"main"
    return got


def main():
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        got = asyncio.run(attempts(Path(name)))
    width = max(map(len, got))
    for what, answer in got.items():
        sys.stdout.write(f"{what.ljust(width)}  {answer}\n")
    sys.exit(any(answer.startswith("got") for what, answer in got.items() if what not in OPEN))


if __name__ == "__main__":
    main()
