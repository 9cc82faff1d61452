"""The composition root: builds everything from the configuration, and closes it in reverse."""

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from docpipe.activities import Activities
from docpipe.activity_log import ActivityLog
from docpipe.archive import Downloader, Limits
from docpipe.checkpoints import Checkpoints, open_database
from docpipe.config import FAKE, Config, Secret
from docpipe.engine import Engine
from docpipe.errors import ConfigError
from docpipe.exchange import DocumentExchange
from docpipe.gates import Gate, Quota, Service
from docpipe.http import Http, origin_of
from docpipe.lines import Slots
from docpipe.model import Clock, Rate, RunIds
from docpipe.patients import PatientDatabase, checked
from docpipe.state import StateFolder
from docpipe.storage import FolderStorage
from docpipe.tracker import TaskTracker
from docpipe.workers import Workers, default_workers

CONVERTER: Final = "docpipe.convert.document:convert"
PRELOAD: Final = "docpipe.convert.preload"


@dataclass(frozen=True, slots=True)
class Docpipe:
    """What is running: the engine, and what its faces look at."""

    config: Config
    engine: Engine
    checkpoints: Checkpoints
    storage: FolderStorage
    patients: PatientDatabase
    workers: Workers
    services: dict[str, Service]
    quotas: dict[str, Quota]


@contextlib.asynccontextmanager
async def opened(
    config: Config, *, clock: Clock = time.time, rng: random.Random | None = None
) -> AsyncIterator[Docpipe]:
    """Build everything and hold it open.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if the state folder or the storage cannot be used.
    """
    rng = rng or random.Random()
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(StateFolder(config.state_dir))
        storage = FolderStorage(storage_folder(config))
        await storage.check()
        config = await _with_fakes(config, stack)
        checkpoints = await stack.enter_async_context(open_database(state.path, clock))
        activity_log = await stack.enter_async_context(ActivityLog(state.path, clock))
        patients = await _patients(config, clock, stack)
        http = await stack.enter_async_context(Http(clock=clock, rng=rng))
        workers = await stack.enter_async_context(_workers(config, clock))
        gates = await _Gates.built(config, checkpoints, clock, rng, stack)
        activities = Activities(
            patients=patients,
            exchange=DocumentExchange(http, config.docex, gates.searching, gates.asking, clock),
            tracker=TaskTracker(http, config.tasktracker, gates.tracker, clock),
            downloader=_downloader(config, http, gates, clock),
            downloads=Slots(config.docex.max_downloads, clock),
            workers=workers,
            storage=storage,
            spool=state.spool,
            clock=clock,
            limits=Limits(),
        )
        await _sweep(state.spool, checkpoints)
        engine = Engine(
            checkpoints=checkpoints,
            activity_log=activity_log,
            activities=activities,
            clock=clock,
            ids=RunIds(clock, rng),
        )
        await stack.enter_async_context(engine)
        yield Docpipe(config, engine, checkpoints, storage, patients, workers, gates.services, gates.quotas)


def storage_folder(config: Config) -> Path:
    """The folder that `storage.url` names.

    Raises:
        ConfigError: if it is no folder.
    """
    url = config.storage.url
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return Path(parts.path)
    if "://" in url:
        raise ConfigError(
            f"storage.url: `{parts.scheme}://` cannot be used; give a folder, or file:// and its path."
        )
    return (config.folder / url).absolute()


def patients_url(config: Config) -> str:
    """The SQLAlchemy URL of the patients, an SQLite file taken from the configuration's folder."""
    url = config.patients.url
    if url in ("", FAKE):
        name = "fake-patients.db" if url == FAKE else "patients.db"
        return f"sqlite:///{config.state_dir / name}"
    scheme, found, file = url.partition(":///")
    if found and scheme.startswith("sqlite") and file and not file.startswith((":memory:", "file:")):
        return f"{scheme}:///{config.folder.absolute() / file}"
    return url


async def open_patients(config: Config, clock: Clock = time.time) -> PatientDatabase:
    """The patients database; with `patients.url = "fake"` invented patients are put in first, once."""
    database = PatientDatabase(patients_url(config), clock)
    if config.patients.url == FAKE and not (config.state_dir / "fake-patients.db").exists():
        import fakes  # noqa: PLC0415 -- only a first try needs it

        await database.put([checked(row) for row in fakes.patients.sample()])
    return database


