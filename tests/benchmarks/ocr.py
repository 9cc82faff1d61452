"""What a scan costs beside the bare program: CPU a page, and use of all processors by pages of one document.

The yardstick is tesseract alone with one thread, on the same picture at the same resolution, given over a
pipe; two at once on two processors. While a scan of a hundred pages is read, twenty small documents of
another patient come.
"""

import asyncio
import io
import os
import resource
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import img2pdf
import pypdfium2

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Heading, Paragraph
from docpipe.convert.document import convert
from docpipe.convert.ocr.pages import _picture as picture
from docpipe.convert.writers import typeset
from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers
from tests.benchmarks.conversion import job
from tests.benchmarks.figures import Figure, cpu
from tests.benchmarks.processes import cpu_of, watched

PAGES = 100
ALONE = 5
"""Pages that are read in this process for the CPU of one."""
SMALL = 20
LINE = (
    "On examination of {} the heart is regular without murmurs, the lungs are clear, and pulses are normal. "
)
MIB = 2**20


def scan(count: int) -> bytes:
    """So many pages of text, each a picture of 200 dpi."""
    text = "".join(LINE.format(number) for number in range(12))
    page = typeset.render([Heading(1, "Progress note"), Paragraph(text), Paragraph(text)], Facts()).pdf
    out = io.BytesIO()
    with pypdfium2.PdfDocument(page) as document:
        image = document[0].render(scale=200 / 72, grayscale=True).to_pil()
    image.save(out, "JPEG", quality=75, dpi=(200, 200))
    return bytes(img2pdf.convert([out.getvalue()] * count))


def rendered(pdf: bytes) -> bytes:
    """The first page as docpipe gives it to tesseract."""
    out = io.BytesIO()
    with pypdfium2.PdfDocument(pdf) as document:
        picture(document[0])[0].save(out, "PPM")
    return out.getvalue()


def _bare(page: bytes) -> None:
    words = ["tesseract", "-", "-", "-l", "eng", "--psm", "3", "--dpi", "300", "tsv"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    subprocess.run(words, input=page, capture_output=True, check=True, env=environment)


@dataclass(frozen=True)
class Both:
    """A scan and small documents together."""

    seconds: float
    cpu: float
    small_s: float
    """Until the last of the small documents was done."""
    inside_s: float
    """That small documents were in the converter, together."""
    peak: int
    """Bytes that all processes held."""


async def together(path: Path, folder: Path, cpus: int) -> Both:
    """A scan, and small documents of another patient from the second on in which it is read."""
    small = folder / "note.html"
    small.write_text(f"<h1>Note</h1><p>{LINE}</p>", "utf-8")
    async with Workers(CONVERTER, preload=PRELOAD, size=cpus, memory=2**30, timeout=3600) as workers:
        warm = [workers.run(job(small, folder), Ticket(f"warm {number}")) for number in range(cpus)]
        await asyncio.gather(*warm)
        for number in range(cpus):
            workers.forget(f"warm {number}")
        pid = os.getpid()
        began, used = time.perf_counter(), cpu_of(pid)
        async with watched(pid) as peak:
            long = asyncio.create_task(
                workers.execute({**job(path, folder), "seconds": 3600}, Ticket("scan"))
            )
            await asyncio.sleep(1.0)
            came = time.perf_counter()
            answers = await asyncio.gather(
                *(workers.execute(job(small, folder), Ticket("small")) for _ in range(SMALL))
            )
            small_s = time.perf_counter() - came
            read = (await long).value.metadata["ocr_pages"]
        seconds, used = time.perf_counter() - began, cpu_of(pid) - used - peak.cpu
    assert len(read) == PAGES, f"{len(read)} of {PAGES} pages were read"
    return Both(seconds, used, small_s, sum(answer.seconds for answer in answers), peak.value)


def _cpu() -> float:
    return cpu() + cpu(resource.RUSAGE_CHILDREN)


def ocr() -> list[Figure]:
    """CPU of a page; seconds and use of the processors of many."""
    cpus = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, long = folder / "short.pdf", folder / "long.pdf"
        short.write_bytes(scan(ALONE))
        long.write_bytes(scan(PAGES))
        page = rendered(short.read_bytes())
        convert(job(short, folder))
        used = _cpu()
        convert(job(short, folder))
        mine, used = _cpu() - used, _cpu()
        for _ in range(ALONE):
            _bare(page)
        bare = _cpu() - used
        both = asyncio.run(together(long, folder, cpus))
        used, began = _cpu(), time.perf_counter()
        with ThreadPoolExecutor(cpus) as threads:
            list(threads.map(_bare, [page] * PAGES))
        seconds, used = time.perf_counter() - began, _cpu() - used
    least = seconds + both.inside_s / cpus
    return [
        Figure("a page", 1000 * mine / ALONE, "ms of CPU", "tesseract", 1000 * bare / ALONE, "<= 1.1 x"),
        Figure(f"{PAGES} pages, {SMALL} small", both.seconds, "s", "tesseract, and small", least, "<= 1.1 x"),
        Figure(
            "use of processors",
            both.cpu / both.seconds / cpus,
            "",
            "tesseract, one a processor",
            used / seconds / cpus,
            ">= 0.95 x",
        ),
        Figure(f"{SMALL} small beside the scan", both.small_s, "s", "inside", both.inside_s),
        Figure("memory of all", both.peak / MIB, "MiB"),
    ]
