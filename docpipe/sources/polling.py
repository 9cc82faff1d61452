"""When a search is polled: paced by time, progress and Retry-After, and kept in the checkpoint."""

from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from docpipe.model import Clock, Step, Wait, WaitKind
from docpipe.results.search import Search

POLL_FASTEST_S: Final = 1.0
POLL_SLOWEST_S: Final = 300.0
POLL_BASE_S: Final = 2.0
POLL_PART: Final = 0.18
"""A poll follows the last one by `POLL_BASE_S` and this part of the time waited: a search of 30 minutes takes
31 polls, and its end is noticed half an interval late on average."""
REMAINING_PART: Final = 0.5
"""Where the exchange reports progress, the next poll comes after this part of the estimated rest."""
MARGIN_PART: Final = 0.01
"""Near its end a search is polled at its estimated end, plus this part of the time waited."""
_SOME_PROGRESS: Final = 0.03  # a smaller difference gives no estimate
_KEPT: Final = 200

Progress = tuple[float, float]
"""Seconds waited, and the part that was done then, from 0 to 1."""


class Polls(Struct, frozen=True, kw_only=True):
    """The polls of one search so far; what DocEx_CheckStatus saves."""

    polls: int = 0
    next: float = 0.0
    """When the next poll is due, in seconds since the epoch."""
    progress: float | None = None
    """The part that is done, as the exchange reports it."""
    first: Progress | None = None
    """The first reported progress."""
    times: list[float] = field(name="asked", default_factory=list)
    """The latest polls, in seconds since the search was accepted."""
    gone: bool = False
    """Whether the last answer was that there is no such search."""
    doubts: int = 0
    """How many answers in a row were a failure of the search, by a FHIR server."""
    unreadable: int = 0
    """How many results could not be read."""

    @classmethod
    def of(cls, step: Step, search: Search) -> "Polls":
        """The polls that an earlier attempt of the step noted, else none."""
        return step.saved(cls) or cls.none(search)

    @classmethod
    def none(cls, search: Search) -> "Polls":
        """The state before the first poll."""
        soonest = POLL_FASTEST_S if search.ask_after is None else search.ask_after
        return cls(next=search.at + soonest)

    def counted(self, search: Search, now: float) -> "Polls":
        """With one poll more, answered at `now`."""
        times = [*self.times, round(now - search.at, 1)][-_KEPT:]
        return replace(self, polls=self.polls + 1, times=times)

    def unfinished(
        self, search: Search, now: float, retry_after: float | None, progress: float | None
    ) -> "Polls":
        """With one poll more, to which the search is not over yet.

        Args:
            search: the search.
            now: when the answer came.
            retry_after: of the answer, in seconds.
            progress: the part that is done, as the exchange reports it.
        """
        waited = now - search.at
        last = None if progress is None else (waited, min(1.0, max(0.0, progress)))
        first = self.first or last
        moves = progress is not None and progress > (self.progress or 0.0)
        return replace(
            self.counted(search, now),
            next=now + next_poll(waited, retry_after, first, last, moves=moves),
            progress=progress,
            first=first,
            gone=False,
            doubts=0,
            unreadable=0,
        )

    def note(self, step: Step) -> "Polls":
        """Keep the state in the checkpoint; returns itself."""
        step.note(self)
        return self


def next_poll(
    waited: float,
    retry_after: float | None,
    first: Progress | None,
    last: Progress | None,
    *,
    moves: bool = True,
) -> float:
    """Seconds until the next poll.

    Args:
        waited: seconds since the search was accepted.
        retry_after: of the last answer, in seconds; the next poll is not sooner.
        first: the first progress that the exchange reported, None if it reported none.
        last: the latest.
        moves: whether the progress grew since the poll before; without that no end is near.
    """
    pause = POLL_BASE_S + waited * POLL_PART
    if first is not None and last is not None and last[1] - first[1] >= _SOME_PROGRESS:
        remaining = (1 - last[1]) * (last[0] - first[0]) / (last[1] - first[1])
        usual = POLL_BASE_S + waited * POLL_PART / 2
        pause = max(usual, remaining * REMAINING_PART)
        if pause == usual and moves:
            pause = min(usual, remaining + POLL_BASE_S + waited * MARGIN_PART)
    return max(POLL_FASTEST_S, min(POLL_SLOWEST_S, pause), retry_after or 0.0)


async def sleep_until(step: Step, when: float, clock: Clock, longest: float) -> None:
    """Wait for the next poll, at most `longest` seconds: the clock may have been set."""
    now = clock()
    if when > now:
        await step.until(min(when, now + longest), Wait(WaitKind.POLL, "docex.status", now, when))
