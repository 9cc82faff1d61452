"""The ten activities in a simulated world: real clients of both services, and all else takes time only."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from docpipe.gates import Gate
from docpipe.gates.line import Slots
from docpipe.model import Json, Outcome, Patient, Step, Wait, WaitKind
from docpipe.plan.services import World
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.tasks.tracker import TaskTracker

_MEMBER: Final[dict[str, Json]] = {
    "sha256": "",
    "size": 0,
    "file": "file",
    "reason": None,
    "outcome": None,
    "told": {},
}
_DONE: Final[dict[str, Json]] = {
    "outcome": Outcome.CONVERTED,
    "reason": None,
    "media_type": "",
    "extension": "",
    "outputs": [],
}
_METADATA: Final[dict[str, Json]] = {}


@dataclass(frozen=True, slots=True)
class PlannedActivities:
    """See activities.Activities."""

    world: World
    exchange: DocumentExchange
    tracker: TaskTracker
    archives: Gate
    downloads: Slots
    workers: Slots
    disk: Slots
    bundles: int | None
    """A patient's documents go in so many bundles, where there are more; None: each by itself."""

    async def get_patient(self, step: Step, patient_id: str) -> Json:  # noqa: ARG002 -- as the real one
        """GetPatientFromDB."""
        await asyncio.sleep(self.world.setup.row_s)
        return asdict(Patient(patient_id, "", "", ""))

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Json:
        """TaskTracker_Create."""
        return await self.tracker.create(step, run_id, patient_id)

    async def search(self, step: Step, patient: Json) -> Json:
        """DocEx_Search."""
        return await self.exchange.search(step, Patient(**patient))

    async def wait_until_ready(self, step: Step, search: Json, patient: Json) -> Json:
        """DocEx_CheckStatus."""
        found = await self.exchange.wait_until_ready(step, search, Patient(**patient))
        return {**found, "asked": []}  # for a report that nobody reads

    async def download_and_extract(self, step: Step, run_id: str, search: Json, ready: Json) -> Json:  # noqa: ARG002 -- as the real one
        """DocEx_DownloadAndExtract: over the real gate of an origin and the real places for downloads."""
        case, trace = self.world.searches[search["search_id"]].case, self.world.trace
        if ready["archive"] is None:
            return {"state": "ready", "size": 0, "sha256": None, "members": []}
        asked = self.world.now()
        async with self.downloads.hold(step.ticket, Wait(WaitKind.DOWNLOAD, "", asked)):
            began = self.world.now()
            await self._connected(step)
            trace.spool.append((began, 2 * case.archive_b))  # the archive, and the files in it
            await asyncio.sleep(case.download_s)
            trace.downloads.append((asked, began, self.world.now()))
        members = [
            {**_MEMBER, "id": str(number), "path": str(number), "seconds": sum(bundle), "files": len(bundle)}
            for number, bundle in enumerate(_bundles(case.convert_s, self.bundles))
        ]
        return {"state": "ready", "size": case.archive_b, "sha256": "", "members": members}

    async def _connected(self, step: Step) -> None:
        call = self.archives.call(step.ticket)
        while (failure := await self.world.attempt(self.archives, call)) is not None:
            await self.archives.pause(call, failure)

    def extracted(self, run_id: str) -> Callable[[Json], bool]:  # noqa: ARG002 -- as the real one
        """Nothing is there that could be lost."""
        return lambda _: True

    async def convert(self, step: Step, place: Any, member: Json, siblings: list[str]) -> Json:  # noqa: ARG002 -- as the real one
        """ConvertFile: in turn, in one of the workers."""
        now = self.world.now
        asked = now()
        async with self.workers.hold(step.ticket, Wait(WaitKind.CONVERSION, "", asked)):
            await self.world.workers()
            began = now()
            await asyncio.sleep(member["seconds"])
        self.world.trace.conversions.append((asked, began, now()))
        return {**_DONE, "metadata": _METADATA, "embedded": [], "reused": False}

    def converted(self, run_id: str, item: str) -> Callable[[Json], bool]:  # noqa: ARG002 -- as the real one
        """Nothing is there that could be lost."""
        return lambda _: True

    async def store(self, step: Step, place: Any, member: Json, done: Json) -> Json:  # noqa: ARG002 -- as the real one
        """PutToStorage: in one of the threads."""
        await self._write(step, member["files"] * self.world.setup.store_s)
        return {"key": ""}

    async def _write(self, step: Step, seconds: float) -> None:
        now = self.world.now
        asked = now()
        async with self.disk.hold(step.ticket, Wait(WaitKind.DISK, "", asked)):
            began = now()
            await asyncio.sleep(seconds)
        self.world.trace.writes.append((asked, began, now()))

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Json:
        """TaskTracker_UpdateStatus."""
        return await self.tracker.update_status(step, task_id, state, note)

    async def report(self, step: Step, facts: Json) -> Json:
        """GenerateReport: in one of the threads."""
        patient = facts["run"]["patient_id"]
        await self._write(step, self.world.setup.report_s)
        size = self.world.case(patient).archive_b if facts["archive"] else 0
        self.world.trace.stored_b += size
        self.world.trace.spool.append((self.world.now(), -2 * size))
        return {"digest": "", "link": ""}

    async def append_report(self, step: Step, task_id: str, made: Json, again: Json) -> Json:
        """TaskTracker_AppendReport."""
        return await self.tracker.append_report(step, task_id, made["digest"], made["link"], again=again)

    async def release(self, run_id: str, search: Json) -> None:
        """Nothing is kept anywhere."""

    async def clear_spool(self, run_id: str) -> None:
        """There is none."""


def _bundles(seconds: Sequence[float], most: int | None) -> list[Sequence[float]]:
    """The documents in as many parts as is said, all of about the same number."""
    number = len(seconds) if most is None else min(most, len(seconds))
    return [seconds[part::number] for part in range(number)]
