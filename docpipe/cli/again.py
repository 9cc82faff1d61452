"""`docpipe cancel` and `docpipe retry`."""

import argparse
import asyncio
import json
from collections.abc import Sequence

from docpipe import app
from docpipe.checkpoints import StoredRun, read_runs
from docpipe.cli.progress import Progress, Verbosity
from docpipe.cli.run import hint, owned, stopping
from docpipe.cli.summary import tell
from docpipe.cli.words import as_json, no_run, say, told_counts
from docpipe.config.config import Config, load
from docpipe.model import RunState


def cancel(args: argparse.Namespace) -> int:
    """Give runs up; returns the exit status."""
    if args.service is not None:
        from docpipe.cli import remote  # noqa: PLC0415 -- only who asks for it pays for an HTTP client

        return remote.cancel(args)
    return asyncio.run(_cancel(args, load(args.config)), debug=args.debug)


def retry(args: argparse.Namespace) -> int:
    """Begin a finished run again; returns the exit status."""
    if args.service is not None:
        from docpipe.cli import remote  # noqa: PLC0415 -- only who asks for it pays for an HTTP client

        return remote.retry(args)
    return asyncio.run(_retry(args, load(args.config)), debug=args.debug)


def _through(command: str) -> str:
    return f"Use `docpipe {command} --service` to have that service do it."


async def _cancel(args: argparse.Namespace, config: Config) -> int:
    wanted = {run.run_id: run for word in args.which for run in _unfinished_of(config, word)}
    async with (
        owned(config, args, instead=_through(f"cancel {' '.join(args.which)}")) as docpipe,
        stopping(docpipe.engine) as stopped,
    ):
        await asyncio.gather(*(docpipe.engine.cancel(run_id) for run_id in wanted))
        with Progress(docpipe, len(wanted)):
            await docpipe.engine.wait()
        ended = await docpipe.checkpoints.runs(list(wanted))
        if args.json:
            say(json.dumps({"runs": [as_json(run) for run in ended]}))
        else:
            for run in ended:
                _tell_cancelled(docpipe, run)
    if any(not run.state.finished for run in ended):
        hint(ended, args.config)
    if stopped:
        return 128 + stopped[0]
    return 1 if any(run.state is not RunState.CANCELLED or run.error for run in ended) else 0


def _unfinished_of(config: Config, word: str) -> list[StoredRun]:
    """The runs that a word of the command line means: unfinished ones if there are, else the last."""
    found = _found(config, word)
    return [run for run in found if not run.state.finished] or found[-1:]


def _found(config: Config, word: str) -> list[StoredRun]:
    found = read_runs(config.state_dir, word)
    if not found:
        raise no_run(word)
    return found


def _tell_cancelled(docpipe: app.Docpipe, run: StoredRun) -> None:
    where = docpipe.storage.location(run.patient_id)
    say(f"Patient {run.patient_id}: {run.state.replace('_', ' ')}")
    if run.state is not RunState.CANCELLED:
        if run.state.finished:
            say("  reason     the run had ended already; nothing was changed")
        return
    if run.error:
        say(f"  problem    {run.error}")
    if run.counts:
        say(f"  kept       {told_counts(run.counts)}, stored before, in {where}")
    if run.task_id is None:
        say("  task       none was made; nobody had to be told")


async def _retry(args: argparse.Namespace, config: Config) -> int:
    run = _found(config, args.which)[-1]
    async with (
        owned(config, args, instead=_through(f"retry {args.which}")) as docpipe,
        stopping(docpipe.engine) as stopped,
    ):
        await docpipe.engine.retry(run.run_id, args.first)
        with Progress(docpipe, 1, Verbosity.of(args)) as progress:
            await docpipe.engine.wait()
        ended = await docpipe.checkpoints.runs([run.run_id])
        if args.json:
            say(json.dumps({"runs": [as_json(run) for run in ended]}))
        else:
            await tell(docpipe, ended, progress.spent)
    if any(not run.state.finished for run in ended):
        hint(ended, args.config)
    if stopped:
        return 128 + stopped[0]
    return _status(ended)


def _status(ended: Sequence[StoredRun]) -> int:
    return 1 if any(run.state is RunState.FAILED for run in ended) else 0
