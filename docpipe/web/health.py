"""Liveness, readiness and metrics."""

from typing import Final

from aiohttp import web

from docpipe.web.answers import answer
from docpipe.web.context import web_of
from docpipe.web.metrics import CONTENT_TYPE
from docpipe.web.problems import Problem


async def healthz(_: web.Request) -> web.Response:
    """200 while the event loop runs."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """200 when docpipe has started, is not stopping, and can write checkpoints and documents."""
    reasons = await web_of(request).readiness.reasons()
    if reasons:
        raise Problem(503, " ".join(reasons), "not-ready", reasons=reasons)
    return answer({"ready": True})


async def metrics(request: web.Request) -> web.Response:
    """Metrics for Prometheus."""
    return web.Response(body=await web_of(request).source.metrics(), headers={"Content-Type": CONTENT_TYPE})


ROUTES: Final = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
