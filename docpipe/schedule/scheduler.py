"""Begins the runs of schedules when their patients are due.

What has begun is noted with the runs, so that a crash neither leaves out a patient nor begins one twice.
Whoever was due while docpipe was stopped begins once at the next start.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Protocol, Self

import structlog

from docpipe.checkpoints import StoredSchedule
from docpipe.config.schedule import Schedule
from docpipe.errors import DatabaseDownError, DocpipeError, UsageError
from docpipe.model import Clock
from docpipe.schedule.roster import Due, Roster
from docpipe.schedule.rounds import Rounds, rounds_of

log = structlog.get_logger(__name__)

REFRESH_S: Final = 3600.0
"""The patients of a schedule are read anew after so long."""
RETRY_S: Final = 60.0
"""And after so long where that failed; the clock is compared as often."""
AT_ONCE: Final = 1000
"""So many runs are begun and noted together."""

Members = Callable[[Schedule], Awaitable[list[str]]]
"""Reads the patients of a schedule; see `members_of`."""


Submit = Callable[[Schedule, list[Due], float], Awaitable[None]]
"""Begins the runs of those who are due, all in one round, and notes it with the time of the clock."""


class Agenda(Protocol):
    """How far schedules are. Methods raise DocpipeError or OSError where that cannot be read or written."""

    async def open(self, names: Collection[str], now: float) -> dict[str, StoredSchedule]:
        """Return the schedules of these names; new ones start now."""

    async def one(self, name: str) -> StoredSchedule:
        """Return an open schedule."""

    async def mine(self, name: str) -> bool:
        """Whether this process begins its runs now, and no other."""

    async def note_next(self, name: str, next_at: float | None) -> None:
        """Note when the next patient is due, for `status` in another process."""

    async def pause(self, name: str, now: float) -> None:
        """Pause a schedule; durable when this returns."""

    async def unpause(self, name: str, now: float) -> None:
        """End a pause; what was due meanwhile is left out. Durable when this returns."""


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """How a schedule stands. Times are seconds since the epoch."""

    schedule: Schedule
    stored: StoredSchedule
    members: int | None
    """How many patients it is for, None while that is unknown."""
    next_at: float | None
    """When the next patient is due, None while paused, or where that is unknown."""
    trouble: str | None
    """Why its patients cannot be read anew."""


@dataclass(slots=True, eq=False)
class _Item:
    """A schedule at work."""

    schedule: Schedule
    stored: StoredSchedule
    rounds: Rounds
    roster: Roster | None = None
    read_at: float = 0.0
    """When its patients were last read, or that was tried."""
    trouble: str | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """A person has paused or unpaused it."""

    @property
    def next_at(self) -> float | None:
        if self.roster is None or self.stored.paused is not None:
            return None
        return self.roster.next(self.rounds, self.stored.until)


class Scheduler:
    """The schedules of a service. Works while it is entered as an async context manager.

    Args:
        schedules: as configured; their names differ.
        agenda: how far they are.
        submit: begins runs.
        members: reads the patients of a schedule.
        clock: the wall clock.
        paused: whether everything is paused; then nothing is read and nothing begins.
        look_s: so often, in seconds, the agenda is read: another process may have changed it.
        at_once: so many runs are begun and noted together.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        *,
        agenda: Agenda,
        submit: Submit,
        members: Members,
        clock: Clock,
        paused: Callable[[], bool] = lambda: False,
        look_s: float = RETRY_S,
        at_once: int = AT_ONCE,
    ) -> None:
        self._schedules = schedules
        self._agenda = agenda
        self._submit = submit
        self._members = members
        self._clock = clock
        self._paused = paused
        self._look_s = look_s
        self._at_once = at_once
        self._items: dict[str, _Item] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Read the patients of each schedule, and begin to follow it.

        Raises:
            UsageError: if a file or a condition cannot be used.
            PatientError: if the patients database cannot list patients.
        """
        stored = await self._agenda.open([schedule.name for schedule in self._schedules], self._clock())
        for schedule in self._schedules:
            item = _Item(schedule, stored[schedule.name], rounds_of(schedule))
            if not self._paused():
                await self._read(item, first=True)
            self._items[schedule.name] = item
        for item in self._items.values():
            self._tasks.append(asyncio.create_task(self._follow(item), name=f"schedule {item.schedule.name}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # For people

    def views(self) -> list[ScheduleView]:
        """How the schedules stand, as they are configured; nothing before it is entered."""
        return [
            ScheduleView(
                item.schedule,
                item.stored,
                None if item.roster is None else len(item.roster),
                item.next_at,
                item.trouble,
            )
            for item in self._items.values()
        ]

    async def pause(self, name: str) -> None:
        """Begin nothing more of a schedule; it stays so through restarts.

        Raises:
            UsageError: if there is no such schedule.
        """
        await self._change(name, self._agenda.pause)

    async def unpause(self, name: str) -> None:
        """Take that back; who was due meanwhile is left out until the next round.

        Raises:
            UsageError: if there is no such schedule.
        """
        await self._change(name, self._agenda.unpause)

    async def _change(self, name: str, change: Callable[[str, float], Awaitable[None]]) -> None:
        if name not in self._items:
            names = ", ".join(self._items) or "none"
            raise UsageError(f"There is no schedule {name!r}; there are {names}.")
        item = self._items[name]
        await change(name, self._clock())
        item.stored = await self._agenda.one(name)
        item.changed.set()

    # Following

    async def _follow(self, item: _Item) -> None:
        while True:
            item.changed.clear()
            pause = self._look_s  # at least so often, since the clock may have been set
            try:
                item.stored = await self._agenda.one(item.schedule.name)
                mine = await self._begin(item)
                if mine:
                    await self._note_next(item)
                    if (next_at := item.next_at) is not None and not self._paused():
                        pause = min(pause, max(0.0, next_at - self._clock()) + 0.001)
            except (DocpipeError, OSError) as error:
                log.warning("schedule_waits", schedule=item.schedule.name, reason=str(error))
            except Exception:  # the schedule is tried again, whatever it was
                log.exception("schedule_failed", schedule=item.schedule.name)
                await asyncio.sleep(RETRY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(item.changed.wait(), pause)

    async def _note_next(self, item: _Item) -> None:
        if item.next_at != item.stored.next_at:
            await self._agenda.note_next(item.schedule.name, item.next_at)
            item.stored = await self._agenda.one(item.schedule.name)

    async def _begin(self, item: _Item) -> bool:
        """Begin the runs of those who are due, in the order of their times; False where another does."""
        if item.stored.paused is not None or self._paused():
            return True
        now = self._clock()
        if now >= item.read_at + (REFRESH_S if item.trouble is None else RETRY_S):
            await self._read(item)
        if not await self._agenda.mine(item.schedule.name):
            return False
        if item.roster is None:
            return True
        for some in _slices(item.roster.due(item.rounds, item.stored.until, now), self._at_once):
            await self._submit(item.schedule, some, now)
            item.stored = await self._agenda.one(item.schedule.name)
            log.info("schedule_began", schedule=item.schedule.name, runs=len(some))
            if item.stored.paused is not None or not await self._agenda.mine(item.schedule.name):
                break
        return True

    async def _read(self, item: _Item, *, first: bool = False) -> None:
        """Read the patients anew; where that fails, those of before stay.

        `first`: a file or condition that cannot be used is an error of the configuration.
        """
        item.read_at = self._clock()
        try:
            item.roster = Roster(await self._members(item.schedule))
        except DatabaseDownError as error:
            self._note_trouble(item, str(error))
        except DocpipeError as error:
            if first:
                raise UsageError(f"Schedule {item.schedule.name!r}: {error}") from error
            self._note_trouble(item, str(error))
        else:
            item.trouble = None

    @staticmethod
    def _note_trouble(item: _Item, reason: str) -> None:
        if item.trouble is None:
            log.warning("schedule_not_read", schedule=item.schedule.name, reason=reason)
        item.trouble = reason


def _slices(due: list[Due], at_once: int) -> Iterator[list[Due]]:
    """Parts of one round and of limited size; who is due at the same time stays together."""
    for _, round_due in groupby(due, key=lambda each: each.round):
        some = list[Due]()
        for each in round_due:
            if len(some) >= at_once and each.at > some[-1].at:
                yield some
                some = []
            some.append(each)
        yield some
