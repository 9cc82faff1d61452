"""The page of `docpipe serve` in a real browser: submit, watch, read, cancel, an outage, a keyboard, a phone.

With DOCPIPE_SCREENSHOTS set, pictures of what was seen are left in that folder.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

import fakes
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import TOKEN, Serving, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, PHONE = (1280, 900), (360, 740)
SLOW = {"search_seconds": (600.0, 600.0)}
TABS = 60
PATIENCE_S = 60.0


def chromium() -> str:
    """The browser; in CI it may not be missing."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        message = "a browser is needed: install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(f"SKIPPED LOUDLY: {message}")
    return found


@dataclass
class Seen:
    """A tab, and what it complained of."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    async def submit(self, *patients: str) -> None:
        await self.page.click("#submit")
        await self.page.fill("#ids", "\n".join(patients))
        await self.page.click("#submit-send")

    async def picture(self, name: str) -> None:
        if folder := os.environ.get("DOCPIPE_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    async def has(self, selector: str) -> None:
        await self.page.wait_for_selector(selector, timeout=PATIENCE_S * 1000)

    async def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return await self.page.locator("html").evaluate("html => html.scrollWidth - html.clientWidth")


@pytest.fixture(scope="module")
def path_of_chromium() -> str:
    return chromium()


@contextlib.asynccontextmanager
async def browsing(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


async def tab(browser: Browser, service: Serving, size: tuple[int, int] = WIDE, **more: str) -> Seen:
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, **more)
    seen = Seen(page, service.address)
    page.on("console", lambda told: seen.complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    await page.goto(service.address)
    return seen


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await so():
            await asyncio.sleep(0.05)


_LATEST: Final = """
    [...document.querySelectorAll(".timeline g")].map((row) => ["act", "wait"].map((kind) => {
        const bars = [...row.querySelectorAll(`[class^=${kind}]`)].map((bar) => bar.getBBox());
        return Math.max(0, ...bars.map((box) => box.x + box.width));
    }))
"""
"""Of each row of the timeline, where its last bar ends and where its last wait."""


async def test_from_submission_to_a_document(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """A nurse submits two patients, watches, opens a document with text and PDF, and the report."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        assert "No patient has been submitted" in await page.inner_text("main")
        await seen.submit("P123", "P124")
        await seen.has("tr[data-run]:has-text('P124')")
        await until(lambda: has_count(page, "tr .is-completed_with_errors, tr .is-completed", 2))
        await until(lambda: says(page, ".filters", "Problems 2"))
        await seen.picture("runs")
        assert "Completed" in await page.inner_text(".filters")
        assert not await page.is_visible("text=Show 50 more"), "there are no more"
        await page.click("tr[data-run]:has-text('P123') a")
        await seen.has(".documents img")
        assert await page.locator(".timeline .act").count() > 9
        assert await page.locator(".timeline .tick").count() > 0
        shaded = await page.evaluate(_LATEST)
        assert any(waited for _, waited in shaded)
        assert all(waited <= worked + 1 for worked, waited in shaded), "a wait ends with its activity"
        first = await page.inner_text(".documents li:first-child")
        assert "failed" in first, "problems come first"
        await seen.picture("run")
        await page.click(".documents button:has-text('Continuity of Care')")
        await seen.has(".words table td")
        words = await page.inner_text(".words")
        assert "Allergies" in words
        await until(lambda: shows_pdf(page))
        await seen.picture("document")
        async with page.expect_popup() as popup:
            await page.click("a:has-text('Report')")
        report = await popup.value
        await report.wait_for_load_state()
        assert "P123" in await report.inner_text("body")
        assert seen.complaints == []


async def has_count(page: Page, selector: str, number: int) -> bool:
    return await page.locator(selector).count() == number


