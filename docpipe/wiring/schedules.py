"""The schedules that the configuration names."""

from docpipe.checkpoints import Checkpoints
from docpipe.config.config import Config
from docpipe.config.schedule import Schedule
from docpipe.engine.engine import Engine
from docpipe.patients import PatientDatabase
from docpipe.schedule import Due, Scheduler, members_of


def make_scheduler(
    config: Config, checkpoints: Checkpoints, patients: PatientDatabase, engine: Engine
) -> Scheduler:
    """The schedules, to be entered by the service.

    Args:
        config: names them.
        checkpoints: how far they are.
        patients: the database that lists their patients.
        engine: runs what they begin.
    """

    async def members(schedule: Schedule) -> list[str]:
        return await members_of(schedule, config.folder, patients)

    async def submit(schedule: Schedule, due: list[Due], now: float) -> None:
        """The note is written in the transaction of the runs."""
        note = checkpoints.agenda.begun(
            schedule.name, until=due[-1].at, now=now, round_start=due[0].round, runs=len(due)
        )
        await engine.accept([each.patient_id for each in due], schedule.priority, note)

    return Scheduler(
        config.schedule,
        agenda=checkpoints.agenda,
        submit=submit,
        members=members,
        clock=engine.clock,
        paused=lambda: engine.paused_since is not None,
    )
