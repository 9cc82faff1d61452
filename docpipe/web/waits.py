"""What runs have waited for since this process began, for the timeline of each; the latest of them only."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from docpipe.engine.run import ActiveRun
from docpipe.model import Json, WaitKind
from docpipe.util.times import iso

RUNS: Final = 1000
"""Of so many runs, those that waited last, something is remembered."""
OF_EACH: Final = 100


@dataclass(slots=True)
class _Waited:
    activity: str
    kind: WaitKind
    what: str
    since: float
    until: float | None = None


class Waits:
    """A history for each run."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, list[_Waited]] = OrderedDict()

    def note(self, run: ActiveRun, now: float) -> None:
        """Note what a run waits for now, if anything."""
        step = next(iter(run.active.values()), None)
        wait = step.ticket.wait if step is not None else None
        if step is None or wait is None:
            self.end(run.id, now)
            return
        found = _Waited(step.activity, wait.kind, wait.what, wait.since)
        waits = self._of.setdefault(run.id, [])
        if waits and waits[-1] == found:  # it goes on
            return
        self.end(run.id, now)
        waits.append(found)
        del waits[:-OF_EACH]
        self._of.move_to_end(run.id)
        while len(self._of) > RUNS:
            self._of.popitem(last=False)

    def end(self, run_id: str, now: float) -> None:
        """The run waits no longer."""
        waits = self._of.get(run_id)
        if waits and waits[-1].until is None:
            waits[-1].until = now

    def of(self, run_id: str) -> list[Json]:
        """What a run has waited for, in order."""
        return [
            {
                "activity": waited.activity,
                "kind": waited.kind,
                "what": waited.what,
                "since": iso(waited.since),
                "until": iso(waited.until),
            }
            for waited in self._of.get(run_id, ())
        ]
