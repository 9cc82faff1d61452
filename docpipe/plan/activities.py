"""The ten activities in a simulated world: real clients of both services, and all else takes time only."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from docpipe.gates import Gate
from docpipe.gates.line import Slots
from docpipe.model import Outcome, Patient, Step, Wait, WaitKind
from docpipe.plan.services import World
from docpipe.results.files import Appended, Archive, Converted, Digest, Member, Stored, Task, Updated
from docpipe.results.report import Facts
from docpipe.results.search import Ready, Search
from docpipe.sources.docex.exchange import DocumentExchange
from docpipe.tasks.tracker import TaskTracker

_DONE: Final = Converted(
    outcome=Outcome.CONVERTED,
    reason=None,
    media_type="",
    extension="",
    outputs=[],
    metadata={},
    embedded=[],
)


class PlannedMember(Member, frozen=True, kw_only=True):
    """A bundle of documents: how long they take to convert, and how many they are."""

    took: float
    files: int


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
    """A patient's documents go in this many bundles, where there are more; None: each by itself."""

    async def get_patient(self, step: Step, patient_id: str) -> Patient:  # noqa: ARG002 -- as the real one
        """GetPatientFromDB."""
        await asyncio.sleep(self.world.setup.row_s)
        return Patient(patient_id, "", "", "")

    async def create_task(self, step: Step, run_id: str, patient_id: str) -> Task:
        """TaskTracker_Create."""
        return await self.tracker.create(step, run_id, patient_id)

    async def search(self, step: Step, patient: Patient) -> Search:
        """DocEx_Search."""
        return await self.exchange.search(step, patient)

    async def wait_until_ready(self, step: Step, search: Search, patient: Patient) -> Ready:
        """DocEx_CheckStatus."""
        ready = await self.exchange.wait_until_ready(step, search, patient)
        return replace(ready, poll_times=[])  # a plan has no timeline

    async def download_and_extract(self, step: Step, run_id: str, search: Search, ready: Ready) -> Archive:  # noqa: ARG002 -- as the real one
        """DocEx_DownloadAndExtract: over the real gate of an origin and the real places for downloads."""
        case, trace = self.world.searches[search.search_id].case, self.world.trace
        if ready.archive is None:
            return Archive(state="ready")
        asked = self.world.now()
        async with self.downloads.hold(step.ticket, Wait(WaitKind.DOWNLOAD, "", asked)):
            began = self.world.now()
            await self._connected(step)
            trace.spool.append((began, 2 * case.archive_b))  # the archive, and the files in it
            await asyncio.sleep(case.download_s)
            trace.downloads.append((asked, began, self.world.now()))
        members = [
            PlannedMember(
                path=str(number), id=str(number), size=0, file="file", took=sum(bundle), files=len(bundle)
            )
            for number, bundle in enumerate(_bundles(case.convert_s, self.bundles))
        ]
        return Archive(state="ready", size=case.archive_b, sha256="", members=list(members))

    async def _connected(self, step: Step) -> None:
        call = self.archives.call(step.ticket)
        while (failure := await self.world.attempt(self.archives, call)) is not None:
            await self.archives.pause(call, failure)

    def extracted(self, run_id: str) -> Callable[[Archive], bool]:  # noqa: ARG002 -- as the real one
        """Nothing is there that could be lost."""
        return lambda _: True

    async def convert(
        self,
        step: Step,
        place: Any,  # noqa: ARG002 -- as the real one
        member: Member,
        patient: Patient | None = None,  # noqa: ARG002 -- likewise
    ) -> Converted:
        """ConvertFile: in turn, in one of the workers."""
        now = self.world.now
        asked = now()
        async with self.workers.hold(step.ticket, Wait(WaitKind.CONVERSION, "", asked)):
            await self.world.workers()
            began = now()
            await asyncio.sleep(_planned(member).took)
        self.world.trace.conversions.append((asked, began, now()))
        return _DONE

    def converted(self, run_id: str, item: str) -> Callable[[Converted], bool]:  # noqa: ARG002 -- as the real one
        """Nothing is there that could be lost."""
        return lambda _: True

    async def store(self, step: Step, place: Any, member: Member, done: Converted) -> Stored:  # noqa: ARG002 -- as the real one
        """PutToStorage: in one of the threads."""
        await self._write(step, _planned(member).files * self.world.setup.store_s)
        return Stored("")

    async def _write(self, step: Step, seconds: float) -> None:
        now = self.world.now
        asked = now()
        async with self.disk.hold(step.ticket, Wait(WaitKind.DISK, "", asked)):
            began = now()
            await asyncio.sleep(seconds)
        self.world.trace.writes.append((asked, began, now()))

    async def update_status(self, step: Step, task_id: str, state: str, note: str) -> Updated:
        """TaskTracker_UpdateStatus."""
        return await self.tracker.update_status(step, task_id, state, note)

    async def report(self, step: Step, facts: Facts) -> Digest:
        """GenerateReport: in one of the threads."""
        patient = facts.run.patient_id
        await self._write(step, self.world.setup.report_s)
        size = self.world.case(patient).archive_b if facts.archive else 0
        self.world.trace.stored_b += size
        self.world.trace.spool.append((self.world.now(), -2 * size))
        return Digest("", "")

    async def append_report(self, step: Step, task_id: str, made: Digest, again: bool) -> Appended:
        """TaskTracker_AppendReport."""
        return await self.tracker.append_report(step, task_id, made.digest, made.link, again=again)

    async def release(self, run_id: str, address: str | None) -> None:
        """Nothing is kept anywhere."""

    async def clear_spool(self, run_id: str) -> None:
        """There is none."""


def _planned(member: Member) -> PlannedMember:
    if not isinstance(member, PlannedMember):
        raise TypeError("a plan has members of its own making")
    return member


def _bundles(seconds: Sequence[float], most: int | None) -> list[Sequence[float]]:
    """The documents in at most this many bundles of about the same size."""
    number = len(seconds) if most is None else min(most, len(seconds))
    return [seconds[part::number] for part in range(number)]
