"""Whether docpipe lives, and whether it can do what it is asked to."""

from typing import Final

from aiohttp import web

from docpipe.web.answers import answer
from docpipe.web.context import web_of
from docpipe.web.metrics import CONTENT_TYPE
from docpipe.web.problems import Problem


async def healthz(_: web.Request) -> web.Response:
    """The loop turns."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """It has started, does not stop, and can write what it has to."""
    reasons = await web_of(request).readiness.reasons()
    if reasons:
        raise Problem(503, " ".join(reasons), "not-ready", reasons=reasons)
    return answer({"ready": True})


async def metrics(request: web.Request) -> web.Response:
    """Metrics for Prometheus."""
    return web.Response(body=await web_of(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE})


ROUTES: Final = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
