"""The page on paper, who is in its lists, and what a second visit loads."""

import re

import pypdfium2
import pytest
from playwright.async_api import Page

import fakes
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import serving
from tests.acceptance.test_web_page import browsing, chromium, says, tab, until

CHROME = ("Retrieve patients", "Skip to", "Pause", "Sign out", "Save", "All runs", "Next document", "Search")
"""What is of use on a screen only."""


@pytest.fixture(scope="module")
def path_of_chromium() -> str:
    return chromium()


async def printed(page: Page) -> str:
    """The text of the page on sheets of A4, with single blanks."""
    sheets = pypdfium2.PdfDocument(await page.pdf(format="A4"))
    text = " ".join(sheet.get_textpage().get_text_bounded() for sheet in sheets)
    return re.sub(r"\s+", " ", text)


async def test_on_paper(box: Box, services: fakes.Running, path_of_chromium: str) -> None:
    """A document with its whole text and its patient; lists and runs without buttons, nothing cut off."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        seen = await tab(browser, service)
        page = seen.page
        await until(lambda: says(page, "tr[data-run] .who", "born"))
        name = (await page.inner_text("tr[data-run] .who")).partition(",")[0]
        text = await printed(page)
        assert "P123" in text
        assert name in text
        assert [word for word in CHROME if word in text] == []
        for place, awaited in ((f"/run/{run}", ".documents img"), ("/patient/P123", ".documents img")):
            await page.goto(f"{service.address}/#{place}")
            await seen.has(awaited)
            await until(lambda: says(page, ".run-head", name))
            text = await printed(page)
            assert [word for word in CHROME if word in text] == [], place
            for title in await page.locator(".documents strong").all_inner_texts():
                assert re.sub(r"\s+", " ", title) in text, place
        await page.click(".documents a:has-text('Continuity of Care')")
        await seen.has(".words table td")
        displayed = await page.inner_text(".words")
        text = await printed(page)
        assert [word for word in CHROME if word in text] == []
        assert name in text, "a sheet that lies about has to say whose it is"
        missing = [word for word in set(re.findall(r"\w{4,}", displayed)) if word not in text]
        assert missing == []
        assert seen.complaints == []


async def test_names_are_looked_up_and_files_are_kept(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """The list has the names of the database; a second visit loads the page and its data alone."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        for run in await service.submit("P123", "P124"):
            await service.until(run, "completed", "completed_with_errors")
        context = await browser.new_context()
        first = await context.new_page()
        await first.goto(service.address)
        await until(lambda: says(first, "tr:has-text('P124') .who", ", born "))
        asked: list[str] = []
        second = await context.new_page()
        second.on("request", lambda request: asked.append(request.url.removeprefix(service.address)))
        await second.goto(service.address)
        await second.wait_for_selector("tr:has-text('P123') .who:has-text('born')")
        loaded = await second.evaluate(
            "performance.getEntriesByType('resource').filter((one) => one.transferSize > 0)"
            ".map((one) => new URL(one.name).pathname)"
        )
        assert [path for path in loaded if path.startswith("/static/")] == []
        assert any(path.startswith("/api/runs") for path in asked)
        stored = await second.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert stored == "[{},{}]", "names are nowhere kept"
