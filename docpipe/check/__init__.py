"""Checks: whether each part can be used, whether stored data is sound, and how to repair what is not.

Imports `fleet`, `wiring` and below.

A trial is a function from the bench to the parts that can be used and those that cannot. A check is a
function from the scene to its findings; it only reads, and runs in a thread. Both may run beside a docpipe at
work. A new one goes into `TRIALS` or `CHECKS`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Final

from docpipe.check import parts, plans, state
from docpipe.check.finding import Bench, Finding, Fit, Scene
from docpipe.check.fleet import fleet
from docpipe.check.office import libreoffice
from docpipe.check.repair import Mended, repair
from docpipe.check.services import services
from docpipe.check.storage import storage

Trial = Callable[[Bench], AsyncIterator[Fit | Finding]]
Check = Callable[[Scene], Iterator[Finding]]

TRIALS: Final[tuple[Trial, ...]] = (
    parts.configuration,
    parts.state_folder,
    parts.quota_store,
    fleet,
    services,
    parts.patients,
    plans.schedules,
    plans.receiver,
    parts.storage,
    parts.converters,
    parts.confinement,
    parts.ocr,
    libreoffice,
    parts.room,
)
"""In the order in which they are made."""
CHECKS: Final[tuple[Check, ...]] = (state.database, state.folder, state.log, storage)
"""Likewise."""

__all__ = [
    "CHECKS",
    "TRIALS",
    "Bench",
    "Check",
    "Finding",
    "Fit",
    "Mended",
    "Scene",
    "Trial",
    "findings",
    "repair",
    "trials",
]


async def trials(bench: Bench) -> AsyncGenerator[Fit | Finding, None]:
    """Try one part after the other: what can be used, and what cannot."""
    for trial in TRIALS:
        async for result in trial(bench):
            yield result


async def findings(scene: Scene) -> AsyncIterator[Finding]:
    """The findings of every check, one after the other; those of one patient at a time are in memory."""
    for check in CHECKS:
        results = check(scene)
        try:
            while (finding := await asyncio.to_thread(next, results, None)) is not None:
                yield finding
        except OSError as error:  # the next check may be about another folder
            cure = "correct its permissions, or run docpipe as the user who owns it"
            where = str(error.filename or scene.state)
            yield Finding(check.__name__, where, f"it cannot be read: {error.strerror}", cure)
