"""The chart as one PDF: documents are gathered here and assembled in a confined worker."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

from docpipe.chart.contents import PDF, Contents
from docpipe.errors import WorkerCrashedError
from docpipe.model import Clock, Ticket
from docpipe.report.labels import one_line, title_of
from docpipe.storage import Storage
from docpipe.workers.answers import Conversion
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers

TARGET: Final = "docpipe.convert.writers.chart:assemble"
"""What the workers of a chart run."""
PRELOAD: Final = "docpipe.convert.preload_chart"
"""What is imported for them beforehand."""
_MOST_FACTS: Final = 5
"""This many times of retrieval stand on the cover."""


class Chart(Struct, frozen=True, kw_only=True):
    """What was written."""

    documents: int
    pages: int
    missing: list[tuple[str, str]]
    """Title and reason of what is not in it; the cover has the same."""


async def write_chart(
    storage: Storage, contents: Contents, target: Path, workers: Workers | InlineWorkers, *, clock: Clock
) -> Chart:
    """Write the chart of a patient, or of some runs, as a private file.

    Args:
        storage: is only read.
        contents: as `contents_of` read it.
        target: the file; replaced once the chart is complete. As much room is needed beside it again.
        workers: of `TARGET`.
        clock: the wall clock.

    Raises:
        WorkerError: if the worker did not survive it, or needed too long.
        OSError: if the storage cannot be read, or the file not be written.
    """
    with tempfile.TemporaryDirectory(prefix=".docpipe-", dir=target.parent) as folder:
        work = Path(folder)
        with (work / "documents").open("wb") as file:
            documents = [
                {"title": title_of(entry), "date": one_line((entry.date or "")[:10]), "size": size}
                for entry in contents.readable
                if (size := await _append(file, storage.read(contents.patient_id, PDF, document_id=entry.id)))
            ]
        plan = {**_cover(contents, clock), "documents": documents}
        await asyncio.to_thread((work / "plan").write_bytes, msgspec.json.encode(plan))
        (work / "out").mkdir(mode=0o700)
        job = {"path": str(work / "documents"), "siblings": str(work / "plan"), "folder": str(work / "out")}
        done: Conversion = (await workers.execute(job, Ticket())).value
        if done.outcome != "converted" or not isinstance(done.metadata.get("pages"), int):
            raise WorkerCrashedError("The chart could not be made.")
        await asyncio.to_thread(_publish, work / "out" / PDF, target)
    unreadable = [(title, "Its PDF cannot be opened.") for title in done.warnings]
    return Chart(
        documents=len(documents) - len(unreadable),
        pages=done.metadata["pages"],
        missing=[*contents.missing, *unreadable],
    )


def _publish(source: Path, target: Path) -> None:
    source.chmod(0o600)
    source.replace(target)


async def _append(file: BinaryIO, chunks: AsyncIterator[bytes]) -> int:
    """Bytes appended."""
    size = 0
    async for chunk in chunks:
        size += await asyncio.to_thread(file.write, chunk)
    return size


def _cover(contents: Contents, clock: Clock) -> dict[str, Any]:
    """Who, when, and what is missing."""
    patient = contents.patient
    name = one_line(f"{patient.family}, {patient.given}") if patient else ""
    made = datetime.fromtimestamp(clock(), UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = [
        ("Patient", one_line(contents.patient_id)),
        ("Born", one_line(patient.birth_date) if patient else ""),
        ("Sex", one_line(patient.sex) if patient else ""),
        *(("Retrieved", _moment(when)) for when in contents.retrieved[-_MOST_FACTS:]),
        ("This chart made", made),
        ("Documents", f"{len(contents.sizes)} in this chart, {len(contents.missing)} not in it"),
    ]
    return {
        "heading": name or f"Patient {one_line(contents.patient_id)}",
        "facts": [row for row in rows if row[1]],
        "missing": contents.missing,
    }


def _moment(when: str) -> str:
    """A time of ISO 8601 in UTC, to the minute."""
    return f"{one_line(when[:16].replace('T', ' '))} UTC" if when else ""
