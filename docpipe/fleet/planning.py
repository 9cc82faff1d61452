"""Schedules of a fleet: how far they are, in the storage, and which `docpipe serve` begins their runs.

Each schedule has two files, since different processes may write them at the same time: its progress, written
by whoever begins its runs, and its pause, written where a person asks for it. Who begins them has a claim in
Redis, which ends by itself. Two may have it for a moment, after Redis has lost all or one of them stood
still: so a patient whose run was begun since it was due is left out.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from docpipe.checkpoints import StoredSchedule
from docpipe.config.config import Config
from docpipe.config.schedule import Schedule
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.keys import Keyring
from docpipe.fleet.mirroring import Mirroring
from docpipe.fleet.opening import Fleet
from docpipe.fleet.sealed import SealedFiles
from docpipe.model import Clock
from docpipe.patients import PatientDatabase
from docpipe.schedule import Due, Scheduler, members_of
from docpipe.storage.blobs import Blobs
from docpipe.wiring.gates import Gates

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore

log = structlog.get_logger(__name__)

SCHEDULES: Final = "schedules"
"""The folder in the storage."""
CLAIM_S: Final = 30.0
"""So long after its last look a process that has died keeps its claim."""
_LOOK_S: Final = 5.0
_AT_ONCE: Final = 100
"""So many runs are begun within seconds, after each of which the claim is renewed."""
_CLAIM: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class _Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """See StoredSchedule."""

    until: float
    last_at: float | None = None
    begun: int = 0
    round: float | None = None
    next_at: float | None = None


class _Pause(msgspec.Struct, frozen=True, omit_defaults=True):
    since: float | None = None
    until: float = 0.0
    """What was due by then is left out: the end of the last pause."""


class StoredPlans:
    """How far the schedules of a fleet are, as the storage has it.

    Args:
        blobs: the storage.
        keys: of the fleet.
        prefix: of the fleet.

    Methods raise OSError where the storage cannot be used, and ConfigError where a key is missing.
    """

    def __init__(self, blobs: Blobs, keys: Keyring, prefix: str) -> None:
        self._progress = SealedFiles(blobs, keys, f"{SCHEDULES}/{prefix}", "schedule")
        self._pauses = SealedFiles(blobs, keys, f"{SCHEDULES}/{prefix}", "pause")

    async def read(self, name: str) -> StoredSchedule | None:
        """A schedule, None for one that has never begun."""
        if (kept := await self._progress.get(name)) is None:
            return None
        progress, pause = msgspec.json.decode(kept, type=_Progress), await self._pause(name)
        return StoredSchedule(
            name=name,
            until=max(progress.until, pause.until),
            last_at=progress.last_at,
            begun=progress.begun,
            round=progress.round,
            paused=pause.since,
            next_at=progress.next_at,
        )

    async def _pause(self, name: str) -> _Pause:
        kept = await self._pauses.get(name)
        return _Pause() if kept is None else msgspec.json.decode(kept, type=_Pause)

    async def write(self, stored: StoredSchedule) -> None:
        """Write all but the pause."""
        progress = _Progress(stored.until, stored.last_at, stored.begun, stored.round, stored.next_at)
        await self._progress.put(stored.name, msgspec.json.encode(progress))

    async def pause(self, name: str, now: float) -> None:
        """Pause a schedule; durable when this returns."""
        before = await self._pause(name)
        if before.since is None:
            await self._pauses.put(name, msgspec.json.encode(_Pause(now, before.until)))

    async def unpause(self, name: str, now: float) -> None:
        """End a pause; what was due meanwhile is left out. Durable when this returns."""
        if (await self._pause(name)).since is not None:
            await self._pauses.put(name, msgspec.json.encode(_Pause(None, now)))


class FleetAgenda:
    """See `schedule.Agenda`. Methods raise UnreachableError, too, where Redis does not answer.

    Args:
        plans: how far the schedules are.
        store: the Redis of the fleet.
        keys: of the fleet.
        clock: the wall clock.
    """

    def __init__(self, plans: StoredPlans, store: "QuotaStore", keys: Keyring, clock: Clock) -> None:
        self.pause, self.unpause = plans.pause, plans.unpause
        self._plans = plans
        self._store = store
        self._keys = keys
        self._clock = clock

    async def open(self, names: Collection[str], now: float) -> dict[str, StoredSchedule]:
        """See `schedule.Agenda`. Those of other names may be another process's, and stay."""
        try:
            return {name: await self.one(name) for name in names}
        except OSError as error:  # each is read before its runs begin
            log.warning("schedules_not_read", reason=error.strerror)
            return {name: StoredSchedule(name, now) for name in names}

    async def one(self, name: str) -> StoredSchedule:
        """See `schedule.Agenda`. One that the storage does not have starts now."""
        if (stored := await self._plans.read(name)) is None:
            stored = StoredSchedule(name, self._clock())
            await self._plans.write(stored)
        return stored

    async def note_next(self, name: str, next_at: float | None) -> None:
        """See `schedule.Agenda`."""
        await self._plans.write(replace(await self.one(name), next_at=next_at))

    async def note_begun(self, name: str, due: list[Due], now: float) -> None:
        """Note that the runs of these, all of one round, have begun."""
        stored, start = await self.one(name), due[0].round
        begun = len(due) + (stored.begun if stored.round == start else 0)
        until = max(stored.until, due[-1].at)
        await self._plans.write(replace(stored, until=until, last_at=now, round=start, begun=begun))

    def _claim(self, name: str) -> list[str]:
        return [f"schedule:{self._keys.hashed(f'claim {name}')[0]}"]

    async def mine(self, name: str) -> bool:
        """See `schedule.Agenda`: whether it has the claim, which it renews."""
        words: list[str | int] = [self._store.process, int(1000 * CLAIM_S)]
        return bool(await self._store.evaluate(_CLAIM, self._claim(name), words))


def make_scheduler(
    config: Config,
    fleet: Fleet,
    gates: Gates,
    *,
    patients: PatientDatabase,
    runs: FleetRuns,
    mirror: Mirroring,
) -> Scheduler:
    """The schedules that the configuration names, to be entered by the service.

    Args:
        config: names them.
        fleet: has the storage and the keys.
        gates: say whether everything is paused, and have the Redis of the fleet.
        patients: the database that lists their patients.
        runs: begins them.
        mirror: learns what has begun.
    """
    assert gates.store is not None  # noqa: S101 -- the configuration is refused without
    plans = StoredPlans(fleet.blobs, fleet.keys, config.fleet.prefix)
    agenda = FleetAgenda(plans, gates.store, fleet.keys, runs.clock)

    async def members(schedule: Schedule) -> list[str]:
        return await members_of(schedule, config.folder, patients)

    async def submit(schedule: Schedule, due: list[Due], now: float) -> None:
        """Again after a crash before the note: then those that have begun are left out."""
        await mirror.learn(await runs.begin_due({one.patient_id: one.at for one in due}, schedule.priority))
        await agenda.note_begun(schedule.name, due, now)

    return Scheduler(
        config.schedule,
        agenda=agenda,
        submit=submit,
        members=members,
        clock=runs.clock,
        paused=lambda: "" in gates.pauses,
        look_s=_LOOK_S,
        at_once=_AT_ONCE,
    )
