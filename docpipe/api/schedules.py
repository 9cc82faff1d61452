"""Schedules and notifications, as the API sends them; see `api.shapes`."""

from typing import Final

from docpipe.api.shapes import Count, Priority, Shape, Time


class Schedule(Shape, frozen=True, kw_only=True):
    """Patients who are retrieved again and again."""

    name: str
    patients: list[str]
    """`all`, a file, or conditions."""
    every: str
    """A time such as `7d`, or a cron expression."""
    zone: str
    """Of the cron expression."""
    priority: Priority
    members: Count | None
    """How many patients it is for, None while that is unknown."""
    next_at: Time | None
    """When the next patient is due, None while it is paused."""
    last_at: Time | None
    """When runs were last begun."""
    begun: Count
    """How many runs have begun in its latest round."""
    paused: Time | None
    """Since when it is paused."""
    trouble: str | None
    """Why its patients cannot be read now; those of before stay."""


class Schedules(Shape, frozen=True, kw_only=True):
    """What is retrieved again by plan."""

    schedules: list[Schedule]


class Notifications(Shape, frozen=True, kw_only=True):
    """How the notifications of ended runs stand."""

    configured: bool
    """Whether there is a receiver."""
    waiting: Count
    """How many were not delivered yet."""
    delivered: Count
    """How many were, since the service started."""
    last_at: Time | None
    """When the last one was."""
    stopped: bool
    """Whether the receiver has unsubscribed (410)."""


SHAPES: Final = (Schedules, Notifications)
"""From which every other is reached."""
