"""What the workers of the tests do: one function; its job says how to behave or misbehave."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def act(job):
    """Do `job["do"]`, and return the value of that."""
    return globals()[f"do_{job['do']}"](job)


def do_echo(job):
    return job.get("value")


def do_pid(job):
    return os.getpid()


def do_facts(job):
    def status(name):
        line = next(
            line for line in Path("/proc/self/status").read_text().splitlines() if line[: len(name)] == name
        )
        return line.split()[1]

    return {
        "session": os.getsid(0) == os.getpid(),
        "data": resource.getrlimit(resource.RLIMIT_DATA)[0],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "umask": status("Umask"),
        "nice": os.nice(0),
        "oom": int(Path("/proc/self/oom_score_adj").read_text()),
        "descriptors": [
            str(link.readlink()).partition(":")[0]
            for link in Path("/proc/self/fd").iterdir()
            if link.is_symlink()  # the listing itself is closed by now
        ],
        "threads": int(status("Threads")),
        "modules": sorted(name for name in sys.modules if name.partition(".")[0] == "docpipe"),
        "environment": dict(os.environ),
        "first_environment": first_environment(),
    }


def first_environment():
    """What a program was started with, whatever it removed since; empty where it may not look at itself."""
    try:
        return Path("/proc/self/environ").read_bytes().decode("utf-8", "replace")
    except PermissionError:
        return ""


def do_connect(job):
    """What a worker, and a program that it starts, meet when they want to reach a host."""
    events = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET):
        try:
            socket.socket(family, socket.SOCK_DGRAM).close()
        except PermissionError:
            events.append("refused")
    script = f"import socket; socket.create_connection(('127.0.0.1', {job['port']}))"
    grandchild = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    events.append("refused" if "PermissionError" in grandchild.stderr else grandchild.stderr)
    left, right = socket.socketpair()
    left.close()
    right.close()
    return events


def do_touch(job):
    """Tell the test, by a file that names this process, that it runs."""
    Path(job["file"]).write_text(str(os.getpid()))


def do_touch_and_hang(job):
    do_touch(job)
    do_hang(job)


def do_hang(job):
    while True:
        time.sleep(60)


def do_hang_in_c(job):
    """Hold the interpreter's lock in C: no signal handler of Python could run."""
    ctypes.PyDLL(None).sleep(600)


def do_hang_deaf(job):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    do_hang(job)


def do_spawn(job):
    """Start a program that outlasts everything, name it in a file, and hang (or not)."""
    sleeper = subprocess.Popen(["/bin/sleep", "600"], start_new_session=job.get("own_session", False))
    part = Path(job["file"] + ".part")
    part.write_text(f"{os.getpid()} {sleeper.pid}")
    part.rename(job["file"])  # never seen half written
    if not job.get("leave"):
        do_hang(job)


def do_orphan(job):
    """Start a program through one that ends at once, in a session of its own: a daemon."""
    script = (
        "import subprocess\n"
        "daemon = subprocess.Popen("
        "['/bin/sleep', '600'], start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "print(daemon.pid)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    return int(done.stdout)


def do_sigkill(job):
    os.kill(os.getpid(), signal.SIGKILL)


def do_segfault(job):
    ctypes.string_at(0)


def do_abort(job):
    os.abort()


def do_exit(job):
    os._exit(3)


def do_sys_exit(job):
    sys.exit("a text with a secret")


def do_raise(job):
    raise LookupError("a text with a secret")


def do_os_error(job):
    """Meet an error of the system."""
    raise OSError(job["errno"], "for the test")


def do_not_json(job):
    return {1, 2}


def do_nonsense(job):
    """Answer by hand, with what is no answer."""
    for link in list(Path("/proc/self/fd").iterdir()):
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            os.write(int(link.name), bytes.fromhex(job["bytes"]))
    do_hang(job)


def do_list_hog(job):
    hog = []
    while True:
        hog.append(bytearray(2**20))


def do_hog_and_abort(job):
    """What typst does when an allocation is refused."""
    try:
        do_list_hog(job)
    except MemoryError:
        os.abort()


def do_map_hog(job):
    """Shared pages are not counted by RLIMIT_DATA: they are seen from outside only."""
    with tempfile.TemporaryFile() as file:
        file.truncate(job["bytes"])
        with mmap.mmap(file.fileno(), job["bytes"]) as pages:
            for start in range(0, job["bytes"], mmap.PAGESIZE):
                pages[start] = 1
            do_hang(job)


def do_child_hog(job):
    """The same in a program that the worker starts."""
    script = (
        "import mmap, tempfile, time\n"
        "file = tempfile.TemporaryFile()\n"
        f"file.truncate({job['bytes']})\n"
        "pages = mmap.mmap(file.fileno(), 0)\n"
        "for start in range(0, len(pages), mmap.PAGESIZE): pages[start] = 1\n"
        "time.sleep(600)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)


def do_hold(job):
    """Keep memory after the job, as leaking libraries do."""
    do_hold.kept = bytearray(job["bytes"])
    return os.getpid()


def do_flaky(job):
    """Die at the first try, answer at the second."""
    file = Path(job["file"])
    if not file.exists():
        do_touch(job)
        do_sigkill(job)
    return os.getpid()


def do_kill_parent(job):
    """Take the forkserver along, once."""
    file = Path(job["file"])
    if not file.exists():
        do_touch(job)
        os.kill(os.getppid(), signal.SIGKILL)
        do_hang(job)
    return "recovered"


def do_nap(job):
    time.sleep(job["seconds"])
    return job["value"]


def do_nap_pid(job):
    """Long enough that several at once meet several workers."""
    time.sleep(0.2)
    return os.getpid()


CONVERTED = {
    "outcome": "stored",
    "reason": None,
    "media_type": "text/plain",
    "extension": ".txt",
    "outputs": [],
    "metadata": {"media_type": "text/plain"},
    "embedded": [],
    "warnings": [],
}


def do_use_places(job):
    """A conversion that ends once it was granted each number of places that the job names, in this order.

    It dies first where the job names a file that is not there yet, and notes each number in a file.
    """
    if "dies" in job and not Path(job["dies"]).exists():
        Path(job["dies"]).touch()
        do_sigkill(job)
    for number in job["numbers"]:
        while not (Path(job["places"]).exists() and Path(job["places"]).read_text() == str(number)):
            time.sleep(0.005)
        Path(f"{job['note']}-{number}").touch()
    return CONVERTED
