"""`docpipe convert`: converts files to readable forms, without a run."""

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
from docpipe.batch import BatchConverter, OutputFolder, Result
from docpipe.cli.phrases import count_words
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.model import OUTCOMES, Outcome
from docpipe.workers.unpacking import ROOMS, make_unpacker

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
    output = _Output(as_json=args.json)
    with work as folder:
        try:
            asyncio.run(_convert(args, config, files, Path(folder), output), debug=args.debug)
        except KeyboardInterrupt:
            print(f"docpipe: stopped; what was converted is in {args.to}.", file=sys.stderr)
            return 130
    return output.end()


def _files(given: Sequence[Path]) -> dict[str, Path]:
    """The files, those in folders included, by the names to display; no two have the same name.

    Raises:
        UsageError: if one is not there.
    """
    files: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise UsageError(f"There is no file {path}.")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = (
                    str(_display_path(path) / file.relative_to(path))
                    if path.is_dir()
                    else str(_display_path(path))
                )
                known = sum(other == name or other.startswith(f"{name} (") for other in files)
                files[f"{name} ({known + 1})" if known else name] = file
    return files


def _display_path(path: Path) -> Path:
    """A path as given, without what leads to the outside."""
    return Path(path.resolve().name) if path.is_absolute() or ".." in path.parts else path


async def _convert(
    args: argparse.Namespace, config: Config, files: dict[str, Path], work: Path, output: "_Output"
) -> None:
    async with (
        app.make_workers(config, inline=args.debug, rooms=work) as workers,
        make_unpacker(work / ROOMS, inline=args.debug, file=config.convert.file_size) as unpacker,
    ):
        hand = BatchConverter(
            workers,
            unpacker,
            work,
            shelf=OutputFolder(args.to, again=args.again),
            done=output.result,
            job=app.conversion(config, inline=args.debug),
            at_once=2 * workers.snapshot().size,
            file_size=config.convert.file_size,
        )
        output.head()
        await hand.convert(files)


@dataclass(slots=True)
class _Output:
    """Prints each result as it comes, or all at the end as JSON."""

    as_json: bool
    results: list[Result] = field(default_factory=list)

    def head(self) -> None:
        """The table's first line."""
        if not self.as_json:
            print(f"{'outcome':<20}{'time':>8}{'memory':>9}{'pages':>6}{'words':>7}  file", flush=True)

    def result(self, result: Result) -> None:
        """A row of the table, with what is wrong below it."""
        self.results.append(result)
        if self.as_json:
            return
        time = "there" if result.unchanged else "" if result.seconds is None else f"{result.seconds:.2f} s"
        memory = f"{result.memory / _MIB:.0f} MiB" if result.memory else ""
        numbers = f"{_number(result.pages):>6}{_number(result.words):>7}"
        print(f"{OUTCOMES[result.outcome]:<20}{time:>8}{memory:>9}{numbers}  {result.path}")
        for line in filter(None, (result.reason, *result.warnings)):
            print(f"{'':<52}{line}")
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()

    def end(self) -> int:
        """Print the total; returns the exit status."""
        counts = Counter(result.outcome.value for result in self.results)
        if self.as_json:
            print(json.dumps({"files": [result.as_json() for result in self.results], "counts": counts}))
        else:
            print(f"\n{count_words(counts)}")
        return 1 if any(counts.get(outcome) for outcome in _PROBLEMS) else 0


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
