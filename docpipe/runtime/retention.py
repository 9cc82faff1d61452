"""Retention: removal of old finished runs and logs. Documents are never removed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from docpipe.checkpoints import Checkpoints, believed, prune
from docpipe.errors import StateError
from docpipe.model import Clock
from docpipe.runtime.activity_log import ActivityLog

log = structlog.get_logger(__name__)

FIRST_S: Final = 60.0
EVERY_S: Final = 3600.0


@contextlib.asynccontextmanager
async def tidied(
    checkpoints: Checkpoints, activity_log: ActivityLog, keep: float | None, clock: Clock
) -> AsyncIterator[None]:
    """Once an hour, remove finished runs and rotated logs that are older than `keep` seconds."""
    if keep is None:
        yield
        return
    task = asyncio.create_task(_forever(checkpoints, activity_log, keep, clock), name="tidy")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _forever(checkpoints: Checkpoints, activity_log: ActivityLog, keep: float, clock: Clock) -> None:
    await asyncio.sleep(FIRST_S)
    while True:
        try:
            before = await believed(checkpoints, clock()) - keep
            await prune(checkpoints, before)
            await activity_log.prune(before)
        except (OSError, StateError) as error:
            log.warning("retention_failed", reason=str(error))
        await asyncio.sleep(EVERY_S)
