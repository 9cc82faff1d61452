"""Documents a second: the pool, the same converter in plain processes, and Apache Tika's server.

Text, PDF and thumbnail of each document against Tika's text alone, cold (start included) and warm (the same
documents once more), without OCR. `--folder FOLDER` names other documents, `--tika JAR` Tika's server, of
Maven Central org.apache.tika:tika-server-standard; without it Tika is skipped.
"""

import asyncio
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from docpipe.model import Ticket
from docpipe.wiring.workers import CONVERTER, PRELOAD
from docpipe.workers.pool import Workers
from tests.benchmarks.conversion import corpus, job, plain
from tests.benchmarks.figures import Figure
from tests.benchmarks.processes import Peak, cpu_of, watched

FOLDER = "DOCPIPE_BENCHMARK_FOLDER"
TIKA = "DOCPIPE_BENCHMARK_TIKA"
LEAST = 200
"""Documents: few are taken again and again."""
START_S = 60.0
MIB = 2**20
_SKIP_OCR = {"Accept": "text/plain", "X-Tika-OCRskipOcr": "true", "X-Tika-PDFOcrStrategy": "no_ocr"}


@dataclass(frozen=True)
class Pass:
    """One pass over all documents."""

    seconds: float
    cpu: float
    peak: int
    """Bytes that all processes held at most."""
    empty: int = 0
    """Documents without text, or with an error."""


def documents_of(made: Path) -> list[Path]:
    """The files of the folder that was named, else the samples; some of them again, up to LEAST."""
    named = os.environ.get(FOLDER)
    paths = sorted(path for path in Path(named).rglob("*") if path.is_file()) if named else corpus(made)
    return paths * -(-LEAST // len(paths))


async def _measured(pid: int, since: tuple[float, float] | None, work: Callable[[], Awaitable[int]]) -> Pass:
    """What a process with its descendants needs for some work; `since` are the clock and CPU before."""
    began, used = since or (time.perf_counter(), cpu_of(pid))
    peak: Peak
    async with watched(pid) as peak:
        empty = await work()
        seconds, used = time.perf_counter() - began, cpu_of(pid) - used
    return Pass(seconds, used - (peak.cpu if pid == os.getpid() else 0.0), peak.value, empty)


async def pooled(paths: Sequence[Path], folder: Path, size: int) -> list[Pass]:
    """Cold and warm in docpipe's pool, each patient with twenty documents; this process included."""
    pid = os.getpid()
    since = time.perf_counter(), cpu_of(pid)
    async with Workers(CONVERTER, preload=PRELOAD, size=size, memory=2**30, timeout=300) as workers:

        async def one(number: int, path: Path) -> bool:
            made = job(path, folder, ())
            value = await workers.run(made, Ticket(f"run {number // 20}"))
            text = Path(made["folder"], "text.md")
            empty = "text.md" not in value.outputs or not text.stat().st_size
            await asyncio.to_thread(shutil.rmtree, made["folder"])
            return empty

        async def all_() -> int:
            return sum(await asyncio.gather(*(one(number, path) for number, path in enumerate(paths))))

        return [await _measured(pid, since, all_), await _measured(pid, None, all_)]


def in_processes(paths: Sequence[Path], folder: Path, processes: int) -> Pass:
    """The converter alone, in so many plain processes, their start included."""
    began = time.perf_counter()
    used = sum(cpu for _, cpu in plain(paths, folder, processes, languages=()))
    return Pass(time.perf_counter() - began, used, 0)


@contextlib.asynccontextmanager
async def tika_server(jar: str, port: int) -> AsyncIterator[int]:
    """Tika's server, ready; its process id."""
    words = ["java", "-jar", jar, "--host", "localhost", "--port", str(port)]
    server = await asyncio.to_thread(
        subprocess.Popen, words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(OSError):
                    if await asyncio.to_thread(_answers, port):
                        break
                await asyncio.sleep(0.05)
        yield server.pid
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait)


def _answers(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("localhost", port, timeout=5)) as client:
        client.request("GET", "/version")
        return client.getresponse().status == http.HTTPStatus.OK


def _texts(paths: Iterator[Path], port: int) -> int:
    """Send documents over one connection; how many came back without text."""
    client, empty = http.client.HTTPConnection("localhost", port, timeout=300), 0
    with contextlib.closing(client):
        for path in paths:
            client.request("PUT", "/tika", path.read_bytes(), _SKIP_OCR)
            answer = client.getresponse()
            text = answer.read()
            empty += answer.status != http.HTTPStatus.OK or not text.strip()
    return empty


async def by_tika(jar: str, paths: Sequence[Path], clients: int) -> list[Pass]:
    """Cold and warm, by so many clients."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    async def all_() -> int:
        shares = [iter(paths[number::clients]) for number in range(clients)]
        with ThreadPoolExecutor(clients) as threads:
            loop = asyncio.get_running_loop()
            return sum(
                await asyncio.gather(*(loop.run_in_executor(threads, _texts, one, port) for one in shares))
            )

    began = time.perf_counter()
    async with tika_server(jar, port) as pid:
        cold = await _measured(pid, (began, 0.0), all_)
        return [cold, await _measured(pid, None, all_)]


def documents() -> list[Figure]:
    """Documents a second, CPU and memory."""
    cpus, jar = len(os.sched_getaffinity(0)), os.environ.get(TIKA)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = documents_of(folder)
        cold, warm = asyncio.run(pooled(paths, folder, cpus))
        bare = in_processes(paths, folder, cpus)
        tika = asyncio.run(by_tika(jar, paths, cpus)) if jar and shutil.which("java") else []
    count = len(paths)
    figures = [
        Figure("cold", count / cold.seconds, "/s", "plain processes", count / bare.seconds),
        Figure("warm", count / warm.seconds, "/s"),
        Figure("CPU, warm", 1000 * warm.cpu / count, "ms", "plain processes", 1000 * bare.cpu / count),
        Figure("without text", warm.empty, "", *(("Tika's server", tika[1].empty) if tika else ())),
    ]
    if not tika:
        why = "java is missing" if jar else "name it by --tika JAR"
        return [*figures, Figure("memory", warm.peak / MIB, "MiB", f"Tika's server skipped: {why}")]
    first, second = tika
    return [
        *figures,
        Figure("text, PDF, thumbnail, cold", cold.seconds, "s", "Tika's text, cold", first.seconds),
        Figure("text, PDF, thumbnail, warm", warm.seconds, "s", "Tika's text", second.seconds, "<= 1 x"),
        Figure("CPU of them, warm", warm.cpu, "s", "Tika's text, warm", second.cpu),
        Figure("memory", max(cold.peak, warm.peak) / MIB, "MiB", "Tika", _most(tika) / MIB, "<= 0.1 x"),
    ]


def _most(passes: Sequence[Pass]) -> int:
    return max(one.peak for one in passes)
