"""Every file of a folder through extraction and the worker pool, as in a run, and what became of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docpipe.batch import Result
from docpipe.model import Outcome
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers


def files_of(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its path there."""
    actual = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path for path in actual}


@contextlib.asynccontextmanager
async def pool(workers: int, seconds: float = 300) -> AsyncIterator[Workers]:
    """The real workers with the limits of a run."""
    async with Workers(CONVERTER, preload=PRELOAD, size=workers, memory=2**30, timeout=seconds) as opened:
        yield opened


@dataclass
class Corpus:
    """Files being converted; `results` grows as they are done."""

    results: list[Result] = field(default_factory=list)
    worst_pause: float = 0.0
    """Seconds that the event loop was held up at most."""

    async def watch(self) -> None:
        """Look how long the event loop is held up, until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            self.worst_pause = max(self.worst_pause, time.perf_counter() - began - 0.002)


def percentile(values: list[float], share: float) -> float:
    """The value below which so large a share lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def lines(results: list[Result]) -> Iterator[str]:
    """The table: what became of the files by type, reasons, and what it took."""
    by_kind: dict[str, list[Result]] = {}
    for result in results:
        by_kind.setdefault(result.media_type or "(archives, and what no worker was asked)", []).append(result)
    outcomes = [outcome.value for outcome in Outcome]
    yield (
        f"{'type':<48}{'files':>7}" + "".join(f"{outcome:>11}" for outcome in outcomes) + "   p50 ms   p99 ms"
    )
    for kind, of_kind in sorted(by_kind.items()):
        counts = [sum(result.outcome == outcome for result in of_kind) for outcome in outcomes]
        times = [1000 * result.seconds for result in of_kind if result.seconds is not None]
        yield (
            f"{kind[-47:]:<48}{len(of_kind):>7}"
            + "".join(f"{count or '':>11}" for count in counts)
            + f"{percentile(times, 0.5):>9.0f}{percentile(times, 0.99):>9.0f}"
        )
