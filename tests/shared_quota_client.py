"""One of several processes that share a quota: it calls until SIGTERM. See `tests.shared_quota`."""

import asyncio
import logging
import random
import signal
import sys
import time

import structlog

from docpipe.gates import Gate, Quota
from docpipe.gates.shared import QuotaStore, RedisPlaces, SharedService
from docpipe.http import Http
from docpipe.model import Rate, Ticket


async def main(store_url: str, server_url: str, rate: Rate, *, seed: int, callers: int, hasty: float) -> None:
    """`hasty`: the part of calls that are given up after 0.15 s."""
    rng = random.Random(seed)
    async with QuotaStore(store_url, "test") as store, Http() as http:
        clock = time.time
        service = SharedService("exchange", clock=clock, rng=rng, store=store, quota="exchange.ask")
        places = RedisPlaces("exchange.ask", rate, store=store, service=service, clock=clock)
        async with Quota("exchange.ask", places, clock=clock) as quota:
            gate = Gate(service, quota)

            async def call_on(number: int) -> None:
                priority = number % 4 == 0
                while True:
                    url = f"{server_url}/?process={seed}&priority={priority:d}"
                    patience = 0.15 if rng.random() < hasty else None
                    try:
                        async with asyncio.timeout(patience):
                            await http.call("GET", url, gate=gate, ticket=Ticket(str(number), priority))
                    except TimeoutError:
                        pass

            tasks = [asyncio.create_task(call_on(number)) for number in range(callers)]
            stopped = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
            await stopped.wait()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    store_url, server_url, n, per, seed, callers, hasty = sys.argv[1:]
    rate = Rate(int(n), float(per))
    asyncio.run(main(store_url, server_url, rate, seed=int(seed), callers=int(callers), hasty=float(hasty)))
