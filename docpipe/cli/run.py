"""`docpipe run` and `docpipe resume`."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from docpipe import app
from docpipe.checkpoints import StoredRun
from docpipe.cli.dispatch import dispatch
from docpipe.cli.phrases import as_json, print_line, warn
from docpipe.cli.progress import Progress, Verbosity
from docpipe.cli.selection import selected_patients
from docpipe.cli.summary import print_summary
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.engine.engine import STOP_S, Engine
from docpipe.errors import ConfigError, StateError
from docpipe.model import RunState
from docpipe.runtime.interpreter import tune_interpreter
from docpipe.runtime.state_folder import InUseError, address, holder
from docpipe.wiring.backends import require_patients_file

_RESUMES_BY_ITSELF: Final = (
    "it resumes unfinished runs by itself, `docpipe watch` shows them, and its page ends pauses."
)


def run(args: argparse.Namespace) -> int:
    """Run or resume patients; returns the exit status."""
    return dispatch(args, "run", _run_here)


def _run_here(args: argparse.Namespace, config: Config) -> int:
    tune_interpreter()
    return asyncio.run(_run(args, config), debug=args.debug)


async def await_runs(docpipe: app.Docpipe, run_ids: list[str], args: argparse.Namespace) -> list[StoredRun]:
    """Show the progress of runs until they have ended or stopped, print how they ended, and return them."""
    with Progress(docpipe, len(run_ids), Verbosity.of(args)) as progress:
        await docpipe.engine.wait()
    ended = await docpipe.checkpoints.runs_with_progress(run_ids)
    if args.json:
        print_line(json.dumps({"runs": [as_json(run) for run in ended]}))
    else:
        await print_summary(docpipe.storage, ended, progress.spent)
    return ended


async def _run(args: argparse.Namespace, config: Config) -> int:
    patient_ids = await selected_patients(args, config)
    if args.command == "run":
        require_patients_file(config)
    instead = (
        _RESUMES_BY_ITSELF if args.command == "resume" else "use `docpipe submit` to hand the work to it."
    )
    async with owned(config, args, instead=instead) as docpipe, stopping(docpipe.engine) as stopped:
        engine = docpipe.engine
        await _handle_pauses(docpipe, unpause=getattr(args, "unpause", False))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_rates, docpipe, args.config)
        if args.command == "resume":
            runs = await engine.resume(patient_ids)
        else:
            runs = await engine.submit(patient_ids, args.priority)
        ended = await await_runs(docpipe, [run.run_id for run in runs], args)
    if any(not run.state.finished for run in ended):
        hint(ended, args.config)
    if stopped:
        return 128 + stopped[0]
    return 1 if any(run.state is RunState.FAILED for run in ended) else 0


@contextlib.asynccontextmanager
async def owned(config: Config, args: argparse.Namespace, *, instead: str = "") -> AsyncIterator[app.Docpipe]:
    """Open docpipe for a command; the error of a state folder in use says what to do instead."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            opened = app.opened(
                config,
                inline=args.debug,
                until=getattr(args, "until", None),
                trace_http=getattr(args, "trace_http", None),
            )
            docpipe = await stack.enter_async_context(opened)
        except InUseError as error:
            if instead and (where := address(config.state_dir)) is not None:
                raise InUseError(
                    f"A service at {where} holds the state folder {config.state_dir}: {instead}"
                ) from error
            if args.command in ("run", "resume"):
                raise
            raise StateError(
                f"{holder(config.state_dir).capitalize()} is using the state folder {config.state_dir}: "
                "stop it (Ctrl-C) and try again; afterwards `docpipe resume` continues the other runs."
            ) from error
        yield docpipe


async def _handle_pauses(docpipe: app.Docpipe, *, unpause: bool) -> None:
    """End the pauses that an earlier process left, or warn of them."""
    paused = list(await docpipe.checkpoints.pauses())
    for name in paused if unpause else ():
        if name and name not in docpipe.services:  # an origin of archives without a request so far
            await docpipe.checkpoints.unpause(name)
        else:
            await docpipe.unpause(name or None)
    if paused and not unpause:
        names = ", ".join(name or "everything" for name in paused)
        warn(f"docpipe: paused: {names}. `docpipe resume --unpause` ends that.")


def reload_rates(docpipe: app.Docpipe, path: Path | None) -> None:
    """Take over the rates of the configuration as it stands now; one that is bad changes nothing."""
    try:
        changed = docpipe.use_rates(load(path))
    except ConfigError as error:
        warn(f"docpipe: the new configuration is refused, the old one stays: {error}")
    else:
        rates = ", ".join(changed) if changed else "no rate has changed"
        warn(f"docpipe: configuration read again; {rates}. Other keys take effect at the next start.")


@contextlib.asynccontextmanager
async def stopping(engine: Engine) -> AsyncIterator[list[int]]:
    """Stop cleanly at the first SIGINT or SIGTERM, leave at once at the second; yields the signals seen."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    def handle(number: int) -> None:
        seen.append(number)
        if len(seen) > 1:
            os._exit(128 + number)
        warn(stopping_message(STOP_S))
        tasks.append(asyncio.create_task(engine.stop(), name="stop"))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, int(number))
    try:
        yield seen
    finally:
        await asyncio.gather(*tasks)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def stopping_message(seconds: float) -> str:
    """What a first signal prints: how long the stop may take, and how to cut it short."""
    again = "Press Ctrl-C again to quit immediately."
    return f"docpipe: Stopping: running activities get up to {seconds:.0f} s. {again}"


def hint(runs: Sequence[StoredRun], config: Path | None, command: str = "resume") -> None:
    """Print how to resume what is unfinished."""
    unfinished = sum(not run.state.finished for run in runs)
    option = f" --config {config}" if config else ""
    count = "1 run is unfinished" if unfinished == 1 else f"{unfinished} runs are unfinished"
    warn(f"docpipe: {count}: `docpipe {command}{option}` continues where it stopped.")
