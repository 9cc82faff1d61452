"""The task queues of a fleet: one for each service, so that an outage of one delays no other."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from docpipe.model import PRIORITY_WORTH_S, Activity

PIPELINE: Final = 1
"""Changes with each change of the pipeline after which old histories could not be replayed. Runs stay with
workers of the release that began them."""


COMPUTE_S: Final = 30
"""For this long a worker may compute the next steps of a run. After it Temporal gives those of a long run to
another worker; those of any other run after 10 s."""


class Queue(StrEnum):
    """What `docpipe worker --queues` names."""

    BEGIN = "begin"  # up to the search: few at a time, and who is further goes first
    DOCEX = "docex"  # polls and downloads
    TRACKER = "tracker"  # the task's status, reports, the end of runs
    CONVERT = "convert"  # conversions, each with the storing of its document


_TASKS: Final = 100
_BEGINNING: Final = 8
DOWNLOADS: Final = "downloads"
NOTICES: Final = "notices"
"""Notifications have a queue of their own, so that an outage of their receiver delays nothing else."""
_NOTICES: Final = 8
OF_ACTIVITY: Final = {
    Activity.GET_PATIENT: Queue.BEGIN,
    Activity.CREATE_TASK: Queue.BEGIN,
    Activity.SEARCH: Queue.BEGIN,
    Activity.CHECK_STATUS: Queue.DOCEX,
    Activity.DOWNLOAD: DOWNLOADS,
    Activity.CONVERT: Queue.CONVERT,
    Activity.STORE: Queue.CONVERT,
    Activity.UPDATE_STATUS: Queue.TRACKER,
    Activity.REPORT: Queue.TRACKER,
    Activity.APPEND_REPORT: Queue.TRACKER,
}
_LEVELS: Final = (0, 1, 5)
"""docpipe's priorities from which on Temporal's key is smaller by one: it has five, and docpipe nineteen."""
_LEAST: Final = 4
"""The key of priorities below all of these."""
FURTHER: Final = {Activity.GET_PATIENT: 1, Activity.CREATE_TASK: 0, Activity.SEARCH: -1}
"""Added to the key of a priority, smaller first: hardly any run is begun that cannot search soon."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How many tasks of a queue a worker has at a time."""

    name: str
    tasks: int


def slots_of(queue: Queue, *, downloads: int, conversions: int) -> list[Slots]:
    """The task queues behind a name, with the tasks that one worker may have.

    Args:
        queue: the name.
        downloads: archives that one worker fetches at a time.
        conversions: documents that one worker converts at a time, as its memory allows.
    """
    if queue is Queue.BEGIN:
        return [Slots(queue, _BEGINNING)]
    if queue is Queue.CONVERT:
        return [Slots(queue, conversions + 1)]  # one more is fetched and stored meanwhile
    if queue is Queue.DOCEX:
        return [Slots(queue, _TASKS), Slots(DOWNLOADS, downloads)]
    return [Slots(queue, _TASKS), Slots(NOTICES, _NOTICES)]


def task_queue(prefix: str, name: str, pipeline: int = PIPELINE) -> str:
    """The name of a queue of activities in Temporal, which fleets may share.

    Args:
        prefix: of the fleet.
        name: of the queue.
        pipeline: of the release that began the run; its activities, too, are for workers of that release.
    """
    return f"{prefix}-{name}" if pipeline == 1 else f"{prefix}-{name}-{pipeline}"


def run_queue(prefix: str, pipeline: int = PIPELINE) -> str:
    """The queue of workflow tasks of the runs that a release began."""
    return f"{prefix}-runs-{pipeline}"


def priority_key(priority: float, activity: Activity, waited: float = 0.0) -> int:
    """Temporal's priority of a task, 1 to 5, smaller first, from docpipe's -9 to 9.

    Temporal gives a task to nobody while there is one of a smaller key. So that no run starves, one that has
    waited in line counts as of a higher priority, by the rule of all lines.

    Args:
        priority: of the run.
        activity: of the task.
        waited: seconds for which it has been in line.
    """
    level = _LEAST - sum(priority + waited / PRIORITY_WORTH_S >= least for least in _LEVELS)
    return min(5, max(1, level + FURTHER.get(activity, 0)))


def next_key_in(priority: int, activity: Activity, waited: float) -> float | None:
    """Seconds until a task that waits in line has a smaller key; None where it has the smallest."""
    key = priority_key(priority, activity, waited)
    for least in _LEVELS:
        if priority_key(least, activity) < key:
            return max(1.0, (least - priority) * PRIORITY_WORTH_S - waited)
    return None
