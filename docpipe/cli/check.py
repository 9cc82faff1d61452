"""`docpipe check`: whether each part can be used, whether stored data is sound, and repairs."""

import argparse
import contextlib
import functools
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from docpipe import app
from docpipe.check import Bench, Finding, Fit, Mended, Scene, findings, repair, trials
from docpipe.check.parts import STATE
from docpipe.cli.phrases import print_line
from docpipe.cli.run import owned
from docpipe.cli.signals import run_stoppable
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.model import count_of
from docpipe.runtime.state_folder import in_use
from docpipe.wiring.backends import open_storage

_EVERY_S: Final = 0.25
_STOP_IT: Final = "stop it before a repair; `docpipe check` without --repair runs beside it."


def check(args: argparse.Namespace) -> int:
    """Verify what is kept; returns the exit status."""
    return run_stoppable(_check(args, load(args.config)), debug=args.debug)


async def _check(args: argparse.Namespace, config: Config) -> int:
    verdict = _Output(as_json=args.json)
    async with contextlib.aclosing(trials(_bench(args, config, verdict))) as tried:
        async for part in tried:
            verdict.fit(part) if isinstance(part, Fit) else verdict.finding(part)
            verdict.unusable = verdict.unusable or (isinstance(part, Finding) and part.check == STATE)
    if verdict.unusable:  # nothing in it can be verified or repaired
        return verdict.end(Scene(config.state_dir, open_storage(config), beside=False))
    if not args.repair:
        beside = in_use(config.state_dir)
        scene = Scene(config.state_dir, open_storage(config), beside=beside, progress=verdict.progress)
        async for finding in findings(scene):
            verdict.finding(finding)
        return verdict.end(scene)
    async with owned(config, args, instead=_STOP_IT) as docpipe:
        scene = Scene(config.state_dir, docpipe.storage, beside=False, progress=verdict.progress)
        async for finding in findings(scene):
            verdict.finding(finding, await repair(finding, docpipe.activities))
        return verdict.end(scene)


def _bench(args: argparse.Namespace, config: Config, verdict: "_Output") -> Bench:
    workers = functools.partial(app.make_workers, inline=args.debug)
    return Bench(config, workers, progress=verdict.progress, notify=args.notify)


@dataclass(slots=True)
class _Output:
    """Prints findings as they come, or all at the end as JSON."""

    as_json: bool
    wrong: int = 0
    mendable: int = 0
    mended: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)
    able: list[Fit] = field(default_factory=list)
    last: float = 0.0
    moving: bool = False
    unusable: bool = False
    """Whether the state folder cannot be used, so that no command works."""

    def progress(self, text: str) -> None:
        """Show on a terminal what is being checked, at most four times a second."""
        if sys.stderr.isatty() and time.monotonic() - self.last > _EVERY_S:
            self.last, self.moving = time.monotonic(), True
            sys.stderr.write(f"\r\x1b[2KChecking: {text}")
            sys.stderr.flush()

    def _wipe(self) -> None:
        if self.moving:
            self.moving = False
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def fit(self, part: Fit) -> None:
        """Print a part that can be used."""
        self.able.append(part)
        if not self.as_json:
            self._wipe()
            print_line(f"ok     {part.check}: {part.where}: {part.evidence}")

    def finding(self, finding: Finding, mended: Mended | None = None) -> None:
        """Print a finding, and what was done about it."""
        well = mended is not None and mended.well
        if finding.wrong:
            self.wrong += not well
            self.mendable += finding.remedy is not None
        self.mended += well
        if self.as_json:
            about = {name: getattr(finding, name) for name in ("check", "where", "problem", "cure", "wrong")}
            self.listed.append(about | {"mended": well, "done": mended.action if mended else None})
            return
        self._wipe()
        verdict = "wrong" if finding.wrong else "note "
        print_line(f"{verdict}  {finding.check}: {finding.where}: {finding.problem}")
        if mended is not None:
            print_line(f"       {'repaired' if well else 'not repaired'}: {mended.action}")
        if not well and finding.cure:
            print_line(f"       cure: {finding.cure}")

    def end(self, scene: Scene) -> int:
        """Print the verdict; returns the exit status."""
        self._wipe()
        if self.as_json:
            sound = {"sound": not self.wrong, "checked": dict(scene.counts)}
            sound |= {"fit": [_as_json(part) for part in self.able], "findings": self.listed}
            print_line(json.dumps(sound))
            return self._status()
        print_line(f"Checked {_looked_at(scene.counts)} in {_short(scene.state)} and {_where(scene)}.")
        mended = f" {self.mended} repaired." if self.mended else ""
        if not self.wrong:
            print_line(f"No problems found.{mended}")
            return 0
        hint = ""
        if self.mendable and not self.mended:
            hint = " `docpipe check --repair` repairs what can be repaired."
        print_line(f"{count_of(self.wrong, 'problem')} found.{mended}{hint}")
        return self._status()

    def _status(self) -> int:
        return 2 if self.unusable else 1 if self.wrong else 0


def _as_json(part: Fit) -> dict[str, str]:
    return {"check": part.check, "where": part.where, "told": part.evidence}


def _looked_at(counts: Counter[str]) -> str:
    kinds = ("documents", "patients", "runs", "log lines")
    return ", ".join(f"{counts[kind]:,} {kind[:-1] if counts[kind] == 1 else kind}" for kind in kinds)


def _where(scene: Scene) -> str:
    folder = scene.storage.folder
    return scene.storage.tree().where() if folder is None else _short(folder)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
