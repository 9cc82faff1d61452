"""The page of `docpipe serve` in a real browser: submit, watch, read, cancel, an outage, a keyboard, a phone.

With DOCPIPE_SCREENSHOTS set, pictures of what was seen are left in that folder.
"""

import asyncio
import contextlib
import functools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, Request, Route, async_playwright

import fakes
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import TOKEN, Serving, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, PHONE = (1280, 900), (360, 740)
SLOW = {"search_seconds": (600.0, 600.0)}
TABS = 60
PATIENCE_S = 240.0


def chromium() -> str:
    """The browser; in CI it may not be missing."""
    result = next(filter(None, map(shutil.which, NAMES)), None)
    if result is None:
        message = "a browser is needed: install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(f"SKIPPED LOUDLY: {message}")
    return result


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
        new_page = browser.new_page

        async def patient_page(**options: Any) -> Page:
            page = await new_page(**options)
            page.set_default_timeout(PATIENCE_S * 1000)  # a busy machine takes longer than Playwright waits
            return page

        browser.new_page = patient_page
        try:
            yield browser
        finally:
            await browser.close()


async def tab(browser: Browser, service: Serving, size: tuple[int, int] = WIDE, **more: str) -> Seen:
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, **more)
    seen = Seen(page, service.address)
    page.on(
        "console",
        lambda expected: seen.complaints.append(expected.text) if expected.type == "error" else None,
    )
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
        await until(lambda: says(page, ".filters", "With errors 2"))
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
        assert "not be read" in first or "not read" in first, (
            "problems come first"
        )  # or scans, on a slow machine
        await seen.picture("run")
        await page.click(".documents a:has-text('Continuity of Care')")
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
        assert "document exchange is down" in await page.inner_text("#connection")
        banner = await page.inner_text("#banner")
        assert "does not answer since" in banner
        assert "Nothing is lost" in banner
        await seen.picture("outage")
        await page.click("text=Runs")
        await seen.has("tr:has-text('the document exchange is down')")
        assert "in line" not in await page.inner_text("table.runs")  # the banner has what holds for all
        services.clear_faults()
        await page.click("#pause")
        assert "Pause all retrievals?" in await page.inner_text("#ask-dialog")
        await page.click("#ask-dialog button[value=no]")
        assert await page.inner_text("#pause") == "Pause", "nothing is paused"
        await page.click("#pause")
        await page.click("#ask-yes")
        await until(lambda: says(page, "#connection", "everything is paused"))
        assert "Everything is paused since" in await page.inner_text("#banner")
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
        await until(lambda: says(page, "main", "No run fits"))
        assert not await page.is_visible("table.runs")  # a head without rows
        assert page.url.endswith("#/?q=P107&show=cancelled")
        await page.click("nav >> text=Search")
        await seen.has("h1:has-text('Search in documents')")
        await page.keyboard.type("fever")
        assert await page.input_value("main input[type=search]") == "fever"
        assert seen.complaints == []


def _answer(json: Any) -> Callable[[Route], Awaitable[None]]:
    return lambda route: route.fulfill(json=json)


