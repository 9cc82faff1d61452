"""How long the page takes to open with many runs in the list, in a real browser without a window."""

import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, async_playwright

import fakes
from tests.acceptance.test_web_page import chromium
from tests.benchmarks.filled import fill
from tests.benchmarks.load import environment, process

OPENS: Final = 15
_APART_S: Final = 1.0
"""Longer than answers are shared: every open is the only one."""
_WATCH: Final = """
    window.opened = new Promise((resolve) => new MutationObserver((_, observer) => {
        const rows = document.querySelectorAll("tr[data-run]").length;
        if (!rows) return;
        observer.disconnect();
        const there = performance.now();
        requestAnimationFrame(() => setTimeout(() => resolve({ rows, there, painted: performance.now() })));
    }).observe(document, { childList: true, subtree: true }));
"""
"""Times are counted from the begin of the navigation; the timeout comes right after the frame was painted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """When the first rows were there, ms since the begin of the navigation."""

    there: float
    painted: float
    requests: list[dict[str, Any]]
    """Each with its path, and when it began and ended."""


def opening(runs: int) -> tuple[float, float]:
    """Milliseconds until the rows are painted: the first time in a fresh browser, and the median later on."""
    first, others = asyncio.run(opens(runs))
    return first.painted, statistics.median(one.painted for one in others)


async def opens(runs: int) -> tuple[Opened, list[Opened]]:
    """The very first open of a fresh browser, and those after it."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        await asyncio.to_thread(fill, folder, runs)
        with contextlib.closing(sqlite3.connect(folder / "state" / "checkpoints.db")) as db, db:
            db.execute("INSERT INTO pauses (name, since) VALUES ('', ?)", (time.time(),))
        running = await stack.enter_async_context(fakes.serve(fakes.FakeOptions()))
        serve = process(environment(folder, running), "docpipe", "serve", "--port", "0")
        served = await stack.enter_async_context(serve)
        assert served.stdout is not None
        address = (await served.stdout.readline()).decode().split()[-1]
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        first, *others = await _opens(browser, address)
        return first, others


async def _opens(browser: Browser, address: str) -> list[Opened]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await context.add_init_script(_WATCH)
    result = []
    for _ in range(1 + OPENS):
        page = await context.new_page()
        await page.goto(address, wait_until="commit")
        body = await page.evaluate("window.opened")
        requests = await page.evaluate(
            "performance.getEntriesByType('resource').map(({ name, startTime, responseEnd }) =>"
            " ({ path: new URL(name).pathname, began: startTime, ended: responseEnd }))"
        )
        await page.close()
        assert body["rows"] == 50, body
        result.append(Opened(body["there"], body["painted"], requests))
        await asyncio.sleep(_APART_S)
    return result
