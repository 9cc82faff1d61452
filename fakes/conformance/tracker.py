"""Checks of a TaskTracker."""

from typing import Any, Final

from fakes.conformance.kit import (
    Answer,
    BrokenError,
    Check,
    NotedError,
    Session,
    SkippedError,
    shaped,
    unknown_id,
    without_token,
)

_PATH: Final = "v1/tasks"
_LONGEST: Final = 65_536
_REMEMBER: Final = "remember keys for a day, and their answers"
_TITLE: Final = "docpipe conformance check"


def _task(answer: Answer, reference: str | None = None) -> dict[str, Any]:
    value = answer.value()
    with shaped("a task"):
        if not isinstance(value["id"], str) or not isinstance(value["status"], str):
            raise BrokenError("a task whose id or status is no text", "send both as texts")
        if reference is not None and value.get("external_ref", reference) != reference:
            raise BrokenError(
                "the task of another external_ref", "see caches and balancers before the service"
            )
        if value.get("title", _TITLE) != _TITLE:
            raise BrokenError("another title than was sent", "answer with the task as it was sent")
    return value  # type: ignore[no-any-return]  # it is a mapping, or `shaped` has spoken


async def _listed(session: Session, reference: str) -> list[dict[str, Any]]:
    answer = (await session.ask("GET", f"{_PATH}?external_ref={reference}")).expect(200)
    with shaped("a list of tasks"):
        tasks = list(answer.value()["tasks"])
        if any(task.get("external_ref", reference) != reference for task in tasks):
            raise BrokenError(
                "tasks of other clients, so that ?external_ref= is overlooked", "filter by external_ref"
            )
    return tasks


async def no_task(session: Session) -> None:
    """An external_ref that nobody used has no task."""
    if await _listed(session, unknown_id()):
        raise BrokenError("tasks for an external_ref that nobody used", "filter by external_ref")


async def unknown_task(session: Session) -> None:
    """404 of the service itself."""
    (await session.ask("GET", f"{_PATH}/{unknown_id()}")).problem(404)


async def create(session: Session) -> None:
    """201 with the task."""
    key, reference = unknown_id(), unknown_id()
    body = {"title": _TITLE, "external_ref": reference, "status": "open"}
    session.known |= {"key": key, "body": body, "reference": reference}
    answer = (await session.ask("POST", _PATH, body, {"Idempotency-Key": key})).expect(201)
    task = _task(answer, reference)
    session.known |= {"id": task["id"], "members": set(task)}


async def create_again(session: Session) -> None:
    """The same key and body are the same task."""
    headers = {"Idempotency-Key": session.need("key")}
    answer = (await session.ask("POST", _PATH, session.need("body"), headers)).expect(200, 201)
    if _task(answer, session.need("reference"))["id"] != session.need("id"):
        raise BrokenError("another task for the same Idempotency-Key", _REMEMBER)


async def create_other(session: Session) -> None:
    """The same key with another body is refused."""
    body = {**session.need("body"), "title": "another"}
    (await session.ask("POST", _PATH, body, {"Idempotency-Key": session.need("key")})).problem(422)


async def beside(session: Session) -> None:
    """Of two tasks each is found and read as itself: no cache, balancer or lost filter mixes them up."""
    first, other = session.need("reference"), unknown_id()
    body = {**session.need("body"), "external_ref": other}
    answer = (await session.ask("POST", _PATH, body, {"Idempotency-Key": unknown_id()})).expect(201)
    tasks = {first: session.need("id"), other: _task(answer, other)["id"]}
    try:
        for reference in (first, other, first):
            answer = await session.ask("GET", f"{_PATH}/{tasks[reference]}")
            read = _task(answer.expect(200), reference)["id"]
            result = [task.get("id") for task in await _listed(session, reference)]
            if read != tasks[reference] or result != [tasks[reference]]:
                raise BrokenError("another task than was asked for", "see caches and balancers before it")
        await _reported(session, tasks[other], unknown_id())
    finally:
        ended = await session.ask("PATCH", f"{_PATH}/{tasks[other]}", {"status": "cancelled"})
    _task(ended.expect(200), other)


async def find(session: Session) -> None:
    """The task is found by its external_ref, and is the only one."""
    ids = [task.get("id") for task in await _listed(session, session.need("reference"))]
    if ids != [session.need("id")]:
        raise BrokenError(f"{len(ids)} tasks for the external_ref of one", "list each task once, at once")


async def get(session: Session) -> None:
    """The task can be read; an ETag guards against lost updates."""
    answer = (await session.ask("GET", f"{_PATH}/{session.need('id')}")).expect(200)
    task = _task(answer, session.need("reference"))
    if missing := session.need("members") - set(task):
        raise BrokenError(
            f"a task without {', '.join(sorted(missing))}, which it had", "send the same members"
        )
    session.known["etag"] = answer.headers.get("ETag")
    if session.known["etag"] is None:
        raise NotedError("no ETag: an update cannot tell that somebody else was faster")


