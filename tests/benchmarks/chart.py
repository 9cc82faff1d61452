"""Charts of 1,000 and 5,000 pages, small and large, and a ZIP of 1 GB: time, and memory at most, each in a
process of its own.
"""

import asyncio
import io
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pikepdf

from docpipe.chart import Contents, package
from docpipe.convert.writers.chart import assemble
from docpipe.results.report import Entry
from docpipe.storage import FolderStorage
from tests.benchmarks.figures import DISK, Figure

PAGES = 5
SMALL, LARGE = 10, 100_000
"""Bytes that do not compress, written as hexadecimal digits, on each page."""
FILES, FILE = 200, 5 * 2**20


def _pdf(filling: int) -> bytes:
    """Some pages, each with as many bytes that do not compress."""
    out = io.BytesIO()
    with pikepdf.new() as pdf:
        for _ in range(PAGES):
            page = pdf.add_blank_page(page_size=(612, 792))
            page.Contents = pdf.make_stream(b"0 0 m 100 100 l S %" + os.urandom(filling).hex().encode())
        pdf.save(out)
    return out.getvalue()


def _documents(folder: Path, number: int, filling: int) -> None:
    (folder / "out").mkdir(exist_ok=True)
    documents = []
    with (folder / "documents").open("wb") as file:
        for index in range(number):
            size = file.write(_pdf(filling))
            documents.append({"title": f"Letter {index}", "date": "2024-01-02", "size": size})
    plan = {"heading": "Chart", "facts": [["Patient", "P1"]], "missing": [], "documents": documents}
    (folder / "plan").write_text(json.dumps(plan))


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and MiB of memory at most."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _assembled(folder: Path) -> tuple[float, float]:
    job = {"path": str(folder / "documents"), "siblings": str(folder / "plan"), "folder": str(folder / "out")}
    return _measured(lambda: assemble(job))


def _chart(folder: Path, pages: int, filling: int) -> tuple[float, float]:
    _documents(folder, pages // PAGES, filling)
    return _apart(_assembled, folder)


def _stored(folder: Path) -> None:
    """Documents in a storage."""
    storage = FolderStorage(folder / "storage")
    source = folder / "source"
    source.write_bytes(os.urandom(FILE))

    async def put() -> None:
        for number in range(FILES):
            await storage.put_document("P1", f"{number:016x}", {"original.pdf": source}, {})

    asyncio.run(put())


def _zipped(folder: Path) -> tuple[float, float]:
    nothing = dict.fromkeys(("sha256", "reason", "duplicate_of", "parent", "derived_from"))
    stored = {"size": FILE, "outcome": "stored", "key": "P1", "original": "original.pdf", **nothing}
    entries = [Entry(path=f"{number}.pdf", id=f"{number:016x}", **stored) for number in range(FILES)]
    contents = Contents("P1", None, [], entries, {}, [], [])

    async def read() -> None:
        async for _ in package(FolderStorage(folder / "storage"), [contents]):
            pass

    return _measured(lambda: asyncio.run(read()))


def _apart(work: Callable[[Path], tuple[float, float]], folder: Path) -> tuple[float, float]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, folder).result()


def chart() -> list[Figure]:
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        small_s, small_mib = _chart(folder, 1_000, SMALL)
        large_s, large_mib = _chart(folder, 1_000, LARGE)
        many_s, many_mib = _chart(folder, 5_000, SMALL)
        _stored(folder)
        zip_s, zip_mib = _apart(_zipped, folder)
    megabytes = FILES * FILE / 1e6
    return [
        Figure("1,000 small pages", small_s, "s", goal="<= 10"),
        Figure("1,000 pages of 200 kB", large_s, "s", "small pages", small_s, goal="<= 10"),
        Figure("5,000 small pages", many_s, "s", "1,000 pages", small_s),
        Figure("memory of large pages", large_mib, "MiB", "of small pages", small_mib, goal="<= 1.25 x"),
        Figure("memory of 5,000 pages", many_mib, "MiB", "of 1,000 pages", small_mib, goal="<= 1.25 x"),
        Figure("ZIP of 1 GB", megabytes / zip_s, "MB/s"),
        Figure(
            "memory of a ZIP of 1 GB", zip_mib, "MiB", "chart of small pages", small_mib, goal="<= 1.25 x"
        ),
    ]
