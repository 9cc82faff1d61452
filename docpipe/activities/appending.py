"""The report on the task, shortened for a tracker that takes less than its contract says."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

import structlog
from msgspec import Struct

from docpipe.errors import ServiceError
from docpipe.model import Step, Ticket, Wait
from docpipe.report.digest import cut, length
from docpipe.results.files import Appended, Digest
from docpipe.tasks.tracker import TaskTracker

_S = TypeVar("_S", bound=Struct)
log = structlog.get_logger(__name__)

SIZES: Final = (16_384, 4_096, 1_024)
"""Characters of a digest that was too long before."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """A step whose request has another body, and so needs an idempotency key of its own."""

    step: Step
    key: str

    @property
    def ticket(self) -> Ticket:
        return self.step.ticket

    def saved(self, kind: type[_S]) -> _S | None:
        return self.step.saved(kind)

    async def save(self, state: Struct) -> None:
        await self.step.save(state)

    def note(self, state: Struct) -> None:
        self.step.note(state)

    async def until(self, when: float, wait: Wait) -> None:
        await self.step.until(when, wait)


async def append(tracker: TaskTracker, step: Step, task_id: str, made: Digest, *, again: bool) -> Appended:
    """Append the digest of a report to its task; a shorter one each time that the tracker answers 413.

    Args:
        tracker: the client of the tracker.
        step: the activity's attempt.
        task_id: the task.
        made: the report.
        again: whether there may be earlier reports.

    Raises:
        ServiceError: if the tracker refuses it, whatever its length.
    """
    variants = [(step, made.digest), *_shorter(step, made.digest)]
    for number, (variant, text) in enumerate(variants, 1):
        try:
            return await tracker.append_report(variant, task_id, text, made.link, again=again)
        except ServiceError as error:
            if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE or number == len(variants):
                raise
            log.warning("report_too_long", run_id=step.ticket.run_id, characters=length(text))
    raise AssertionError("there is always the digest itself")


def _shorter(step: Step, digest: str) -> Iterator[tuple[Step, str]]:
    for size in SIZES:
        if length(digest) > size:
            yield _Variant(step, f"{step.key}:{size}"), cut(digest.splitlines(), size)
