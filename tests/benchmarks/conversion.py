"""What isolation costs: documents through the worker pool, against the plain call in this process."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docpipe.convert.preload
from docpipe.convert.document import convert
from docpipe.model import Ticket
from docpipe.service import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers
from fakes.documents import cda, office, pdfs
from fakes.documents.story import tell
from fakes.patients import Person

SMALL = 300
"""Documents of each measurement."""


def documents(folder: Path) -> list[Path]:
    """One short text, one C-CDA, one PDF: the kinds that archives are full of."""
    story = tell(0, Person("P123", "Ann", "Lee", "1957-03-31"))
    made = {
        ".txt": office.text_cp1252(story),
        ".xml": cda.continuity_of_care(story),
        ".pdf": pdfs.letter(story),
    }
    paths = []
    for suffix, data in made.items():
        paths.append(folder / f"document{suffix}")
        paths[-1].write_bytes(data)
    return paths


def jobs(path: Path, folder: Path, number: int) -> list[dict[str, Any]]:
    """So many jobs, each with a folder of its own."""
    made = []
    for count in range(number):
        out = folder / f"out-{path.name}-{count}-{time.monotonic_ns()}"
        out.mkdir()
        made.append({"path": str(path), "name": path.name, "declared": None, "folder": str(out)})
    return made


async def _pooled(path: Path, folder: Path, size: int) -> float:
    """Seconds a document, with as many callers as workers."""
    async with Workers(CONVERTER, preload=PRELOAD, size=size, memory=2**30, timeout=300) as workers:
        await asyncio.gather(*(workers.run(job, Ticket()) for job in jobs(path, folder, size)))  # warm
        waiting = iter(jobs(path, folder, SMALL))

        async def caller() -> None:
            for job in waiting:
                await workers.run(job, Ticket())

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(size)))
        return (time.perf_counter() - began) / SMALL


def _inside(path: Path, folder: Path) -> float:
    convert(jobs(path, folder, 1)[0])
    waiting = jobs(path, folder, SMALL)
    began = time.perf_counter()
    for job in waiting:
        convert(job)
    return (time.perf_counter() - began) / SMALL


def conversion(_: Callable[..., float]) -> dict[str, float]:
    """ms a document in this process (the yardstick), in one worker, and documents a second in all."""
    assert docpipe.convert.preload  # imports once, as the nursery does
    cpus = len(os.sched_getaffinity(0))
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for path in documents(Path(name)):
            kind = path.suffix[1:]
            inside = _inside(path, Path(name))
            one = asyncio.run(_pooled(path, Path(name), 1))
            each = asyncio.run(_pooled(path, Path(name), cpus))
            figures |= {
                f"{kind}_call_ms": 1000 * inside,
                f"{kind}_worker_ms": 1000 * one,
                f"{kind}_added_ms": 1000 * (one - inside),
                f"{kind}_per_s": 1 / each,
                f"{kind}_of_ideal": inside / cpus / each,
            }
    return figures
