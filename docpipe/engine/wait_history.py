"""The wait history of a run: spans of time, kept with the run for its report."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from docpipe.checkpoints import Span
from docpipe.model import Wait

MOST: Final = 40
"""Spans kept; older ones are dropped."""
_CLOSE_S: Final = 2.0
"""Two waits for the same thing with a shorter gap are one: between two polls is an answer."""


class WaitHistory:
    """The spans of one run.

    Args:
        spans: those of an earlier process; one that lasted when the process ended has no end.
    """

    __slots__ = ("spans",)

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans = [replace(span) for span in spans]

    def note(self, activity: str, wait: Wait | None, now: float) -> None:
        """Note what the run waits for from now on, None if it does not wait."""
        last = self.spans[-1] if self.spans else None
        if wait is None:
            if last is not None and last.until is None:
                last.until = now
            return
        if last is not None and _is_continued(last, activity, wait):
            last.until = None
            return
        self.note(activity, None, now)
        self.spans.append(Span(activity=activity, kind=wait.kind, what=wait.what, since=wait.since))
        del self.spans[:-MOST]


def _is_continued(last: Span, activity: str, wait: Wait) -> bool:
    if (last.activity, last.kind, last.what) != (activity, wait.kind, wait.what):
        return False
    return last.until is None or wait.since - last.until < _CLOSE_S
