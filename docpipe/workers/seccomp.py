"""A filter of system calls that converters of untrusted documents do not need; it can only become narrower.

Seccomp needs no rights and works in containers, where namespaces often cannot be made. It is inherited by
the programs that a worker starts, and cannot be taken off. See seccomp(2); numbers are of <linux/seccomp.h>,
<linux/filter.h> and <linux/audit.h>.
"""

import contextlib
import ctypes
import errno
import platform
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from docpipe.workers.calls import numbers, numbers_of_programs

_SET_NO_NEW_PRIVS: Final = 38
_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000
_REFUSE: Final = _ERROR | errno.EACCES
_UNKNOWN: Final = _ERROR | errno.ENOSYS
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; the machines below are little-endian
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_IF_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_X32: Final = 0x40000000
"""System calls of x86-64's other ABI have this bit; no library needs them."""
_NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. (NEWTIME is none of clone's.)"""
_SHARED_WITHOUT_FILE: Final = 0x21
"""MAP_SHARED | MAP_ANONYMOUS."""
_KIND_OF_SOCKET: Final = 0xF

_MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH of those whose calls are known."""

_Step = tuple[int, int, int, int]
"""Code, jump if true, jump if false, value."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class _Argument:
    """A test of one argument's lower half: the call is refused unless it is passed."""

    number: int
    test: _Step
    mask: int = 0xFFFFFFFF

    def steps(self) -> Iterator[_Step]:
        yield (_LOAD, 0, 0, _ARGUMENTS + 8 * self.number)
        yield (_AND, 0, 0, self.mask)
        yield self.test
        yield (_RETURN, 0, 0, _REFUSE)


def _must_be(number: int, value: int, mask: int = 0xFFFFFFFF) -> _Argument:
    return _Argument(number, (_IF_EQUAL, 1, 0, value), mask)


def _must_not_be(number: int, value: int, mask: int) -> _Argument:
    return _Argument(number, (_IF_EQUAL, 0, 1, value), mask)


_WHOLE: Final = 0xFFFFFFFF
_SIGNAL_OTHERS: Final = (8, 15)
"""F_SETOWN and F_SETOWN_EX: whom the kernel signals when a descriptor is ready."""
_HOLD_UP_OTHERS: Final = (1024, 1026)
"""F_SETLEASE, which makes others wait who open the file, and F_NOTIFY, which watches a folder."""
_TYPE_INTO_TERMINALS: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""
_OF_NETWORKS: Final = 0x8900
"""The commands of sockets (SIOC...), which list a machine's addresses by any socket, a pair's too."""
_ONLY_ITSELF: Final = (_must_be(0, 0),)
_OF_ARGUMENTS: Final = {
    "clone": (_Argument(0, (_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES)),),
    # One of datagrams could be connected anew, to any address.
    "socketpair": (_must_be(0, socket.AF_UNIX), _must_be(1, socket.SOCK_STREAM, _KIND_OF_SOCKET)),
    "mmap": (_must_not_be(3, _SHARED_WITHOUT_FILE, _SHARED_WITHOUT_FILE),),
    "setpriority": (_must_be(0, 0), _must_be(1, 0)),
    "fcntl": tuple(_must_not_be(1, one, _WHOLE) for one in (*_SIGNAL_OTHERS, *_HOLD_UP_OTHERS)),
    "ioctl": (
        *(_must_not_be(1, one, _WHOLE) for one in _TYPE_INTO_TERMINALS),
        _must_not_be(1, _OF_NETWORKS, 0xFF00),
    ),
    **dict.fromkeys(
        ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"),
        _ONLY_ITSELF,
    ),
}


def refuse_calls() -> bool:
    """Put the filter on this process and its descendants; False where that cannot be done."""
    machine = platform.machine()
    return supported() and _install(_steps(_MACHINES[machine], numbers(machine), _OF_ARGUMENTS))


def refuse_programs() -> bool:
    """Refuse this process any other process, program or thread; False where that cannot be done."""
    machine = platform.machine()
    return supported() and _install(_steps(_MACHINES[machine], numbers_of_programs(machine), {}))


def _install(steps: Iterable[_Step]) -> bool:
    listed = list(steps)
    code = b"".join(struct.pack("HBBI", *step) for step in listed)
    program = _Program(len(listed), code)
    with contextlib.suppress(AttributeError):  # not Linux
        prctl = ctypes.CDLL(None).prctl
        return not prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not prctl(
            _SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
        )
    return False


def supported() -> bool:
    """Whether there is a filter for this machine."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def _steps(
    arch: int, calls: dict[str, int], of_arguments: Mapping[str, Iterable[_Argument]]
) -> Iterator[_Step]:
    yield (_LOAD, 0, 0, _ARCH)
    yield from _unless(_IF_EQUAL, arch)
    yield (_LOAD, 0, 0, _NR)
    yield (_IF_AT_LEAST, 0, 1, _X32)
    yield (_RETURN, 0, 0, _REFUSE)
    for name, number in calls.items():
        tests = [step for argument in of_arguments.get(name, ()) for step in argument.steps()]
        # The C library takes clone instead, whose flags can be checked.
        last = (_RETURN, 0, 0, _UNKNOWN if name == "clone3" else _ALLOW if tests else _REFUSE)
        yield (_IF_EQUAL, 0, len(tests) + 1, number)
        yield from tests
        yield last
    yield (_RETURN, 0, 0, _ALLOW)


def _unless(test: int, value: int) -> Iterator[_Step]:
    yield (test, 1, 0, value)
    yield (_RETURN, 0, 0, _REFUSE)
