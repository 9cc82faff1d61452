"""`docpipe patients import` and `docpipe patients list`."""

import argparse
import contextlib
import json
import os
import sys

from docpipe.cli.phrases import warn
from docpipe.cli.signals import run_stoppable
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.model import count_of
from docpipe.patients import COLUMNS, read_csv
from docpipe.wiring.backends import open_patients


def patients(args: argparse.Namespace) -> int:
    """Import or list patients; returns the exit status."""
    config = load(args.config)
    if not config.patients.url:  # the database is there; SQLite only knows that it cannot be opened
        with contextlib.suppress(FileNotFoundError):
            os.scandir(config.state_dir).close()
    work = _import(args, config) if args.patients_command == "import" else _list(args, config)
    return run_stoppable(work, debug=args.debug)


async def _import(args: argparse.Namespace, config: Config) -> int:
    good, refused = await read_csv(args.file)
    async with open_patients(config) as database:
        await database.put(good)
    if config.patients.url == "fake":
        warn('docpipe: patients.url is "fake": the patients are put among the invented ones.')
    for row in refused:
        print(f"{args.file}, line {row.line}: refused: {row.reason}.", file=sys.stderr)
    refusals = f", {len(refused)} refused" if refused else ""
    print(f"{count_of(len(good), 'patient')} imported{refusals}.")
    return 1 if refused else 0


async def _list(args: argparse.Namespace, config: Config) -> int:
    """Print row by row: there may be more of them than fit into memory."""
    listed = 0

    def show(row: dict[str, str]) -> None:
        nonlocal listed
        if args.json:
            print(
                '{"patients": [' if not listed else ", ", json.dumps(row, ensure_ascii=False), sep="", end=""
            )
        else:
            print("  ".join(row[name] or "-" for name in COLUMNS))
        listed += 1

    async with open_patients(config) as database:
        await database.each(show)
    if args.json:
        print("]}" if listed else '{"patients": []}')
    else:
        print(f"{count_of(listed, 'patient')}.", file=sys.stderr)
    return 0
