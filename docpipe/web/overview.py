"""How services, quotas, workers and disks stand, what has been done, and when all of it should be done."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docpipe.app import Docpipe
from docpipe.gates import Outage, Quota, Service
from docpipe.model import Json
from docpipe.util.times import iso

_OUTAGES: Final = 50


def services_view(docpipe: Docpipe) -> dict[str, Json]:
    """Everything but the disks."""
    workers = docpipe.workers.snapshot()
    return {
        "paused": iso(docpipe.engine.paused_since),
        "services": [_service(service, docpipe.quotas) for service in docpipe.services.values()],
        "workers": {"size": workers.size, "busy": workers.busy, "waiting": workers.waiting},
        "checkpoints": {"full_since": iso(docpipe.checkpoints.full_since)},
    }


def _service(service: Service, quotas: Mapping[str, Quota]) -> dict[str, Json]:
    view = service.view()
    outage = view.outage
    state = "paused" if view.paused_since is not None else "up" if view.up else "down"
    past = [*view.past, outage] if outage else list(view.past)
    return {
        "name": view.name,
        "state": state,
        "since": iso(view.paused_since if state == "paused" else outage.since if outage else None),
        "failures": outage.probes if outage else 0,
        "next_probe": iso(outage.next_probe) if outage and state == "down" else None,
        "paused": iso(view.paused_since),
        "quotas": [_quota(quota) for name, quota in quotas.items() if name.split(".")[0] == view.name],
        "outages": [_outage(outage) for outage in past[-_OUTAGES:]],
    }


def _quota(quota: Quota) -> dict[str, Json]:
    view = quota.view()
    return {
        "name": view.name,
        "rate": str(view.rate) if view.rate else None,
        "used": view.used,
        "of": view.rate.n if view.rate else None,
        "waiting": view.waiting,
        "next_at": iso(view.closed_until),
    }


def _outage(outage: Outage) -> dict[str, Json]:
    return {"since": iso(outage.since), "until": iso(outage.until), "reason": outage.reason}


async def disks_view(docpipe: Docpipe) -> dict[str, Json]:
    """Free bytes."""
    state, storage = docpipe.config.state_dir, docpipe.storage.folder
    return {
        "state_free_bytes": await asyncio.to_thread(_free, state),
        "storage_free_bytes": await asyncio.to_thread(_free, storage) if storage else None,
    }


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
