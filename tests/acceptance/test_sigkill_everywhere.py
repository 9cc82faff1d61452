"""SIGKILL of a real process at its failpoints; `docpipe resume` leaves what an undisturbed run leaves.

The test kills in and after the first of each kind of effect; at every single point, two at once, kills
`python -m tests.acceptance.test_sigkill_everywhere`. What is on the disk before an effect is what the one
before it left; `tests/simulation/test_crashes.py` crashes there too.
"""

import argparse
import asyncio
import hashlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import fakes
from docpipe.model import RunState
from tests import memory
from tests.acceptance.conftest import ROOT, Box
from tests.simulation import invariants

AT_ONCE = 2
LETTER = b"Progress note. Temperature 36.8.\n"
CDA = """<ClinicalDocument xmlns="urn:hl7-org:v3">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<title>Scan</title><component><nonXMLBody>
<text mediaType="text/plain" representation="B64">{}</text>
</nonXMLBody></component></ClinicalDocument>"""
FILES = {
    "chart.xml": CDA.format("UGFydCBvZiB0aGUgY2hhcnQuCg==").encode(),
    "copy.txt": LETTER,
    "empty.txt": b"",
    "letter.txt": LETTER,
}
HASHES = {path: hashlib.sha256(data).hexdigest() if data else None for path, data in FILES.items()}


def options(folder: Path) -> fakes.FakeOptions:
    return fakes.FakeOptions(documents=folder, search_seconds=(0.2, 0.2), status_rate=None, tracker_rate=None)


def a_box(folder: Path, running: fakes.Running) -> Box:
    (folder / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    env = {
        "DOCPIPE_STORAGE__URL": "storage",
        "DOCPIPE_STATE__DIR": "state",
        "DOCPIPE_CONVERT__WORKERS": "1",
        "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
        "DOCPIPE_DOCEX__STATUS_RATE": "none",
        "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
        "DOCPIPE_TASKTRACKER__RATE": "none",
    }
    return Box(folder, env)


async def driven(box: Box, env: Mapping[str, str]) -> tuple[int, str]:
    """A run with failpoints; its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kill_driver", "run", "--patient", "P123"),
        cwd=box.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **box.env, **env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate())[1]
    return process.returncode or 0, output.decode()


def judge(box: Box, running: fakes.Running) -> None:
    windows = {"docex.search": (10, 60.0)}  # the short ones would cost each resume 4 s of waiting
    invariants.judge(
        invariants.After(
            box.state, box.storage, running, ["P123"], HASHES, ends=RunState.COMPLETED, windows=windows
        )
    )


async def points(folder: Path, documents: Path) -> list[str]:
    """Every point that an undisturbed run passes, in order."""
    async with fakes.serve(options(documents)) as running:
        box = a_box(folder, running)
        file = folder / "points"
        status, reported = await driven(box, {"DOCPIPE_TEST_POINTS": str(file)})
        assert status == 0, reported
        judge(box, running)
        return file.read_text("utf-8").splitlines()


async def killed_at(point: str, folder: Path, documents: Path) -> bool:
    """Kill at a point, resume, judge. Returns whether it came to that point."""
    async with fakes.serve(options(documents)) as running:
        box = a_box(folder, running)
        status, reported = await driven(box, {"DOCPIPE_TEST_KILL_AT": point})
        assert status in (-signal.SIGKILL, 0), reported
        ended = await box.run("resume", "--json")
        assert ended.status == 0, ended.err
        if not invariants.steps_of(box.state):  # it died before there was a run
            ended = await box.run("run", "--patient", "P123", "--json")
            assert ended.status == 0, ended.err
        judge(box, running)
        return status == -signal.SIGKILL


async def kill_at_each(which: Sequence[str], documents: Path) -> tuple[int, list[str]]:
    """Several points, a few at once; how many deaths there were, and what went wrong."""
    places = asyncio.Semaphore(AT_ONCE)
    failures: list[str] = []

    async def one(point: str) -> bool:
        async with places:
            with memory.folder() as folder:  # what a kernel has taken outlives SIGKILL wherever it lies
                try:
                    return await killed_at(point, folder, documents)
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is reported with its point
                    failures.append(f"{point}: {type(error).__name__}: {error}")
                    return True

    died = await asyncio.gather(*map(one, which))
    return sum(died), failures


def kinds(passed: Sequence[str]) -> list[str]:
    """The first of each kind of point, and the last of those that stand in the middle of something.

    Before an effect only where others may act on it: a transaction and a request.
    """
    first, last = {}, {}
    for point in passed:
        kind = re.sub(r"^\d+ |: .*", "", point)
        if kind.startswith("before") and not kind.endswith(("commit", "request")):
            continue
        first.setdefault(kind, point)
        if kind.startswith("within") or kind.endswith("commit"):
            last[kind] = point
    return list(dict.fromkeys([*first.values(), *last.values()]))


def put_documents(folder: Path) -> Path:
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
    return folder


async def test_killed_at_every_kind_of_point(tmp_path: Path) -> None:
    """A process that dies at any kind of point leaves what `docpipe resume` brings to a good end."""
    documents = put_documents(tmp_path / "documents")
    (tmp_path / "whole").mkdir()
    which = kinds(await points(tmp_path / "whole", documents))
    assert len(which) > 30
    died, failures = await kill_at_each(which, documents)
    assert not failures
    assert died > 0.9 * len(which)  # threads order a few points anew each time


async def main(every: int) -> int:
    """Every point; prints counts, time and failures."""
    with memory.folder() as folder:
        documents = put_documents(folder / "documents")
        (folder / "whole").mkdir()
        passed = (await points(folder / "whole", documents))[::every]
        began = time.monotonic()
        died, failures = await kill_at_each(passed, documents)
    text = f"{died} deaths at {len(passed)} points in {time.monotonic() - began:.0f} s"
    print(f"{text}, {len(failures)} failures", *failures, sep="\n")  # noqa: T201 -- as a command does
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth point")
    sys.exit(asyncio.run(main(parser.parse_args().every)))
