"""`docpipe chart`: a patient's documents as one PDF or one ZIP."""

import argparse
import asyncio
import functools
import os
import tempfile
import time
from pathlib import Path

import msgspec

from docpipe import app, chart
from docpipe.checkpoints import read_runs
from docpipe.cli.phrases import no_report, print_line
from docpipe.cli.signals import run_stoppable
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.model import count_of
from docpipe.runtime.state_folder import in_use
from docpipe.storage import Storage
from docpipe.wiring.backends import open_storage

_MOST_NAMED = 10


def write(args: argparse.Namespace) -> int:
    """Write the chart; returns the exit status."""
    config = load(args.config, services=False, state=True)
    target: Path = args.output
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise UsageError(f"{target} cannot be written: name a file in a folder that is there.")
    runs = read_runs(config.state_dir, args.which)
    run = next((run for run in runs if run.run_id == args.which), None)
    patient_id, chosen = (run.patient_id, [run.run_id]) if run else (args.which, None)
    making = _package if target.suffix.lower() == ".zip" else _chart
    try:
        return run_stoppable(making(args, config, patient_id, chosen), debug=args.debug)
    except chart.NoReportError:
        raise no_report(args.which, runs, at_work=in_use(config.state_dir)) from None


async def _chart(args: argparse.Namespace, config: Config, patient_id: str, runs: list[str] | None) -> int:
    storage = open_storage(config)
    contents = await asyncio.to_thread(chart.contents_of, storage, patient_id, runs)
    making = {"converter": chart.TARGET, "preload": chart.PRELOAD, "size": 1, "inline": args.debug}
    async with app.make_workers(config, **making) as workers:
        made = await chart.write_chart(storage, contents, args.output.absolute(), workers, clock=time.time)
    if args.json:
        print_line(msgspec.json.encode({"file": str(args.output), **msgspec.to_builtins(made)}).decode())
        return 0
    documents = count_of(made.documents, "document")
    print_line(f"{args.output}: {documents} on {count_of(made.pages, 'page')}.")
    if made.missing:
        print_line(f"{len(made.missing):,} not in it, as the cover says; open the originals:")
    for title, reason in made.missing[:_MOST_NAMED]:
        print_line(f"  {title}: {reason}")
    if len(made.missing) > _MOST_NAMED:
        print_line(f"  and {len(made.missing) - _MOST_NAMED:,} more")
    return 0


async def _package(args: argparse.Namespace, config: Config, patient_id: str, runs: list[str] | None) -> int:
    storage = open_storage(config)
    contents = await asyncio.to_thread(chart.contents_of, storage, patient_id, runs)
    size = await _saved(storage, contents, args.output.absolute())
    files = len(list(chart.names_of(contents)))
    if args.json:
        facts = {"file": str(args.output), "documents": len(contents.documents), "files": files, "size": size}
        print_line(msgspec.json.encode(facts).decode())
    else:
        documents = count_of(len(contents.documents), "document")
        print_line(f"{args.output}: {documents} in {count_of(files, 'file')}.")
    return 0


async def _saved(storage: Storage, contents: chart.Contents, target: Path) -> int:
    """Write the ZIP beside its place first: an interrupted one is never there by its name."""
    size = 0
    descriptor, name = tempfile.mkstemp(prefix=".docpipe-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chart.package(storage, [contents]):
                size += await asyncio.to_thread(functools.partial(file.write, chunk))
        await asyncio.to_thread(Path(name).replace, target)
    except BaseException:
        os.unlink(name)  # noqa: PTH108 -- no waiting while a task is cancelled
        raise
    return size
