"""What isolation costs: a mixed corpus through the pool of workers.

The time that documents spend inside the converter shows how busy the workers are, in the same run: what
is left of workers times wall-clock went into lines, sockets, watching and new workers, or nothing was done.
Other work on the machine slows both. What limits and sandbox cost inside the converter shows in the CPU that
plain processes need for the same documents; that of the pool includes its start.
"""

import asyncio
import importlib
import io
import multiprocessing
import os
import resource
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docpipe.convert.document import convert
from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers
from fakes.documents.mix import make_full
from fakes.patients import Person
from tests.benchmarks.figures import ROOT, Figure, cpu

SAMPLES = ROOT.parent / "shared" / "samples"
LARGE_S = 0.2
SECONDS = 5.0
"""Of work for each measurement, at least, as far as repeating the documents goes."""
_ONE_THREAD = ("OMP_THREAD_LIMIT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def corpus(folder: Path) -> list[Path]:
    """The sample documents; the fakes' where there are none."""
    if SAMPLES.is_dir():
        return sorted(path for path in SAMPLES.glob("*/*") if path.parent.name != "archives")
    made = make_full(0, Person("P123", "Ann", "Lee", "1957-03-31")).body
    result = []
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        for number, name in enumerate(archive.namelist()):
            result.append(folder / f"{number}-{Path(name).name}")
            result[-1].write_bytes(archive.read(name))
    return result


def job(path: Path, folder: Path, languages: Sequence[str] = ("eng",)) -> dict[str, Any]:
    """A job with a folder of its own."""
    out = Path(tempfile.mkdtemp(dir=folder))
    return {
        "path": str(path),
        "name": path.name,
        "declared": None,
        "folder": str(out),
        "seconds": 300,
        "languages": list(languages),
    }


def _cpu() -> float:
    return cpu() + cpu(resource.RUSAGE_CHILDREN)


def _plain(number: Any, paths: Sequence[str], folder: str, expected: Any, languages: Sequence[str]) -> None:
    """One of the plain processes: takes the next document until there is none."""
    importlib.import_module(PRELOAD)
    while True:
        with number.get_lock():
            mine, number.value = number.value, number.value + 1
        if mine >= len(paths):
            return
        made = job(Path(paths[mine]), Path(folder), languages)
        began, used = time.perf_counter(), _cpu()
        convert(made)
        expected.put((mine, (time.perf_counter() - began, _cpu() - used)))


def plain(
    paths: Sequence[Path], folder: Path, processes: int, languages: Sequence[str] = ("eng",)
) -> list[tuple[float, float]]:
    """Seconds and CPU seconds of each document in so many plain processes."""
    context = multiprocessing.get_context("spawn")
    number, reported = context.Value("i", 0), context.Queue()
    words = (number, [str(path) for path in paths], str(folder), reported, languages)
    running = [context.Process(target=_plain, args=words) for _ in range(processes)]
    for process in running:
        process.start()
    result = dict(reported.get(timeout=600) for _ in paths)
    for process in running:
        process.join()
    return [result[index] for index in range(len(paths))]


@dataclass(frozen=True)
class Pooled:
    """What a pool needed for some documents."""

    seconds: float
    inside: float
    """Seconds inside the converter, of all documents together."""
    cpu: float
    """Of all processes; the start of the pool included."""


async def pooled(paths: Sequence[Path], folder: Path, size: int) -> Pooled:
    """All of them in a pool of so many, warm."""
    used = _cpu()
    async with Workers(CONVERTER, preload=PRELOAD, size=size, memory=2**30, timeout=300) as workers:
        await asyncio.gather(*(workers.run(job(paths[-1], folder), Ticket()) for _ in range(size)))
        jobs = [job(path, folder) for path in paths]
        began = time.perf_counter()
        answers = await asyncio.gather(*(workers.execute(made, Ticket()) for made in jobs))
        seconds = time.perf_counter() - began
    return Pooled(seconds, sum(answer.seconds for answer in answers), _cpu() - used)


def _again(result: Sequence[tuple[Path, float]]) -> list[Path]:
    """The documents, longest first, again and again until there is enough to do."""
    in_order = [path for path, _ in sorted(result, key=lambda item: -item[1])]
    times = max(1, round(SECONDS / max(0.001, sum(seconds for _, seconds in result))))
    return in_order * times


def conversion() -> list[Figure]:
    """Documents a second and how busy the workers were; what is added to a small document."""
    cpus = len(os.sched_getaffinity(0))
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")  # as workers have it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = corpus(folder)
        once = [(path, used) for path, (_, used) in zip(paths, plain(paths, folder, cpus), strict=True)]
        large = _again([item for item in once if item[1] > LARGE_S])
        small = _again([item for item in once if item[1] <= LARGE_S])
        long, short = (asyncio.run(pooled(kind, folder, cpus)) for kind in (large, small))
        bare = sum(used for _, used in plain(small, folder, cpus))
    added = 1000 * (short.seconds * cpus - short.inside) / len(small)
    name, ideal = f"over {1000 * LARGE_S:.0f} ms", len(large) * cpus / long.inside
    return [
        Figure(name, len(large) / long.seconds, "/s", "time inside / workers", ideal, ">= 0.9 x"),
        Figure("small", len(small) / short.seconds, "/s"),
        Figure("added to a small one", added, "ms", "inside", 1000 * short.inside / len(small), "<= 5"),
        Figure("CPU of small ones", short.cpu, "s", "plain processes", bare),
    ]
