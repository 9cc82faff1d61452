"""Checks: whether the parts can be used, whether what docpipe has kept is sound, and how to mend what is not.

A trial is a function from the bench to what is fit and what is not. A check is a function from the scene to
its findings: it reads, in a thread. Both may run beside a docpipe at work. A new one goes into `TRIALS` or
`CHECKS`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Final

from docpipe.check import parts, state
from docpipe.check.finding import Bench, Finding, Fit, Scene
from docpipe.check.repair import Mended, repair
from docpipe.check.services import services
from docpipe.check.storage import storage

Trial = Callable[[Bench], AsyncIterator[Fit | Finding]]
Check = Callable[[Scene], Iterator[Finding]]

TRIALS: Final[tuple[Trial, ...]] = (
    parts.configuration,
    services,
    parts.patients,
    parts.storage,
    parts.converters,
    parts.ocr,
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
    """What can be used and what cannot, one part after the other."""
    for trial in TRIALS:
        async for told in trial(bench):
            yield told


async def findings(scene: Scene) -> AsyncIterator[Finding]:
    """What every check finds, one after the other: no more of it is held than one patient's."""
    for check in CHECKS:
        found = check(scene)
        while (finding := await asyncio.to_thread(next, found, None)) is not None:
            yield finding
