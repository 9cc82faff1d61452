"""The result of one simulation."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from docpipe.plan.hours import SEARCHES, Hour, hours
from docpipe.plan.setup import Setup
from docpipe.plan.simulate import simulate


@dataclass(frozen=True, slots=True)
class Course:
    """How it would go."""

    done_s: float
    """When the last run has ended, in seconds from the start."""
    hours: list[Hour]
    failed: int
    late_s: float
    """How late docpipe finds out that a search is ready, on average."""
    polls: float
    """Questions a search."""
    spool_b: int
    """The most that is in the spool."""
    stored_b: int
    """What comes out of the archives."""
    ended: list[float]
    """When each run ended, in order."""

    @property
    def main_bottleneck(self) -> str:
        """What delays the runs longest."""
        held: Counter[str] = Counter()
        for hour in self.hours:
            held[hour.bottleneck] += round(hour.seconds)
        return max(held, key=held.__getitem__, default=SEARCHES)


def course(setup: Setup, progress: Callable[[float], None] = lambda _: None) -> Course:
    """Simulate it.

    Args:
        setup: what it depends on.
        progress: called with the part of the runs that has ended.
    """
    trace = simulate(setup, progress)
    late = [noticed - ready for noticed, ready in zip(trace.noticed, trace.ready, strict=True)]
    asked = len(trace.requests.get("docex.status", ()))
    return Course(
        done_s=trace.done_s,
        hours=hours(setup, trace),
        failed=trace.failed,
        late_s=statistics.fmean(late) if late else 0.0,
        polls=asked / len(late) if late else 0.0,
        spool_b=_most(trace.spool),
        stored_b=trace.stored_b,
        ended=sorted(trace.ended),
    )


def _most(changes: Iterable[tuple[float, int]]) -> int:
    most = now = 0
    for _, size in sorted(changes):
        now += size
        most = max(most, now)
    return most
