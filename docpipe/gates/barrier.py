"""The barrier between a quota's line and the service behind it: closed during an outage or a pause."""

from typing import Protocol

from docpipe.model import Wait


class WaitingLine(Protocol):
    """A line before a barrier, as far as the barrier uses it."""

    def rank(self, now: float) -> float:
        """How often the caller at the head of the line has failed, infinite if none can be admitted."""

    def barrier_changed(self) -> None:
        """Recheck the barrier, and update what the callers in line wait for."""

    def recheck(self) -> None:
        """Check again whether the next caller may pass: one at the barrier has left."""


class Barrier(Protocol):
    """What the callers of a line have to pass."""

    def obstacle(self, line: WaitingLine, now: float) -> float:
        """Seconds for which no caller of this line may pass, infinite until something changes."""

    def admitted(self) -> None:
        """A caller was admitted."""

    def withdrawn(self) -> None:
        """A caller who was admitted, or waited in the line, has given up."""

    def wait(self) -> Wait | None:
        """What the callers in line wait for, None while the barrier is open."""


class OpenBarrier:
    """A barrier that never closes."""

    def obstacle(self, line: WaitingLine, now: float) -> float:  # noqa: ARG002 -- the protocol's
        """Return 0: nothing is in the way."""
        return 0.0

    def admitted(self) -> None:
        """Do nothing: every caller may pass."""

    def withdrawn(self) -> None:
        """Do nothing: no other caller waits for this one."""

    def wait(self) -> Wait | None:
        """Return None: no caller waits here."""
        return None
