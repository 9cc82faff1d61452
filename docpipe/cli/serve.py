"""`docpipe serve`: runs until it is told to stop."""

import argparse
import asyncio
import os
import signal
import socket
from dataclasses import replace
from typing import Final

from docpipe import app
from docpipe.cli.run import hint, reload_rates, stopping_message
from docpipe.cli.words import say, warn
from docpipe.config.config import Config, load
from docpipe.runtime.interpreter import settle
from docpipe.web import server

_STOP_S: Final = 7.0
"""What is under way when docpipe is told to stop may take this long: with all else it is 10 s at most."""


def serve(args: argparse.Namespace) -> int:
    """Serve; returns the exit status."""
    config = load(args.config)
    given = {"host": args.host, "port": args.port}
    listens = replace(config.service, **{key: value for key, value in given.items() if value is not None})
    settle()
    return asyncio.run(_serve(args, replace(config, service=listens)), debug=args.debug)


async def _serve(args: argparse.Namespace, config: Config) -> int:
    told = _signals()
    with server.bound(config.service) as sockets:
        return await _served(args, config, sockets, told)


async def _served(
    args: argparse.Namespace, config: Config, sockets: list[socket.socket], told: asyncio.Future[int]
) -> int:
    async with (
        app.opened(config, inline=args.debug) as docpipe,
        server.listening(docpipe, sockets) as listening,
    ):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_rates, docpipe, args.config)
        await docpipe.engine.resume()
        listening.web.readiness.started = True
        docpipe.state.announce(listening.address)
        needed = " (a token is needed: service.token)" if listening.web.guard.needs_token else ""
        say(f"docpipe serves at {listening.address}{needed}")
        number = await told
        warn(stopping_message(_STOP_S))
        listening.web.hub.close()
        await docpipe.engine.stop(_STOP_S)
        if unfinished := await docpipe.checkpoints.unfinished():
            hint(unfinished, args.config, "serve")
    return 128 + number


def _signals() -> asyncio.Future[int]:
    """Done at the first SIGINT or SIGTERM; the second one leaves at once."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()

    def handle(number: int) -> None:
        if first.done():
            os._exit(128 + number)
        first.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, int(number))
    return first
