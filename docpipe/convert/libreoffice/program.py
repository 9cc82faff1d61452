"""Where LibreOffice is, and one run of it: a document in, the same document in other formats out."""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from docpipe.convert.libreoffice import kit
from docpipe.convert.libreoffice.profile import write_fonts, write_profile

_LIBRARY: Final = re.compile(r"lib(?:mergedlo|sofficeapp)\.so")
_USUAL: Final = ("/usr/lib/libreoffice", "/usr/lib64/libreoffice", "/opt/libreoffice")
"""Where its folder is, should `soffice` be a script that is elsewhere."""
_VERSION: Final = re.compile(r"^ProductKey=.* ([\d.]+)\s*$", re.MULTILINE)
LARGEST: Final = 256 * 2**20
"""Bytes of a file that it may write."""
_MIB: Final = 2**20
_CODE: Final = 192 * _MIB
"""Memory for its libraries, which no limit of data counts."""
_MAPPED: Final = 768 * _MIB
"""Addresses for its libraries and files beside its data: 520 MiB are taken before a document is loaded."""
_LEAST_DATA: Final = 160 * _MIB
_KIT: Final = Path(kit.__file__)
_PATIENCE_S: Final = 5.0


class LibreOfficeError(Exception):
    """LibreOffice failed; the message is the reason, as the end of a sentence about LibreOffice."""


@cache
def installed() -> tuple[str, Path] | None:
    """The version, such as `7.4`, and the folder of its libraries; None without a `soffice` to use."""
    soffice = shutil.which("soffice") or shutil.which("libreoffice")
    if soffice is None:
        return None
    for folder in (Path(soffice).resolve().parent, *(Path(usual) / "program" for usual in _USUAL)):
        if folder.is_dir() and any(_LIBRARY.fullmatch(name.name) for name in folder.iterdir()):
            return _version(folder), folder
    return None


def _version(folder: Path) -> str:
    try:
        stated = _VERSION.search((folder / "bootstraprc").read_text("utf-8", "replace"))
    except OSError:
        return "unknown"
    return stated[1] if stated else "unknown"


def folders() -> Iterator[str]:
    """What it reads on this machine: its own folder, and what links there lead to, such as its settings."""
    if (office := installed()) is None:
        return
    top = office[1].parent
    yield str(top)
    for folder in (top, top / "program", top / "share", top / "share" / "prereg", top / "share/uno_packages"):
        if folder.is_dir():
            yield from (str(link.resolve()) for link in folder.iterdir() if link.is_symlink())


@contextmanager
def saved(
    write: Callable[[Path], object], extension: str, formats: Sequence[str], seconds: float
) -> Iterator[dict[str, Path]]:
    """A document in other formats, as files that are there within the context.

    Args:
        write: writes the document to a file that it is given.
        extension: what its kind of file ends with, such as `.doc`.
        formats: what to save it as, such as `pdf` or `docx`.
        seconds: how long it may take.

    Raises: LibreOfficeError; OSError when this machine cannot start another process, or its disk is full.
    """
    if (office := installed()) is None:
        raise LibreOfficeError("is not installed")
    with tempfile.TemporaryDirectory(prefix="office-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        write(folder / f"document{extension}")
        write_profile(folder / "profile", office[0])
        outputs = {form: folder / f"saved.{form}" for form in formats}
        order = {
            "program": str(office[1]),
            "profile": (folder / "profile").as_uri(),
            "source": (folder / f"document{extension}").as_uri(),
            "outputs": [[path.as_uri(), form] for form, path in outputs.items()],
            "limits": _limits(seconds),
        }
        _run([sys.executable, "-I", "-S", str(_KIT), json.dumps(order)], folder, seconds)
        for path in outputs.values():
            _check(path)
        yield outputs


def _check(path: Path) -> None:
    try:
        size = path.lstat().st_size
    except OSError as error:
        raise LibreOfficeError("made no file of it") from error
    if not path.is_file() or path.is_symlink() or not size:
        raise LibreOfficeError("made an empty file of it")
    if size >= LARGEST:
        raise LibreOfficeError("made too large a file of it")


def _limits(seconds: float) -> dict[str, int]:
    """Limits of the process, so that it fails before the worker with it is over its own limit.

    Raises: LibreOfficeError.
    """
    limits = {"RLIMIT_FSIZE": LARGEST, "RLIMIT_CPU": int(seconds) + 10}
    data = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if data != resource.RLIM_INFINITY:
        data -= _resident() + _CODE
        if data < _LEAST_DATA:
            raise LibreOfficeError("needs more memory than convert.memory leaves for it")
        limits |= {"RLIMIT_DATA": data, "RLIMIT_AS": data + _MAPPED}
    return limits


def _resident() -> int:
    """Bytes that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _run(command: list[str], folder: Path, seconds: float) -> None:
    """Run it to its end. It stays in the worker's session, so that it ends with the worker."""
    known = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, file and order
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={
                **known,
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "SAL_USE_VCLPLUGIN": "svp",
                "FONTCONFIG_FILE": str(write_fonts(folder)),
            },
        )
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENFILE, errno.ENOMEM):  # a machine at its limit: that passes
            raise
        raise LibreOfficeError("could not be started") from error
    try:
        status = process.wait(max(seconds, 0.1))
    except subprocess.TimeoutExpired:
        raise LibreOfficeError(f"took longer than {seconds:.0f} s") from None
    finally:
        process.kill()
        process.wait(_PATIENCE_S)
    if status == kit.LOADED:
        return
    raise LibreOfficeError(
        {
            kit.NOT_STARTED: "could not be started",
            kit.NOT_LOADED: "could not open it",
            kit.NOT_SAVED: "could not save it",
        }.get(status, "stopped unexpectedly")
    )
