"""The page for everybody: axe finds nothing on any page, in any size and colours; nothing needs a mouse.

One service and one browser for all of a test, since both take long to start. With DOCPIPE_SCREENSHOTS set,
pictures of what was seen are left in that folder.
"""

from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

import fakes
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import TOKEN, Serving, serving
from tests.acceptance.test_web_page import (
    TABS,
    Seen,
    browsing,
    chromium,
    differs,
    faint_texts,
    has_count,
    says,
    tab,
    until,
)

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "phone-dark": {"size": (390, 844), "color_scheme": "dark"},
    "desk-light": {"size": (1280, 900), "color_scheme": "light"},
    "desk-dark": {"size": (1280, 900), "color_scheme": "dark"},
    "wide-dark": {"size": (1920, 1080), "color_scheme": "dark"},
    "small-light": {"size": (1024, 768), "color_scheme": "light"},
    "zoomed-light": {"size": (640, 450), "color_scheme": "light", "device_scale_factor": 2},
}
"""Every size and both schemes, whose colours are the same at all sizes. The last one is a window of 1280
pixels at 200%."""


@pytest.fixture(scope="module")
def path_of_chromium() -> str:
    return chromium()


async def findings(page: Page) -> list[str]:
    """What axe finds, in a line each."""
    reported = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in reported
        for node in one["nodes"]
    ]


async def judged(seen: Seen, name: str) -> list[str]:
    """What is wrong: findings of axe, a page wider than its window, faint texts."""
    await seen.picture(name)
    wrong = [*await findings(seen.page), *(f"faint: {text}" for text in await faint_texts(seen.page))]
    if (by := await seen.overflow()) > 0:
        wrong.append(f"wider than its window by {by} pixels")
    return [f"{name}: {one}" for one in wrong]


