"""Download and extract a large archive, against `curl` and `unzip` on the same machine.

    python -m tests.benchmarks.archives [--gib 2]

The archive lies with a static server in a process of its own. docpipe fetches it over its gate, verifies
length and SHA-256, extracts it with all its limits, names every member by its SHA-256, and brings it to the
disk; the yardstick does none of that. Both run in processes of their own, one after the other.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from docpipe.archive.limits import Limits
from docpipe.config.config import Docex
from docpipe.gates import Gate, Quota, Service
from docpipe.http import Http
from docpipe.http.credentials import NONE
from docpipe.model import Json, Ticket
from docpipe.results.search import ArchiveLink
from docpipe.sources.docex.download import Downloader
from docpipe.workers.unpacking import make_unpacker
from tests.benchmarks.figures import DISK, ROOT, Figure, cpu, machine, table, written
from tests.steps import MemoryStep

GIB = 2.0
MEMBER_B = 16 * 2**20
_LOCAL, _CENTRAL, _END = "<4s5H3I2H", "<4s6H3I5H2I", "<4s4H2IH"


def made(path: Path, size: int) -> str:
    """A ZIP of about so many bytes: members of 16 MiB that deflate to two thirds; returns its SHA-256.

    All members but for their first bytes are the same, and packed once: packing 2 GiB would take minutes.
    """
    noise = random.Random(0).randbytes(MEMBER_B // 2)
    body = b"".join(noise[at : at + 4096] + b"lorem ipsum dolor " * 227 for at in range(0, len(noise), 4096))
    packed = _packed(body)
    central, digest, count = b"", hashlib.sha256(), 0
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        while file.tell() < size:
            count += 1
            head = f"{count:016}".encode()
            block = zlib.compressobj(1, zlib.DEFLATED, -15)
            first = block.compress(head) + block.flush(zlib.Z_FULL_FLUSH)
            crc, small, large = (
                zlib.crc32(body, zlib.crc32(head)),
                len(first) + len(packed),
                len(head) + len(body),
            )
            name, at = f"{count:05}.txt".encode(), file.tell()
            facts = (0, 8, 0, 33, crc, small, large, len(name), 0)
            put(struct.pack(_LOCAL, b"PK\3\4", 20, *facts) + name + first + packed)
            central += struct.pack(_CENTRAL, b"PK\1\2", 20, 20, *facts, 0, 0, 0, 0, at) + name
        start = file.tell()
        put(central + struct.pack(_END, b"PK\5\6", 0, 0, count, count, len(central), start, 0))
    return digest.hexdigest()


def _packed(body: bytes) -> bytes:
    block = zlib.compressobj(6, zlib.DEFLATED, -15)
    return block.compress(body) + block.flush()


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    """A static server with Range and ETag, in a process of its own; its address."""
    words = (sys.executable, "-m", "tests.benchmarks.archives", "--serve", str(folder))
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


async def _serve(folder: Path) -> None:
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def _retrieved(url: str, facts: Json, folder: Path) -> dict[str, float]:
    """What docpipe needs for it."""
    gate = Gate(
        Service("archives", clock=time.time, rng=random.Random(0)),
        Quota.local("archives", None, clock=time.time),
    )
    async with Http() as http:
        downloader = Downloader(
            http=http,
            config=Docex(base_url=url),
            credentials=NONE,
            gate_of=lambda _: gate,
            allowed=lambda _: True,
            clock=time.time,
        )
        base, began, used = _peak(), time.perf_counter(), cpu()
        step: Any = MemoryStep()
        path, files = folder / "archive.zip", folder / "files"
        await downloader.fetch(step, ArchiveLink(url="/large.zip", **facts), path, _never)
        fetched = time.perf_counter()
        files.mkdir()
        async with make_unpacker(folder / "rooms") as unpacker:
            members = await unpacker.unpack(path, files, Limits(), Ticket())
        used -= cpu(resource.RUSAGE_CHILDREN)  # of the workers, which are dead now
    assert all(member["outcome"] is None for member in members), members
    took = time.perf_counter() - began
    return {
        "seconds": took,
        "fetch_s": fetched - began,
        "cpu_s": cpu() - used,
        "mib": (_peak() - base) / 2**20,
    }


async def _never() -> Json:
    raise AssertionError("the link was good")


def _peak() -> int:
    status = Path("/proc/self/status").read_text("ascii")  # ru_maxrss remembers the process before exec, too
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def _yardstick(url: str, folder: Path) -> dict[str, float]:
    began, used = time.perf_counter(), cpu(resource.RUSAGE_CHILDREN)
    curl, unzip = (shutil.which(name) or name for name in ("curl", "unzip"))
    subprocess.run((curl, "-s", "-o", folder / "large.zip", f"{url}/large.zip"), check=True)
    subprocess.run((unzip, "-q", folder / "large.zip", "-d", folder / "files"), check=True)
    return {"seconds": time.perf_counter() - began, "cpu_s": cpu(resource.RUSAGE_CHILDREN) - used}


def archives(gib: float = GIB) -> list[Figure]:
    """MB of archive a second, and memory."""
    if missing := [name for name in ("curl", "unzip") if shutil.which(name) is None]:
        raise SystemExit(f"{' and '.join(missing)} missing: apt-get install {' '.join(missing)}")
    with tempfile.TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        large = folder / "served" / "large.zip"
        large.parent.mkdir()
        facts = {"sha256": made(large, int(gib * 2**30)), "size": large.stat().st_size}
        with _served(large.parent) as url:
            (folder / "theirs").mkdir()
            theirs = _yardstick(url, folder / "theirs")
            shutil.rmtree(folder / "theirs")
            (folder / "ours").mkdir()
            words = ("--retrieve", url, "--facts", json.dumps(facts), "--folder", str(folder / "ours"))
            out = subprocess.run(
                (sys.executable, "-m", "tests.benchmarks.archives", *words),
                check=True,
                cwd=ROOT,
                stdout=subprocess.PIPE,
            )
            ours = json.loads(out.stdout)
    mb = facts["size"] / 1e6
    return [
        Figure("rate", mb / ours["seconds"], "MB/s", "curl, unzip", mb / theirs["seconds"], ">= 0.6 x"),
        Figure("CPU", ours["cpu_s"], "s", "curl, unzip", theirs["cpu_s"]),
        Figure("download and SHA-256", mb / ours["fetch_s"], "MB/s"),
        Figure("memory over the base", ours["mib"], "MiB", goal="<= 64"),
    ]


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=GIB, help="size of the archive (default 2)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--retrieve", help=argparse.SUPPRESS)
    parser.add_argument("--facts", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(_serve(args.serve))
    elif args.retrieve:
        print(json.dumps(asyncio.run(_retrieved(args.retrieve, args.facts, args.folder))))
    else:
        print("  ".join(f"{word} {value}" for word, value in machine().items()))
        print(table(written({"archives": archives(args.gib)})))


if __name__ == "__main__":
    main()
