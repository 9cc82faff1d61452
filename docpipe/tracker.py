"""The TaskTracker: one task a run, its status, one report."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog

from docpipe.config import Tasktracker
from docpipe.exchange import refusal
from docpipe.gates import Gate
from docpipe.http import Answer, Http
from docpipe.model import Clock, Json, Step

log = structlog.get_logger(__name__)

NAME: Final = "tasktracker"
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

    async def create(self, step: Step, run_id: str, title: str) -> Json:
        """Create the run's task, unless an earlier try did.

        Returns:
            {"task_id"}.

        Raises:
            ServiceError: if the tracker refuses it.
        """
        if step.state is not None and (found := await self._find(step, run_id)) is not None:
            return {"task_id": found}
        if step.state is None:  # from here on a crash cannot tell whether the task was created
            await step.save({"sent": self.clock()})

        async def look() -> Answer | None:
            """The last answer was lost, and the tracker may have forgotten the key since."""
            task_id = await self._find(step, run_id)
            return None if task_id is None else Answer(HTTPStatus.CREATED, {}, {"id": task_id, "status": ""})

        answer = await self.http.call(
            "POST",
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=step.ticket,
            token=self._token(),
            json={"title": title, "external_ref": run_id, "status": "in_progress"},
            headers={"Idempotency-Key": step.key},
            check=_is_task,
            before_retry=look,
        )
        if not answer.ok:
            raise refusal("The tracker", NAME, answer, "the new task")
        return {"task_id": answer.body["id"]}

    async def _find(self, step: Step, run_id: str) -> str | None:
        answer = await self.http.call(
            "GET",
            f"{self.config.base_url}/v1/tasks",
            gate=self.gate,
            ticket=step.ticket,
            token=self._token(),
            params={"external_ref": run_id},
            check=lambda body: isinstance(body, dict) and all(map(_is_task, body.get("tasks") or [])),
        )
        if not answer.ok:
            raise refusal("The tracker", NAME, answer, "the question after the task")
        tasks = answer.body.get("tasks") or []
        return tasks[0]["id"] if tasks else None

    async def update_status(self, step: Step, task_id: str, status: str, note: str) -> Json:
        """Set the status.

        Returns:
            {"status": as it stands, "problem": a sentence or None}.

        Raises:
            ServiceError: if the tracker refuses for a reason of ours.
        """
        answer = await self.http.call(
            "PATCH",
            self._task_url(task_id),
            gate=self.gate,
            ticket=step.ticket,
            token=self._token(),
            json={"status": status, "note": note},
            check=_is_task,
        )
        if answer.ok:
            return {"status": answer.body["status"], "problem": None}
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return {"status": None, "problem": _DELETED}
        if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            stands = await self._get(step, task_id)
            if stands is None:
                return {"status": None, "problem": _DELETED}
            if stands["status"] == status:  # an earlier try whose answer was lost
                return {"status": status, "problem": None}
            told = f"The tracker did not let the task go from {stands['status'][:40]} to {status}."
            return {"status": stands["status"], "problem": told}
        raise refusal("The tracker", NAME, answer, "the new status")

    async def append_report(self, step: Step, task_id: str, body: str, link: str) -> Json:
        """Append the run's one report, unless an earlier try did.

        Returns:
            {"appended": bool, "problem": a sentence or None}.

        Raises:
            ServiceError: if the tracker refuses for a reason of ours.
        """

        async def look() -> Answer | None:
            """The last answer was lost, and the tracker may have forgotten the key since.

            The task is this run's own, so a report on it is this run's report.
            """
            task = await self._get(step, task_id)
            appended = task is not None and (task.get("reports") or 0) > 0
            return Answer(HTTPStatus.CREATED, {}, task) if appended else None

        if step.state is not None and await look() is not None:
            return {"appended": True, "problem": None}
        if step.state is None:
            await step.save({"sent": self.clock()})
        answer = await self.http.call(
            "POST",
            f"{self._task_url(task_id)}/reports",
            gate=self.gate,
            ticket=step.ticket,
            token=self._token(),
            json={"format": "markdown", "body": body, "link": link},
            headers={"Idempotency-Key": step.key},
            before_retry=look,
        )
        if answer.ok:
            return {"appended": True, "problem": None}
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return {"appended": False, "problem": _DELETED}
        raise refusal("The tracker", NAME, answer, "the report")

    async def _get(self, step: Step, task_id: str) -> Json | None:
        answer = await self.http.call(
            "GET",
            self._task_url(task_id),
            gate=self.gate,
            ticket=step.ticket,
            token=self._token(),
            check=_is_task,
        )
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return None
        if not answer.ok:
            raise refusal("The tracker", NAME, answer, "the question after the task")
        return answer.body

    def _task_url(self, task_id: str) -> str:
        return f"{self.config.base_url}/v1/tasks/{quote(task_id, safe='')}"

    def _token(self) -> str | None:
        return self.config.token.reveal() if self.config.token else None


def _is_task(body: Json) -> bool:
    """Whether an answer keeps the contract as far as docpipe relies on it."""
    return isinstance(body, dict) and isinstance(body.get("id"), str) and isinstance(body.get("status"), str)
