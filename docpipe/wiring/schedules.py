"""The schedules that the configuration names."""

from docpipe.checkpoints import Checkpoints
from docpipe.config.config import Config
from docpipe.config.schedule import Schedule
from docpipe.engine.engine import Engine
from docpipe.patients import PatientDatabase
from docpipe.schedule import Scheduler, members_of


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

    return Scheduler(
        config.schedule,
        agenda=checkpoints.agenda,
        submit=engine.accept,
        members=members,
        clock=engine.clock,
        paused=lambda: engine.paused_since is not None,
    )
