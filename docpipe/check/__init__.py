"""Checks: whether what docpipe has kept is sound, and how to mend what is not.

A check is a function from the scene to its findings. They read, in a thread, and may run beside a docpipe at
work. A new one goes into `CHECKS`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from docpipe.check import state
from docpipe.check.finding import Finding, Scene
from docpipe.check.repair import Mended, repair
from docpipe.check.storage import storage

Check = Callable[[Scene], Iterator[Finding]]

CHECKS: Final[tuple[Check, ...]] = (state.database, state.folder, state.log, storage)
"""In the order in which they are made."""

__all__ = ["CHECKS", "Check", "Finding", "Mended", "Scene", "findings", "repair"]


async def findings(scene: Scene) -> AsyncIterator[Finding]:
    """What every check finds, one after the other: no more of it is held than one patient's."""
    for check in CHECKS:
        found = check(scene)
        while (finding := await asyncio.to_thread(next, found, None)) is not None:
            yield finding