async def test_large_numbers(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Thousands are parted, as many as are counted are not more, and no limit is said once."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        await service.submit("P123")
        page = (await tab(browser, service)).page
        runs = await service.ask("GET", "/api/runs", 200)
        state = await service.ask("GET", "/api/services", 200)
        of_docex = state["services"][0]["quotas"]
        of_docex[0] |= {"rate": "50000/hour", "of": 50_000, "used": 12_345, "waiting": 2_000}
        of_docex[1] |= {"rate": None, "of": None, "used": 0, "waiting": 0}
        for more, words in ((False, "1 of 100,000 runs"), (True, "1 of more than 100,000 runs")):
            await page.route("**/api/runs?*", _answer(runs | {"total": 100_000, "more": more}))
            await page.reload()
            await until(functools.partial(says, page, "main", words))
        await page.route("**/api/services", _answer(state))
        await page.click("text=Services")
        await until(lambda: says(page, ".cards", "12,345 of 50,000 in use, 2,000 wait"))
        assert (await page.inner_text(".cards")).count("no limit") == 1


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_patient_is_looked_for_by_name(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """Who types a name is offered the patients who have it, from the database, with a link to each."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        person = await service.ask("GET", "/api/patients/P123/person", 200)
        family = person["person"]["family"]
        await seen.page.fill("#q", f"{family} {person['person']['given'][:2]}".lower())
        link = seen.page.locator(".namesakes a", has_text="number P123")
        assert family in await link.inner_text()
        await link.click()
        await until(lambda: says(seen.page, "h1", family))
        assert seen.complaints == []


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_the_list_is_asked_for_before_the_modules(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """Nobody waits for the one after the other, and it is asked for once until it is on the screen."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        await service.submit("P123")
        page = await browser.new_page()
        asked, lists = asyncio.Event(), []

        def on_request(request: Request) -> None:
            if "/api/runs?" in request.url:
                lists.append(request.url)
                asked.set()

        async def later(route: Route) -> None:
            async with asyncio.timeout(PATIENCE_S):
                await asked.wait()
            await route.continue_()

        page.on("request", on_request)
        await page.route("**/app.js", later)
        await page.route("**/api/events", lambda route: route.abort())
        await page.goto(service.address)
        await page.locator("tr[data-run]").wait_for()
        assert len(lists) == 1
        await page.goto(f"{service.address}/#/services")
        await page.reload()
        await page.locator("h1", has_text="Services").wait_for()
        assert len(lists) == 1


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_what_happens_while_it_loads_is_shown(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """Also where the answer is older than the events that came meanwhile."""
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
    """No event reports what changed between the list and the first event."""
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
            assert not await page.is_visible(".unchosen")
            await seen.picture(f"phone-{name}-{scheme}")
        for quota in ("Document exchange (new searches), ", "Document exchange (states of searches), "):
            await seen.has(f".gauge:has-text('{quota}')")
        assert await page.locator(".gauge:has-text('docex')").count() == 0
        await page.goto(f"{service.address}/#/run/{run}")
        await page.click(".documents a:has-text('Continuity of Care')")
        await seen.has(".words table")
        assert await seen.overflow() <= 0
        assert seen.complaints == []


async def faint_texts(page: Page) -> list[str]:
    """Texts whose contrast with what is behind them is below 4.5."""
    return await page.locator("body").evaluate(CONTRAST)


UNKNOWN: Final = "01J00000000000000000000000"
_COLOUR: Final = "element => getComputedStyle(element).backgroundColor"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")


async def test_sign_in(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """With a token set, the page asks for it; a wrong one is reported, the right one opens the page."""
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
        await page.click("#sign-out")
        await page.wait_for_url("**/login")
        await page.goto(service.address)
        assert page.url.endswith("/login"), "the session has ended"


async def test_scans_that_were_not_read(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """They are amber, come before what can be read, and give the reason; they have no words."""
    assert box.env["DOCPIPE_CONVERT__OCR"] == "false"
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        assert not await page.is_visible("#sign-out"), "nobody is signed in"
        await seen.submit("P123")
        await seen.has("h1 .is-completed_with_errors, h1 .is-completed")
        scan = page.locator(".documents li", has_text="was not read as text").first
        await scan.wait_for()
        badge = scan.locator(".badge")
        assert "not read" in await badge.inner_text()
        assert await scan.locator(".is-converted").count() == 0
        colours = [
            await one.evaluate(_COLOUR) for one in (badge, page.locator(".documents .is-converted").first)
        ]
        assert colours[0] != colours[1]
        marked = await page.locator(".documents .badge").evaluate_all("all => all.map(one => one.className)")
        assert marked.index("badge is-not_read") < marked.index("badge is-converted")
        await scan.locator("a").click()
        await seen.has(".viewer .words :text('No text could be read from it.]')")
        assert "word" not in await page.inner_text(".viewer .path")
        assert seen.complaints == []


async def test_a_run_without_a_service(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Only the service can say that there is no such run; where it is down the page says that alone."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await until(lambda: says(page, "#connection", "connected"))
        await page.goto(f"{service.address}/#/run/{UNKNOWN}")
        await until(lambda: says(page, "h1", "There is no such run"))
        assert await page.locator("main h2 >> visible=true").count() == 0, "no empty timeline below it"
        await page.click("text=All runs")
        await seen.has(".filters")
        service.process.kill()
        await until(lambda: says(page, "#connection", "no connection"))
        await page.evaluate(f"location.hash = '#/run/{UNKNOWN}'")
        await until(lambda: says(page, "h1", "The service cannot be reached"))
        assert "no such run" not in await page.inner_text("main")
        assert (await page.inner_text("main")).count("cannot be reached") == 1


HOSTILE = '<img src=x onerror="document.title=1">'


async def test_hostile_words_are_inert(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Markup in a patient's id is text; nothing of it becomes an element."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await seen.submit(HOSTILE)
        await until(lambda: says(page, "#submit-problem", "onerror"))
        await page.click("#submit-cancel")
        (run,) = await service.submit(HOSTILE)
        left = asyncio.Event()

        async def answer_late(route: Route) -> None:
            await left.wait()
            await route.continue_()

        await page.route("**/person", answer_late)
        await page.goto(f"{service.address}/#/run/{run}")
        await seen.has("h1:has-text('onerror')")
        assert await page.locator("img[src=x]").count() == 0
        await page.click("text=All runs")
        await until(lambda: titled(page, "Runs"))
        async with page.expect_response("**/person"):
            left.set()
        await seen.has("tr:has-text('onerror')")
        assert await page.locator("img[src=x]").count() == 0
        assert (await page.title()).startswith("Runs"), "an answer that came late names the window no more"
        assert seen.complaints == []


async def test_a_patients_page(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Demographics, all retrievals and documents; each document has an address, and neighbours by key."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service)
        page = seen.page
        await page.goto(f"{service.address}/#/run/{run}")
        await page.click("text=All retrievals and documents of this patient")
        await seen.has(".facts dt:has-text('Born')")
        await seen.has(".documents img")
        name = await page.inner_text("h1")
        assert "P123" not in name, "a name, not a number"
        assert {"Born", "Number"} <= set(await page.locator(".facts dt").all_inner_texts())
        await seen.picture("patient")
        assert await page.locator("table.runs tbody tr").count() == 1
        await page.click(".documents a:has-text('Continuity of Care')")
        await seen.has(".words table td")
        first, heading = page.url, await page.inner_text(".viewer h3")
        above, below = [await page.locator(one).bounding_box() for one in ("header.top", ".viewer h3")]
        assert below["y"] >= above["y"] + above["height"], "its title is not under the head of the page"
        assert "/document/" in first
        await until(lambda: titled(page, "Continuity of Care Document"))
        assert "patient P123" in await page.title()
        await page.keyboard.press("n")
        await until(lambda: differs(page, first))
        # The address changes before the document is drawn.
        await until(lambda: replaced(page, ".viewer h3", heading))
        second, title = page.url, await page.inner_text(".viewer h3")
        await page.reload()
        await until(lambda: says(page, ".viewer", title))
        assert page.url == second
        await page.go_back()
        await until(lambda: says(page, ".viewer", "Continuity of Care"))
        await page.fill(".document-search", "continuity")
        await until(lambda: has_count(page, ".documents li", 1))
        await page.fill(".document-search", "")
        await page.click(".document-filters summary")
        await page.select_option(".fields label:has-text('Outcome') select", "could not be read")
        await until(lambda: has_count(page, ".documents li", 1))
        assert await seen.overflow() <= 0
        assert await faint_texts(page) == []
        await page.locator(".viewer").focus()
        await page.keyboard.press("Escape")
        await until(lambda: says(page, ".viewer", "Choose a document"))
        async with page.expect_download() as download:
            await page.evaluate(SAVE, first.rpartition("/")[2])
        assert (await download.value).suggested_filename.endswith("Continuity of Care Document.pdf")
        await look_at_news(seen)
        assert seen.complaints == []


SHELF: Final = [
    ("b.pdf", "converted", "PDF", "Dr. Ada", "2024-05-02", "North Clinic", None),
    ("a.txt", "converted", "Plain text", "Dr. Bo", "2022-01-01", "South Clinic", "not_read"),
    ("d.pdf", "failed", "PDF", "Dr. Ada", "2021-01-01", "South Clinic", "problem"),
    ("c.pdf", "duplicate", "PDF", "Dr. Bo", None, "North Clinic", None),
    ("e.pdf", "stored", "PDF", "Dr. Bo", "2023-03-03", "North Clinic", None),
]
"""Path, outcome, type, author, date, source, and why a person should look at it."""


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_filters_and_orders_of_documents(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """By outcome, type, author, source and date; problems and unread scans first, then newest, or else."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        await service.submit("P123")
        patient = await service.ask("GET", "/api/patients/P123", 200)
        names = ("path", "outcome", "format", "author", "date", "custodian", "attention")
        patient["documents"] = [
            dict(zip(names, row, strict=True)) | {"warnings": [], "findings": [], "files": {}}
            for row in SHELF
        ]
        seen = await tab(browser, service)
        page = seen.page
        await page.route("**/api/patients/P123", _answer(patient))
        await page.goto(f"{service.address}/#/patient/P123")
        await until(lambda: lists(page, "adbec"))  # unread scans among the problems, repeated ones last
        assert await page.locator(".documents li:has-text('a.txt') .is-converted").count() == 0, "never green"
        await page.click(".document-filters summary")
        for field, value, left in (
            ("Outcome", "not read", "a"),
            ("Type", "PDF", "dbec"),
            ("Author", "Dr. Ada", "db"),
            ("Source", "South Clinic", "ad"),
        ):
            select = f".fields label:has-text('{field}') select"
            await page.select_option(select, value)
            await until(functools.partial(lists, page, left))
            await page.select_option(select, "")
        await page.fill(".fields label:has-text('Dated from') input", "2022-01-01")
        await page.fill(".fields label:has-text('Dated until') input", "2023-12-31")
        await until(lambda: lists(page, "ae"))
        await page.fill(".fields label:has-text('Dated from') input", "")
        await page.fill(".fields label:has-text('Dated until') input", "")
        for order, all_of_them in (
            ("newest first", "beadc"),
            ("oldest first", "daebc"),
            ("by title", "abcde"),
            ("by type", "bedca"),
        ):
            await page.select_option(".fields label:has-text('Order') select", order)
            await until(functools.partial(lists, page, all_of_them))
        assert seen.complaints == []


async def lists(page: Page, letters: str) -> bool:
    """Whether the documents are these, in this order."""
    titles = await page.locator(".documents li strong").all_inner_texts()
    return "".join(title[0] for title in titles) == letters


async def look_at_news(seen: Seen) -> None:
    """What a later run brought and missed is marked in the list, counted above it, and filtered by."""
    page = seen.page
    await page.route("**/api/patients/P123", with_news)
    await page.reload()
    await seen.has(".documents .is-new")
    counts = {name: await page.locator(f".documents .is-{name}").count() for name in ("new", "gone")}
    assert counts == {"new": 1, "gone": 2}
    facts = await page.inner_text(".run-head .facts")
    assert "New since the last retrieval\n1" in facts
    assert "No longer at the exchange\n2" in facts
    await page.click(".document-filters summary")
    await page.select_option(".fields label:has-text('Retrieval') select", "gone")
    await until(lambda: has_count(page, ".documents li", 2))
    assert await faint_texts(page) == []


async def with_news(route: Route) -> None:
    """The patient, as if a later run had brought one document, and missed two."""
    answer = await route.fetch()
    patient = await answer.json()
    for number, document in enumerate(patient["documents"][:3]):
        document["new" if number == 0 else "gone"] = True
    await route.fulfill(response=answer, json=patient)


SAVE: Final = """
    id => { const link = document.createElement("a");
            link.href = `/api/documents/P123/${id}/document.pdf?download=1`; link.click(); }
"""


async def differs(page: Page, address: str) -> bool:
    return page.url != address


async def replaced(page: Page, where: str, before: str) -> bool:
    return await page.locator(where).count() == 1 and await page.inner_text(where) != before


async def titled(page: Page, start: str) -> bool:
    return (await page.title()).startswith(start)


async def test_ids_are_checked_in_the_dialog(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """What the database does not have is named before anything begins; the rest can begin without it."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await seen.submit("P123", "p124", "P125")
        await until(lambda: says(page, "#submit-problem", "does not have p124"))
        assert "Nothing has begun yet" in await page.inner_text("#submit-problem")
        assert await page.locator("tr[data-run]").count() == 0
        await seen.picture("ids")
        await page.click("#submit-rest")
        await until(lambda: has_count(page, "tr[data-run]", 2))
        assert seen.complaints == []


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_several_runs_at_once(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Selected runs are cancelled together, after a question."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        await service.submit("P123", "P124", "P125")
        seen = await tab(browser, service)
        page = seen.page
        await until(lambda: has_count(page, "tr[data-run]", 3))
        for patient in ("P123", "P125"):
            await page.check(f"tr:has-text('{patient}') input")
        await until(lambda: says(page, ".bulk", "2 runs selected"))
        await seen.picture("selected")
        await page.click("#bulk-cancel")
        await page.click("#ask-yes")
        await until(lambda: has_count(page, "tr .is-cancelled", 2))
        assert not await page.is_visible(".bulk")
        assert seen.complaints == []


async def test_matches_are_marked_in_the_text(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """A hit opens its document at the first match; keys lead on; other words can be looked for there."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service)
        page = seen.page
        await page.goto(f"{service.address}/#/search")
        await page.fill("input[type=search]", 'ALLERG* "Blóod  pressure"')
        await page.keyboard.press("Enter")
        await until(lambda: says(page, ".hits .who", "born"))
        assert "number P123" in await page.inner_text(".hits .who")
        await page.click(".hits a")
        await seen.has(".words mark.here")
        marked = {words.lower() for words in await page.locator(".words mark").all_inner_texts()}
        assert "blood pressure" in marked
        assert any(words.startswith("allerg") for words in marked)
        assert await page.evaluate(IN_SIGHT)
        assert "match 1 of" in await page.inner_text(".finder")
        text = await page.inner_text(".words")
        await page.locator(".viewer").focus()
        await page.keyboard.press("m")
        await until(lambda: says(page, ".finder", "match 2 of"))
        assert await page.evaluate(IN_SIGHT)
        await page.keyboard.press("M")
        await until(lambda: says(page, ".finder", "match 1 of"))
        await page.reload()
        await seen.has(".words mark.here")
        await page.fill(".finder input", "no-such-word")
        await until(lambda: says(page, ".finder", "not in this text"))
        assert await page.locator(".words mark").count() == 0
        assert await page.inner_text(".words") == text, "marks leave the text as it is"
        assert seen.complaints == []


async def test_a_schedule_is_paused_on_the_page(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """It says for whom, how often and when next; a pause is seen at once, and kept."""
    with (box.folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write('\n[[schedule]]\nname = "all of them"\npatients = "all"\nevery = "7d"\n')
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        seen = await tab(browser, service)
        page = seen.page
        await page.click("text=Services")
        card = page.locator(".card:has-text('all of them')")
        await card.wait_for()
        words = await card.inner_text()
        assert "All patients (100), every 7 days" in words
        assert "Next:" in words
        await seen.picture("schedule")
        await card.locator("button").press("Enter")
        await seen.has(".card:has-text('all of them'):has-text('Nothing is begun since')")
        assert "Continue" in await page.locator(":focus").inner_text()
        assert await page.locator("#pause").inner_text() == "Pause", "all else continues"
        await page.reload()
        await card.locator("button").press("Enter")
        await seen.has(".card:has-text('all of them'):has-text('Next:')")
        assert await faint_texts(page) == []
        assert seen.complaints == []


IN_SIGHT: Final = """
    (() => { const mark = document.querySelector("mark.here").getBoundingClientRect();
             const pane = document.querySelector(".words").getBoundingClientRect();
             return mark.top >= pane.top && mark.bottom <= pane.bottom; })()
"""


async def test_charts_and_documents_are_saved(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """Of a patient, of a run, and of several selected runs, each under a name that says what it is."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        runs = await service.submit("P123", "P124")
        for run in runs:
            await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service)
        page = seen.page

        async def saved(selector: str) -> tuple[str, bytes]:
            async with page.expect_download(timeout=PATIENCE_S * 1000) as download:
                await page.click(selector)
            file = await (await download.value).path()
            return (await download.value).suggested_filename, file.read_bytes()[:4]

        await page.goto(f"{service.address}/#/patient/P123")
        await seen.has(".documents img")
        name, begin = await saved("#chart")
        assert (name.endswith("P123 chart.pdf"), begin) == (True, b"%PDF")
        await page.click(".documents a:has-text('Laboratory report')")
        await page.fill(".page-field input", "2")
        await page.keyboard.press("Enter")
        await seen.has("iframe.paper[src$='document.pdf#page=2']")
        await page.goto(f"{service.address}/#/run/{runs[1]}")
        await seen.has("h1:has-text('P124')")
        name, begin = await saved("#package")
        assert (name.endswith("P124 documents.zip"), begin) == (True, b"PK\x03\x04")
        await page.goto(f"{service.address}/#/")
        for patient in ("P123", "P124"):
            await page.check(f"tr:has-text('{patient}') input")
        name, begin = await saved("#bulk-save")
        assert (name, begin) == ("documents of several patients.zip", b"PK\x03\x04")
        assert seen.complaints == []
        await page.route(
            "**/chart.pdf", lambda route: route.fulfill(status=503, headers={"Retry-After": "60"})
        )
        await page.goto(f"{service.address}/#/patient/P123")
        await page.click("#chart")
        await until(lambda: says(page, "#notices", "try again in a minute"))
