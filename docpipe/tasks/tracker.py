"""The TaskTracker: one task a run, its status, one report."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from msgspec import Struct

from docpipe.config.config import Tasktracker
from docpipe.errors import ServiceError
from docpipe.gates import Gate
from docpipe.http import Answer, Check, Credentials, Http, Own, about, is_problem, texts_in
from docpipe.http.pending import Repeats
from docpipe.http.verdicts import describe_probe, refusal
from docpipe.model import Clock, Step, Ticket
from docpipe.results.files import Appended, Task, Updated
from docpipe.results.states import Intent, ReportIntent, StatusIntent

log = structlog.get_logger(__name__)

NAME: Final = "tasktracker"
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
AGAIN_S: Final = 5.0
"""A task that is not there is requested once more after this many seconds, before it counts as deleted."""
_STALE: Final = 5
"""How often others may change the task between its reading and the new status."""
_CONFLICTS: Final = 20
_LONGEST_PAUSE_S: Final = 60.0
"""A request that is still in progress after 20 tries, a quarter of an hour, has failed there."""
_DELETED: Final = "The task was deleted in the tracker; the documents are kept."


class TaskBody(Struct, frozen=True, kw_only=True):
    """A task, as the tracker answers it."""

    id: str
    status: str
    external_ref: str = ""
    """The run that it belongs to."""
    reports: int = 0
    """How many reports it has."""


@dataclass(frozen=True, slots=True)
class TaskTracker:
    """Client of the tracker.

    A task that somebody deleted or closed does not undo the work: the result has a `problem` then.
    """

    http: Http
    config: Tasktracker
    gate: Gate
    clock: Clock
    credentials: Credentials
    _warned: set[str] = field(default_factory=set)
    """The warnings that are logged already."""

    async def probe(self, ticket: Ticket) -> str:
        """Look up a task that does not exist, once.

        Returns:
            The answer, in a few words.

        Raises:
            UnfitError: if docpipe cannot use the tracker.
        """
        answer = await self.http.once(
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=ticket,
            credentials=self.credentials,
            params={"external_ref": "docpipe-check"},
            check=_is_list,
            own=_has_tasks,
        )
        return describe_probe(answer, self.config, "a look-up of tasks")

    async def create(self, step: Step, run_id: str, title: str) -> Task:
        """Create the run's task, unless an earlier try did.

        Raises:
            ServiceError: if the tracker refuses it.
        """
        if step.saved(Intent) is None:  # from here on a crash cannot tell whether the task was created
            await step.save(Intent(sent=self.clock()))
        elif (task_id := await self._find(step, run_id)) is not None:
            return Task(task_id)

        async def recover() -> Answer | None:
            """Find the task where the last answer was lost, and the tracker has forgotten the key since."""
            task_id = await self._find(step, run_id)
            return None if task_id is None else Answer(HTTPStatus.CREATED, {}, {"id": task_id, "status": ""})

        task = {"title": title, "external_ref": run_id, "status": "in_progress"}
        url = f"{self.config.base_url}/v1/tasks"
        answer = await self._post(step, url, task, recover, check=_of(run_id), own=_has_tasks)
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "the new task")
        return Task(_task(answer).id)

    async def _find(self, step: Step, run_id: str) -> str | None:
        """The id of the task with the run's reference, None where none is listed.

        Other listed tasks belong to others. Where none is listed, the task is requested again, which is safe:
        under the same key the tracker answers with the task that it has.
        """
        answer = await self.http.call(
            "GET",
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=step.ticket,
            credentials=self.credentials,
            params={"external_ref": run_id},
            check=_is_list,
            own=_has_tasks,
        )
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "a look-up of the task")
        tasks = [_task_body(body) for body in answer.body.get("tasks") or []]
        own = [task.id for task in tasks if task is not None and task.external_ref == run_id]
        if len(own) < len(tasks) and "filter" not in self._warned:
            self._warned.add("filter")
            log.warning("tracker_ignores_filter", listed=len(tasks), own=len(own), parameter="external_ref")
        return own[0] if own else None

    async def update_status(self, step: Step, task_id: str, status: str, note: str) -> Updated:
        """Set the status, once, and the note beside it.

        Raises:
            ServiceError: if the tracker refuses it.
        """
        for _ in range(_STALE):
            answer = await self._get_task(step, task_id)
            if answer.status in _GONE or _done(answer, step.saved(StatusIntent), status):
                break
            before = StatusIntent(etag=_etag(answer), status=_task(answer).status)
            if step.saved(StatusIntent) != before:
                await step.save(before)
            answer = await self._patch(step, task_id, {"status": status, "note": note})
            if answer.status not in (HTTPStatus.PRECONDITION_FAILED, *_GONE):
                break
        if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            stays = await self._get_task(step, task_id)
            if stays.ok and (actual := _task(stays).status) != status:
                problem = f"The tracker did not let the task go from {actual[:40]} to {status}."
                return Updated(actual, problem)
            answer = stays
        if answer.status in _GONE:
            return Updated(None, _DELETED)
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "the new status")
        return Updated(_task(answer).status, None)

    async def _patch(self, step: Step, task_id: str, change: dict[str, str]) -> Answer:
        """Change the task, unless it has changed since the step has read it.

        An abandoned attempt that arrives after a successful one would add its note twice; its If-Match is
        stale then.
        """
        before = step.saved(StatusIntent)

        async def recover() -> Answer | None:
            current = await self._get_task(step, task_id)
            return current if _done(current, before, change["status"]) else None

        return await self.http.call(
            "PATCH",
            self._task_url(task_id),
            gate=self.gate,
            ticket=step.ticket,
            credentials=self.credentials,
            json=change,
            headers={"If-Match": before.etag} if before and before.etag else None,
            check=_of(step.ticket.run_id, task_id),
            own=is_problem,
            before_retry=recover,
        )

    async def append_report(
        self, step: Step, task_id: str, body: str, link: str, *, again: bool = False
    ) -> Appended:
        """Append the run's report, unless an earlier try did.

        Args:
            step: the attempt.
            task_id: the task.
            body: the report, in Markdown.
            link: where the full report is.
            again: whether the run was finished before, and may have appended reports then.

        Raises:
            ServiceError: if the tracker refuses it.
        """

        async def recover() -> Answer | None:
            """Find the report where the last answer was lost, and the tracker has forgotten the key since.

            The task is this run's own, so one report more on it is this run's report.
            """
            task = await self._get(step, task_id)
            intent = step.saved(ReportIntent)
            appended = task is not None and task.reports > (intent.before if intent else 0)
            return Answer(HTTPStatus.CREATED, {}, None) if appended else None

        if step.saved(ReportIntent) is None:
            there = await self._get(step, task_id) if again else None
            await step.save(ReportIntent(sent=self.clock(), before=there.reports if there else 0))
        elif await recover() is not None:
            return Appended(appended=True, problem=None)
        report = {"format": "markdown", "body": body, "link": link}
        for _ in range(_STALE):
            answer = await self._post(
                step, f"{self._task_url(task_id)}/reports", report, recover, check=_on(task_id)
            )
            if answer.status not in _GONE or await self._get(step, task_id) is None:
                break
        if answer.ok:
            return Appended(appended=True, problem=None)
        if answer.status in _GONE:
            return Appended(appended=False, problem=_DELETED)
        raise refusal("The tracker", self.config, answer, "the report")

    async def _post(
        self,
        step: Step,
        url: str,
        body: dict[str, str],
        recover: Callable[[], Awaitable[Answer | None]],
        *,
        check: Check,
        own: Own = is_problem,
    ) -> Answer:
        """Post under the step's key; `recover` finds the effect of an earlier attempt whose answer was lost.

        The tracker answers 409 while an earlier attempt is still in progress.
        """

        async def send() -> Answer:
            return await self.http.call(
                "POST",
                url,
                gate=self.gate,
                ticket=step.ticket,
                credentials=self.credentials,
                json=body,
                headers={"Idempotency-Key": step.key},
                check=check,
                own=own,
                before_retry=recover,
            )

        async def in_progress(answer: Answer) -> bool:
            return answer.status == HTTPStatus.CONFLICT

        return await self._repeats().until_settled(step.ticket, send, in_progress, recover)

    def _repeats(self) -> Repeats:
        return Repeats(NAME, self.clock, _LONGEST_PAUSE_S, _CONFLICTS)

    async def _get(self, step: Step, task_id: str) -> TaskBody | None:
        """The task, None where it was deleted."""
        answer = await self._get_task(step, task_id)
        return None if answer.status in _GONE else _task(answer)

    async def _get_task(self, step: Step, task_id: str) -> Answer:
        """Get the task; it counts as deleted after two such answers, some seconds apart."""
        for pause in (AGAIN_S, None):
            answer = await self.http.call(
                "GET",
                self._task_url(task_id),
                gate=self.gate,
                ticket=step.ticket,
                credentials=self.credentials,
                check=_of(step.ticket.run_id, task_id),
                own=is_problem,
            )
            if answer.status not in _GONE or pause is None:
                break
            await self._repeats().pause(step.ticket, pause)
        if not answer.ok and answer.status not in _GONE:
            raise refusal("The tracker", self.config, answer, "a look-up of the task")
        return answer

    def _task_url(self, task_id: str) -> str:
        return f"{self.config.base_url}/v1/tasks/{quote(task_id, safe='')}"


def _etag(answer: Answer) -> str | None:
    """The tag for If-Match, which takes strong ones only (RFC 9110, 13.1.1)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _done(current: Answer, before: StatusIntent | None, status: str) -> bool:
    """Whether an earlier attempt, which found the task as `before`, has set the status."""
    if before is None or not current.ok or _task(current).status != status:
        return False
    if before.status not in (None, status):  # also where the tag of a task is always the same
        return True
    return before.etag is None or before.etag != _etag(current)


