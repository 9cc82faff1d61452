"""What a document that took over its converter reaches of files and processes: one function, a list of deeds.

Each deed undoes itself where it succeeds, and is harmless then.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path


def reach(job):
    """Names of the deeds that were not refused."""
    done = []
    for name, (deed, *arguments) in job["deeds"].items():
        try:
            globals()[f"deed_{deed}"](*arguments)
        except OSError:
            continue
        done.append(name)
    return done


def deed_read(path):
    os.close(os.open(path, os.O_RDONLY))


def deed_list(path):
    os.listdir(path)  # noqa: PTH208 -- its names are not wanted


def deed_write(path):
    os.close(os.open(path, os.O_WRONLY))


def deed_truncate(path):
    os.truncate(path, Path(path).stat().st_size)


def deed_create(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    Path(path).unlink()


def deed_make_folder(path):
    Path(path).mkdir()
    Path(path).rmdir()


def deed_remove(path):
    Path(path).unlink()


def deed_move_in(path):
    Path(path).rename("moved")
    Path("moved").rename(path)


def deed_move_out(path):
    Path("mine").touch()
    Path("mine").rename(path)
    Path(path).unlink()


def deed_hard_link(path):
    Path("link").hardlink_to(path)
    Path("link").unlink()


def deed_link(path):
    Path("link").symlink_to(path)
    Path("link").unlink()


def deed_fifo():
    os.mkfifo("fifo")
    Path("fifo").unlink()


def deed_run_own_program():
    shutil.copyfile("/bin/true", "program")
    Path("program").chmod(0o700)
    subprocess.run(["./program"], check=True)


def deed_signal(pid):
    """Zero is no signal; whether one could be sent is answered all the same."""
    os.kill(pid, 0)


def deed_signal_parent():
    os.kill(os.getppid(), 0)


def deed_write_given():
    """The document itself, which storage has a link to."""
    given = Path("..", "in")
    deed_write(next(given.iterdir()))


def deed_remove_given():
    given = Path("..", "in")
    (given / "original").unlink()


def deed_add_to_given():
    deed_create("../in/more")


def deed_write_own():
    """Allowed, in every way."""
    own = Path("own-file")
    own.write_text("own")
    os.truncate(own, 1)
    own.rename("tmp/moved")
    Path("tmp/moved").unlink()


def deed_read_given():
    """Allowed."""
    deed_read("../in/original")


def convert(job):
    """The same with the files of a conversion."""
    Path(job["folder"], "text.md").write_text(" ".join(reach(job)))
    return {
        "outcome": "converted",
        "reason": None,
        "media_type": "text/plain",
        "extension": ".txt",
        "outputs": ["text.md"],
        "metadata": {"media_type": "text/plain", "warnings": []},
        "embedded": [],
        "warnings": [],
    }


def deed_signal_by_descriptor(pid):
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, 0)
    finally:
        os.close(descriptor)


def deed_signal_group(pid):
    os.killpg(os.getpgid(pid), 0)