async def test_axe_finds_nothing(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """On every page: lists, a run, a document with marks, a patient, services and schedules, the dialogs."""
    with (box.folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write('\n[[schedule]]\nname = "leap days"\npatients = "all"\nevery = "0 3 29 2 *"\n')
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        runs = await service.submit("P123", "P124")
        for run in runs:
            await service.until(run, "completed", "completed_with_errors")
        wrong = []
        for look, how in LOOKS.items():
            wrong += await look_around(browser, service, runs[0], look, dict(how))
        services.add_fault("docex.* 503")
        await service.submit("P125", "P126")
        for look in ("phone-dark", "desk-light"):
            wrong += await look_at_trouble(browser, service, look, dict(LOOKS[look]))
        assert wrong == []


async def look_around(
    browser: Browser, service: Serving, run: str, look: str, how: dict[str, Any]
) -> list[str]:
    seen = await tab(browser, service, how.pop("size"), **how)
    page, wrong = seen.page, list[str]()
    for name, place, awaited in (
        ("runs", "/", "tr[data-run]"),
        ("run", f"/run/{run}", ".documents img"),
        ("services", "/services", ".card:has-text('leap days') button"),
        ("patient", "/patient/P123", ".documents img"),
        ("search", "/search?q=blood", ".hits mark"),
        ("nobody", "/patient/nobody", "h1:has-text('no such patient')"),
    ):
        await page.goto(f"{service.address}/#{place}")
        await seen.has(awaited)
        wrong += await judged(seen, f"{name}-{look}")
        if name == "nobody" and await page.locator("main h2 >> visible=true").count():
            wrong.append(f"{name}-{look}: empty parts below the sentence")
    await page.goto(f"{service.address}/#/search?q=blood")
    await page.click(".hits a")
    await seen.has(".words mark.here")
    wrong += await judged(seen, f"document-{look}")
    await page.goto(f"{service.address}/#/")
    await page.check("tr[data-run] input >> nth=0")
    await seen.has("#bulk-save")
    await page.click("#submit")
    await seen.has("#submit-dialog[open]")
    wrong += await judged(seen, f"submit-{look}")
    await page.click("#submit-cancel")
    await page.click("#bulk-retry")
    await seen.has("#ask-dialog[open]")
    wrong += await judged(seen, f"question-{look}")
    assert [reported for reported in seen.complaints if "404" not in reported] == []
    await page.close()
    return wrong


async def look_at_trouble(browser: Browser, service: Serving, look: str, how: dict[str, Any]) -> list[str]:
    seen = await tab(browser, service, how.pop("size"), **how)
    page, wrong = seen.page, list[str]()
    await seen.has("#banner:not([hidden])")
    await page.evaluate("dispatchEvent(new HashChangeEvent('hashchange', {newURL: location.href}))")
    await seen.has("tr:has-text('the document exchange is down')")
    wrong += await judged(seen, f"outage-{look}")
    await page.goto(f"{service.address}/#/services")
    await seen.has(".card .is-down")
    wrong += await judged(seen, f"services-outage-{look}")
    await page.close()
    return wrong


async def test_axe_finds_nothing_at_the_sign_in(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """And nothing of it needs a mouse."""
    box.env["DOCPIPE_SERVICE__TOKEN"] = TOKEN
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        for look in ("phone-dark", "desk-light"):
            how = dict(LOOKS[look])
            seen = await tab(browser, service, how.pop("size"), **how)
            await seen.page.keyboard.type("wrong")
            await seen.page.keyboard.press("Enter")
            await until(lambda page=seen.page: says(page, "#problem", "not the token"))
            assert await judged(seen, f"sign-in-{look}") == []
            await seen.page.close()


@pytest.mark.parametrize("services", [{"search_seconds": (600.0, 600.0)}], indirect=True)
async def test_nothing_moves_for_whom_motion_disturbs(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """What turns while a run is under way stands still where the system asks for that."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "running")
        for motion, moving in (("no-preference", True), ("reduce", False)):
            seen = await tab(browser, service, reduced_motion=motion)
            for place in ("/", f"/run/{run}"):
                await seen.page.goto(f"{service.address}/#{place}")
                await seen.has(".badge.is-running")
                assert await seen.page.evaluate(MOVES) == moving
            await seen.page.close()


MOVES: Final = "document.getAnimations().some((one) => one.playState === 'running')"


async def test_everything_goes_by_keyboard(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """Select runs, do them again, search, open the hit, filter, move by keys, pause: without a mouse."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        for run in await service.submit("P123", "P124"):
            await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service)
        page = seen.page
        await seen.has("tr[data-run]")
        await page.keyboard.press("Tab")
        assert "Skip" in await page.locator(":focus").inner_text()
        await page.keyboard.press("Enter")
        await seen.has("main:focus")
        await tab_to(page, "tr[data-run] input")
        await page.keyboard.press("Space")
        await until(lambda: says(page, ".bulk", "1 run selected"))
        await page.keyboard.press("Shift+Tab")
        await tab_to(page, "#bulk-clear", back=True)
        await page.keyboard.press("Enter")
        await until(lambda: has_count(page, ".bulk[hidden]", 1))
        await tab_to(page, "nav a[href='#/search']", back=True)
        await page.keyboard.press("Enter")
        await tab_to(page, "main input[type=search]")
        await page.keyboard.type("blood pressure")
        await page.keyboard.press("Enter")
        await seen.has(".hits mark")
        await tab_to(page, ".hits a")
        await page.keyboard.press("Enter")
        await seen.has("mark.here")
        assert await page.locator(":focus").get_attribute("id") == "viewer"
        await page.keyboard.press("m")
        opened = page.url
        await page.keyboard.press("n")
        await until(lambda: differs(page, opened))
        await page.keyboard.press("Escape")
        await until(lambda: says(page, ".viewer", "Choose a document"))
        await tab_to(page, ".document-filters summary", back=True)
        await page.keyboard.press("Enter")
        await tab_to(page, ".fields select")
        await page.keyboard.type("could not")
        await until(lambda: has_count(page, ".documents li", 1))
        await tab_to(page, "#pause", back=True)
        await page.keyboard.press("Enter")
        await seen.has("#ask-dialog[open]")
        await page.keyboard.press("Escape")
        assert await page.locator(":focus").get_attribute("id") == "pause", "the focus is where it was"
        assert await page.inner_text("#pause") == "Pause"
        assert seen.complaints == []


async def tab_to(page: Page, selector: str, *, back: bool = False) -> None:
    """Press Tab, or Shift and Tab, until one of the elements has the focus, which is always seen."""
    for _ in range(TABS):
        await page.keyboard.press("Shift+Tab" if back else "Tab")
        if await page.locator(f"{selector} >> visible=true").and_(page.locator(":focus")).count():
            outline = await page.locator(":focus").evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none", selector
            return
    pytest.fail(f"no way to {selector}")
