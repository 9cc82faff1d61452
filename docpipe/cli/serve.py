"""`docpipe serve`: runs until a signal stops it."""

import argparse
import asyncio
import contextlib
import signal
import socket
from dataclasses import replace
from typing import Final

from docpipe import app
from docpipe.cli.phrases import print_line, warn
from docpipe.cli.run import hint, reload_rates, stopping_message
from docpipe.cli.signals import first_signal
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.runtime.interpreter import tune_interpreter
from docpipe.runtime.service_token import FILE
from docpipe.web import server
from docpipe.web.onemachine import OneMachine

_STOP_S: Final = 7.0
"""How long activities under way may take after the signal; the whole stop takes at most 10 s."""


def serve(args: argparse.Namespace) -> int:
    """Serve; returns the exit status."""
    config = load(args.config)
    given = {"host": args.host, "port": args.port}
    listens = replace(config.service, **{key: value for key, value in given.items() if value is not None})
    tune_interpreter()
    return asyncio.run(_serve(args, replace(config, service=listens)), debug=args.debug)


async def _serve(args: argparse.Namespace, config: Config) -> int:
    stopped = first_signal()
    with server.bound(config.service) as sockets:
        if config.fleet.temporal:
            return await _served_fleet(config, sockets, stopped)
        return await _served(args, config, sockets, stopped)


async def _served(
    args: argparse.Namespace, config: Config, sockets: list[socket.socket], stopped: asyncio.Future[int]
) -> int:
    async with (
        app.opened(config, inline=args.debug) as docpipe,
        server.listening(OneMachine(docpipe), sockets) as listening,
        contextlib.AsyncExitStack() as schedules,
    ):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_rates, docpipe, args.config)
        await docpipe.engine.resume()
        await schedules.enter_async_context(docpipe.scheduler)
        _announce(listening)
        number = await stopped
        warn(stopping_message(_STOP_S))
        listening.web.hub.close()
        await schedules.aclose()
        await docpipe.engine.stop(_STOP_S)
        if unfinished := await docpipe.checkpoints.unfinished():
            hint(unfinished, args.config, "serve")
    return 128 + number


async def _served_fleet(config: Config, sockets: list[socket.socket], stopped: asyncio.Future[int]) -> int:
    """Serve the runs of a fleet; workers do them, also while nothing serves."""
    from docpipe.fleet.serving import open_serving  # noqa: PLC0415 -- only a fleet pays for it
    from docpipe.web.onfleet import OnFleet  # noqa: PLC0415 -- likewise

    async with (
        open_serving(config) as serving,
        server.listening(OnFleet(serving), sockets) as listening,
    ):
        _announce(listening)
        number = await stopped
        serving.stopping = True
        listening.web.hub.close()
    return 128 + number


def _announce(listening: server.Listening) -> None:
    """Print and record the address, for people and for other commands."""
    source = listening.web.source
    listening.web.readiness.started = True
    source.state.announce(listening.address)
    needed = " (a token is needed: service.token)" if listening.web.guard.needs_token else ""
    print_line(f"docpipe serves at {listening.address}{needed}")
    if link := listening.sign_in_link():
        print_line(f"Sign in once, within 15 minutes: {link}")
        if source.config.service.token is None:
            print_line(f"The token for programs and later: {source.state.path / FILE}")
