"""`docpipe patients import` and `docpipe patients list`."""

import argparse
import asyncio
import json
import sys

from docpipe.config import Config, load
from docpipe.patients import COLUMNS, read_csv
from docpipe.places import open_patients


def patients(args: argparse.Namespace) -> int:
    """Import or list patients; returns the exit status."""
    config = load(args.config)
    work = _import(args, config) if args.patients_command == "import" else _list(args, config)
    return asyncio.run(work, debug=args.debug)


async def _import(args: argparse.Namespace, config: Config) -> int:
    good, refused = await read_csv(args.file)
    database = await open_patients(config)
    try:
        await database.put(good)
    finally:
        await database.close()
    for row in refused:
        print(f"{args.file}, line {row.line}: refused: {row.reason}.", file=sys.stderr)
    told = f", {len(refused)} refused" if refused else ""
    print(f"{len(good)} patient{'' if len(good) == 1 else 's'} imported{told}.")
    return 0


async def _list(args: argparse.Namespace, config: Config) -> int:
    database = await open_patients(config)
    try:
        rows = await database.all()
    finally:
        await database.close()
    if args.json:
        print(json.dumps({"patients": rows}, ensure_ascii=False))
        return 0
    for row in rows:
        print("  ".join(str(row.get(name) or "-") for name in COLUMNS))
    print(f"{len(rows)} patient{'' if len(rows) == 1 else 's'}.", file=sys.stderr)
    return 0