async def _patients(config: Config, clock: Clock, stack: contextlib.AsyncExitStack) -> PatientDatabase:
    database = await open_patients(config, clock)
    stack.push_async_callback(database.close)
    return database


async def _with_fakes(config: Config, stack: contextlib.AsyncExitStack) -> Config:
    """Start the fake services where the configuration asks for them, and point it at them."""
    if FAKE not in (config.docex.base_url, config.tasktracker.base_url):
        return config
    import fakes  # noqa: PLC0415 -- only a first try needs it

    options = fakes.FakeOptions(state=config.state_dir / "fakes.db")
    running = await stack.enter_async_context(fakes.serve(options))
    docex, tracker = config.docex, config.tasktracker
    if docex.base_url == FAKE:
        docex = replace(docex, base_url=running.docex_url, token=None)
    if tracker.base_url == FAKE:
        tracker = replace(tracker, base_url=running.tracker_url, token=None)
    return replace(config, docex=docex, tasktracker=tracker)


def _workers(config: Config, clock: Clock) -> Workers:
    convert = config.convert
    return Workers(
        CONVERTER,
        preload=PRELOAD,
        size=convert.workers or default_workers(convert.memory),
        memory=convert.memory,
        timeout=convert.timeout,
        clock=clock,
    )


@dataclass(slots=True)
class _Gates:
    """The gates of both services, and of each origin that archives come from."""

    searching: Gate
    asking: Gate
    tracker: Gate
    services: dict[str, Service]
    quotas: dict[str, Quota]
    clock: Clock
    rng: random.Random
    retry_after: float
    archives: dict[str, Gate]

    @classmethod
    async def built(
        cls,
        config: Config,
        checkpoints: Checkpoints,
        clock: Clock,
        rng: random.Random,
        stack: contextlib.AsyncExitStack,
    ) -> "_Gates":
        async def quota(name: str, rate: Rate | None) -> Quota:
            return await stack.enter_async_context(await Quota.restored(name, rate, clock, checkpoints))

        services = {name: Service(name, clock=clock, rng=rng) for name in ("docex", "tasktracker")}
        quotas = {
            "docex.search": await quota("docex.search", config.docex.search_rate),
            "docex.status": await quota("docex.status", config.docex.status_rate),
            "tasktracker": await quota("tasktracker", config.tasktracker.rate),
        }
        docex = {"timeout": config.docex.timeout, "max_retry_after": config.docex.max_retry_after}
        tracker = {
            "timeout": config.tasktracker.timeout,
            "max_retry_after": config.tasktracker.max_retry_after,
        }
        return cls(
            searching=Gate(services["docex"], quotas["docex.search"], **docex),
            asking=Gate(services["docex"], quotas["docex.status"], **docex),
            tracker=Gate(services["tasktracker"], quotas["tasktracker"], **tracker),
            services=services,
            quotas=quotas,
            clock=clock,
            rng=rng,
            retry_after=config.docex.max_retry_after,
            archives={},
        )

    def archive(self, origin: str) -> Gate:
        """The gate of an origin that archives come from: no quota, an outage state of its own."""
        if origin not in self.archives:
            name = f"archive {urlsplit(origin).netloc}"
            self.services[name] = Service(name, clock=self.clock, rng=self.rng)
            self.archives[origin] = Gate(
                self.services[name],
                Quota(name, None, clock=self.clock),
                timeout=60.0,
                max_retry_after=self.retry_after,
            )
        return self.archives[origin]


def _downloader(config: Config, http: Http, gates: _Gates, clock: Clock) -> Downloader:
    home = origin_of(config.docex.base_url)
    others = config.docex.archive_origins

    def allowed(origin: str) -> bool:
        return origin == home or not others or origin in others

    token: Secret | None = config.docex.token
    return Downloader(
        http=http,
        base_url=config.docex.base_url,
        token=token.reveal() if token else None,
        gate_of=gates.archive,
        allowed=allowed,
        clock=clock,
    )


async def _sweep(spool: Path, checkpoints: Checkpoints) -> None:
    """Remove from the spool what belongs to no unfinished run."""
    kept = {run.run_id for run in await checkpoints.unfinished()}

    def sweep() -> None:
        for folder in spool.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    await asyncio.to_thread(sweep)
