"""The gates that stand before each endpoint, with the quotas and rates that the configuration asks for."""

import contextlib
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from docpipe.config.config import EVEN, Config
from docpipe.engine.ports import GrantLedger
from docpipe.gates import Gate, Observer, Quota, Service
from docpipe.gates.places import TRANSIT_S
from docpipe.model import Clock, Rate

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore


class Remembered(Protocol):
    """What gates ask of the checkpoints of earlier processes; a part of ports.Checkpoints."""

    @property
    def ledger(self) -> GrantLedger:
        """What quotas remember."""

    async def pauses(self) -> dict[str, float]:
        """Return the paused services, with the time each pause started."""


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of both services, the patients database, an object store, and each origin of archives."""

    searching: Gate
    polling: Gate
    tracker: Gate
    patients: Gate
    storage: Gate | None
    """The gate to an object store; None where documents go into a folder."""
    notify: Gate | None
    """The gate to the receiver of notifications; None where none is configured."""
    archives: Callable[[str], Gate]
    tokens: Callable[[str], Gate]
    """The gate to the token server of a section."""
    services: dict[str, Service]
    quotas: dict[str, Quota]
    pauses: dict[str, float]
    """What is paused, and since when; with no name everything."""
    observers: list[Observer]
    store: "QuotaStore | None" = None
    """What counts the quotas of all processes, None where this one counts alone."""

    def pause(self, since: float) -> None:
        """Send nothing to any service until `unpause`, those included that come to be known meanwhile."""
        self.pauses[""] = since
        for service in self.services.values():
            service.pause(since, everything=True)

    def unpause(self) -> None:
        """Take back `pause`."""
        self.pauses.pop("", None)
        for service in self.services.values():
            service.unpause(everything=True)

    def refresh(self) -> None:
        """Update the place and the expected time of every wait in line."""
        for quota in (self.patients.quota, *self.quotas.values()):
            quota.refresh()


def rates(config: Config) -> dict[str, Rate | None]:
    """The rate of each quota by its name; None where there is none."""
    return {
        "docex.search": config.docex.search_rate,
        "docex.status": config.docex.status_rate,
        "tasktracker": config.tasktracker.rate,
    }


async def open_gates(
    config: Config,
    checkpoints: Remembered,
    clock: Clock,
    rng: random.Random,
    stack: contextlib.AsyncExitStack,
    *,
    storage: bool = False,
    store: "QuotaStore | None" = None,
) -> Gates:
    """Build the gates; each quota waits out what an earlier process may have spent.

    Args:
        config: the configuration.
        checkpoints: what an earlier process has noted.
        clock: the wall clock.
        rng: spreads probes and retries.
        stack: closes what is opened.
        storage: whether documents go into an object store, which has a gate of its own.
        store: what counts the quotas of all processes, None where this one counts alone.
    """
    docex, tracker = config.docex, config.tasktracker
    pauses, observers = await checkpoints.pauses(), list[Observer]()
    services: dict[str, Service] = {}

    def add(name: str) -> Service:
        services[name] = _paused_as(pauses, Service(name, clock=clock, rng=rng))
        return services[name]

    shared = store and await _shared(config, store, checkpoints.ledger, clock, rng)
    if shared:
        services |= {name: _paused_as(pauses, service) for name, service in shared.services.items()}
    for name in ("docex", "tasktracker", "patients"):
        if name not in services:
            add(name)
    quotas = await _quotas(config, checkpoints.ledger, clock, stack, shared.quotas if shared else None)

    def gate(service: Service, quota: Quota, timeout: float) -> Gate:
        longest = tracker.max_retry_after if service.name == "tasktracker" else docex.max_retry_after
        return Gate(service, quota, timeout=timeout, max_retry_after=longest, observers=observers)

    @functools.cache
    def unlimited(name: str) -> Gate:
        """No quota, but an outage state of its own."""
        return gate(add(name), Quota.local(name, None, clock=clock), docex.timeout)

    return Gates(
        searching=gate(services["docex"], quotas["docex.search"], docex.timeout),
        polling=gate(services["docex"], quotas["docex.status"], docex.timeout),
        tracker=gate(services["tasktracker"], quotas["tasktracker"], tracker.timeout),
        patients=_unlimited(services["patients"], clock, observers),
        storage=_unlimited(add("storage"), clock, observers) if storage else None,
        notify=await _notify(config, add("notify"), stack, quotas, observers) if config.notify.url else None,
        archives=lambda origin: unlimited(f"archives of {urlsplit(origin).netloc}"),
        tokens=lambda section: unlimited(f"tokens of {section}"),
        services=services,
        quotas=quotas,
        pauses=pauses,
        observers=observers,
        store=store,
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all processes share."""

    services: dict[str, Service]
    quotas: dict[str, Quota]


async def _shared(
    config: Config, store: "QuotaStore", ledger: GrantLedger, clock: Clock, rng: random.Random
) -> _Shared:
    # Whoever has one process does not load it.
    from docpipe.gates.shared import RedisPlaces, SharedService  # noqa: PLC0415

    services: dict[str, Service] = {}
    quotas = {}
    for name, rate in rates(config).items():
        of = name.split(".", maxsplit=1)[0]
        service = services.get(of)
        if not isinstance(service, SharedService):
            service = services[of] = SharedService(of, clock=clock, rng=rng, store=store, quota=name)
        places = RedisPlaces(name, rate, store=store, service=service, clock=clock, even=_even(config, name))
        if rate and await ledger.grants(name, ledger.now() - rate.per):
            places.close(rate.per + TRANSIT_S, "restart")  # sent by a process that counted alone
        quotas[name] = Quota(name, places, clock=clock)
    return _Shared(services, quotas)


def _even(config: Config, name: str) -> bool:
    return config.docex.spacing == EVEN and name.startswith("docex.")


async def _quotas(
    config: Config,
    ledger: GrantLedger,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
    shared: dict[str, Quota] | None,
) -> dict[str, Quota]:
    quotas = shared or {
        name: await Quota.restored(name, rate, clock, ledger, even=_even(config, name))
        for name, rate in rates(config).items()
    }
    await ledger.begin_life()  # killed within its first second, it has spent something all the same
    stack.callback(ledger.end_life)  # after the quotas, which note at their end what they have spent
    for quota in quotas.values():
        await stack.enter_async_context(quota)
    return quotas


async def _notify(
    config: Config,
    service: Service,
    stack: contextlib.AsyncExitStack,
    quotas: dict[str, Quota],
    observers: list[Observer],
) -> Gate:
    """The gate to the receiver; its quota spares the receiver, and is not kept through restarts."""
    quota = Quota.local(service.name, config.notify.rate, clock=service.clock)
    quotas[service.name] = await stack.enter_async_context(quota)
    return Gate(service, quota, timeout=config.notify.timeout, observers=observers)


def _paused_as(pauses: dict[str, float], service: Service) -> Service:
    if service.name in pauses:
        service.pause(pauses[service.name])
    if "" in pauses:
        service.pause(pauses[""], everything=True)
    return service


def _unlimited(service: Service, clock: Clock, observers: list[Observer]) -> Gate:
    """A gate without a quota: the service has an outage state all the same."""
    return Gate(service, Quota.local(service.name, None, clock=clock), observers=observers)
