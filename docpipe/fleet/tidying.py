"""Removes what no run needs any more from the storage: large payloads, and the spool of terminated runs.

Payloads are below the id of their workflow. They are needed for as long as Temporal keeps a history of it, so
that those go that are older than the oldest history that is left. Each worker looks at a few, now and then.
"""

import random
import time
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from docpipe.checkpoints.answers import KEPT_S
from docpipe.fleet.payloads import AGAIN_S, PAYLOADS, SHARED
from docpipe.fleet.replies import REPLIES
from docpipe.fleet.spool import SPOOL
from docpipe.model import Clock
from docpipe.storage.blobs import Blobs

log = structlog.get_logger(__name__)

_FOLDERS: Final = 200
"""This many folders are looked at by one call."""
_MARGIN_S: Final = 2 * AGAIN_S
"""A payload is written before the history that refers to it begins, or again after so long at most."""
_LEFT_S: Final = 30 * 86400.0
"""What is in the spool for so long belongs to a run that was terminated."""


async def tidy(
    client: Client, blobs: Blobs, prefix: str, clock: Clock = time.time, rng: random.Random | None = None
) -> int:
    """Remove what no run needs; returns how many files.

    Args:
        client: the connection to Temporal.
        blobs: the storage.
        prefix: of the fleet, whose workflows' ids begin with it.
        clock: the wall clock.
        rng: chooses the folders.

    Raises:
        RPCError: if Temporal does not answer.
        OSError: if the storage does not.
    """
    rng = rng or random.Random()
    mine = [name for name in await blobs.folders(PAYLOADS) if name.startswith(f"{prefix}:")]
    removed = 0
    for name in rng.sample(mine, min(_FOLDERS, len(mine))):
        before = min(await _oldest(client, name), clock()) - _MARGIN_S
        removed += await _remove_older(blobs, f"{PAYLOADS}/{name}", before)
    runs = await blobs.folders(SPOOL)
    for name in rng.sample(runs, min(_FOLDERS, len(runs))):
        removed += await _remove_older(blobs, f"{SPOOL}/{name}", clock() - _LEFT_S)
    removed += await _remove_older(blobs, f"{REPLIES}/{prefix}", clock() - KEPT_S)
    return removed + await _remove_older(blobs, f"{PAYLOADS}/{SHARED}", clock() - _LEFT_S)


async def _oldest(client: Client, workflow: str) -> float:
    """When the oldest history of a workflow that Temporal keeps began; infinite where there is none."""
    oldest = float("inf")
    async for one in client.list_workflows(f"WorkflowId = '{workflow}'"):
        oldest = min(oldest, one.start_time.timestamp())
    return oldest


async def _remove_older(blobs: Blobs, folder: str, before: float) -> int:
    old = [name for name, written in (await blobs.written(folder)).items() if written < before]
    await blobs.delete(old)
    return len(old)


async def tidy_once(client: Client, blobs: Blobs, prefix: str) -> None:
    """The same, where nobody waits for it."""
    try:
        removed = await tidy(client, blobs, prefix)
    except (RPCError, OSError) as error:
        log.warning("storage_not_tidied", reason=getattr(error, "strerror", None) or type(error).__name__)
    else:
        if removed:
            log.info("storage_tidied", files=removed)
