"""Checks whether this machine can join the fleet that the configuration names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.config.config import Config
from docpipe.errors import ConfigError, DocpipeError
from docpipe.model import count_of
from docpipe.wiring.fleet import make_store

_NAME: Final = "fleet"
_TIME_S: Final = 60.0


async def fleet(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """Temporal, its namespace, the key, and the storage that all machines share."""
    config = bench.config
    if not config.fleet.temporal:
        return
    bench.progress(config.fleet.temporal)
    where = config.fleet.temporal
    try:
        async with asyncio.timeout(_TIME_S):
            evidence = await _tried(config)
    except DocpipeError as error:  # with its cure
        yield Finding(_NAME, where, str(error), "")
    except TimeoutError:
        yield Finding(_NAME, where, f"it did not answer within {_TIME_S:.0f} s", "see how Temporal does")
    else:
        yield Fit(_NAME, where, evidence)


async def _tried(config: Config) -> str:
    """What shows that it can be used."""
    try:
        from docpipe.fleet.checks import refuse_unfit  # noqa: PLC0415 -- an extra
        from docpipe.fleet.client import FleetRuns  # noqa: PLC0415 -- likewise
        from docpipe.fleet.opening import open_fleet  # noqa: PLC0415 -- likewise
    except ImportError as error:
        raise ConfigError("fleet.temporal needs a package: pip install 'docpipe[fleet]'.") from error
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(make_store(config)) if config.fleet.redis else None
        opened = await stack.enter_async_context(open_fleet(config))
        await refuse_unfit(config, opened, store)
        number = len(await FleetRuns(opened.client, opened.keys, config.fleet.prefix).workers())
    workers = f"{count_of(number, 'worker')} running"
    return f"can be used: namespace {config.fleet.namespace}, {workers}"
