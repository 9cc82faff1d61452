"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready.

Real clients and real servers in one process, over loopback sockets, run unchanged under it, hours in a
second. What is handed to `run_in_executor` is done at once, in no time. What the loop cannot see
(subprocesses, threads of others) does not work under it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

EPOCH_S = 1_800_000_000.0
"""What the virtual wall clock shows when a loop starts: far from the loop's time, so that a mix-up shows."""
_START_S = 1_000_000.0


class Deadlock(RuntimeError):  # noqa: N818 -- the word for it
    """Nothing is ready, and no timer or socket will ever make it so."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    TICK_S = 1e-6
    """The least delay of a timer: a rest of float arithmetic must not keep time from moving."""
    LONG_S = 1.0
    GRACE_S = 0.0005
    """Before a jump longer than LONG_S, real time for the kernel to hand over what was sent on loopback.
    A machine under load may deliver late, and a jump over a timeout would then look like a lost answer."""

    def __init__(self) -> None:
        self._now = _START_S
        super().__init__(selectors.DefaultSelector())
        self._clock_resolution = self.TICK_S / 2
        self._really_select, self._selector.select = self._selector.select, self._select

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def call_at(self, when, callback, *args, context=None):
        """Call back at `when`, but never without time moving."""
        return super().call_at(max(when, self._now + self.TICK_S), callback, *args, context=context)

    def run_in_executor(self, executor, func, *args):  # noqa: ARG002 -- as in the base class
        """Run it here and now: no time passes, and the order of things never depends on threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever awaits the future
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):  # noqa: ARG002, ASYNC109 -- as in the base class
        """The base class would wait for a thread of its own, which this loop cannot see."""
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=True)

    def _select(self, timeout):
        if timeout == 0:
            return self._really_select(0)
        if ready := self._really_select(0):
            return ready
        if timeout is None:
            raise Deadlock("no timer and nothing on any socket")
        when = self._scheduled[0].when()
        if when - self._now > self.LONG_S and (ready := self._really_select(self.GRACE_S)):
            return ready
        self._now = max(self._now, when)
        return []


def wall_clock() -> float:
    """The wall clock that goes with the running loop: hand it in wherever a `Clock` is asked for."""
    return EPOCH_S + asyncio.get_running_loop().time() - _START_S


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end on a virtual loop of its own, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def loop_factories(item: pytest.Item) -> dict[str, Any]:
    """For `pytest_asyncio_loop_factories`: a virtual loop where the test is marked so, else the usual one."""
    if item.get_closest_marker("virtual"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}
