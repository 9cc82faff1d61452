"""Handlers for schedules, which may be paused, and for the state of notifications."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from docpipe.api.schedules import Schedule, Schedules
from docpipe.api.shapes import moment
from docpipe.errors import UsageError
from docpipe.schedule import ScheduleView
from docpipe.util.json import to_json
from docpipe.web.answers import answer
from docpipe.web.components import TEXT, Spec, json_response, param, ref
from docpipe.web.context import Web, web_of
from docpipe.web.problems import Problem
from docpipe.web.reading import only


async def schedules(request: web.Request) -> web.Response:
    """How the schedules stand."""
    return await web_of(request).coalesce(request, _schedules)


async def _schedules(request: web.Request) -> str:
    only(request)
    return to_json(Schedules(schedules=web_of(request).source.schedules()))


def schedule_view(view: ScheduleView) -> Schedule:
    """A schedule as the API has it."""
    schedule, stored = view.schedule, view.stored
    return Schedule(
        name=schedule.name,
        patients=list(schedule.patients),
        every=schedule.every,
        zone=schedule.zone,
        priority=schedule.priority,
        members=view.members,
        next_at=moment(view.next_at),
        last_at=moment(stored.last_at),
        begun=stored.begun,
        paused=moment(stored.paused),
        trouble=view.trouble,
    )


async def notifications(request: web.Request) -> web.Response:
    """How the notifications of ended runs stand."""
    only(request)
    return answer(await web_of(request).source.notifications())


async def pause(request: web.Request) -> web.Response:
    """Begin nothing more of a schedule."""
    return await _change(request, lambda here, name: here.source.pause_schedule(name))


async def unpause(request: web.Request) -> web.Response:
    """Take that back."""
    return await _change(request, lambda here, name: here.source.unpause_schedule(name))


async def _change(request: web.Request, change: Callable[[Web, str], Awaitable[None]]) -> web.Response:
    only(request)
    here = web_of(request)

    async def work() -> None:
        await change(here, request.match_info["name"])

    try:
        await here.shielded(work())
    except UsageError as error:
        raise Problem(404, str(error), "no-such-schedule") from error
    return web.Response(status=204)


def paths() -> Spec:
    """Their part of the API's description."""
    name = param("path", "name", TEXT, "The schedule, as /api/schedules names it.")

    def change(summary: str) -> Spec:
        done = {"204": {"description": "Done."}}
        return {"post": {"summary": summary, "parameters": [name], "responses": done, "problems": (404, 503)}}

    notified = json_response(ref("Notifications"), "As they stand now.")
    listed = json_response(ref("Schedules"), "As they stand now.")
    return {
        "/api/schedules": {
            "get": {"summary": "What is retrieved again by plan.", "responses": {"200": listed}}
        },
        "/api/notifications": {
            "get": {"summary": "How notifications of ended runs stand.", "responses": {"200": notified}}
        },
        "/api/schedules/{name}/pause": change(
            "Start no further runs of a schedule; runs that have started continue. Survives restarts."
        ),
        "/api/schedules/{name}/resume": change(
            "Unpause a schedule; patients who were due in the meantime wait for the next round."
        ),
    }


ROUTES: Final = (
    web.get("/api/schedules", schedules),
    web.get("/api/notifications", notifications),
    web.post("/api/schedules/{name}/pause", pause),
    web.post("/api/schedules/{name}/resume", unpause),
)
