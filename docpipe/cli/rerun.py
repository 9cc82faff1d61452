"""`docpipe cancel` and `docpipe retry`."""

import argparse
import asyncio
import json
from collections.abc import Sequence

from docpipe.checkpoints import StoredRun, read_runs
from docpipe.cli.dispatch import dispatch
from docpipe.cli.phrases import RESUMES, STOPPED, as_json, count_words, no_run, print_line
from docpipe.cli.progress import Progress
from docpipe.cli.run import await_runs, hint, owned, stopping
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.model import RunState
from docpipe.runtime.interpreter import allow_many_files
from docpipe.storage import Storage


def cancel(args: argparse.Namespace) -> int:
    """Cancel runs; returns the exit status."""
    return dispatch(args, "cancel", lambda _, config: asyncio.run(_cancel(args, config), debug=args.debug))


def retry(args: argparse.Namespace) -> int:
    """Begin a finished run again; returns the exit status."""
    return dispatch(args, "retry", _retry_here)


def _retry_here(args: argparse.Namespace, config: Config) -> int:
    allow_many_files()
    return asyncio.run(_retry(args, config), debug=args.debug)


def _through(command: str) -> str:
    return f"use `docpipe {command} --service` to have that service do it."


async def _cancel(args: argparse.Namespace, config: Config) -> int:
    wanted = {run.run_id: run for word in args.which for run in _unfinished_of(config, word)}
    async with (
        owned(config, args, instead=_through(f"cancel {' '.join(args.which)}")) as docpipe,
        stopping(docpipe.engine) as stopped,
    ):
        await asyncio.gather(*(docpipe.engine.cancel(run_id) for run_id in wanted))
        with Progress(docpipe, len(wanted)):
            await docpipe.engine.wait()
        ended = await docpipe.checkpoints.runs_with_progress(list(wanted))
        if args.json:
            print_line(json.dumps({"runs": [as_json(run) for run in ended]}))
        else:
            for run in ended:
                print_cancelled(docpipe.storage, run)
    if any(not run.state.finished for run in ended):
        hint(ended, args.config)
    if stopped:
        return 128 + stopped[0]
    return 1 if any(run.state is not RunState.CANCELLED or run.error for run in ended) else 0


def _unfinished_of(config: Config, word: str) -> list[StoredRun]:
    """The runs that an argument names: the unfinished ones; where all are finished, the last one."""
    runs = _runs_of(config, word)
    return [run for run in runs if not run.state.finished] or runs[-1:]


def _runs_of(config: Config, word: str) -> list[StoredRun]:
    runs = read_runs(config.state_dir, word)
    if not runs:
        raise no_run(word)
    return runs


def print_cancelled(storage: Storage, run: StoredRun) -> None:
    """Print what became of a cancelled run, and what stays."""
    where = storage.location(run.patient_id)
    print_line(f"Patient {run.patient_id}: {run.state.replace('_', ' ')}")
    if run.state is not RunState.CANCELLED:
        if run.state.finished:
            print_line("  reason     the run had ended already; nothing was changed")
        return
    if run.error:
        print_line(f"  problem    {run.error}")
    if run.counts:
        print_line(f"  kept       {count_words(run.counts)}, stored before, in {where}")
    if run.task_id is None:
        print_line("  task       none was created; none had to be cancelled")


async def _retry(args: argparse.Namespace, config: Config) -> int:
    run = _runs_of(config, args.which)[-1]
    async with (
        owned(config, args, instead=_through(f"retry {args.which}")) as docpipe,
        stopping(docpipe.engine) as stopped,
    ):
        if not run.state.finished:
            raise UsageError(f"Run {run.run_id} is {STOPPED}; {RESUMES}.")
        await docpipe.engine.retry(run.run_id, args.first)
        ended = await await_runs(docpipe, [run.run_id], args)
    if any(not run.state.finished for run in ended):
        hint(ended, args.config)
    if stopped:
        return 128 + stopped[0]
    return _status(ended)


def _status(ended: Sequence[StoredRun]) -> int:
    return 1 if any(run.state is RunState.FAILED for run in ended) else 0
