"""The TaskTracker: one task a run, its status, one report."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog

from docpipe.config.config import Tasktracker
from docpipe.gates import Gate
from docpipe.gates.line import waiting
from docpipe.http import Answer, Check, Credentials, Http
from docpipe.http.verdicts import describe_probe, refusal
from docpipe.model import Clock, Json, Step, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

NAME: Final = "tasktracker"
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_STALE: Final = 5
"""So often others may change the task between its reading and the new status."""
_CONFLICTS: Final = 20
_LONGEST_PAUSE_S: Final = 60.0
"""What the tracker is still at after 20 tries, a quarter of an hour, has come to grief there."""
_DELETED: Final = "The task was deleted in the tracker; the documents are kept."


@dataclass(frozen=True, slots=True)
class TaskTracker:
    """Client of the tracker. What it returns are plain JSON values.

    A task that somebody deleted or closed does not undo the work: it is told as a `problem`.
    """

    http: Http
    config: Tasktracker
    gate: Gate
    clock: Clock
    credentials: Credentials

    async def probe(self, ticket: Ticket) -> str:
        """Ask once after a task that does not exist.

        Returns:
            What it answered, in a few words.

        Raises:
            UnfitError: if it cannot be used as it is.
        """
        answer = await self.http.once(
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=ticket,
            credentials=self.credentials,
            params={"external_ref": "docpipe-check"},
            check=_is_list,
        )
        return describe_probe(answer, self.config, "the question after a task")

    async def create(self, step: Step, run_id: str, title: str) -> Json:
        """Create the run's task, unless an earlier try did.

        Returns:
            {"task_id"}.

        Raises:
            ServiceError: if the tracker refuses it.
        """
        if step.state is not None and (task_id := await self._find(step, run_id)) is not None:
            return {"task_id": task_id}
        if step.state is None:  # from here on a crash cannot tell whether the task was created
            await step.save({"sent": self.clock()})

        async def look() -> Answer | None:
            """The last answer was lost, and the tracker may have forgotten the key since."""
            task_id = await self._find(step, run_id)
            return None if task_id is None else Answer(HTTPStatus.CREATED, {}, {"id": task_id, "status": ""})

        task = {"title": title, "external_ref": run_id, "status": "in_progress"}
        answer = await self._post(step, f"{self.config.base_url}/v1/tasks", task, look, _is_task)
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "the new task")
        return {"task_id": answer.body["id"]}

    async def _find(self, step: Step, run_id: str) -> str | None:
        answer = await self.http.call(
            "GET",
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=step.ticket,
            credentials=self.credentials,
            params={"external_ref": run_id},
            check=_is_list,
        )
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "the question after the task")
        tasks = answer.body.get("tasks") or []
        return tasks[0]["id"] if tasks else None

    async def update_status(self, step: Step, task_id: str, status: str, note: str) -> Json:
        """Set the status, once, and the note beside it.

        Returns:
            {"status": as it stands, "problem": a sentence or None}.

        Raises:
            ServiceError: if the tracker refuses for a reason of ours.
        """
        for _ in range(_STALE):
            answer = await self._ask(step, task_id)
            if answer.status in _GONE or _done(answer, step.state, status):
                break
            if step.state is None or step.state["etag"] != _etag(answer):
                await step.save({"etag": _etag(answer)})
            answer = await self._patch(step, task_id, {"status": status, "note": note})
            if answer.status != HTTPStatus.PRECONDITION_FAILED:
                break
        if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            stays = await self._ask(step, task_id)
            if stays.ok and stays.body["status"] != status:
                problem = f"The tracker did not let the task go from {stays.body['status'][:40]} to {status}."
                return {"status": stays.body["status"], "problem": problem}
            answer = stays
        if answer.status in _GONE:
            return {"status": None, "problem": _DELETED}
        if not answer.ok:
            raise refusal("The tracker", self.config, answer, "the new status")
        return {"status": answer.body["status"], "problem": None}

    async def _patch(self, step: Step, task_id: str, change: dict[str, str]) -> Answer:
        """Change the task, unless it is another one by now than what the step knows.

        A try that was given up, and arrives after one that went through, would add its note once more: it
        finds that its If-Match is stale.
        """
        state = step.state

        async def look() -> Answer | None:
            stands = await self._ask(step, task_id)
            return stands if _done(stands, state, change["status"]) else None

        return await self.http.call(
            "PATCH",
            self._task_url(task_id),
            gate=self.gate,
            ticket=step.ticket,
            credentials=self.credentials,
            json=change,
            headers={"If-Match": state["etag"]} if state and state["etag"] else None,
            check=_is_task,
            before_retry=look,
        )

    async def append_report(
        self, step: Step, task_id: str, body: str, link: str, *, again: bool = False
    ) -> Json:
        """Append the run's report, unless an earlier try did.

        Args:
            step: the try.
            task_id: the task.
            body: the report, in Markdown.
            link: where the whole of it is.
            again: whether the run was finished before, and may have left reports then.

        Returns:
            {"appended": bool, "problem": a sentence or None}.

        Raises:
            ServiceError: if the tracker refuses for a reason of ours.
        """

        async def look() -> Answer | None:
            """The last answer was lost, and the tracker may have forgotten the key since.

            The task is this run's own, so a report more on it is this run's report.
            """
            task = await self._get(step, task_id)
            appended = task is not None and (task.get("reports") or 0) > (step.state or {}).get("before", 0)
            return Answer(HTTPStatus.CREATED, {}, task) if appended else None

        if step.state is not None and await look() is not None:
            return {"appended": True, "problem": None}
        if step.state is None:
            there = await self._get(step, task_id) if again else None
            await step.save({"sent": self.clock(), "before": (there or {}).get("reports") or 0})
        report = {"format": "markdown", "body": body, "link": link}
        answer = await self._post(step, f"{self._task_url(task_id)}/reports", report, look)
        if answer.ok:
            return {"appended": True, "problem": None}
        if answer.status in _GONE:
            return {"appended": False, "problem": _DELETED}
        raise refusal("The tracker", self.config, answer, "the report")

    async def _post(
        self,
        step: Step,
        url: str,
        body: Json,
        look: Callable[[], Awaitable[Answer | None]],
        check: Check | None = None,
    ) -> Answer:
        """Post under the step's key; `look` finds what an earlier try made whose answer was lost.

        An earlier try may be so slow that the tracker is still at it: it says 409 then, until it is done.
        """
        pause = 1.0
        for _ in range(_CONFLICTS):
            answer = await self.http.call(
                "POST",
                url,
                gate=self.gate,
                ticket=step.ticket,
                credentials=self.credentials,
                json=body,
                headers={"Idempotency-Key": step.key},
                check=check,
                before_retry=look,
            )
            if answer.status != HTTPStatus.CONFLICT:
                break
            now = self.clock()
            with waiting(step.ticket, Wait(WaitKind.RETRY, NAME, now, now + pause)):
                await asyncio.sleep(pause)
            if (result := await look()) is not None:
                return result
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return answer

    async def _get(self, step: Step, task_id: str) -> Json | None:
        """The task, None where there is none any more."""
        answer = await self._ask(step, task_id)
        return None if answer.status in _GONE else answer.body

    async def _ask(self, step: Step, task_id: str) -> Answer:
        answer = await self.http.call(
            "GET",
            self._task_url(task_id),
            gate=self.gate,
            ticket=step.ticket,
            credentials=self.credentials,
            check=_is_task,
        )
        if not answer.ok and answer.status not in _GONE:
            raise refusal("The tracker", self.config, answer, "the question after the task")
        return answer

    def _task_url(self, task_id: str) -> str:
        return f"{self.config.base_url}/v1/tasks/{quote(task_id, safe='')}"


def _etag(answer: Answer) -> str | None:
    """The tag for If-Match, which takes strong ones only (RFC 9110, 13.1.1)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _done(stands: Answer, state: Json | None, status: str) -> bool:
    """Whether an earlier try, which began from `state`, has set the status."""
    if state is None or not stands.ok or stands.body["status"] != status:
        return False
    return state["etag"] is None or state["etag"] != _etag(stands)


def _is_list(body: Json) -> bool:
    """Likewise of the answer to a question after tasks."""
    return isinstance(body, dict) and all(map(_is_task, body.get("tasks") or []))


def _is_task(body: Json) -> bool:
    """Whether an answer keeps the contract as far as docpipe relies on it."""
    return isinstance(body, dict) and isinstance(body.get("id"), str) and isinstance(body.get("status"), str)
