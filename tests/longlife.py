"""A service that lives long: `python -m tests.longlife --patients 5000`.

One `docpipe serve` retrieves batches of patients from the fakes, without quotas and with documents of a few
hundred bytes, which its workers convert. After each batch, while nothing runs, the memory, descriptors and
threads of its process and the size of its database are sampled. A line a sample is printed, and the verdict.
Finished runs are kept for a minute, and what is stored is removed after each batch, so that the disk does not
limit how long it lives. `tests.simulation.long_life` is its sibling in virtual time, with outages.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp

from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from tests.benchmarks.figures import DISK, ROOT
from tests.benchmarks.patients import Urls, fakes_apart

KEEP: Final = "1min"
RETENTION_S: Final = 60.0
"""Seconds between two clean-ups of the database; an hour where docpipe is used."""
GROWTH: Final = 1.05
"""How much larger the second half of the samples after the warm-up may be than the first."""
_LEAST: Final = 4
"""Samples that are judged, at least."""
_POLL_S: Final = 0.5
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_HEADER: Final = "patients  seconds  memory MiB  workers MiB  descriptors  threads  database KiB  runs"
_SERVE: Final = (
    "import sys; from docpipe.runtime import retention; "
    f"retention.FIRST_S = retention.EVERY_S = {RETENTION_S}; "
    "from docpipe.__main__ import main; sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The service after a batch, with nothing running."""

    patients: int
    """Retrieved so far."""
    seconds: float
    """Since the first batch was submitted."""
    memory: int
    """Resident bytes of the main process."""
    workers: int
    """Likewise of the processes that it has started, summed; pages that they share count in each."""
    descriptors: int
    threads: int
    database: int
    """Bytes of the checkpoint database with its journal."""
    runs: int
    """In the database."""


def faults(samples: Sequence[Sample], warm: int) -> list[str]:
    """What grows: one sentence each.

    Args:
        samples: in their order.
        warm: the patients before which samples are not judged; four samples must follow, at least.

    Raises:
        ValueError: if too few samples are left.
    """
    judged = [sample for sample in samples if sample.patients >= warm]
    if len(judged) < _LEAST:
        raise ValueError("four samples after the warm-up are needed: take more patients, or smaller batches")
    half = len(judged) // 2
    growing = []
    for name in ("memory", "descriptors", "threads", "database"):
        before, after = (
            statistics.mean(getattr(one, name) for one in part) for part in (judged[:half], judged[half:])
        )
        if after > GROWTH * before:
            growing.append(f"{name}: {before:,.0f} on the average of the first half, then {after:,.0f}")
    return growing


async def live(folder: Path, urls: Urls, patients: int, batch: int) -> AsyncIterator[Sample]:
    """Let a service retrieve so many patients in batches; yields a sample after each."""
    database = PatientDatabase(f"sqlite:///{folder}/patients.db")
    ids = [f"L{number:06d}" for number in range(patients)]
    await database.put([Patient(id_, "Ann", "Lee", "1957-03-31") for id_ in ids])
    await database.aclose()
    async with _service(folder, urls) as (pid, address), aiohttp.ClientSession() as session:
        began = time.monotonic()
        for first in range(0, patients, batch):
            await _through(session, address, ids[first : first + batch])
            done, seconds = min(first + batch, patients), time.monotonic() - began
            yield _sample(pid, folder / "state", done, seconds, await _runs(session, address))
            # All but the mark of the storage: a folder without it counts as a disk that is not mounted.
            for stored in (folder / "storage").glob("[!.]*"):
                shutil.rmtree(stored)


@contextlib.asynccontextmanager
async def _service(folder: Path, urls: Urls) -> AsyncIterator[tuple[int, str]]:
    """`docpipe serve` with a frequent clean-up; its process id and address."""
    env = {
        "DOCPIPE_DOCEX__BASE_URL": urls["docex_url"],
        "DOCPIPE_DOCEX__SEARCH_RATE": "none",
        "DOCPIPE_DOCEX__STATUS_RATE": "none",
        "DOCPIPE_TASKTRACKER__BASE_URL": urls["tracker_url"],
        "DOCPIPE_TASKTRACKER__RATE": "none",
        "DOCPIPE_PATIENTS__URL": f"sqlite:///{folder}/patients.db",
        "DOCPIPE_SERVICE__TOKEN": "none",
        "DOCPIPE_STATE__DIR": f"{folder}/state",
        "DOCPIPE_STATE__KEEP": KEEP,
        "DOCPIPE_STORAGE__URL": f"{folder}/storage",
    }
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVE, "serve", "--port", "0"),
            cwd=ROOT,
            env=os.environ | env,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        yield process.pid, (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def _through(session: aiohttp.ClientSession, address: str, ids: list[str]) -> None:
    async with session.post(f"{address}/api/runs", json={"patients": ids}) as answer:
        assert answer.status == 202, await answer.text()
    while True:
        async with session.get(f"{address}/api/summary") as answer:
            counts = (await answer.json())["counts"]
        if not counts["queued"] + counts["running"] + counts["cancelling"]:
            break
        await asyncio.sleep(_POLL_S)
    assert not counts["failed"] + counts["cancelled"] + counts["completed_with_errors"], counts


async def _runs(session: aiohttp.ClientSession, address: str) -> int:
    async with session.get(f"{address}/api/summary") as answer:
        return sum((await answer.json())["counts"].values())


def _sample(pid: int, state: Path, patients: int, seconds: float, runs: int) -> Sample:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    return Sample(
        patients,
        seconds,
        _resident(pid),
        sum(_resident(one) for one in _descendants(pid)),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
        sum(path.stat().st_size for path in state.glob("checkpoints.db*")),
        runs,
    )


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):  # a worker may end at any time
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    return 0


def _descendants(pid: int) -> list[int]:
    pids = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in map(int, (task / "children").read_text("ascii").split()):
                pids += [child, *_descendants(child)]
    return pids


async def _reported(args: argparse.Namespace) -> int:
    samples = []
    with tempfile.TemporaryDirectory(dir=DISK, prefix="docpipe-longlife-") as name, fakes_apart() as urls:
        print(_HEADER, flush=True)
        async for one in live(Path(name), urls, args.patients, args.batch):
            samples.append(one)
            print(
                f"{one.patients:8,}  {one.seconds:7.0f}  {one.memory / 2**20:10.1f}  "
                f"{one.workers / 2**20:11.1f}  {one.descriptors:11}  {one.threads:7}  "
                f"{one.database >> 10:12,}  {one.runs:4}",
                flush=True,
            )
    if args.json:
        args.json.write_text(json.dumps([asdict(one) for one in samples]))
    wrong = faults(samples, args.warm if args.warm is not None else args.patients // 10)
    print("\n".join(wrong) or f"flat within {GROWTH - 1:.0%} after the warm-up")
    return 1 if wrong else 0


def main() -> int:
    """Print a line for each batch; 1 if something grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=100, help="patients between two samples")
    parser.add_argument("--warm", type=int, help="patients of the warm-up; default a tenth")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples there, too")
    return asyncio.run(_reported(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
