"""Commands that a running service, which owns the state folder, carries out."""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from docpipe.cli.phrases import count_words, no_run, print_line, time_words, until_words, warn
from docpipe.cli.selection import selected_patients
from docpipe.cli.signals import run_stoppable
from docpipe.client import Client, Run, Wait
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.model import Outcome, describe_wait
from docpipe.runtime.service_token import is_open, known_token
from docpipe.runtime.state_folder import address
from docpipe.util.times import iso

_EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104 -- what a service may listen on; it is asked on this machine
_UNFINISHED: Final = ("queued", "running", "cancelling")


def client_of(args: argparse.Namespace) -> Client:
    """The service that is meant: at the address given, else of the state folder, else as configured."""
    config = load(args.config, services=False)
    here = address(config.state_dir)
    where = args.service or here or _configured(config)
    token = None if is_open(config.service) else config.service.token
    if token is None and where.rstrip("/") == here:  # no other service gets the token of this folder
        token = known_token(config.state_dir)
    return Client(where, token.reveal() if token else None)


def _configured(config: Config) -> str:
    host = "127.0.0.1" if config.service.host in _EVERYWHERE else config.service.host
    return f"http://[{host}]:{config.service.port}" if ":" in host else f"http://{host}:{config.service.port}"


def submit(args: argparse.Namespace) -> int:
    """Submit patients; returns the exit status."""
    config = load(args.config, services=False)
    if config.fleet.temporal and args.service is None:
        from docpipe.cli import fleet  # noqa: PLC0415 -- only a fleet pays for it

        return fleet.submit(args, config)
    patients = run_stoppable(selected_patients(args, config), debug=args.debug)
    with client_of(args) as client:
        runs = client.submit(patients, args.priority)
        if args.wait:
            return _watched(client, runs, args)
        if args.json:
            print_line(json.dumps({"runs": [_as_json(run) for run in runs]}))
        for run in () if args.json else runs:
            print_line(f"{run.run_id}  {run.patient_id:<12}  {run.state}")
        if not args.json:
            count = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
            warn(f"docpipe: {count} submitted to {client.address}; `docpipe watch` shows the progress.")
    return 0


def watch(args: argparse.Namespace) -> int:
    """Show runs until they have ended; returns the exit status."""
    config = load(args.config, services=False)
    if config.fleet.temporal and args.service is None:
        from docpipe.cli import fleet  # noqa: PLC0415 -- only a fleet pays for it

        return fleet.watch(args, config)
    with client_of(args) as client:
        if args.which:
            runs = [run for word in args.which for run in _meant(client, word)]
        else:
            runs = list(client.runs(_UNFINISHED))
        if not runs and not args.json:
            print_line("Nothing to watch: no run is unfinished.")
        return _watched(client, runs, args)


def status(args: argparse.Namespace) -> int:
    """Print the state of the service's runs; returns the exit status."""
    if args.activities:
        raise UsageError(
            "`--activities` reads the state folder of this machine, so it does not go with `--service`: "
            "the page of the service shows the timeline of each run, /api/runs/RUN gives it to programs."
        )
    with client_of(args) as client:
        runs = _runs_of(client, args.which) if args.which else list(_latest(client))
        if args.json:
            print_line(json.dumps({"runs": [_as_json(run) for run in runs]}))
            return 0
        if not runs:
            print_line("There are no runs yet: `docpipe submit --patient ID` starts one.")
        for run in runs:
            print_line(_line(run))
    return 0


def cancel(args: argparse.Namespace) -> int:
    """Cancel runs of the service; returns the exit status."""
    with client_of(args) as client:
        meant = [run for word in args.which for run in _meant(client, word)]
        ended = client.wait([run if run.finished else client.cancel(run.run_id) for run in meant])
    _print_runs(ended, args)
    return 1 if any(run.state != "cancelled" or run.error for run in ended) else 0


def retry(args: argparse.Namespace) -> int:
    """Do a run of the service again; returns the exit status."""
    with client_of(args) as client:
        latest = max(_runs_of(client, args.which), key=lambda run: run.run_id)
        return _watched(client, [client.retry(latest.run_id, args.first)], args)


def _latest(client: Client) -> Iterable[Run]:
    """As of `docpipe status`: the latest thousand, oldest first."""
    latest = [run for run, _ in zip(client.runs(), range(1000), strict=False)]
    return reversed(latest)


def _runs_of(client: Client, word: str) -> list[Run]:
    runs = [run for run in client.runs(prefix=word) if word in (run.patient_id, run.run_id)]
    if not runs:
        raise no_run(word)
    return runs


def _meant(client: Client, word: str) -> list[Run]:
    """Unfinished runs of a patient if there are, else the last."""
    runs = _runs_of(client, word)
    return [run for run in runs if not run.finished] or runs[:1]


def _watched(client: Client, runs: Sequence[Run], args: argparse.Namespace) -> int:
    def print_run(run: Run) -> None:
        if not args.json:
            print_line(_line(run))

    try:
        ended = client.wait(runs, each=print_run) if runs else []
    except KeyboardInterrupt:
        warn("docpipe: the runs continue in the service; `docpipe watch` shows them again.")
        raise
    if args.json:
        print_line(json.dumps({"runs": [_as_json(run) for run in ended]}))
    return 1 if any(run.state == "failed" for run in ended) else 0


def _print_runs(runs: Sequence[Run], args: argparse.Namespace) -> None:
    if args.json:
        print_line(json.dumps({"runs": [_as_json(run) for run in runs]}))
        return
    for run in runs:
        print_line(_line(run))


def _line(run: Run) -> str:
    state, ended = run.state.replace("_", " "), run.finished_at
    if run.finished and ended:
        state = f"{state}, {time_words(ended.timestamp())}"
    return "  ".join(filter(None, (run.run_id, f"{run.patient_id:<12}", state, _now(run))))


def _now(run: Run) -> str:
    counts = {name: count for name, count in run.documents.items() if count}
    if run.finished:
        return run.error or count_words(counts)
    wait = _waiting(run.wait) if run.wait else ""
    done = f"{sum(counts.values())} of {run.files} documents" if run.files else ""
    return ", ".join(filter(None, (run.activity, done, wait)))


def _waiting(wait: Wait) -> str:
    until = wait.until.timestamp() if wait.until else None
    return until_words(describe_wait(wait.kind, wait.what, wait.place), until, time.time())


def _as_json(run: Run) -> dict[str, object]:
    """A run as `--json` of other commands prints it."""
    return {
        "run_id": run.run_id,
        "patient_id": run.patient_id,
        "state": run.state,
        "documents": {outcome.value: run.documents.get(outcome, 0) for outcome in Outcome},
        "task_id": run.task_id,
        "error": run.error,
        "created_at": _iso(run.created_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else iso(when.timestamp())
