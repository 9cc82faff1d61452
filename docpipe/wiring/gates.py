"""The gates that stand before each endpoint, with the quotas and rates that the configuration asks for."""

import contextlib
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from docpipe.config.config import Config
from docpipe.engine.ports import Checkpoints
from docpipe.gates import Gate, Observer, Quota, Service
from docpipe.model import Clock, Rate


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of both services, the patients database, an object store, and each origin of archives."""

    searching: Gate
    asking: Gate
    tracker: Gate
    patients: Gate
    storage: Gate | None
    """None where documents go into a folder: a disk has no outages that pass."""
    archives: Callable[[str], Gate]
    tokens: Callable[[str], Gate]
    """Of the server that gives the tokens of a section."""
    services: dict[str, Service]
    quotas: dict[str, Quota]
    pauses: dict[str, float]
    """What was paused when the process began, and since when."""
    observers: list[Observer]

    def refresh(self) -> None:
        """Bring up to date what those in line are told of their place and time."""
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
    checkpoints: Checkpoints,
    clock: Clock,
    rng: random.Random,
    stack: contextlib.AsyncExitStack,
    *,
    storage: bool = False,
) -> Gates:
    """Build the gates; each quota waits out what an earlier process may have spent.

    `storage` says whether documents go into an object store, which has a gate of its own.
    """
    docex, tracker = config.docex, config.tasktracker
    pauses, observers = await checkpoints.pauses(), list[Observer]()
    services: dict[str, Service] = {}

    def add(name: str) -> Service:
        services[name] = Service(name, clock=clock, rng=rng)
        if name in pauses:
            services[name].pause(pauses[name])
        return services[name]

    for name in ("docex", "tasktracker", "patients"):
        add(name)
    quotas = {}
    for name, rate in rates(config).items():
        quota = await Quota.restored(name, rate, clock, checkpoints)
        quotas[name] = await stack.enter_async_context(quota)
    await checkpoints.begin_life()  # killed within its first second, it has spent something all the same

    def gate(service: Service, quota: Quota, timeout: float) -> Gate:
        longest = tracker.max_retry_after if service.name == "tasktracker" else docex.max_retry_after
        return Gate(service, quota, timeout=timeout, max_retry_after=longest, observers=observers)

    @functools.cache
    def unlimited(name: str) -> Gate:
        """No quota, but an outage state of its own."""
        return gate(add(name), Quota(name, None, clock=clock), docex.timeout)

    return Gates(
        searching=gate(services["docex"], quotas["docex.search"], docex.timeout),
        asking=gate(services["docex"], quotas["docex.status"], docex.timeout),
        tracker=gate(services["tasktracker"], quotas["tasktracker"], tracker.timeout),
        patients=_unlimited(services["patients"], clock, observers),
        storage=_unlimited(add("storage"), clock, observers) if storage else None,
        archives=lambda origin: unlimited(f"archives of {urlsplit(origin).netloc}"),
        tokens=lambda section: unlimited(f"tokens of {section}"),
        services=services,
        quotas=quotas,
        pauses=pauses,
        observers=observers,
    )


def _unlimited(service: Service, clock: Clock, observers: list[Observer]) -> Gate:
    """A gate without a quota: the service has an outage state all the same."""
    return Gate(service, Quota(service.name, None, clock=clock), observers=observers)
