"""`docpipe status`: reads the checkpoint database, and disturbs nobody."""

import argparse
import json
import sys
import time

from docpipe.checkpoints import StoredRun, read_runs
from docpipe.cli.words import as_json, no_run, told_counts, told_time, told_wait
from docpipe.config.config import load
from docpipe.errors import UsageError
from docpipe.runtime.state_folder import address


def status(args: argparse.Namespace) -> int:
    """Print where runs stand; returns the exit status."""
    if args.service is not None:
        from docpipe.cli import remote  # noqa: PLC0415 -- only who asks for it pays for an HTTP client

        return remote.status(args)
    config = load(args.config)
    runs = read_runs(config.state_dir, args.which)
    if args.which and not runs:
        raise no_run(args.which)
    if args.json:
        print(json.dumps({"runs": [as_json(run) | {"doing": run.doing or None} for run in runs]}))
        return 0
    if not runs:
        print("There are no runs yet: `docpipe run --patient ID` starts one.")
    if (where := address(config.state_dir)) is not None:
        print(f"docpipe: a service is at work on this folder, at {where}", file=sys.stderr)
    if args.activities:
        from docpipe.cli.looking import timeline  # noqa: PLC0415 -- only who asks for it pays for it

        if not args.which:
            raise UsageError("Name a run or a patient: `docpipe status P123 --activities`.")
        runs = runs[-1:]
    for run in runs:
        print("  ".join(filter(None, (run.run_id, f"{run.patient_id:<12}", _told(run)))))
        for line in timeline(config, run, time.time()) if args.activities else ():
            print(f"  {line}")
    return 0


def _told(run: StoredRun) -> str:
    if run.state.finished:
        ended = told_time(run.finished_at) if run.finished_at else ""
        what = run.error or told_counts(run.counts)
        return f"{run.state.replace('_', ' ')}, {ended}  {what}"
    doing = run.doing
    if not doing:
        return str(run.state)
    wait = told_wait(doing["wait"], time.time())
    return f"{run.state}  {doing['activity']} since {told_time(doing['since'])}{f'; {wait}' if wait else ''}"
