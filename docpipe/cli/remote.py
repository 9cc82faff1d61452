"""What commands do through a service that holds the state folder, instead of by themselves."""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Final

from docpipe.cli.wanted import wanted_patients
from docpipe.cli.words import no_run, say, told_counts, told_time, told_wait, warn
from docpipe.client import Client, Run, Wait
from docpipe.config.config import Config, load
from docpipe.model import Json, Outcome
from docpipe.runtime.state_folder import address

_EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104 -- what a service may listen on; it is asked on this machine
_UNFINISHED: Final = ("queued", "running", "cancelling")


def client_of(args: argparse.Namespace) -> Client:
    """The service that is meant: at the address given, else of the state folder, else as configured."""
    config = load(args.config, services=False)
    where = args.service or address(config.state_dir) or _configured(config)
    token = config.service.token
    return Client(where, token.reveal() if token else None)


def _configured(config: Config) -> str:
    host = "127.0.0.1" if config.service.host in _EVERYWHERE else config.service.host
    return f"http://[{host}]:{config.service.port}" if ":" in host else f"http://{host}:{config.service.port}"


def submit(args: argparse.Namespace) -> int:
    """Submit patients; returns the exit status."""
    patients = asyncio.run(wanted_patients(args, load(args.config, services=False)))
    with client_of(args) as client:
        runs = client.submit(patients, args.priority)
        if args.wait:
            return _watched(client, runs, args)
        if args.json:
            say(json.dumps({"runs": [_as_json(run) for run in runs]}))
        for run in () if args.json else runs:
            say(f"{run.run_id}  {run.patient_id:<12}  {run.state}")
        if not args.json:
            told = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
            warn(f"docpipe: {told} in the hands of {client.address}; `docpipe watch` looks on.")
    return 0


def watch(args: argparse.Namespace) -> int:
    """Look on until runs have ended; returns the exit status."""
    with client_of(args) as client:
        if args.which:
            runs = [run for word in args.which for run in _meant(client, word)]
        else:
            runs = list(client.runs(_UNFINISHED))
        if not runs and not args.json:
            say("Nothing to watch: no run is unfinished.")
        return _watched(client, runs, args)


def status(args: argparse.Namespace) -> int:
    """Print where runs of the service stand; returns the exit status."""
    with client_of(args) as client:
        runs = _found(client, args.which) if args.which else list(_latest(client))
        if args.json:
            say(json.dumps({"runs": [_as_json(run) for run in runs]}))
            return 0
        if not runs:
            say("There are no runs yet: `docpipe submit --patient ID` starts one.")
        for run in runs:
            say(_line(run))
    return 0


def cancel(args: argparse.Namespace) -> int:
    """Give runs of the service up; returns the exit status."""
    with client_of(args) as client:
        meant = [run for word in args.which for run in _meant(client, word)]
        ended = client.wait([run if run.finished else client.cancel(run.run_id) for run in meant])
    _tell(ended, args)
    return 1 if any(run.state != "cancelled" or run.error for run in ended) else 0


def retry(args: argparse.Namespace) -> int:
    """Do a run of the service again; returns the exit status."""
    with client_of(args) as client:
        latest = max(_found(client, args.which), key=lambda run: run.run_id)
        return _watched(client, [client.retry(latest.run_id, args.first)], args)


def _latest(client: Client) -> Iterable[Run]:
    """As of `docpipe status`: the latest thousand, oldest first."""
    latest = [run for run, _ in zip(client.runs(), range(1000), strict=False)]
    return reversed(latest)


def _found(client: Client, word: str) -> list[Run]:
    found = [run for run in client.runs(prefix=word) if word in (run.patient_id, run.run_id)]
    if not found:
        raise no_run(word)
    return found


def _meant(client: Client, word: str) -> list[Run]:
    """Unfinished runs of a patient if there are, else the last."""
    found = _found(client, word)
    return [run for run in found if not run.finished] or found[:1]


def _watched(client: Client, runs: Sequence[Run], args: argparse.Namespace) -> int:
    def told(run: Run) -> None:
        if not args.json:
            say(_line(run))

    try:
        ended = client.wait(runs, each=told) if runs else []
    except KeyboardInterrupt:
        warn("docpipe: the runs go on in the service; `docpipe watch` looks on again.")
        raise
    if args.json:
        say(json.dumps({"runs": [_as_json(run) for run in ended]}))
    return 1 if any(run.state == "failed" for run in ended) else 0


def _tell(runs: Sequence[Run], args: argparse.Namespace) -> None:
    if args.json:
        say(json.dumps({"runs": [_as_json(run) for run in runs]}))
        return
    for run in runs:
        say(_line(run))


def _line(run: Run) -> str:
    return "  ".join(
        filter(None, (run.run_id, f"{run.patient_id:<12}", run.state.replace("_", " "), _now(run)))
    )


def _now(run: Run) -> str:
    counts = {name: count for name, count in run.documents.items() if count}
    if run.finished:
        ended = told_time(run.finished_at.timestamp()) if run.finished_at else ""
        return f"{ended}  {run.error or told_counts(counts)}"
    wait = _waiting(run.wait) if run.wait else ""
    done = f"{sum(counts.values())} of {run.files} documents" if run.files else ""
    return ", ".join(filter(None, (run.activity, done, wait)))


def _waiting(wait: Wait) -> str:
    until = wait.until.timestamp() if wait.until else None
    told = {"kind": wait.kind, "what": wait.what, "place": wait.place, "until": until}
    return told_wait(told, time.time())


def _as_json(run: Run) -> dict[str, Json]:
    """As `--json` of other commands."""
    return {
        "run_id": run.run_id,
        "patient_id": run.patient_id,
        "state": run.state,
        "documents": {outcome.value: run.documents.get(outcome, 0) for outcome in Outcome},
        "task_id": run.task_id,
        "error": run.error,
    }
