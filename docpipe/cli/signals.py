"""Signals that end commands: those that serve until they are stopped, and those that may end anywhere."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, TypeVar

_INTERRUPTED: Final = 128 + signal.SIGINT
_PATIENCE_S: Final = 2.0
"""How long a cancelled command may take to tidy up."""

_T = TypeVar("_T")


def first_signal() -> asyncio.Future[int]:
    """Done with its number at the first SIGINT or SIGTERM; the second one leaves at once."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()

    def handle(number: int) -> None:
        if first.done():
            os._exit(128 + number)
        first.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, int(number))
    return first


def run_stoppable(work: Coroutine[Any, Any, _T], *, debug: bool = False, hint: str = "") -> _T:
    """Run a command that may end anywhere, as a kill would end it; it ends soon after Ctrl-C.

    `asyncio.run` alone would wait for threads at work, which nothing can cancel. A second Ctrl-C leaves at
    once.

    Args:
        work: the command.
        debug: asyncio's debug mode.
        hint: what is printed when it is stopped, such as how to continue.

    Raises:
        KeyboardInterrupt: if it was stopped.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or not in a terminal
        return asyncio.run(work, debug=debug)
    stopped = False

    async def stoppable() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.create_task(work)

        def handle(_number: int, _frame: FrameType | None) -> None:
            nonlocal stopped
            if stopped:
                os._exit(_INTERRUPTED)
            stopped = True
            with contextlib.suppress(OSError):
                os.write(2, hint.encode())
            leaving = threading.Timer(_PATIENCE_S, os._exit, (_INTERRUPTED,))
            leaving.daemon = True
            leaving.start()
            loop.call_soon_threadsafe(task.cancel)

        signal.signal(signal.SIGINT, handle)
        return await task

    try:
        done = asyncio.run(stoppable(), debug=debug)
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if stopped:
        raise KeyboardInterrupt
    return done
