"""Every file of a folder through extraction and the worker pool, as in a run, and what became of it."""

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docpipe.archive import Limits, gather
from docpipe.errors import WorkerError
from docpipe.model import Outcome, Ticket
from docpipe.service import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers

DEEPEST: Final = 10
"""Documents in documents; a run has no such limit, since bytes that were seen before end it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file. Times in seconds, memory in bytes; both None where no worker was asked."""

    path: str
    outcome: str
    reason: str | None
    media_type: str | None = None
    warnings: tuple[str, ...] = ()
    pages: int | None = None
    words: int | None = None
    seconds: float | None = None
    memory: int | None = None
    escaped: bool = False
    """Whether the worker did not survive the document, or let an exception out."""


def files_of(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its path there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path for path in found}


@contextlib.asynccontextmanager
async def pool(workers: int, seconds: float = 300) -> AsyncIterator[Workers]:
    """The real workers with the limits of a run."""
    async with Workers(CONVERTER, preload=PRELOAD, size=workers, memory=2**30, timeout=seconds) as opened:
        yield opened


class Corpus:
    """Files being converted; `results` grows as they are done."""

    def __init__(self, workers: Workers, spool: Path, at_once: int) -> None:
        self.results: list[Result] = []
        self.worst_pause = 0.0
        """Seconds that the event loop was held up at most."""
        self._workers = workers
        self._spool = spool
        self._places = asyncio.Semaphore(at_once)
        self._numbers = iter(range(10**9))

    async def add(self, files: Mapping[str, Path]) -> None:
        """Take the files, and those in archives among them, and convert what is to be converted."""
        folder = self._spool / f"files-{next(self._numbers)}"
        folder.mkdir()
        entries = await asyncio.to_thread(gather, files, folder, Limits(members=1_000_000, total=2**40))
        siblings = {entry["path"]: str(folder / entry["file"]) for entry in entries if entry["file"]}
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                if entry["outcome"] is None:
                    path = folder / entry["file"]
                    group.create_task(self._one(path, entry["path"], None, siblings, frozenset()))
                else:
                    self.results.append(Result(entry["path"], entry["outcome"], entry["reason"]))

    async def _one(
        self, path: Path, name: str, declared: str | None, siblings: Mapping[str, str], above: frozenset[str]
    ) -> None:
        """One document, then the documents in it."""
        folder = self._spool / f"out-{next(self._numbers)}"
        folder.mkdir()
        job = {"path": str(path), "name": name, "declared": declared, "folder": str(folder)}
        try:
            async with self._places:
                answer = await self._workers.ask(job | {"siblings": dict(siblings)}, Ticket())
        except WorkerError as error:
            self.results.append(Result(name, "failed", str(error), escaped=True))
        else:
            self.results.append(_result(name, answer.value, answer.seconds, answer.peak))
            await self._embedded(answer.value["embedded"], name, above | {_digest(path)})
        await asyncio.to_thread(shutil.rmtree, folder)

    async def _embedded(self, parts: list[dict[str, Any]], name: str, above: frozenset[str]) -> None:
        for part in parts:
            path = Path(part["path"])
            if _digest(path) not in above and len(above) < DEEPEST:
                await self._one(path, f"{name}/{part['name']}", part["declared"], {}, above)

    async def watch(self) -> None:
        """Look how long the event loop is held up, until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            self.worst_pause = max(self.worst_pause, time.perf_counter() - began - 0.002)


def _result(name: str, done: dict[str, Any], seconds: float, memory: int) -> Result:
    return Result(
        path=name,
        outcome=Outcome(done["outcome"]),
        reason=done["reason"],
        media_type=done["media_type"],
        warnings=tuple(done["warnings"]),
        pages=done["metadata"]["pages"],
        words=done["metadata"]["words"],
        seconds=seconds,
        memory=memory,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def percentile(values: list[float], share: float) -> float:
    """The value below which so large a share lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def lines(results: list[Result]) -> Iterator[str]:
    """The table: what became of the files by type, reasons, and what it took."""
    by_kind: dict[str, list[Result]] = {}
    for result in results:
        by_kind.setdefault(result.media_type or "(archives, and what no worker was asked)", []).append(result)
    shown = [outcome.value for outcome in Outcome]
    yield f"{'type':<48}{'files':>7}" + "".join(f"{outcome:>11}" for outcome in shown) + "   p50 ms   p99 ms"
    for kind, of_kind in sorted(by_kind.items()):
        counts = [sum(result.outcome == outcome for result in of_kind) for outcome in shown]
        times = [1000 * result.seconds for result in of_kind if result.seconds is not None]
        yield (
            f"{kind[-47:]:<48}{len(of_kind):>7}"
            + "".join(f"{count or '':>11}" for count in counts)
            + f"{percentile(times, 0.5):>9.0f}{percentile(times, 0.99):>9.0f}"
        )
