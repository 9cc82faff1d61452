"""The state folder: one owner, private, refused in a sentence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from docpipe.errors import StateError
from docpipe.runtime.state_folder import InUseError, StateFolder, address, in_use


def test_second_process_learns_who_holds_it(tmp_path: Path) -> None:
    """Another process is refused with the holder's number; after the holder's end it gets in."""
    assert not in_use(tmp_path)
    code = (
        "import sys; from pathlib import Path; from docpipe.runtime.state_folder import StateFolder\n"
        "with StateFolder(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=f"in use by process {holder.pid}"), StateFolder(tmp_path):
            pass
        assert in_use(tmp_path)
        holder.kill()
        holder.wait()
        holder.stdin.close()
    assert not in_use(tmp_path)
    with StateFolder(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the way, or a folder that is not ours, is reported with the cure."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"state\.dir"), StateFolder(tmp_path / "file"):
        pass
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(StateError, match="permissions"), StateFolder(tmp_path / "closed" / "state"):
            pass


@pytest.mark.parametrize(
    ("call", "number", "cure"),
    [
        ("fcntl.flock", errno.ENOLCK, "its mount has no locks"),
        ("fcntl.flock", errno.EOPNOTSUPP, "its mount has no locks"),
        ("os.write", errno.ENOSPC, "make room, then start docpipe again"),
        ("os.open", errno.EROFS, "mount it so that it can be written, then start docpipe again"),
        ("os.open", errno.EACCES, "correct its permissions"),
    ],
)
def test_what_the_system_refuses_has_its_own_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, cure: str
) -> None:
    """Locks that a mount lacks, a full disk, and a lack of rights: docpipe ends for each, with its cure."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    folder = StateFolder(tmp_path / "state")
    monkeypatch.setattr(call, refuse)
    with pytest.raises(StateError, match=cure) as error, folder:
        pass
    monkeypatch.undo()
    assert "docpipe continues" not in str(error.value)
    assert not in_use(tmp_path / "state")


def test_a_service_tells_its_address(tmp_path: Path) -> None:
    """The address stands in the lock while the service lives, and nowhere after it."""
    assert address(tmp_path) is None
    with StateFolder(tmp_path) as folder:
        assert address(tmp_path) is None
        folder.announce("http://127.0.0.1:8080")
        assert address(tmp_path) == "http://127.0.0.1:8080"
        with pytest.raises(InUseError, match=r"a service at http://127\.0\.0\.1:8080"), StateFolder(tmp_path):
            pass
    assert address(tmp_path) is None
    (tmp_path / "lock").write_text('["not", "ours"]')
    assert address(tmp_path) is None
