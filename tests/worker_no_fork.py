"""A module to preload in a forkserver: the first forks fail as under a limit of processes."""

import errno
import os

_fork = os.fork
_failures = iter(range(4))


def _refused():
    if next(_failures, None) is not None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _fork()


os.fork = _refused
