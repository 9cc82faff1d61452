"""Run a function in a forked process, for libraries that abort: the rest of the document survives."""

import os
import threading
from collections.abc import Callable


class ApartError(Exception):
    """The forked process raised or died."""


def apart(work: Callable[[], bytes]) -> bytes:
    """What `work` returns, done by a fork of this process, which shares its limits and is killed with it.

    In a process with several threads, where a fork is not safe (`--debug`), it is done here.

    Raises: ApartError if it raised or died.
    """
    if threading.active_count() > 1:
        try:
            return work()
        except Exception as error:
            raise ApartError from error
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(theirs, "wb") as answer:
                answer.write(work())
            status = 0
        finally:
            os._exit(status)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        done = answer.read()
    if os.waitpid(child, 0)[1] != 0:
        raise ApartError
    return done
