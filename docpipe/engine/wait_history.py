"""What a run has waited for so far: spans of time, kept with the run so that its report can tell of them."""

from typing import Final

from docpipe.model import Json, Wait

MOST: Final = 40
"""Of the spans, the last so many are kept."""
_CLOSE_S: Final = 2.0
"""Two waits for the same with less between them are one: between two questions there is an answer."""


class WaitHistory:
    """The spans of one run: {"activity", "kind", "what", "since", "until"}, in seconds since the epoch."""

    __slots__ = ("spans",)

    def __init__(self, spans: Json = None) -> None:
        """Go on from what an earlier process knew; what was waited for when it ended has no end."""
        self.spans: list[Json] = [dict(span) for span in spans or ()]

    def note(self, activity: str, wait: Wait | None, now: float) -> None:
        """Note what the run waits for from now on, if anything."""
        last = self.spans[-1] if self.spans else None
        if wait is None:
            if last is not None and last["until"] is None:
                last["until"] = now
            return
        about = {"activity": activity, "kind": wait.kind, "what": wait.what}
        if last is not None and about.items() <= last.items() and _continues(last, wait):
            last["until"] = None
            return
        self.note(activity, None, now)
        self.spans.append(about | {"since": wait.since, "until": None})
        del self.spans[:-MOST]


def _continues(last: Json, wait: Wait) -> bool:
    return last["until"] is None or wait.since - last["until"] < _CLOSE_S