async def update(session: Session) -> None:
    """The status changes, and is what was sent."""
    path = f"{_PATH}/{session.need('id')}"
    answer = await session.ask("PATCH", path, {"status": "in_progress", "note": "conformance check"})
    if _task(answer.expect(200), session.need("reference"))["status"] != "in_progress":
        raise BrokenError("another status than was sent", "answer with the updated task")


async def stale(session: Session) -> None:
    """If-Match of an older version is refused."""
    etag = session.need("etag")
    if etag is None:
        raise SkippedError("there is no ETag")
    answer = await session.ask(
        "PATCH", f"{_PATH}/{session.need('id')}", {"status": "blocked"}, {"If-Match": etag}
    )
    answer.problem(412)


async def _reported(session: Session, id_: str, key: str) -> None:
    """Append a report; the answer may name its task."""
    body = {"format": "markdown", "body": "# Conformance\n\nNothing of a patient.", "link": "file:///nowhere"}
    headers = {"Idempotency-Key": key}
    answer = (await session.ask("POST", f"{_PATH}/{id_}/reports", body, headers)).expect(200, 201)
    value = answer.value() if answer.body else None
    if isinstance(value, dict) and value.get("task_id", id_) != id_:
        raise BrokenError("the report of another task", "see caches and balancers before the service")


async def report(session: Session) -> None:
    """A report is appended once for each key."""
    key = unknown_id()
    for _ in range(2):
        await _reported(session, session.need("id"), key)
    task = _task((await session.ask("GET", f"{_PATH}/{session.need('id')}")).expect(200))
    if "reports" not in task:
        raise NotedError("the task does not say how many reports it has")
    if task["reports"] != 1:
        raise BrokenError(f"{task['reports']} reports for one Idempotency-Key", _REMEMBER)


async def long_report(session: Session) -> None:
    """A report over the limit is refused."""
    path = f"{_PATH}/{session.need('id')}/reports"
    body = {"format": "text", "body": "x" * (_LONGEST + 1)}
    answer = await session.ask("POST", path, body, {"Idempotency-Key": unknown_id()})
    if answer.status == 201:  # noqa: PLR2004 -- Created
        raise NotedError("longer reports than the contract has are taken")
    answer.problem(413)


async def full_report(session: Session) -> None:
    """A report of just the limit is taken."""
    path = f"{_PATH}/{session.need('id')}/reports"
    body = {"format": "text", "body": "é" * _LONGEST}
    (await session.ask("POST", path, body, {"Idempotency-Key": unknown_id()})).expect(200, 201)


async def create_later(session: Session) -> None:
    """The key of the task is still known, after other requests."""
    headers = {"Idempotency-Key": session.need("key")}
    answer = (await session.ask("POST", _PATH, session.need("body"), headers)).expect(200, 201)
    if (id_ := _task(answer, session.need("reference"))["id"]) != session.need("id"):
        await session.ask("PATCH", f"{_PATH}/{id_}", {"status": "cancelled"})
        raise BrokenError("another task for the same Idempotency-Key, some requests later", _REMEMBER)


async def end(session: Session) -> None:
    """The task can be closed, and stays closed."""
    path = f"{_PATH}/{session.need('id')}"
    _task((await session.ask("PATCH", path, {"status": "cancelled"})).expect(200), session.need("reference"))
    answer = await session.ask("PATCH", path, {"status": "open"})
    if answer.status == 200:  # noqa: PLR2004 -- OK
        raise NotedError("a closed task can be opened again")
    answer.problem(409)


CHECKS: Final = (
    Check("an external_ref that nobody used: no task", no_task),
    Check("a task that does not exist: 404 as problem+json", unknown_task),
    without_token(_PATH),
    Check("POST /v1/tasks: 201, id, status, external_ref", create, writes=True),
    Check("the same Idempotency-Key: the same task", create_again, writes=True),
    Check("the same Idempotency-Key with another body: 422", create_other, writes=True),
    Check("two tasks beside each other are not mixed up", beside, writes=True),
    Check("?external_ref= finds this task alone", find, writes=True),
    Check("GET of the task, with an ETag", get, writes=True),
    Check("PATCH changes the status", update, writes=True),
    Check("If-Match of an older version: 412", stale, writes=True),
    Check("a report is appended once for each Idempotency-Key", report, writes=True),
    Check(f"a report of {_LONGEST:,} characters is taken", full_report, writes=True),
    Check("a longer report: 413", long_report, writes=True),
    Check("the Idempotency-Key of the task is still known", create_later, writes=True),
    Check("a closed task stays closed: 409", end, writes=True),
)
