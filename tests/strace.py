"""What a process did to the disk and the wire, as strace saw it, and what a loss of power would spare."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

CALLS: Final = (
    "open,openat,mkdir,mkdirat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,sendto"
)
_LINE: Final = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))", re.DOTALL)
_PATH: Final = re.compile(r'<(/[^>]*)>|"((?:[^"\\]|\\.)*)"')
_BELOW: Final = re.compile(r'<(/[^>]*)>, "((?:[^"\\]|\\.)*)"')
"""A folder that is open, and a name below it."""
_BY_FOLDER: Final = ("mkdirat", "renameat", "renameat2", "linkat")


def program() -> str:
    """Where strace is; a test that needs it is skipped where it is not, but fails in CI."""
    result = shutil.which("strace")
    if result is None:
        if "CI" in os.environ:
            pytest.fail("CI has to have strace")
        pytest.skip("SKIPPED LOUDLY: strace is not installed")
    if subprocess.run([result, "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("SKIPPED LOUDLY: this kernel lets this user trace no process")
    return result


@dataclass(frozen=True)
class Call:
    """A system call; `began` and `ended` are places in one order of all calls."""

    name: str
    arguments: str
    failed: bool
    began: int
    ended: int

    @property
    def paths(self) -> list[str]:
        """Absolute paths among the arguments, in their order."""
        if self.name in _BY_FOLDER:
            return [os.path.join(*pair) for pair in _BELOW.findall(self.arguments)]  # noqa: PTH118 -- thousands of them
        result = (one or two for one, two in _PATH.findall(self.arguments))
        return [path for path in result if path.startswith("/")]


def calls(trace: Path) -> Iterator[Call]:
    """Every call in the order in which they ended."""
    pending: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if (match := _LINE.match(line)) is None:
            continue
        thread, resumed, rest, name, arguments = match.groups()
        if name and arguments.endswith("<unfinished ...>"):
            pending[thread] = number, arguments
        elif name or thread in pending:
            began, head = (number, "") if name else pending.pop(thread)
            whole = head + (arguments or rest)
            yield Call(name or resumed, whole, " = -1 " in whole[-80:], began, number)


@dataclass
class Disk:
    """Which files and names have reached the disk, as POSIX promises it: what was not synced may be lost."""

    _inodes: dict[str, int] = field(default_factory=dict)
    _unwritten: set[int] = field(default_factory=set)
    """Files with bytes that no fsync followed."""
    _unnamed: set[str] = field(default_factory=set)
    """Names that no fsync of their folder followed."""

    def see(self, call: Call) -> None:
        """Take a call into account."""
        if call.failed or not call.paths:
            return
        path = call.paths[-1]
        match call.name:
            case "open" | "openat" if "O_CREAT" in call.arguments and path not in self._inodes:
                self._name(path, call.ended)
            case "mkdir" | "mkdirat":
                self._name(path, call.ended)
            case "write" | "pwrite64":
                self._unwritten.add(self._inodes.setdefault(call.paths[0], call.ended))
            case "fsync" | "fdatasync":
                self._unwritten.discard(self._inodes.get(path, -1))
                self._unnamed -= {name for name in self._unnamed if os.path.dirname(name) == path}  # noqa: PTH120 -- thousands of them
            case "rename" | "renameat" | "renameat2":
                source = [name for name in call.paths if name != path][-1]
                self._name(path, self._inodes.pop(source, call.ended))
                self._unnamed.discard(source)
                self._move_inner(f"{source}/", f"{path}/")
            case "link" | "linkat":
                source = [name for name in call.paths if name != path][-1]
                self._name(path, self._inodes.setdefault(source, call.ended))

    def _move_inner(self, source: str, target: str) -> None:
        """What is in a folder has another path once the folder is renamed, and is as safe as it was."""
        for old in [name for name in self._inodes if name.startswith(source)]:
            new = target + old.removeprefix(source)
            self._inodes[new] = self._inodes.pop(old)
            if old in self._unnamed:
                self._unnamed.discard(old)
                self._unnamed.add(new)

    def _name(self, path: str, inode: int) -> None:
        self._inodes[path] = inode
        self._unnamed.add(path)

    def lost(self, path: Path) -> str | None:
        """What a loss of power now would take of a file: None for nothing."""
        inode = self._inodes.get(str(path))
        if inode is None:
            return f"{path} was never there"
        if inode in self._unwritten:
            return f"bytes of {path}"
        return next(
            (f"the name {name}" for name in (path, *path.parents) if str(name) in self._unnamed), None
        )
