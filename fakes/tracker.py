"""The TaskTracker: tasks, their status, their reports."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final

from fakes.calls import Call, Refusal, Reply
from fakes.front import Front, Route, World, digest

_OPEN: Final = ("open", "in_progress", "blocked")
_DONE: Final = ("completed", "completed_with_errors", "failed", "cancelled")
STATUSES: Final = _OPEN + _DONE
ALLOWED: Final = {
    "open": {"in_progress", "blocked", *_DONE},
    "in_progress": {"blocked", *_DONE},
    "blocked": {"in_progress", *_DONE},
    "completed": set[str](),
    "completed_with_errors": {"in_progress"},  # somebody tries again
    "failed": {"in_progress"},  # likewise
    "cancelled": set[str](),
}
"""Status to those that may follow. A change to the same status is none, and always allowed."""
REPORT_LENGTH: Final = 65_536
_FORMATS: Final = ("markdown", "text")


@dataclass(frozen=True, slots=True)
class Task:
    """A task and its past."""

    id: str
    title: str
    external_ref: str
    status: str
    history: tuple[str, ...]
    """Every status that it had, in order."""
    notes: tuple[str, ...] = ()
    version: int = 1
    deleted: bool = False

    @property
    def etag(self) -> str:
        """A strong entity tag."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True)
class Report:
    """A report appended to a task."""

    id: str
    task_id: str
    format: str
    body: str
    link: str | None = None


