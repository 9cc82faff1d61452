"""`docpipe status`: reads the checkpoint database without locking it."""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docpipe.checkpoints import StoredRun, is_held, last_alive, read_runs, read_steps, read_with_progress
from docpipe.cli.dispatch import dispatch
from docpipe.cli.phrases import (
    RESUMES,
    STOPPED,
    as_json,
    count_words,
    doing_json,
    no_run,
    span_words,
    time_words,
    wait_words,
)
from docpipe.cli.plans import plans_json, plans_of, print_plans
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.gates.local_trouble import HELD
from docpipe.model import describe_transfer
from docpipe.runtime.state_folder import address, in_use

_SILENT_S: Final = 15.0
"""A running process notes every second that it lives. SQLite waits 5 s for a lock, docpipe 5 s more."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a process drives the runs, and whether it can write its state."""

    at_work: bool
    now: float | None
    """Until when it was running (seconds since the epoch), None where that is not known."""
    trouble: str | None = None


def status(args: argparse.Namespace) -> int:
    """Print the state of runs; returns the exit status."""
    return dispatch(args, "status", _status)


def _status(args: argparse.Namespace, config: Config) -> int:
    """Print the state of the runs of the state folder."""
    held = in_use(config.state_dir)
    runs = read_runs(config.state_dir, args.which)
    if args.which and not runs:
        raise no_run(args.which)
    presence = _presence(config.state_dir, runs, held=held)
    if args.activities and not args.which:
        raise UsageError("Name a run or a patient: `docpipe status P123 --activities`.")
    runs = runs[-1:] if args.activities else runs
    if args.json:
        _print_json(config, runs, presence, activities=args.activities)
        return 0
    if not runs:
        print("There are no runs yet: `docpipe run --patient ID` starts one.")
    _warn_of(config, presence)
    for run in runs:
        print("  ".join(filter(None, (run.run_id, f"{run.patient_id:<12}", line_of(run, presence)))))
        if args.activities:
            _print_timeline(config, run, presence)
    if not args.which:
        print_plans(plans_of(config))
    return 0


def _warn_of(config: Config, presence: Presence) -> None:
    if (where := address(config.state_dir)) is not None:
        print(f"docpipe: a service is using this folder, at {where}", file=sys.stderr)
    if presence.trouble is not None:
        print(f"docpipe: {presence.trouble}", file=sys.stderr)


def _print_json(config: Config, runs: list[StoredRun], presence: Presence, *, activities: bool) -> None:
    listed: list[dict[str, object]] = []
    for run in read_with_progress(config.state_dir, runs):
        listed.append(as_json(run, at_work=presence.at_work) | {"doing": doing_json(run.doing)})
        if activities:
            from docpipe.cli.inspection import activities_of  # noqa: PLC0415 -- only who asks for it pays for it

            listed[-1]["activities"] = activities_of(read_steps(config.state_dir, run.run_id))
    whole = {"runs": listed, "at_work": presence.at_work, "trouble": presence.trouble}
    print(json.dumps(whole | plans_json(plans_of(config))))


def _print_timeline(config: Config, run: StoredRun, presence: Presence) -> None:
    from docpipe.cli.inspection import timeline  # noqa: PLC0415 -- only who asks for it pays for it

    steps = read_steps(config.state_dir, run.run_id)
    for line in timeline(steps, run, presence.now, at_work=presence.at_work):
        print(f"  {line}")


def _presence(state: Path, runs: list[StoredRun], *, held: bool) -> Presence:
    """`held`: whether a process held the folder before the runs were read; it may have ended since."""
    now, alive = time.time(), last_alive(state)
    if not held and not in_use(state):
        return Presence(at_work=False, now=alive and min(now, alive))  # not known after a clean stop
    running = any(not run.state.finished and run.doing for run in runs)
    if not running or alive is None or now - alive < _SILENT_S:
        return Presence(at_work=True, now=now)
    reason = HELD.sentence("state folder") if is_held(state) else "see its log"
    return Presence(
        at_work=True,
        now=now,
        trouble=f"docpipe is running, but has written nothing for {span_words(now - alive)}: {reason}.",
    )


def line_of(run: StoredRun, presence: Presence) -> str:
    """The state of a run, in words."""
    if run.state.finished:
        ended = time_words(run.finished_at) if run.finished_at else ""
        what = run.error or count_words(run.counts)
        return f"{run.state.replace('_', ' ')}, {ended}  {what}"
    doing = run.doing
    if not presence.at_work:
        return f"{STOPPED}; {RESUMES}" + (f" from {doing.activity} on" if doing else "")
    if not doing:
        return str(run.state)
    wait = wait_words(doing.wait, time.time()) or (doing.transfer and describe_transfer(doing.transfer))
    return f"{run.state}  {doing.activity} since {time_words(doing.since)}{f'; {wait}' if wait else ''}"
