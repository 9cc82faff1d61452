"""Submissions with an idempotency key: a repeated one gets the same answer and has no second effect.

Before anything is done the key is written down, and after it the answer. Where a crash came between, the
runs made since then are what the first attempt made, or somebody else for the same patients: they are the
answer, even if they have ended meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from docpipe.api.shapes import Accepted, AcceptedRun
from docpipe.checkpoints import StoredRun
from docpipe.util.json import to_json
from docpipe.web.answers import each
from docpipe.web.problems import Problem
from docpipe.web.reading import Submission
from docpipe.web.source import Source

_BEGUN: Final = "begun "
"""Stands before a key that was taken up; no key holds a space."""
_PAGE: Final = 500
_AT_ONCE: Final = 2000


class Submissions:
    """Takes patients in."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def take(self, submission: Submission) -> tuple[str, list[str] | None]:
        """Make the runs; returns the answer as JSON, and the ids of the runs that are new."""
        return await self._answer(submission, await self._accept(submission.patient_ids, submission.priority))

    async def take_once(self, key: str, digest: str, submission: Submission) -> tuple[str, list[str] | None]:
        """The same, once for each key; the list is None where the answer is remembered.

        Raises:
            Problem: 422 where the key came with another request before.
        """
        answers = self._source.answers
        async with self._alone(key):
            if (known := await answers.remembered(key)) is not None:
                return _same(digest, known), None
            if (begun := await answers.remembered(_BEGUN + key)) is not None:
                earlier = await self._since(float(_same(digest, begun)), set(submission.patient_ids))
            else:
                earlier = {}
                await answers.remember(_BEGUN + key, digest, repr(self._source.clock()))
            left = [patient for patient in submission.patient_ids if patient not in earlier]
            accepted = {
                run.patient_id: (run, new) for run, new in await self._accept(left, submission.priority)
            }
            accepted |= {patient: (run, True) for patient, run in earlier.items()}
            order = [accepted[patient] for patient in dict.fromkeys(submission.patient_ids)]
            text, new = await self._answer(submission, order)
            await answers.remember(key, digest, text)
            return text, new

    async def _accept(self, patient_ids: Sequence[str], priority: int) -> list[tuple[StoredRun, bool]]:
        """Accept them some at a time, so that others have their turn in between."""
        left, accepted = iter(dict.fromkeys(patient_ids)), list[tuple[StoredRun, bool]]()
        while some := list(islice(left, _AT_ONCE)):
            accepted += await self._source.accept(some, priority)
        return accepted

    async def _since(self, when: float, patients: set[str]) -> dict[str, StoredRun]:
        """The first run of each patient that was made since then."""
        earliest: dict[str, StoredRun] = {}
        last: StoredRun | None = None
        while page := await self._source.page(after=last, limit=_PAGE):
            for run in page:
                if run.created_at >= when and run.patient_id in patients:
                    earliest[run.patient_id] = run
            last = page[-1]
            if last.created_at < when:
                break
        return earliest

    async def _answer(
        self, submission: Submission, accepted: list[tuple[StoredRun, bool]]
    ) -> tuple[str, list[str]]:
        text = to_json(Accepted(runs=await each(accepted, _entry), refused=submission.refused))
        return text, [run.run_id for run, new in accepted if new]

    @contextlib.asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """One request with the key at a time."""
        lock, holders = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, holders + 1
        try:
            async with lock:
                yield
        finally:
            lock, holders = self._locks[key]
            if holders == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, holders - 1


def _same(digest: str, known: tuple[str, str]) -> str:
    if known[0] != digest:
        raise Problem(422, "This Idempotency-Key came with another request before.", "key-reused")
    return known[1]


def _entry(accepted: tuple[StoredRun, bool]) -> AcceptedRun:
    run, created = accepted
    return AcceptedRun(run_id=run.run_id, patient_id=run.patient_id, state=run.state, created=created)
