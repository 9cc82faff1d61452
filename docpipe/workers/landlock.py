"""Landlock: a process restricts itself and its children to a list of files, irrevocably.

It needs no privileges, and Linux 5.13 or later. The rights of each version (ABI), and the numbers, are from
<linux/landlock.h> and landlock(7); the system calls have the same numbers on every machine.
"""

import contextlib
import ctypes
import functools
import os
import struct
from collections.abc import Iterable
from typing import Any, Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH: Final = 1  # LANDLOCK_RULE_PATH_BENEATH
_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST: Final = (1 << 13) - 1
"""All rights of the first version."""
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
READ: Final = _READ_FILE | _READ_DIR
RUN: Final = READ | _EXECUTE
DEVICE: Final = _READ_FILE | _WRITE_FILE
WRITE: Final = READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
"""Plain files and folders; no links, devices, FIFOs or sockets, and nothing to execute."""
_ANY_TCP: Final = 0b11
_SCOPED: Final = 0b11  # abstract unix sockets, signals
_TRUNCATE_SINCE, _TCP_SINCE, _IOCTL_SINCE, SIGNALS_SINCE = 3, 4, 5, 6
_REFER_SINCE: Final = 2


def abi() -> int:
    """Which version of Landlock there is; 0 for none."""
    if (call := _system_call()) is None:
        return 0
    return max(0, int(call(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def confine(allowed: Iterable[tuple[str, int]]) -> bool:
    """Restrict this thread, and all it starts, to some files; False where there is no Landlock.

    Signals to processes outside, abstract sockets and TCP are denied too, where Landlock supports that.

    Args:
        allowed: paths with the rights to them and to all beneath, such as READ. One that is not there, or may
            not be opened anyway, is skipped.

    Raises:
        OSError: Landlock exists but failed. The thread must not continue.
    """
    version, call = abi(), _system_call()
    if version == 0 or call is None:
        return False
    handled = _FIRST
    for since, right in ((_REFER_SINCE, _REFER), (_TRUNCATE_SINCE, _TRUNCATE), (_IOCTL_SINCE, _IOCTL_DEV)):
        handled |= right if version >= since else 0
    members = [handled, _ANY_TCP, _SCOPED]
    known = 3 if version >= SIGNALS_SINCE else 2 if version >= _TCP_SINCE else 1
    attributes = struct.pack(f"={known}Q", *members[:known])
    ruleset = _checked(call(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        for path, rights in allowed:
            _allow(call, ruleset, path, rights & handled)
        _checked(ctypes.CDLL(None, use_errno=True).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(call(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(call: Any, ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(OSError):  # it is not there
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            wanted = rights if os.path.isdir(path) else rights & _OF_FILES  # noqa: PTH112 -- of many paths
            rule = struct.pack("=Qi", wanted, descriptor)
            _checked(call(_ADD, ruleset, _BENEATH, rule, 0))
        finally:
            os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@functools.cache
def _system_call() -> Any | None:
    try:
        return ctypes.CDLL(None, use_errno=True).syscall if os.uname().sysname == "Linux" else None
    except (AttributeError, OSError):
        return None
