"""What a document does that took over its converter: one function; its job says what to try.

Each attempt returns "refused: ..." with what the system answered, or what it got.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MIB = 2**20


def attack(job):
    """Try `job["try"]`."""
    try:
        got = globals()[f"try_{job['try']}"](job)
    except (OSError, ValueError, MemoryError) as error:
        return f"refused: {type(error).__name__} {getattr(error, 'errno', '')}".strip()
    return f"got: {got}"


def try_raise_limit(job):
    """Have more than was given."""
    which = getattr(resource, job["limit"])
    before = resource.getrlimit(which)
    wanted = before[1] + 1 if before[1] != resource.RLIM_INFINITY else before[1]
    resource.setrlimit(which, (wanted, wanted))
    return f"{before} became {resource.getrlimit(which)}"


def try_raise_limit_after_exec(job):
    """The same in a program that is started: of root, it could have root's rights again."""
    script = (
        "import resource, sys\n"
        f"which = resource.{job['limit']}\n"
        "hard = resource.getrlimit(which)[1]\n"
        "try: resource.setrlimit(which, (hard + 1, hard + 1))\n"
        "except (OSError, ValueError): sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    if done.returncode == 7:
        raise PermissionError
    return done.returncode


def try_memory(job):
    """Raise the soft limit to the hard one, and take it all."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    return len(bytes(job["bytes"]))


def try_parent_memory(job):
    """Look into the process that forks workers."""
    with open(f"/proc/{os.getppid()}/mem", "rb"):  # noqa: PTH123 -- likewise
        return "its memory"


def try_large_file(job):
    """Write more than an output may have."""
    with tempfile.TemporaryFile() as file:
        file.truncate(2**30 + 1)
    return "a file"


def try_many_files(job):
    """Open files until there are no more."""
    held = []
    while len(held) < 5_000:
        held.append(os.open(os.devnull, os.O_RDONLY))
    return len(held)


def try_core(job):
    """Dump a core of this process, as far as that can be judged from here."""
    library = ctypes.CDLL(None)
    get_dumpable = 3
    dumpable = library.prctl(get_dumpable, 0, 0, 0, 0)
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    kept = int(Path("/proc/self/coredump_filter").read_text(), 16)
    if (dumpable, limit, kept) == (0, (0, 0), 0):
        raise PermissionError
    return dumpable, limit, kept


def try_rights(job):
    """Rights of root, but that to open files that others own."""
    facts = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    if os.getuid():  # without root's id, and without new privileges, it is of no use
        facts["CapBnd"] = "0"
    if not any(int(facts[name], 16) & ~0b10 for name in names):
        raise PermissionError
    return {name: facts[name] for name in names}


def system_call(number, *arguments):
    """A system call by its number."""
    library = ctypes.CDLL(None, use_errno=True)
    got = library.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
    if got == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return got


def try_calls(job):
    """Calls by name, number and arguments; what was not refused with the error that is expected."""
    got = {}
    for name, (number, arguments, wanted) in job["calls"].items():
        try:
            result = system_call(number, *arguments)
        except OSError as error:
            result = error.errno
        if result != wanted:
            got[name] = result
    if not got:
        raise PermissionError
    return got


def try_old_interrupt(job):
    """getpid(2) of 32 bits, as the interrupt 0x80 has it: its numbers are others."""
    code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20; int 0x80; ret
    with mmap.mmap(
        -1,
        mmap.PAGESIZE,
        mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
    ) as page:
        page.write(code)
        start = ctypes.c_char.from_buffer(page)
        got = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(start))()
        del start
    if got < 0:
        raise OSError(-got, "refused")
    return got


def try_socket(job):
    """A socket of any kind; programs of the same user listen at paths and abstract names."""
    socket.socket(getattr(socket, job["family"]), getattr(socket, job["type"])).connect(job["address"])
    return "somebody"


def try_pair(job):
    """Half a pair of datagrams can be connected anew, to a path."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        left.sendto(b"hello", job["address"])
    return "somebody"


def try_memory_file(job):
    """Memory that RLIMIT_DATA does not count."""
    with open(os.memfd_create("x"), "wb") as file:  # noqa: PTH123 -- of a descriptor
        return file.write(bytes(MIB))


def try_shared_memory(job):
    """Shared pages that are given back stay in memory while they are mapped, and are nobody's."""
    with mmap.mmap(-1, MIB) as pages:
        return len(pages)


def try_limit_parent(job):
    """Take something away from another process of the same user."""
    return resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))


def try_slow_down_parent(job):
    """Likewise."""
    return os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)


