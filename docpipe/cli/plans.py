"""Schedules and notifications in `docpipe status`, as they were recorded last."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from docpipe.checkpoints import StoredSchedule, read_schedules, waiting_notifications
from docpipe.cli.phrases import print_line, time_words
from docpipe.config.config import Config
from docpipe.util.times import iso


class Plans(NamedTuple):
    """The state of schedules and notifications."""

    schedules: Sequence[StoredSchedule]
    waiting: int
    """Notifications that were not delivered yet."""
    oldest: float | None = None
    """Since when the first of them waits, where that is known."""


def plans_of(config: Config) -> Plans:
    """The schedules and notifications of a state folder."""
    return Plans(read_schedules(config.state_dir), *waiting_notifications(config.state_dir))


def plans_json(plans: Plans) -> dict[str, Any]:
    """Both as `--json` prints them; times are ISO 8601 in UTC."""
    return {
        "schedules": [
            {
                "name": stored.name,
                "next_at": None if stored.paused else iso(stored.next_at),
                "last_at": iso(stored.last_at),
                "begun": stored.begun,
                "paused_at": iso(stored.paused),
            }
            for stored in plans.schedules
        ],
        "notifications": {"waiting": plans.waiting, "oldest_at": iso(plans.oldest)},
    }


def print_plans(plans: Plans) -> None:
    """Print both for people."""
    for line in _lines(plans):
        print_line(line)


def _lines(plans: Plans) -> Iterator[str]:
    for stored in plans.schedules:
        yield f"schedule  {stored.name}: {_stands(stored)}"
    if plans.waiting:
        count = "1 notification waits" if plans.waiting == 1 else f"{plans.waiting} notifications wait"
        since = "" if plans.oldest is None else f", the first since {time_words(plans.oldest)}"
        yield f"notify    {count} to be delivered{since}"


def _stands(stored: StoredSchedule) -> str:
    if stored.paused is not None:
        now = f"paused since {time_words(stored.paused)}"
    else:
        now = f"next {time_words(stored.next_at)}" if stored.next_at is not None else "nobody is due"
    if stored.last_at is None:
        return f"{now}; no run has started yet"
    return f"{now}; last {time_words(stored.last_at)}, {stored.begun} begun in that round"
