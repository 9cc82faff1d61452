"""Signals that end the commands that serve until they are stopped."""

import asyncio
import os
import signal


def first_signal() -> asyncio.Future[int]:
    """Done with its number at the first SIGINT or SIGTERM; the second one leaves at once."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()

    def handle(number: int) -> None:
        if first.done():
            os._exit(128 + number)
        first.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, int(number))
    return first
