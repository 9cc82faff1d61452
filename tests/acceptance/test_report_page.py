"""The report in a real browser: from its folder and from the service, on a screen, a phone and on paper.

With DOCPIPE_SCREENSHOTS set, pictures and PDFs of what was seen are left in that folder.
"""

import contextlib
import io
import itertools
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from playwright.async_api import Browser, Page

import fakes
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import serving
from tests.acceptance.test_web_page import PHONE, WIDE, browsing, chromium, faint_texts
from tests.report_support import build, document, facts, pictured, step

EVIL = "\u202e<img src=x onerror=alert(1)></style>" + "W" * 3000 + "Z" + "\u0301" * 80 + " \u05d0\u05d1\u05d2"


def png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (400, 560), 200).save(out, "PNG")
    return out.getvalue()


def many(count: int) -> list[dict]:
    """Documents of all outcomes, with long and short names."""
    files = []
    for n in range(count):
        id_ = f"{n:016x}"
        more = {"id": id_, "key": f"P1/{id_}", "date": f"{1990 + n % 35}-05-06"}
        if n % 40 == 7:
            files.append(document(f"{n}.pdf", "failed", reason="The PDF needs a password.", **more))
        elif n % 40 == 8:
            files.append(document(f"{n}.pdf", "duplicate", duplicate_of="0.pdf", id=id_))
        elif n % 40 == 9:
            files.append(document(f"{n}.tif", warnings=["scanned pages were not read"], **more))
        else:
            files.append(document(f"folder/{n}.pdf", title="Letter of the ward " * (1 + n % 3), **more))
    return files


def failed() -> dict:
    of_run = facts([], state="failed", error="The exchange could not complete the search.")
    return of_run | {"archive": None, "timeline": [step("DocEx_Search", 0, 9, outcome="failed")]}


def hostile() -> dict:
    reported = {"title": EVIL, "author": EVIL, "custodian": EVIL, "date": EVIL, "media_type": EVIL}
    bad = document("y", "failed", reason=EVIL)
    return facts([document(EVIL, warnings=[EVIL], **reported), bad], patient_id="P" * 400, error=EVIL)


CASES = {
    "none": (facts([]), 1),
    "one": (facts([document("a.pdf", title="Discharge letter")]), 1),
    "many": (facts(many(80), state="completed_with_errors"), 9),
    "failed": (failed(), 1),
    "hostile": (hostile(), 4),
}
"""Facts, and on how many sheets of A4 they may be printed."""


@dataclass
class Opened:
    """A report in a tab, what it asked for, and what it complained of."""

    page: Page
    asked: list[str]
    complaints: list[str]


@contextlib.asynccontextmanager
async def opened(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> AsyncIterator[Opened]:
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    seen = Opened(page, [], [])
    page.on("console", lambda expected: seen.complaints.append(expected.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    await page.goto(address)
    yield seen
    await page.close()


async def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("DOCPIPE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
        await page.pdf(path=Path(folder) / f"{name}.pdf", format="A4")


@pytest.fixture(scope="module")
def path_of_chromium() -> str:
    return chromium()


async def outline(page: Page) -> list[int]:
    """The levels of the headings, in order."""
    tags = await page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => one.tagName)")
    return [int(tag[1]) for tag in tags]


async def test_every_kind_of_report(tmp_path: Path, path_of_chromium: str) -> None:
    """None, one, many, hostile documents and a failed run: quiet, alone, in order, never too wide."""
    async with browsing(path_of_chromium) as browser:
        for name, (message, sheets) in CASES.items():
            path = tmp_path / f"{name}.html"
            path.write_text(build(message, dict.fromkeys(pictured(message["documents"]), png()))[1], "utf-8")
            for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light")):
                async with opened(browser, path.as_uri(), size, scheme) as seen:
                    page = seen.page
                    assert seen.complaints == [], name
                    assert [url for url in seen.asked if not url.startswith("data:")] == [path.as_uri()], name
                    root = page.locator("html")
                    assert await root.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, (name, size)
                    assert await faint_texts(page) == [], (name, scheme)
                    levels = await outline(page)
                    assert levels[0] == 1
                    assert levels.count(1) == 1
                    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
                    assert await page.locator("img:not([alt]), img[alt='']").count() == 0
                    await picture(page, f"report-{name}-{scheme}-{size[0]}")
                    if scheme == "dark":
                        printed = pypdfium2.PdfDocument(await page.pdf(format="A4"))
                        assert len(printed) <= sheets, name


async def test_on_paper(tmp_path: Path, path_of_chromium: str) -> None:
    """Each sheet bears patient, run and its number; the table's head is on every sheet; paper is white."""
    reported, _ = CASES["many"]
    path = tmp_path / "report.html"
    path.write_text(build(reported)[1], "utf-8")
    async with browsing(path_of_chromium) as browser, opened(browser, path.as_uri(), WIDE, "dark") as seen:
        printed = pypdfium2.PdfDocument(await seen.page.pdf(format="A4", print_background=True))
        sheets = [page.get_textpage().get_text_bounded() for page in printed]
        for number, text in enumerate(sheets, 1):
            assert f"{number} / {len(sheets)}" in text
            assert "Patient P1 · run 01J0000" in text
        assert sum("Outcome" in text for text in sheets) > len(sheets) - 4
        assert printed[0].render(scale=0.2).to_pil().convert("L").getpixel((2, 2)) == 255


async def test_from_the_storage_and_from_the_service(
    box: Box, services: fakes.Running, path_of_chromium: str
) -> None:
    """A real run's report has its thumbnails and working links, in its folder and through the service."""
    async with serving(box) as service, browsing(path_of_chromium) as browser:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        file = box.patient("P123") / "runs" / run / "report.html"
        for address in (file.as_uri(), f"{service.address}/api/runs/{run}/files/report.html"):
            async with opened(browser, address, WIDE, "light") as seen:
                assert seen.complaints == []
                widths = await seen.page.locator("img").evaluate_all(
                    "all => all.map(one => one.naturalWidth)"
                )
                assert widths
                assert set(widths) == {400}
                assert await seen.page.locator(".lanes .tick").count() > 0
                links = await seen.page.locator("td.open a").evaluate_all("all => all.map(one => one.href)")
                assert len(links) > 4
                for link in links:
                    if link.startswith("file:"):
                        assert Path(re.sub(r"^file://", "", link)).is_file(), link
                    else:
                        async with service.session.get(link) as answer:
                            assert answer.status == 200, link
