"""Ports for the servers of tests that have to know theirs beforehand."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

_LEAST: Final = 20_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_RESERVED: list[int] = []
"""Descriptors of locked files, one a port: the kernel unlocks them when this process ends."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test gets while this process lives.

    A port that the kernel chooses, closed again, would do for a moment only: any connection or server may get
    it before the server of the test has started. These lie below those that the kernel chooses from, and a
    locked file reserves each among the processes of all tests on the machine.

    Raises:
        OSError: all of them are in use.
    """
    ports = range(_LEAST, max(_LEAST + 1000, int(_EPHEMERAL.read_text().split()[0])))
    for port in random.SystemRandom().sample(ports, len(ports)):
        if _reserved(port):
            return port
    raise OSError(f"no port is free between {ports.start} and {ports.stop}")


def _reserved(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"docpipe-ports-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _RESERVED.append(lock)
    return True
