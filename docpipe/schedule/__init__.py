"""Schedules: patients whom a service retrieves again and again, spread over time.

Imports `checkpoints`, `patients` and below.
"""

from docpipe.schedule.members import members_of
from docpipe.schedule.roster import Due, Roster
from docpipe.schedule.rounds import Cron, Period, Round, Rounds, rounds_of
from docpipe.schedule.scheduler import Agenda, Scheduler, ScheduleView

__all__ = [
    "Agenda",
    "Cron",
    "Due",
    "Period",
    "Roster",
    "Round",
    "Rounds",
    "ScheduleView",
    "Scheduler",
    "members_of",
    "rounds_of",
]
