"""Figures of one machine: services, quotas, workers, disks, throughput, and the expected end."""

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from docpipe.api import shapes
from docpipe.api.machines import Disk
from docpipe.api.shapes import moment
from docpipe.app import Docpipe
from docpipe.checkpoints import Checkpoints
from docpipe.gates import Outage, Quota, Service

_OUTAGES: Final = 50


def services_view(docpipe: Docpipe) -> shapes.Services:
    """Everything but the disks."""
    workers = docpipe.workers.snapshot()
    return shapes.Services(
        paused=moment(docpipe.engine.paused_since),
        services=gates_view(docpipe.services.values(), docpipe.quotas),
        workers=shapes.Workers(size=workers.size, busy=workers.busy, waiting=workers.waiting),
        checkpoints=_checkpoints(docpipe.checkpoints),
    )


def gates_view(services: Iterable[Service], quotas: Mapping[str, Quota]) -> list[shapes.Service]:
    """Services with their quotas."""
    return [_service(service, quotas) for service in services]


def _checkpoints(checkpoints: Checkpoints) -> shapes.CheckpointDatabase:
    trouble = checkpoints.trouble
    return shapes.CheckpointDatabase(
        full_since=moment(checkpoints.full_since),
        trouble=trouble.sentence("state folder") if trouble else None,
        trouble_since=moment(checkpoints.trouble_since),
    )


def _service(service: Service, quotas: Mapping[str, Quota]) -> shapes.Service:
    view = service.view()
    outage = view.outage
    state = "paused" if view.paused_since is not None else "up" if view.up else "down"
    past = [*view.past, outage] if outage else list(view.past)
    return shapes.Service(
        name=view.name,
        state=state,
        since=moment(view.paused_since if state == "paused" else outage.since if outage else None),
        failures=outage.probes if outage else 0,
        next_probe=moment(outage.next_probe) if outage and state == "down" else None,
        paused=moment(view.paused_since),
        quotas=[_quota(quota) for name, quota in quotas.items() if name.split(".")[0] == view.name],
        outages=[_outage(outage) for outage in past[-_OUTAGES:]],
    )


def _quota(quota: Quota) -> shapes.Quota:
    view = quota.view()
    return shapes.Quota(
        name=view.name,
        rate=str(view.rate) if view.rate else None,
        used=view.used,
        of=view.rate.n if view.rate else None,
        waiting=view.waiting,
        next_at=moment(view.closed_until),
    )


def _outage(outage: Outage) -> shapes.PastOutage:
    return shapes.PastOutage(since=moment(outage.since), until=moment(outage.until), reason=outage.reason)


async def disks_view(state: Path, storage: Path | None) -> Disk:
    """Free bytes in the state folder, and where the storage is a folder, in that."""
    return Disk(
        state_free_bytes=await asyncio.to_thread(_free, state),
        storage_free_bytes=await asyncio.to_thread(_free, storage) if storage else None,
    )


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