async def shows_pdf(page: Page) -> bool:
    """The browser's own viewer has taken the PDF up."""
    return any(frame.url.startswith("chrome-extension://") for frame in page.frames)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_cancel_an_outage_and_a_pause(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """A run is cancelled after a question; an outage, a pause and a lost connection are shown."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await seen.submit("P123")
        await seen.has("h1 .is-running")
        await page.click("#cancel")
        await seen.picture("question")
        await page.click("#ask-dialog button[value=no]")
        assert await page.locator("h1 .is-running").count() == 1
        await page.click("#cancel")
        await page.click("#ask-yes")
        await seen.has("h1 .is-cancelled")
        await page.click("text=Services")
        services.add_fault("docex.* 503")
        await service.submit("P124", "P125", "P126", "P127")
        await seen.has(".card .is-down")
        await seen.has(".outages td:has-text('503')")
        assert "docex is down" in await page.inner_text("#connection")
        await seen.picture("outage")
        await page.click("text=Runs")
        await seen.has("tr:has-text('docex is down')")
        services.clear_faults()
        await page.click("#pause")
        await until(lambda: says(page, "#connection", "everything is paused"))
        await page.click("#pause")
        await until(lambda: says(page, "#pause", "Pause"))
        assert seen.complaints == []
        service.process.kill()
        await until(lambda: says(page, "#connection", "no connection"))


async def says(page: Page, selector: str, words: str) -> bool:
    return words in await page.inner_text(selector)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_search_and_filters(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Of many runs a page is shown; search, filters and order narrow it, and can be linked."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        await service.submit(*(f"P{number}" for number in range(1000, 1120)))
        seen = await tab(browser, service)
        page = seen.page
        await until(lambda: has_count(page, "tr[data-run]", 50))
        await page.click("text=Show 50 more")
        await until(lambda: has_count(page, "tr[data-run]", 100))
        await page.fill("#q", "P107")
        await until(lambda: has_count(page, "tr[data-run]", 10))
        assert "10 of 10" in await page.inner_text("main")
        linked = await (await browser.new_page()).goto(page.url)
        assert linked is None or linked.ok
        await page.click("[data-show=cancelled]")
        await until(lambda: says(page, "main", "No run is like that"))
        assert page.url.endswith("#/?q=P107&show=cancelled")
        assert seen.complaints == []


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_what_happens_while_it_loads_is_shown(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """Also where the answer is older than what the events told meanwhile."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "running")
        seen = await tab(browser, service)
        row = seen.page.locator(f"tr[data-run='{run}']")
        await row.locator(".is-running").wait_for()
        came, go = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            answer = await route.fetch()
            came.set()
            await go.wait()
            await route.fulfill(response=answer)

        await seen.page.route("**/api/runs?*", late)
        await seen.page.select_option("select[aria-label=Order]", "urgent")
        await came.wait()
        await service.ask("POST", f"/api/runs/{run}/cancel", 202)
        await row.locator(".is-cancelled").wait_for()
        await row.evaluate("row => { row.dataset.before = 1; }")
        go.set()
        await seen.has(f"tr[data-run='{run}']:not([data-before])")
        assert await row.locator(".is-cancelled").count() == 1
        assert seen.complaints == []


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_what_happens_before_it_listens_is_shown(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """What changed between the list and the first event was told to nobody."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "running")
        page = await browser.new_page()
        go = asyncio.Event()

        async def late(route: Route) -> None:
            await go.wait()
            await route.continue_()

        await page.route("**/api/events", late)
        await page.goto(service.address)
        row = page.locator(f"tr[data-run='{run}']")
        await row.locator(".is-running").wait_for()
        await service.ask("POST", f"/api/runs/{run}/cancel", 202)
        await service.until(run, "cancelled")
        await asyncio.sleep(1.5)  # by then it is forgotten: nobody listens
        go.set()
        await row.locator(".is-cancelled").wait_for()


async def test_by_keyboard(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Everything from the first tab to an opened document goes without a mouse, and focus is always seen."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await reach(page, "submit")
        await page.keyboard.press("Enter")
        await page.keyboard.type("P123")
        await reach(page, "submit-send")
        await page.keyboard.press("Enter")
        await seen.has("h1 .is-completed_with_errors")
        await reach(page, "", "Continuity of Care")
        outline = await page.evaluate_handle("() => getComputedStyle(document.activeElement).outlineStyle")
        assert await outline.json_value() == "solid"
        await page.keyboard.press("Enter")
        await seen.has(".words table")
        assert (await page.locator(":focus").get_attribute("id")) == "viewer"
        assert seen.complaints == []


async def reach(page: Page, id_: str, words: str = "") -> None:
    """Press Tab until the element has the focus."""
    for _ in range(TABS):
        await page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if await focus.count() and (
            (id_ and await focus.get_attribute("id") == id_) or (words and words in await focus.inner_text())
        ):
            return
    pytest.fail(f"no way to {id_ or words}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone(box: Box, services: fakes.Running, path_of_chromium: str, scheme: str) -> None:
    """Nothing is wider than a phone, and every text is readable in both schemes (WCAG AA)."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service, PHONE, color_scheme=scheme)
        page = seen.page
        for name, place, awaited in (
            ("runs", "#/", "tr[data-run]"),
            ("run", f"#/run/{run}", ".documents img"),
            ("services", "#/services", ".card meter"),
        ):
            await page.goto(f"{service.address}/{place}")
            await seen.has(awaited)
            assert await seen.overflow() <= 0, name
            assert await faint_texts(page) == [], name
            await seen.picture(f"phone-{name}-{scheme}")
        await page.goto(f"{service.address}/#/run/{run}")
        await page.click(".documents button:has-text('Continuity of Care')")
        await seen.has(".words table")
        assert await seen.overflow() <= 0
        assert seen.complaints == []


async def faint_texts(page: Page) -> list[str]:
    """Texts whose contrast with what is behind them is below 4.5."""
    return await page.locator("body").evaluate(CONTRAST)


CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")


async def test_sign_in(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """With a token set, the page asks for it; a wrong one is told, the right one opens the page."""
    box.env["DOCPIPE_SERVICE__TOKEN"] = TOKEN
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        assert page.url.endswith("/login")
        await page.fill("#token", "wrong")
        await page.click("button")
        await until(lambda: says(page, "#problem", "not the token"))
        await seen.picture("sign-in")
        await page.fill("#token", TOKEN)
        await page.click("button")
        await until(lambda: says(page, "#connection", "connected"))
        await seen.submit("P123")
        await seen.has("h1 .badge")
        assert seen.complaints == []


HOSTILE = '<img src=x onerror="document.title=1">'


async def test_hostile_words_are_inert(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Markup in a patient's id is text; nothing of it becomes an element."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await seen.submit(HOSTILE)
        await seen.has("h1:has-text('onerror')")
        assert await page.locator("img[src=x]").count() == 0
        await page.click("text=All runs")
        await seen.has("tr:has-text('onerror')")
        assert await page.locator("img[src=x]").count() == 0
        assert (await page.title()).startswith("Runs")
        assert seen.complaints == []
