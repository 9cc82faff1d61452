"""Schedules and notifications in `docpipe status`, as the owner of the state folder recorded them."""

from collections.abc import Iterator
from typing import Any

from docpipe.checkpoints import StoredSchedule, read_schedules, waiting_notifications
from docpipe.cli.words import print_line, time_words
from docpipe.config.config import Config
from docpipe.util.times import iso


def plans_json(config: Config) -> dict[str, Any]:
    """Both as `--json` prints them; times are ISO 8601 in UTC."""
    waiting, oldest = waiting_notifications(config.state_dir)
    return {
        "schedules": [
            {
                "name": stored.name,
                "next_at": None if stored.paused else iso(stored.next_at),
                "last_at": iso(stored.last_at),
                "begun": stored.begun,
                "paused_at": iso(stored.paused),
            }
            for stored in read_schedules(config.state_dir)
        ],
        "notifications": {"waiting": waiting, "oldest_at": iso(oldest)},
    }


def print_plans(config: Config) -> None:
    """Print both for people."""
    for line in _lines(config):
        print_line(line)


def _lines(config: Config) -> Iterator[str]:
    for stored in read_schedules(config.state_dir):
        yield f"schedule  {stored.name}: {_stands(stored)}"
    waiting, oldest = waiting_notifications(config.state_dir)
    if waiting and oldest is not None:
        count = "1 notification waits" if waiting == 1 else f"{waiting} notifications wait"
        yield f"notify    {count} to be delivered, the first since {time_words(oldest)}"


def _stands(stored: StoredSchedule) -> str:
    if stored.paused is not None:
        now = f"paused since {time_words(stored.paused)}"
    else:
        now = f"next {time_words(stored.next_at)}" if stored.next_at is not None else "nobody is due"
    if stored.last_at is None:
        return f"{now}; nothing has begun yet"
    return f"{now}; last {time_words(stored.last_at)}, {stored.begun} begun in that round"
