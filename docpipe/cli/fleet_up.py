"""`docpipe fleet up`: a whole fleet on this machine, until Ctrl-C."""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.cli.phrases import print_line, warn
from docpipe.errors import ConfigError

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.fleet.up import FleetUp


def fleet(args: argparse.Namespace) -> int:
    """Run a fleet; returns the exit status."""
    return asyncio.run(_up(args.folder.absolute(), args.workers), debug=args.debug)


async def _up(folder: Path, workers: int) -> int:
    try:
        from docpipe.fleet.up import up  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise ConfigError("`docpipe fleet up` needs packages: pip install 'docpipe[up]'.") from error

    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    working = asyncio.current_task()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)
            if working is not None and not started:
                working.cancel()

    started = False
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, int(number))
    try:
        async with up(folder, workers, lambda text: print_line(f"  {text}")) as running:
            started = True
            _introduce(running, folder)
            return await _until_the_end(running, stopped)
    except asyncio.CancelledError:
        if not stopped.done():
            raise
        return 128 + stopped.result()


def _introduce(running: "FleetUp", folder: Path) -> None:
    """Print how to use the fleet."""
    config = folder / running.config.name
    print_line("The fleet is up. Its page signs you in once, within 15 minutes:")
    print_line(f"  {running.page}")
    print_line(f"Temporal's page: {running.ui} (patient data in it is encrypted)")
    print_line("In another terminal:")
    print_line(f"  docpipe --config {config} run --patient P123")
    print_line(f"  docpipe --config {config} submit --all")
    print_line(f"  docpipe --config {config} status")
    print_line(f"Documents and reports: {folder / 'storage'}; logs: {folder / 'logs'}.")
    print_line("Ctrl-C stops the fleet. If you stop a worker with `kill -9`, the others take over its work.")


async def _until_the_end(running: "FleetUp", stopped: "asyncio.Future[int]") -> int:
    """Wait for a signal, or for the end of a part that the others need."""
    while True:
        ended = asyncio.ensure_future(running.ended())
        waiting: set[asyncio.Future[Any]] = {ended, stopped}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            ended.cancel()
            warn("stopping: the workers drop what they are doing, and the next start continues it")
            return 128 + stopped.result()
        part = ended.result()
        if not running.can_do_without(part):
            raise part.trouble(f"ended by itself (status {part.process.returncode})")
        warn(f"{part.name} ended by itself (status {part.process.returncode}): the others take over")