class TaskTracker(Front):
    """The server, and what tests ask of it."""

    name: ClassVar[str] = "tracker"

    def __init__(self, world: World) -> None:
        super().__init__(world, {"tracker.*": world.options.tracker_rate}, world.options.tracker_token)
        self.tasks: dict[str, Task] = {}
        """Every task ever made, deleted ones too, oldest first."""
        self.reports: dict[str, list[Report]] = {}
        """Task id to its reports, oldest first."""
        for id_, fields in world.journal.load("task").items():
            lists = {name: tuple(fields[name]) for name in ("history", "notes")}
            self.tasks[id_] = Task(**{**fields, **lists})
        for fields in world.journal.load("report").values():
            self.reports.setdefault(fields["task_id"], []).append(Report(**fields))

    def routes(self) -> list[Route]:
        """Every operation of the contract."""
        return [
            ("POST", "/v1/tasks", "tracker.create", self._create),
            ("GET", "/v1/tasks", "tracker.find", self._find),
            ("GET", "/v1/tasks/{id}", "tracker.get", self._get),
            ("PATCH", "/v1/tasks/{id}", "tracker.update", self._update),
            ("POST", "/v1/tasks/{id}/reports", "tracker.report", self._append),
        ]

    def subjects(self, call: Call) -> Collection[str]:
        """The external_ref and the words of the title of the task."""
        if "id" in call.request.match_info:
            task = self.tasks.get(call.part("id"))
            return (task.external_ref, *task.title.split()) if task else ()
        if call.request.method == "GET":
            reference = call.request.query.get("external_ref", "")
            return {word for t in self.tasks_of(reference) for word in (t.external_ref, *t.title.split())}
        title, reference = call.text("title") or "", call.text("external_ref") or ""
        return (reference, *title.split())

    def tasks_of(self, external_ref: str) -> list[Task]:
        """The tasks with a reference, oldest first, without deleted ones."""
        return [t for t in self.tasks.values() if t.external_ref == external_ref and not t.deleted]

    def delete_task(self, id_: str) -> None:
        """Delete the task, as a person would; KeyError where there is none."""
        self._keep(replace(self.tasks[id_], deleted=True))

    def set_status(self, id_: str, status: str) -> None:
        """Change the status, so that an If-Match goes stale; KeyError where there is none."""
        self._keep(_moved(self.tasks[id_], status))

    def _keep(self, task: Task) -> Task:
        self.tasks[task.id] = task
        if self.world.journal:
            self.world.journal.put("task", task.id, asdict(task))
        return task

    def _live(self, call: Call) -> Task:
        task = self.tasks.get(call.part("id"))
        if task is None or task.deleted:
            raise Refusal(404, "There is no such task.")
        return task

    def _view(self, task: Task) -> dict[str, Any]:
        return {
            "id": task.id,
            "title": task.title,
            "external_ref": task.external_ref,
            "status": task.status,
            "reports": len(self.reports.get(task.id, ())),
        }

    def _answer(self, status: int, call: Call, task: Task) -> Reply:
        headers = {"ETag": task.etag}
        if status == 201:  # noqa: PLR2004 - Created
            headers["Location"] = self._address(call, f"/v1/tasks/{task.id}")
        return Reply.of(status, self._view(task), headers)

    def _address(self, call: Call, path: str) -> str:
        request = call.request
        return f"{request.scheme}://{request.host}{path}" if self.world.options.absolute_urls else path

    async def _create(self, call: Call) -> Reply:
        call.key()
        title, reference = call.text("title") or "", call.text("external_ref") or ""
        status = _status(call) or "open"
        made = self.keys.made(call)
        if made is not None:
            return self._answer(201, call, self.tasks[made])
        id_ = f"t-{digest(self.world.options.seed, 'task', len(self.tasks))}"
        with self.world.journal.together():
            task = self._keep(Task(id_, title, reference, status, (status,)))
            self.keys.remember(call, id_)
        return self._answer(201, call, task)

    async def _find(self, call: Call) -> Reply:
        reference = call.request.query.get("external_ref")
        if not reference:
            raise Refusal(400, "external_ref is required.")
        tasks = self.tasks_of(reference)
        if call.unfiltered:
            tasks = [task for task in self.tasks.values() if not task.deleted]
        return Reply.of(200, {"tasks": [self._view(task) for task in tasks]})

    async def _get(self, call: Call) -> Reply:
        return self._answer(200, call, self._live(call))

    async def _update(self, call: Call) -> Reply:
        task = self._live(call)
        status, note = _status(call), call.text("note", required=False)
        wanted = call.header("If-Match")
        if wanted is not None and not {"*", task.etag} & {tag.strip() for tag in wanted.split(",")}:
            raise Refusal(412, "The task has changed since.", {"ETag": task.etag})
        changed = task
        if status is not None and status != task.status:
            if status not in ALLOWED[task.status]:
                raise Refusal(409, f"A task that is {task.status} cannot become {status}.")
            changed = _moved(changed, status)
        if note:
            changed = replace(changed, notes=(*changed.notes, note), version=changed.version + 1)
        return self._answer(200, call, task if changed is task else self._keep(changed))

    async def _append(self, call: Call) -> Reply:
        call.key()
        task = self._live(call)
        format_, body = call.text("format") or "", call.text("body", required=False)
        link = call.text("link", required=False)
        if format_ not in _FORMATS:
            raise Refusal(400, f"format must be one of {', '.join(_FORMATS)}.")
        if body is None:
            raise Refusal(400, "body is required.")
        if len(body) > REPORT_LENGTH:
            raise Refusal(413, f"The report has {len(body)} characters; {REPORT_LENGTH} are allowed.")
        reports = self.reports.setdefault(task.id, [])
        made = self.keys.made(call)
        if made is None:
            report = Report(f"r-{digest(task.id, len(reports))}", task.id, format_, body, link)
            reports.append(report)
            with self.world.journal.together():
                self.world.journal.put("report", report.id, asdict(report))
                self.keys.remember(call, report.id)
        else:
            report = next(report for report in reports if report.id == made)
        path = f"/v1/tasks/{task.id}/reports/{report.id}"
        value = {"id": report.id, "task_id": task.id, "format": report.format, "link": report.link}
        return Reply.of(201, value, {"Location": self._address(call, path)})


def _moved(task: Task, status: str) -> Task:
    return replace(task, status=status, history=(*task.history, status), version=task.version + 1)


def _status(call: Call) -> str | None:
    status = call.text("status", required=False)
    if status is not None and status not in STATUSES:
        raise Refusal(400, f"status must be one of {', '.join(STATUSES)}.")
    return status
