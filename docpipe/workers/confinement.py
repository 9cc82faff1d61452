"""The files that a worker may reach: its libraries, fonts, languages of OCR, and its room. Nothing else.

Neither the home of the user nor state, storage, configuration or temporary files are listed.
"""

import mimetypes
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docpipe.workers import landlock, seccomp
from docpipe.workers.wire import GIVEN, OWN

_SYSTEM: Final = (
    *("/lib", "/lib32", "/lib64", "/bin", "/nix/store", "/gnu/store"),
    *(f"/usr/{name}" for name in ("lib", "lib32", "lib64", "libexec", "bin", "share")),
    *(f"/usr/local/{name}" for name in ("lib", "lib64", "bin", "share")),
)
"""Programs and libraries that everybody on the machine may read."""
_FILES: Final = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/localtime"),
    *("/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies", "/dev/urandom"),
    *("/dev/random", "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/sys/vm/overcommit_memory", "/var/cache/fontconfig"),
)
_OF_PREFIX: Final = ("bin", "lib", "lib64", "share/fonts", "share/tessdata", "share/tesseract-ocr")


def missing() -> list[str]:
    """What this machine cannot keep workers from, each with what would be needed."""
    version = landlock.abi()
    gaps = []
    if not seccomp.supported():
        gaps.append("system calls such as those of the network: this needs Linux on x86-64 or ARM64")
    if version == 0:
        gaps.append(
            "files of the user that runs docpipe: this needs Linux 5.13 or later with Landlock in use"
        )
    if version < landlock.SIGNALS_SINCE:
        gaps.append("signals to other processes of that user: this needs Linux 6.12 or later with Landlock")
    return gaps


def contained() -> bool:
    """Whether workers are kept from the network and from files at all, by this kernel."""
    return seccomp.supported() and landlock.abi() > 0


def libraries() -> list[str]:
    """What every worker of this process may read and run; call it once all is imported.

    Of folders on the path of imports that are no folders of libraries, such as that of a project, only the
    packages are in it that are imported so far: beside them may be anything.
    """
    from docpipe.convert.libreoffice import program  # noqa: PLC0415 -- of no use to the main process

    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    names = [*_SYSTEM, *_program("tesseract"), *program.folders(), os.environ.get("TESSDATA_PREFIX", "")]
    names += [f"{prefix}/{name}" for prefix in prefixes for name in (*_OF_PREFIX, "pyvenv.cfg")]
    names += [path for name, path in sysconfig.get_paths().items() if name.endswith(("stdlib", "lib"))]
    names += [path for path in sys.path if _holds_libraries(path)]
    names += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders = sorted({os.path.realpath(name) for name in names if name and Path(name).exists()})
    return [*folders, *(path for path in sorted(set(_imported())) if not _lies_in(path, folders))]


def allowed(libraries: list[str], room: str) -> Iterator[tuple[str, int]]:
    """Everything that one worker may reach, with its rights, for `landlock.confine`."""
    yield from ((path, landlock.RUN) for path in libraries)
    yield from (
        (path, landlock.READ) for path in (*_FILES, *map(str, mimetypes.knownfiles), f"/proc/{os.getpid()}")
    )
    yield (os.devnull, landlock.DEVICE)
    yield (f"{room}/{GIVEN}", landlock.READ)
    yield (f"{room}/{OWN}", landlock.WRITE)


def _program(name: str) -> Iterator[str]:
    """A program, wherever it is installed, with its libraries and data."""
    if (program := shutil.which(name)) is not None:
        file = Path(program).resolve()
        yield str(file)
        yield from (str(file.parent.parent / part) for part in _OF_PREFIX if part != "bin")


def _holds_libraries(path: str) -> bool:
    """Whether packages were installed there: whatever tool did it left its record."""
    try:
        return any(part.suffix == ".dist-info" for part in Path(path).iterdir())
    except OSError:  # it is not there, or it is the library of Python in one file
        return path.endswith(".zip")


def _imported() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if "." not in name:
            file = getattr(module, "__file__", None)
            yield from map(os.path.realpath, getattr(module, "__path__", None) or ([file] if file else []))


def _lies_in(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