def try_chmod(job):
    """Let everybody read a file; that needs no right to open it."""
    Path(job["file"]).chmod(0o644)
    return oct(Path(job["file"]).stat().st_mode)


def try_what_converters_need(job):
    """Threads, programs, a pair of sockets, an own priority and private memory."""
    got = []
    thread = threading.Thread(target=got.append, args=("thread",))
    thread.start()
    thread.join()
    done = subprocess.run(["/bin/echo", "program"], stdout=subprocess.PIPE, text=True, check=True)
    got.append(done.stdout.strip())
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"pair")
        got.append(right.recv(4).decode())
    os.nice(1)
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    with mmap.mmap(-1, MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        got.append(str(len(pages) == MIB))
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"file")
        file.flush()
        got.append(Path(file.name).read_text())
    return " ".join(got)


def try_fork_storm(job):
    """More processes than anybody can count, each in a session of its own."""
    for _ in range(200):
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
    time.sleep(600)


def try_fork_chain(job):
    """Processes that start the next one and end."""
    while True:
        if os.fork():
            signal.pause()


def try_nothing(job):
    """What harmless documents do."""
    return os.getpid()


def lie(job):
    """Leave what no converter leaves, and answer what no converter answers."""
    out = Path(job["folder"])
    (out / "text.md").write_text("text")
    globals()[f"leave_{job['leave']}"](out)
    if "bytes" in job:
        for link in list(Path("/proc/self/fd").iterdir()):
            if link.is_symlink() and str(link.readlink()).startswith("socket:"):
                os.write(int(link.name), job["bytes"].encode("latin-1"))
        time.sleep(600)
    return job["answer"]


def leave_nothing(out):
    """As a converter does."""


def leave_more(out):
    """A file that the answer does not name."""
    (out / "more").touch()


def leave_none(out):
    """The answer names a file that is not there."""
    (out / "text.md").unlink()


def leave_folder(out):
    """A folder in place of a file."""
    (out / "text.md").unlink()
    (out / "text.md").mkdir()


def try_start_program(job):
    """Any other process, program or thread."""
    got = []
    for start in (os.fork, lambda: subprocess.run(["/bin/true"], check=False), lambda: _in_thread(got)):
        try:
            start()
        except (OSError, RuntimeError):
            continue
        got.append("started")
    if not got:
        raise PermissionError
    return got


def _in_thread(got):
    thread = threading.Thread(target=got.append, args=("thread",))
    thread.start()
    thread.join()


def unpack(job):
    """Unpack as an archive does that took its worker over; its first bytes say how."""
    folder = Path(job["folder"])
    if "archive" not in job:
        return []
    how, _, rest = Path(job["archive"]).read_bytes().partition(b" ")
    (folder / "00001.bin").write_bytes(b"text")
    return globals()[f"unpack_{how.decode()}"](job, folder, rest)


TRUE = ["a", 4, True, None, None, None, None, None]


def unpack_answer(job, folder, rest):
    """Answer whatever is wanted."""
    return json.loads(rest)


def unpack_attempt(job, folder, rest):
    """Try something, and answer what came of it."""
    return [["a", 4, True, None, attack({"try": rest.decode()}), None, None, None]]


def unpack_link(job, folder, rest):
    """A link in place of a file."""
    (folder / "00001.bin").unlink()
    (folder / "00001.bin").symlink_to(rest.decode())
    return [TRUE]


def unpack_second_name(job, folder, rest):
    """A file with two names: it could be changed by the other."""
    (folder / "00001.bin").rename(folder / "x")
    os.link(folder / "x", folder / "00001.bin")
    return [TRUE]


def unpack_folder(job, folder, rest):
    """A folder in place of a file."""
    (folder / "00001.bin").unlink()
    (folder / "00001.bin").mkdir()
    return [TRUE]


def unpack_death(job, folder, rest):
    """Do not survive it."""
    os.kill(os.getpid(), signal.SIGSEGV)


def unpack_death_of_nested(job, folder, rest):
    """Do not survive what is nested."""
    if job["limits"]["nested"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return [TRUE]


def unpack_memory(job, folder, rest):
    """Take more than there is."""
    return len(bytes(2**30))


def unpack_time(job, folder, rest):
    """Never end."""
    time.sleep(600)


def unpack_disk(job, folder, rest):
    """What the disk answers when it is full."""
    raise OSError(28, "No space left on device")


def unpack_late(job, folder, rest):
    """Keep a file open that was large enough to be moved, and leave more than was answered."""
    (folder / "more").write_bytes(b"x")
    return [TRUE]
