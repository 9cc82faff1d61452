"""The most memory that docpipe's main process holds for hostile files, and for 10,000 files.

    python -m tests.benchmarks.memory [--files 10000] [FILE...]

runs a patient with each file in the archive, with real workers, in a process that imports docpipe alone.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from docpipe import app
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.patients import PatientDatabase, checked
from tests.benchmarks.figures import DISK, ROOT, Figure

HOSTILE = ROOT.parent / "shared" / "hostile"
MOST_MIB = 150
SAMPLES = (".zip", ".hl7", ".gz", ".pdf")
PERSON = {"id": "P123", "given": "Ann", "family": "Lee", "birth_date": "1957-03-31", "sex": "female"}


def hostile() -> list[Path]:
    """The small inputs of the security review, where they are at hand."""
    return sorted(path for path in HOSTILE.glob("*.*") if path.suffix in SAMPLES)


def many(folder: Path, count: int) -> Path:
    """An archive of so many small documents, all different."""
    path = folder / f"{count}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            text = f"Letter {number}\n\nDear colleague, patient {number} is well.\n"
            archive.writestr(f"letters/{number // 100:03d}/letter {number:05d}.txt", text)
    return path


def memory(path: Path) -> Figure:
    """The most that the main process holds for a patient whose archive has this file and a letter."""
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        (folder / "documents").mkdir()
        (folder / "documents" / "letter.txt").write_text("a letter")
        shutil.copy(path, folder / "documents")
        fakes = (sys.executable, "-m", "fakes", "--search-seconds", "0", "--documents", folder / "documents")
        with subprocess.Popen(fakes, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                words = ("--run", process.stdout.readline().decode(), "--folder", str(folder))
                out = subprocess.run(
                    (sys.executable, "-m", "tests.benchmarks.memory", *words),
                    check=True,
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                )
            finally:
                process.terminate()
    answer = json.loads(out.stdout.splitlines()[-1])
    print(f"{path.name}: {answer}", file=sys.stderr)
    return Figure(f"main, {path.name}", answer["mib"], "MiB", goal=f"<= {MOST_MIB}")


async def _run(urls: dict[str, str], folder: Path) -> dict[str, object]:
    """One patient; the most memory of this process."""
    config = Config(
        docex=Docex(base_url=urls["docex_url"], search_rate=None, status_rate=None),
        tasktracker=Tasktracker(base_url=urls["tracker_url"], rate=None),
        patients=Patients(url=f"sqlite:///{folder}/patients.db"),
        storage=Storage(url=str(folder / "storage")),
        state=State(dir=str(folder / "state")),
    )
    database = PatientDatabase(config.patients.url)
    await database.put([checked(PERSON)])
    await database.aclose()
    began = time.perf_counter()
    async with app.opened(config) as docpipe:
        await docpipe.engine.submit(["P123"])
        await docpipe.engine.wait()
        (run,) = await docpipe.checkpoints.listing.page(limit=1)
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    took = time.perf_counter() - began
    return {"mib": round(peak, 1), "state": run.state, "counts": run.counts, "seconds": round(took, 1)}


def main() -> None:
    """Measure files, or be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="*", metavar="FILE")
    parser.add_argument("--files", type=int, metavar="N", help="also an archive of so many documents")
    parser.add_argument("--run", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(asyncio.run(_run(args.run, args.folder))))
        return
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        made = [many(Path(name), args.files)] if args.files else []
        for path in [*(args.paths or hostile()), *made]:
            memory(path)


if __name__ == "__main__":
    main()
