"""`docpipe logs`, `docpipe report`, `docpipe completion`, the timeline of `docpipe status --activities`."""

import argparse
import asyncio
import csv
import json
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docpipe.checkpoints import StoredRun, StoredStep, read_runs, read_steps
from docpipe.cli.summary import table
from docpipe.cli.words import no_run, say, told_span, told_time, told_wait
from docpipe.config.config import Config, load
from docpipe.engine.restart import ERROR, failed
from docpipe.errors import StateError, UsageError
from docpipe.model import Activity


def logs(args: argparse.Namespace) -> int:
    """Print the lines of the activity log that tell of a run; returns the exit status."""
    config = load(args.config, services=False)
    run = _latest(config, args.which)
    found = list(_lines(config.state_dir, run.run_id))
    if args.json:
        say(json.dumps({"run_id": run.run_id, "lines": found}))
        return 0
    say(f"run {run.run_id} of patient {run.patient_id}: {run.state.replace('_', ' ')}")
    rows = [
        [
            line["timestamp"],
            line["activity"],
            line["event"] if line["event"] == "start" else line["outcome"],
            "" if line["event"] == "start" else f"{float(line['duration_s']):.3f} s",
            f"try {line['attempt']}" if line["attempt"] != "1" else "",
            "" if line["args"] in ("{}", "null") else line["args"],
        ]
        for line in found
    ]
    for told in table(rows, numbers_from=9) if rows else ():
        say(told)
    return 0


def _lines(state: Path, run_id: str) -> Iterator[dict[str, str]]:
    """Oldest first: the logs that were put aside bear their time in their names."""
    put_aside = sorted(state.glob("activity_log-*.csv"))
    for path in (*put_aside, state / "activity_log.csv"):
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                yield from (row for row in csv.DictReader(file) if row["run_id"] == run_id)


def _latest(config: Config, word: str) -> StoredRun:
    found = read_runs(config.state_dir, word)
    if not found:
        raise no_run(word)
    return max(found, key=lambda run: run.run_id)


def timeline(config: Config, run: StoredRun, now: float) -> Iterator[str]:
    """Each activity of a run: when, how long, its tries, what came of it, what it waits for."""
    rows = [["began", "took", "activity", "", "tries", "result"]]
    doing = None if run.state.finished else run.doing
    for step in sorted(
        read_steps(config.state_dir, run.run_id), key=lambda step: (step.started_at, step.item)
    ):
        over = step.finished_at is not None
        seconds = (step.finished_at or now) - step.started_at
        current = not over and doing and doing["activity"] == step.activity
        wait = told_wait(doing["wait"], now) if current and doing else ""
        rows.append(
            [
                told_time(step.started_at),
                told_span(seconds) if seconds >= 1 else f"{seconds * 1000:.0f} ms",
                step.activity,
                step.item,
                str(step.attempts),
                _result(step) if over else wait or "under way",
            ]
        )
    yield from table(rows, numbers_from=9)


def _result(step: StoredStep) -> str:
    """What came of a step, in a few words; nothing of what documents say."""
    result: Any = step.result
    if failed(result):
        return f"failed: {result[ERROR]}"
    if not isinstance(result, dict):
        return "ok"
    told = {
        Activity.CREATE_TASK: lambda: f"task {result['task_id']}",
        Activity.SEARCH: lambda: f"search {result['search_id']}",
        Activity.CHECK_STATUS: lambda: (
            f"{result.get('state', 'ok')} after {result.get('polls', 0)} questions"
        ),
        Activity.DOWNLOAD: lambda: f"{result['size']} bytes, {len(result['members'])} files",
        Activity.CONVERT: lambda: ": ".join(filter(None, (result["outcome"], result["reason"]))),
    }.get(Activity(step.activity))
    try:
        return told() if told else "ok"
    except (KeyError, TypeError):  # an expired search has no archive, for instance
        return str(result.get("state", "ok"))


def report(args: argparse.Namespace) -> int:
    """Print the last report of a patient, or open it; returns the exit status."""
    return asyncio.run(_report(args, load(args.config, services=False)))


async def _report(args: argparse.Namespace, config: Config) -> int:
    from docpipe.report.digest import digest  # noqa: PLC0415
    from docpipe.wiring.backends import open_storage  # noqa: PLC0415 -- the rest of this module needs no storage

    found = sorted(read_runs(config.state_dir, args.which), key=lambda run: run.run_id, reverse=True)
    storage = open_storage(config)
    for run in found:
        try:
            text = await storage.get_run_file(run.patient_id, run.run_id, "report.json")
        except OSError as error:
            raise StateError(f"The storage cannot be read: {error.strerror}.") from error
        if text is None:
            continue
        where = f"{storage.location(run.patient_id, run_id=run.run_id)}/report.html"
        if not args.open:
            say(digest(json.loads(text)))
        elif not webbrowser.open(where if "://" in where else Path(where).as_uri()):
            raise UsageError(f"No browser can be opened here; the report is {where}")
        say(f"\nreport: {where}")
        return 0
    if not found:
        raise no_run(args.which)
    raise UsageError(
        f"There is no report for {args.which}: `docpipe status {args.which}` tells how far it is."
    )


def completion(args: argparse.Namespace) -> int:
    """Print a script for a shell; returns the exit status."""
    import shtab  # noqa: PLC0415 -- nothing else needs it

    from docpipe.cli.options import parser  # noqa: PLC0415

    say(shtab.complete(parser(), args.shell))
    return 0
