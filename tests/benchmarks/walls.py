"""What walls cost: documents and archives with and without them in one run; memory outside of them."""

import asyncio
import io
import os
import resource
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from docpipe.archive.limits import Limits
from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers import confinement, landlock
from docpipe.workers.handle import RECYCLE_JOBS
from docpipe.workers.pool import Workers
from docpipe.workers.seccomp import refuse_calls
from docpipe.workers.unpacking import UnpackingHere, UnpackingWorkers
from fakes.documents.mix import make_full
from fakes.patients import Person
from tests.benchmarks.conversion import corpus, job
from tests.benchmarks.figures import DISK, Figure, cpu
from tests.benchmarks.memory import hostile, memory

DOCUMENTS = 24
TIMES = 5
PATIENTS = 5
ARCHIVES = 200


def _forked(work: Callable[[], float]) -> float:
    """What a function returns in a child of this process, or anything it raised as -1."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.write(write, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return float(answer)


def documents(folder: Path) -> list[Figure]:
    """CPU of small documents in a child with walls and in one without, turn by turn."""
    from docpipe.convert.document import convert  # noqa: PLC0415 -- with all that it loads

    __import__(PRELOAD)
    paths = sorted(corpus(folder), key=lambda path: path.stat().st_size)[:DOCUMENTS]
    libraries = confinement.libraries()

    def work(*, walls: bool) -> float:
        room = Path(tempfile.mkdtemp(dir=folder))
        (room / "in").mkdir()
        (room / "own").mkdir()
        here = [shutil.copy(path, room / "in") for path in paths]
        jobs = [job(Path(path), room / "own") for path in here]
        os.chdir(room / "own")
        if walls:
            landlock.confine(confinement.allowed(libraries, str(room)))
            refuse_calls()
        began = cpu()
        for one in jobs:
            convert(one)
        return cpu() - began

    _forked(lambda: work(walls=False))
    pairs = [(_forked(lambda: work(walls=True)), _forked(lambda: work(walls=False))) for _ in range(TIMES)]
    inside, outside = (1000 * min(side) / len(paths) for side in zip(*pairs, strict=True))
    added = Figure("CPU added to a document", inside - outside, "ms", goal="<= 3")
    return [added, Figure("CPU of a document", inside, "ms", "without walls", outside, "<= 1.05 x")]


async def _first(folder: Path, *, confined: bool) -> float:
    settings = {"preload": PRELOAD, "size": 1, "memory": 2**30, "timeout": 60.0, "rooms": folder}
    began = time.perf_counter()
    async with Workers(CONVERTER, **settings, confined=confined) as workers:
        (folder / "a.txt").write_text("text")
        await workers.run(job(folder / "a.txt", folder), Ticket())
        return time.perf_counter() - began


def starts(folder: Path) -> list[Figure]:
    """From nothing to the first converted document, turn by turn."""
    pairs = [
        (asyncio.run(_first(folder, confined=True)), asyncio.run(_first(folder, confined=False)))
        for _ in range(TIMES)
    ]
    inside, outside = (min(side) for side in zip(*pairs, strict=True))
    return [Figure("start", inside, "s", "without Landlock", outside, "<= 1.05 x")]


async def _converted(folder: Path, patients: list[list[Path]], *, shared: bool, jobs: int) -> None:
    settings = {
        "preload": PRELOAD,
        "size": 2,
        "memory": 2**30,
        "timeout": 60.0,
        "rooms": folder,
        "jobs": jobs,
    }
    async with Workers(CONVERTER, **settings) as workers:

        async def one(path: Path, run: str) -> None:
            await workers.run({**job(path, folder), "languages": []}, Ticket(run))

        async def patient(number: int, paths: list[Path]) -> None:
            run = "all" if shared else str(number)
            await asyncio.gather(*(one(path, run) for path in paths))
            workers.forget(run)

        await asyncio.gather(*(patient(number, paths) for number, paths in enumerate(patients)))


def isolation(folder: Path) -> list[Figure]:
    """CPU of documents of several patients at once: with shared workers, by patient, and by document."""
    patients = []
    for number in range(PATIENTS):
        (here := folder / str(number)).mkdir()
        made = make_full(number, Person(f"P{number}", "Ann", f"Lee{number}", "1957-03-31"))
        with zipfile.ZipFile(io.BytesIO(made.body)) as archive:
            for index, name in enumerate(archive.namelist()):
                (here / f"{index:02d}-{Path(name).name}").write_bytes(archive.read(name))
        patients.append(sorted(here.iterdir()))
    count = sum(map(len, patients))

    def used(*, shared: bool = False, jobs: int = RECYCLE_JOBS) -> float:
        before = cpu() + cpu(resource.RUSAGE_CHILDREN)
        asyncio.run(_converted(folder, patients, shared=shared, jobs=jobs))
        return 1000 * (cpu() + cpu(resource.RUSAGE_CHILDREN) - before) / count

    rounds = [(used(shared=True), used(), used(jobs=1)) for _ in range(2)]
    shared, patient, document = (min(column) for column in zip(*rounds, strict=True))
    return [
        Figure("CPU added by a worker a patient", patient - shared, "ms a document", goal="<= 3"),
        Figure("CPU added by a worker a document", document - shared, "ms a document"),
    ]


async def _unpacked(
    folder: Path, archive: Path, unpacker: UnpackingHere | UnpackingWorkers, times: int
) -> None:
    async with unpacker:
        for _ in range(times):
            files = folder / "run" / "files"
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir(parents=True)
            await unpacker.unpack(archive, files, Limits(), Ticket("r"))


def archives(folder: Path) -> list[Figure]:
    """CPU of all processes for an archive of a usual patient, its files on the disk."""
    archive = folder / "archive.zip"
    archive.write_bytes(make_full(0, Person("P123", "Ann", "Lee", "1957-03-31")).body)

    def used(make: Callable[[], UnpackingHere | UnpackingWorkers], times: int) -> float:
        before = cpu() + cpu(resource.RUSAGE_CHILDREN)
        asyncio.run(_unpacked(folder, archive, make(), times))
        return cpu() + cpu(resource.RUSAGE_CHILDREN) - before

    def workers() -> UnpackingWorkers:
        return UnpackingWorkers(folder / "rooms", time.time)

    start = min(used(workers, 1) for _ in range(3))
    inside = 1000 * (used(workers, ARCHIVES) - start) / (ARCHIVES - 1)
    outside = 1000 * used(UnpackingHere, ARCHIVES) / ARCHIVES
    return [
        Figure("CPU of an archive", inside, "ms", "in the main process", outside),
        Figure("first archive", 1000 * start, "ms of CPU"),
    ]


def walls() -> list[Figure]:
    """Documents, the start, archives, and the main process's memory for hostile ones."""
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        result = []
        for number, measure in enumerate((documents, isolation, starts, archives)):
            folder = Path(name, str(number))
            folder.mkdir()
            result += measure(folder)
    return result + [memory(path) for path in hostile()]
