"""`docpipe convert`: files to readable forms by hand."""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docpipe import app
from docpipe.batch import ByHand, Result, Shelf
from docpipe.cli.words import told_counts
from docpipe.config.config import Config, load
from docpipe.errors import UsageError
from docpipe.model import Outcome

_MIB: Final = 2**20
_PROBLEMS: Final = (Outcome.FAILED, Outcome.REFUSED)


def convert(args: argparse.Namespace) -> int:
    """Convert files; returns the exit status."""
    config = load(args.config, services=False)
    files = _files(args.file)
    try:
        args.to.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".docpipe-", dir=args.to, ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(f"--to {args.to} cannot be written: {error.strerror}.") from error
    told = _Told(as_json=args.json)
    with work as folder:
        try:
            asyncio.run(_convert(args, config, files, Path(folder), told), debug=args.debug)
        except KeyboardInterrupt:
            print(f"docpipe: stopped; what was converted lies in {args.to}.", file=sys.stderr)
            return 130
    return told.end()


def _files(given: Sequence[Path]) -> dict[str, Path]:
    """Files by the names to show, those of folders included; no two have the same.

    Raises:
        UsageError: if one is not there.
    """
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise UsageError(f"There is no file {path}.")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                shown = str(_shown(path) / file.relative_to(path)) if path.is_dir() else str(_shown(path))
                known = sum(name == shown or name.startswith(f"{shown} (") for name in found)
                found[f"{shown} ({known + 1})" if known else shown] = file
    return found


def _shown(path: Path) -> Path:
    """A path as given, without what leads to the outside."""
    return Path(path.resolve().name) if path.is_absolute() or ".." in path.parts else path


async def _convert(
    args: argparse.Namespace, config: Config, files: dict[str, Path], work: Path, told: "_Told"
) -> None:
    async with app.make_workers(config, inline=args.debug) as workers:
        hand = ByHand(
            workers,
            work,
            shelf=Shelf(args.to, again=args.again),
            done=told.result,
            job=app.conversion(config),
            at_once=2 * workers.snapshot().size,
        )
        told.head()
        await hand.convert(files)


@dataclass(slots=True)
class _Told:
    """Tells each result as it comes, and all of them at the end where JSON is wanted."""

    as_json: bool
    results: list[Result] = field(default_factory=list)

    def head(self) -> None:
        """The table's first line."""
        if not self.as_json:
            print(f"{'outcome':<10}{'time':>8}{'memory':>9}{'pages':>6}{'words':>7}  file", flush=True)

    def result(self, result: Result) -> None:
        """A row of the table, with what is wrong below it."""
        self.results.append(result)
        if self.as_json:
            return
        time = "there" if result.unchanged else "" if result.seconds is None else f"{result.seconds:.2f} s"
        memory = f"{result.memory / _MIB:.0f} MiB" if result.memory else ""
        print(
            f"{result.outcome:<10}{time:>8}{memory:>9}{_number(result.pages):>6}{_number(result.words):>7}  "
            f"{result.path}"
        )
        for line in filter(None, (result.reason, *result.warnings)):
            print(f"{'':<42}{line}")
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()

    def end(self) -> int:
        """The sum of it all; returns the exit status."""
        counts = Counter(result.outcome.value for result in self.results)
        if self.as_json:
            print(json.dumps({"files": [result.as_json() for result in self.results], "counts": counts}))
        else:
            print(f"\n{told_counts(counts)}")
        return 1 if any(counts.get(outcome) for outcome in _PROBLEMS) else 0


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
