"""When to ask after a search: paced by time, progress and Retry-After, and kept in the checkpoint."""

import asyncio
from typing import Final

from docpipe.gates.line import waiting
from docpipe.model import Clock, Json, Step, Wait, WaitKind

POLL_FASTEST_S: Final = 1.0
POLL_SLOWEST_S: Final = 300.0
POLL_BASE_S: Final = 2.0
POLL_PART: Final = 0.18
"""A question comes this part of the time already waited, and `POLL_BASE_S`, after the last: found out half
that late in the middle, a search of 30 minutes costs 31 questions."""
REMAINING_PART: Final = 0.5
"""Where the exchange tells its progress, half the time it seems to need is slept through."""
MARGIN_PART: Final = 0.01
"""Near its end a search is asked after when it should be over, and this part of the time waited later."""
_SOME_PROGRESS: Final = 0.03  # less says too little of how fast it goes
_KEPT: Final = 200

Progress = tuple[float, float]
"""Seconds waited, and what part was done then."""


def next_poll(
    waited: float,
    told: float | None,
    first: Progress | None,
    last: Progress | None,
    *,
    moves: bool = True,
) -> float:
    """Seconds until the next question.

    Args:
        waited: seconds since the search was accepted.
        told: the Retry-After of the last answer in seconds: not sooner than that.
        first: the first progress that the exchange told, None if it told none.
        last: the latest.
        moves: whether it was less at the question before: what stands still is not about to be over.
    """
    pause = POLL_BASE_S + waited * POLL_PART
    if first is not None and last is not None and last[1] - first[1] >= _SOME_PROGRESS:
        remaining = (1 - last[1]) * (last[0] - first[0]) / (last[1] - first[1])
        usual = POLL_BASE_S + waited * POLL_PART / 2
        pause = max(usual, remaining * REMAINING_PART)
        if pause == usual and moves:
            pause = min(usual, remaining + POLL_BASE_S + waited * MARGIN_PART)
    return max(POLL_FASTEST_S, min(POLL_SLOWEST_S, pause), told or 0.0)


def begun(search: Json) -> Json:
    """The state of asking after a search before the first question: plain JSON, for the checkpoint.

    Args:
        search: {"at" when it was accepted, "ask_after" seconds or None}.
    """
    soonest = POLL_FASTEST_S if search["ask_after"] is None else search["ask_after"]
    return {"polls": 0, "next": search["at"] + soonest, "progress": None, "first": None, "asked": []}


def asked(poll: Json, search: Json, now: float) -> list[float]:
    """When the latest questions were asked, this one included, in seconds since the search was accepted."""
    return [*poll["asked"], round(now - search["at"], 1)][-_KEPT:]


def polled(poll: Json, search: Json, now: float, told: float | None, progress: float | None) -> Json:
    """The state after a question whose answer is that the search goes on.

    Args:
        poll: the state before it.
        search: as of `begun`.
        now: when the answer came.
        told: its Retry-After, in seconds.
        progress: the part that is done, from 0 to 1, as the exchange tells it.
    """
    waited = now - search["at"]
    last = None if progress is None else (waited, min(1.0, max(0.0, progress)))
    first = poll["first"] or last
    moves = progress is not None and progress > (poll["progress"] or 0.0)
    return {
        "polls": poll["polls"] + 1,
        "next": now + next_poll(waited, told, first, last, moves=moves),
        "progress": progress,
        "first": first,
        "asked": asked(poll, search, now),
    }


async def sleep_until(step: Step, when: float, clock: Clock, longest: float) -> None:
    """Wait for the next question, at most `longest` seconds: the clock may have been set."""
    now = clock()
    if when > now:
        with waiting(step.ticket, Wait(WaitKind.POLL, "docex.status", now, when)):
            await asyncio.sleep(min(when - now, longest))
