"""`docpipe worker`: does activities of a fleet's runs until a signal stops it."""

import argparse
import asyncio

from docpipe.cli.phrases import print_line, warn
from docpipe.cli.run import stopping_message
from docpipe.cli.signals import first_signal
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.runtime.interpreter import tune_interpreter


def worker(args: argparse.Namespace) -> int:
    """Work until SIGTERM or Ctrl-C; returns the exit status."""
    config = load(args.config)
    if not config.fleet.temporal:
        raise UsageError(
            "fleet.temporal is missing: a worker takes its work from a Temporal server. Set it to "
            "that server's address; without one, use `docpipe run` or `docpipe serve`."
        )
    tune_interpreter()
    return asyncio.run(_worker(args, config), debug=args.debug)


async def _worker(args: argparse.Namespace, config: Config) -> int:
    from docpipe.fleet.queues import Queue  # noqa: PLC0415 -- only a fleet pays for it
    from docpipe.fleet.worker import STOP_S, working  # noqa: PLC0415 -- likewise

    queues = [Queue(name) for name in args.queues]
    stopped = first_signal()
    async with working(config, queues, inline=args.debug) as at_work:
        print_line(f"docpipe works as {at_work.name} on {', '.join(queues)} of {config.fleet.temporal}")
        number = await stopped
        warn(stopping_message(STOP_S))
    return 128 + number
