"""Converts every file of a folder with the real workers, and says what became of them."""

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from docpipe.batch import BatchConverter
from docpipe.workers.machine import default_workers
from docpipe.workers.unpacking import ROOMS, make_unpacker
from tests.corpus.convert import Corpus, files_of, lines, percentile, pool
from tests.corpus.mutants import mutants

_BATCH = 500
_NO_TIME = 0.001
"""Seconds: a document that may take so long has none for OCR."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    made.add_argument("folder", type=Path)
    made.add_argument("--mutants", type=int, metavar="N", help="convert N damaged copies instead")
    made.add_argument("--seed", type=int, default=0, help="of the damage (default 0)")
    made.add_argument("--workers", type=int, default=default_workers(2**30))
    made.add_argument("--timeout", type=float, default=300, help="seconds for one document")
    made.add_argument("--no-ocr", dest="ocr", action="store_false", help="leave scanned pages unread")
    made.add_argument("--json", type=Path, metavar="FILE", help="write what became of each file")
    made.add_argument("--worst", type=int, default=10, help="how many of the slowest are listed")
    return made


def batches(args: argparse.Namespace, folder: Path) -> Iterator[Mapping[str, Path]]:
    """The files in handfuls, so that a large corpus does not fill the disk twice."""
    files = files_of(args.folder)
    if args.mutants is None:
        yield files
        return
    made = mutants(list(files.values()), args.mutants, args.seed)
    while handful := list(itertools.islice(made, _BATCH)):
        for name, data in handful:
            (folder / name).write_bytes(data)
        yield {name: folder / name for name, _ in handful}
        for name, _ in handful:
            (folder / name).unlink()


async def run(args: argparse.Namespace, folder: Path) -> Corpus:
    """Convert everything, and throw away what comes out of it."""
    for name in ("mutants", "work"):
        (folder / name).mkdir()
    corpus = Corpus()
    async with pool(args.workers, args.timeout) as workers, make_unpacker(folder / ROOMS) as unpacker:
        hand = BatchConverter(
            workers,
            unpacker,
            folder / "work",
            shelf=None,
            done=corpus.results.append,
            job={"seconds": args.timeout if args.ocr else _NO_TIME},
            at_once=2 * args.workers,
        )
        watching = asyncio.create_task(corpus.watch())
        handfuls = batches(args, folder / "mutants")
        while (files := await asyncio.to_thread(next, handfuls, None)) is not None:
            await hand.convert(files)
            print(f"{len(corpus.results)} files", file=sys.stderr, flush=True)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    return corpus


def tell(corpus: Corpus, took: float, args: argparse.Namespace) -> None:
    """Print the tables."""
    results = corpus.results
    print(*lines(results), sep="\n")
    for title, actual in (
        ("failed or refused", [r.reason for r in results if r.outcome in {"failed", "refused"}]),
        ("warnings", [warning for r in results for warning in r.warnings]),
    ):
        print(f"\n{title}")
        for reason, count in Counter(actual).most_common(40):
            print(f"{count:>7}  {reason}")
    timed = [r for r in results if r.seconds is not None]
    times = [r.seconds or 0.0 for r in timed]
    print("\nslowest")
    for one in sorted(timed, key=lambda r: -(r.seconds or 0))[: args.worst]:
        print(f"{one.seconds:>7.1f} s {(one.memory or 0) / 2**20:>6.0f} MiB  {one.path[-90:]}")
    escaped = [r for r in results if r.escaped]
    print(f"\nescaped the converter: {len(escaped)}")
    for one in escaped:
        print(f"         {one.path[-90:]}: {one.reason}")
    print(
        f"\n{len(results)} files in {took:.1f} s with {args.workers} workers; "
        f"p50 {1000 * percentile(times, 0.5):.0f} ms, p99 {1000 * percentile(times, 0.99):.0f} ms, "
        f"peak memory {max((r.memory or 0 for r in timed), default=0) / 2**20:.0f} MiB, "
        f"event loop held up {1000 * corpus.worst_pause:.0f} ms at most"
    )


def main() -> int:
    """Returns 1 if a document escaped its converter."""
    args = parser().parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        corpus = asyncio.run(run(args, Path(name)))
    tell(corpus, time.perf_counter() - began, args)
    if args.json:
        args.json.write_text(json.dumps([result.as_json() for result in corpus.results], indent=1))
    return 1 if any(result.escaped for result in corpus.results) else 0


if __name__ == "__main__":
    sys.exit(main())
