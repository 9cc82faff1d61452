"""The application: its routes, and what every request passes."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from docpipe.util.structs import prepare_structs
from docpipe.web import (
    charts,
    control,
    description,
    documents,
    health,
    page,
    patients,
    runs,
    schedules,
    search,
)
from docpipe.web.context import WEB, Web
from docpipe.web.guard import LARGE, SAFE
from docpipe.web.page import FILES, Files
from docpipe.web.problems import Problem, as_problems, route_of, secure

ROUTES: Final = (
    *runs.ROUTES,
    *documents.ROUTES,
    *patients.ROUTES,
    *charts.ROUTES,
    *search.ROUTES,
    *control.ROUTES,
    *schedules.ROUTES,
    *description.ROUTES,
    *health.ROUTES,
    *page.ROUTES,
)


def make_app(here: Web) -> web.Application:
    """The application."""
    prepare_structs()
    app = web.Application(middlewares=[as_problems, _guarded], client_max_size=LARGE)
    app[WEB] = here
    app[FILES] = Files()
    app.on_response_prepare.append(secure)
    for route in ROUTES:
        kwargs = {**route.kwargs, "expect_handler": _expected}
        web.RouteDef(route.method, route.path, route.handler, kwargs).register(app.router)
    return app


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check each request; browsers without a session are redirected to the sign-in form."""
    here = request.app[WEB]
    try:
        here.guard.check(request)
    except Problem as problem:
        if problem.status == 401 and route_of(request) == "/" and page.wants_page(request):  # noqa: PLR2004 -- as of HTTP
            raise web.HTTPSeeOther("/login") from problem
        raise
    try:
        return await handler(request)
    finally:
        if request.method not in SAFE:  # the caller sees the change in every later answer
            here.shared.invalidate()


async def _expected(request: web.Request) -> None:
    """Send 100 Continue; any other expectation is ignored (RFC 9110, 10.1.1)."""
    if request.version >= (1, 1) and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