def _is_list(body: Any) -> bool:
    """Whether an answer is a list of tasks."""
    return isinstance(body, dict) and all(map(_is_task, body.get("tasks") or []))


def _has_tasks(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 4xx comes from the tracker itself, for the collection of tasks, which always exists."""
    return status not in (*_GONE, HTTPStatus.METHOD_NOT_ALLOWED) and is_problem(status, headers, body)


def _of(run_id: str, task_id: str | None = None) -> Check:
    """A check that an answer is the task of a run, where it names its run."""

    def check(body: Any) -> bool:
        return (
            _is_task(body)
            and about(body.get("external_ref"), run_id)
            and (task_id is None or about(body["id"], task_id))
        )

    return check


def _on(task_id: str) -> Check:
    """A check that the answer to a report names this task, if any; the contract requires no body."""
    return lambda body: not isinstance(body, dict) or about(body.get("task_id"), task_id)


def _is_task(body: Any) -> bool:
    """Whether an answer keeps the contract as far as docpipe relies on it; MemberError if not."""
    return isinstance(body, dict) and texts_in(body, "id", "status")


def _task_body(body: Any) -> TaskBody | None:
    """Decode the JSON of a task; None where it breaks the contract."""
    if not isinstance(body, dict):
        return None
    id_, status, reference, reports = (body.get(name) for name in ("id", "status", "external_ref", "reports"))
    if not isinstance(id_, str) or not isinstance(status, str):
        return None
    return TaskBody(
        id=id_,
        status=status,
        external_ref=reference if isinstance(reference, str) else "",
        reports=reports if isinstance(reports, int) else 0,
    )


def _task(answer: Answer) -> TaskBody:
    """The task of an answer that a check has accepted."""
    task = _task_body(answer.body)
    if task is None:
        raise ServiceError("The tracker answered without the task that its contract requires.")
    return task
