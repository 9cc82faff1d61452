"""No network for whoever reads strangers' documents: a filter of system calls that only ever narrows.

Seccomp needs no rights and works in containers, where namespaces often cannot be made. It is inherited by
the programs that a worker starts, and cannot be taken off. Sockets of the machine itself (AF_UNIX) stay,
since they name no host. See seccomp(2); numbers are of <linux/seccomp.h>, <linux/filter.h>, <linux/audit.h>.
"""

import contextlib
import ctypes
import errno
import platform
import socket
import struct
from typing import Final

_SET_NO_NEW_PRIVS: Final = 38
_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EACCES
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the machines below are little-endian
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_X32: Final = 0x40000000
"""System calls of x86-64's other ABI have this bit; nobody here needs them."""
_IO_URING_SETUP: Final = 425  # on every machine; it can make sockets that no filter sees
_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""AUDIT_ARCH and the number of socket(2)."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def cut_network() -> bool:
    """Refuse this process and its descendants every socket to a host; False where that cannot be done."""
    known = _MACHINES.get(platform.machine())
    if known is None:
        return False
    arch, socket_number = known
    steps = (  # code, jump if true, jump if false, value
        (_LOAD, 0, 0, _ARCH),
        (_IF_EQUAL, 0, 8, arch),
        (_LOAD, 0, 0, _NR),
        (_IF_AT_LEAST, 6, 0, _X32),
        (_IF_EQUAL, 5, 0, _IO_URING_SETUP),
        (_IF_EQUAL, 0, 3, socket_number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    with contextlib.suppress(AttributeError):  # not Linux
        prctl = ctypes.CDLL(None).prctl
        return not prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not prctl(
            _SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
        )
    return False
