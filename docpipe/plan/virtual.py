"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready.

Hours pass in a second. Real clients and real servers in one process, over loopback sockets, run unchanged
under it, too (tests do that). What is handed to `run_in_executor` is done at once, in no time. What the loop
cannot see (subprocesses, threads of others) does not work under it.
"""

import asyncio
import heapq
import itertools
import selectors
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

EPOCH_S = 1_800_000_000.0
"""What the virtual wall clock shows when a loop starts: far from the loop's time, so that a mix-up shows."""
START_S = 1_000_000.0


class Deadlock(RuntimeError):  # noqa: N818 -- the word for it
    """Nothing is ready, and no timer or socket will ever make it so."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. The annotations name what it uses of its base classes."""

    _selector: Any
    _scheduled: list[Any]
    _ready: deque[Any]
    _stopping: bool
    _default_executor: Any
    TICK_S = 1e-6
    """The least delay of a timer: a rest of float arithmetic must not keep time from moving."""
    LONG_S = 1.0
    GRACE_S = 0.0005
    """Before a jump longer than LONG_S, real time for the kernel to deliver what was sent on loopback.
    A machine under load may deliver late, and a jump over a timeout would then look like a lost answer."""

    def __init__(self) -> None:
        self._now = START_S
        super().__init__(selectors.DefaultSelector())
        self._clock_resolution = self.TICK_S / 2
        self._really_select = self._selector.select
        self._selector.select = self._select

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def wall(self) -> float:
        """The wall clock that goes with it."""
        return EPOCH_S - START_S + self._now

    def call_at(  # type: ignore[override]  # less exact than the base class
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at `when`, but never without time moving."""
        return super().call_at(max(when, self._now + self.TICK_S), callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # likewise
        self,
        executor: Any,  # noqa: ARG002 -- as in the base class
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Run it here and now: no time passes, and the order of things never depends on threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- it is raised where the future is awaited
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 -- as in the base class
        """The base class would wait for a thread of its own, which this loop cannot see."""
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=True)

    def _select(self, timeout: float | None) -> list[Any]:
        if timeout == 0:
            return self._polled(0)
        if ready := self._polled(0):
            return ready
        if timeout is None:
            raise Deadlock("no timer and nothing on any socket")
        when: float = self._scheduled[0].when()
        if when - self._now > self.LONG_S and (ready := self._polled(self.GRACE_S)):
            return ready
        self._now = max(self._now, when)
        return []

    def _polled(self, seconds: float) -> list[Any]:
        events: list[Any] = self._really_select(seconds)
        return events


class NoEventLoop(VirtualLoop):
    """The same without sockets, threads, and help for those who look for mistakes: a turn costs a fifth.

    What a callback raises ends the loop: in a simulation it is a mistake that nobody else would see.
    """

    def __init__(self) -> None:
        super().__init__()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._order = itertools.count()  # compared in C, and never as far as the handle

    def call_soon(  # type: ignore[override]  # likewise
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As in the base class."""
        handle = _Handle(self._now, callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # likewise
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As in the base class."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # likewise
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at `when`, but never without time moving."""
        when = max(when, self._now + self.TICK_S)
        handle = _Handle(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def _run_once(self) -> None:
        """Many turns of the base class, which checks after each whether it is stopped."""
        ready = self._ready
        while not self._stopping:
            if not ready:
                self._jump()
            while ready and not self._stopping:
                handle = ready.popleft()
                if not handle._cancelled:  # noqa: SLF001 -- as the base class does
                    handle._context.run(handle._callback, *handle._args)  # noqa: SLF001 -- likewise

    def _jump(self) -> None:
        """To the next timer that is not cancelled."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock("no timer, and no socket is looked at")
        self._now = timers[0][0]
        due = self._now + self._clock_resolution
        while timers and timers[0][0] < due:
            self._ready.append(heapq.heappop(timers)[2])


class _Handle(asyncio.TimerHandle):
    """What is to be called. The base class would also note where it was made."""

    __slots__ = ()
    _context: Context
    _callback: Any
    _args: Any
    _when: float
    _cancelled: bool

    def __init__(self, when: float, callback: Any, args: Any, context: Context | None) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._context = context or copy_context()
        self._cancelled = False

    def cancel(self) -> None:
        """It is left where it stands, and passed over."""
        self._cancelled = True
        self._callback = self._args = None


def wall_clock() -> float:
    """The wall clock that goes with the running loop: hand it in wherever a `Clock` is asked for."""
    return EPOCH_S + asyncio.get_running_loop().time() - START_S
