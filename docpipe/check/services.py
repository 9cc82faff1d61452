"""Checks of the services: one request each, under their quotas, and no search."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.checkpoints import Checkpoints, open_database, outdated
from docpipe.config.config import Config, Remote
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError, ServiceError, StateError, UnfitError
from docpipe.gates import ALIVE_EVERY_S
from docpipe.http import Credentials, Http, OAuth2
from docpipe.model import Ticket
from docpipe.runtime.state_folder import StateFolder, address, in_use
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.sources.docex.owners import Owners
from docpipe.sources.fhir.wire import Wire
from docpipe.tasks.tracker import TaskTracker
from docpipe.wiring.credentials import open_access, open_transports
from docpipe.wiring.fleet import open_store
from docpipe.wiring.gates import open_gates

_ANSWER_S: Final = 10.0
"""An outage is not waited out."""
_LINE_S: Final = 15.0
"""After a docpipe that has just ended, its quota has to run out first."""
_NOT_ASKED: Final = "it was not asked"


@dataclass(frozen=True, slots=True)
class _Probe:
    """A question to one service."""

    check: str
    remote: Remote
    ask: Callable[[Ticket], Awaitable[str]]
    credentials: Credentials

    @property
    def service(self) -> str:
        """As its gate knows it."""
        return type(self.remote).__name__.lower()

    @property
    def where(self) -> str:
        """Its address."""
        return self.remote.base_url


async def services(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The exchange and the tracker answer, take the token, and speak the contract.

    Quotas are one process's: beside another docpipe, which may have spent them, nothing is asked.
    """
    real = {}
    for check, section in (("exchange", bench.config.docex), ("tracker", bench.config.tasktracker)):
        if section.base_url == FAKE:
            yield Fit(check, FAKE, "is started inside by each run")
        else:
            real[check] = section.base_url
    if not real:
        return
    if (why := _unable(bench.config) or await _no_store(bench.config)) is not None:
        for check, url in real.items():
            yield Finding(check, url, f"{_NOT_ASKED}: {why[0]}", why[1], wrong=False)
        return
    try:
        async with _probes(_patient(bench.config), bench) as (probes, paused):
            for probe in probes:
                if probe.check in real:
                    bench.progress(probe.where)
                    yield await _run_probe(probe, paused)
    except StateError as error:
        cure = "see the other findings of `docpipe check`"
        yield Finding("services", str(bench.config.state_dir), f"none was asked: {error}", cure)


async def _no_store(config: Config) -> tuple[str, str] | None:
    """Why the store that counts the quotas cannot be used, and what to do about it; None where it can."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            store = await open_store(config, stack)
        except ConfigError:
            return "the quota store cannot be used", "see the finding about the quota store"
        if store is None or store.down_since is None:
            return None
        return "the quota store is down", "start it, or correct fleet.redis"


def _unable(config: Config) -> tuple[str, str] | None:
    """Why services cannot be asked under their quotas, and what to do about it."""
    folder = config.state_dir
    if in_use(folder):
        where = address(folder)
        cure = (
            f"the service at {where} shows the state of each service"
            if where
            else "its output shows the state of each service"
        )
        return "another docpipe is running and owns the quota", cure
    try:
        if (folder / "checkpoints.db").exists() and outdated(folder) is not None:
            return "the checkpoint database is of an older docpipe", "check again after the next run"
    except (StateError, OSError):
        return "the checkpoint database, which holds the spent quota, cannot be used", "see its own finding"
    return None


def _patient(config: Config) -> Config:
    """The configuration with the shorter timeouts of a check."""
    docex, tracker = config.docex, config.tasktracker
    return replace(
        config,
        docex=replace(docex, timeout=min(docex.timeout, _ANSWER_S)),
        tasktracker=replace(tracker, timeout=min(tracker.timeout, _ANSWER_S)),
    )


@contextlib.asynccontextmanager
async def _probes(config: Config, bench: Bench) -> AsyncIterator[tuple[list[_Probe], frozenset[str]]]:
    """The questions, with the state folder held and every grant in its ledger; and what is paused."""
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(config.state_dir))
        checkpoints = await stack.enter_async_context(open_database(state.path, bench.clock))
        http = await stack.enter_async_context(Http(transports=open_transports(config)))
        store = await open_store(bench.config, stack)
        gates = await open_gates(config, checkpoints, bench.clock, random.Random(), stack, store=store)
        await stack.enter_async_context(_alive(checkpoints))
        access = open_access(config, http, gates, bench.clock)
        docex = config.docex
        exchange: Wire | DocumentExchange
        if docex.kind == "fhir":
            exchange = Wire(http, docex, gates.searching, gates.polling, gates.archives, access.docex)
        else:
            exchange = DocumentExchange(
                http, docex, gates.searching, gates.polling, bench.clock, access.docex, Owners(bench.clock)
            )
        tracker = TaskTracker(http, config.tasktracker, gates.tracker, bench.clock, access.tracker)
        yield (
            [
                _Probe("exchange", config.docex, exchange.probe, access.docex),
                _Probe("tracker", config.tasktracker, tracker.probe, access.tracker),
            ],
            frozenset(gates.pauses),
        )


@contextlib.asynccontextmanager
async def _alive(checkpoints: Checkpoints) -> AsyncIterator[None]:
    """Note meanwhile, and at the end, that quotas may be spent: the next process waits that out."""

    async def note() -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            checkpoints.ledger.note_alive()

    task = asyncio.create_task(note(), name="alive")
    try:
        yield
    finally:
        task.cancel()
        await checkpoints.ledger.begin_life()


async def _run_probe(probe: _Probe, paused: frozenset[str]) -> Fit | Finding:
    if paused & {"", probe.service}:
        cure = "`docpipe resume --unpause` ends the pause"
        return Finding(probe.check, probe.where, f"{_NOT_ASKED}: it is paused", cure, wrong=False)
    where = probe.where
    began = time.monotonic()
    try:
        async with asyncio.timeout(_ANSWER_S + _LINE_S):
            if isinstance(probe.credentials, OAuth2):  # else an outage of that server would be waited out
                where = probe.remote.token_url
                await probe.credentials.probe(Ticket())
                where = probe.where
            answer = await probe.ask(Ticket())
    except UnfitError as error:
        return Finding(probe.check, where, str(error), error.cure)
    except ServiceError as error:
        cure = (
            "check the address of the service" if where == probe.where else ""
        )  # an error about tokens names its own cure
        return Finding(probe.check, where, str(error), cure)
    except TimeoutError:
        cure = "check again when the quota of its window has run out"
        return Finding(probe.check, where, f"{_NOT_ASKED}: its quota leaves no room", cure, wrong=False)
    return Fit(probe.check, where, f"{answer}, after {time.monotonic() - began:.2f} s")
