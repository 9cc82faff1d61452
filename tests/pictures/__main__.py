"""`python -m tests.pictures`: the pictures of README.md, of the real thing: a terminal (tmux) and a browser.

A run of ten patients meets an outage of the exchange. Three frames of its terminal are written as text, the
one in the middle also as a picture; then the page of `docpipe serve` is. Takes a minute or two.
"""

import argparse
import asyncio
import io
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

import fakes
from fakes.quota import Rate
from tests.acceptance.conftest import ROOT, Box, pointed_at
from tests.acceptance.test_serve import serving
from tests.acceptance.test_web_page import chromium

COLUMNS, ROWS = 100, 26
PATIENTS = [f"P{number}" for number in range(101, 111)]
RATE = Rate(30, 60.0)
PATIENCE_S = 60.0
FONTS = re.compile(r"@font-face \{\{.*?\n    \}\}\n", re.DOTALL)
"""Of other hosts, in rich's own form; the reader's monospace will do."""


class Terminal:
    """A terminal of tmux, on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")

    async def _tmux(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "-S", self._socket, *words), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        return output.decode()

    async def start(self, box: Box, command: str) -> None:
        env = {
            **box.env,
            "PYTHONPATH": str(ROOT),
        }
        settings = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shell = f"echo '$ docpipe {command}'; {sys.executable} -m docpipe {command}; sleep 600"
        await self._tmux(
            "-f", "/dev/null", "new-session", "-d", *size, "-c", str(box.folder), *settings, shell
        )
        await self._tmux("set", "-g", "status", "off")

    async def frame(self, text: str, *, colours: bool = False) -> str:
        """What is shown once a text is: an expression of a line."""
        began = time.monotonic()
        while not re.search(text, screen := await self._tmux("capture-pane", "-p")):
            if time.monotonic() - began > PATIENCE_S:
                sys.exit(f"This was never shown: {text}. There is:\n{screen}")
            await asyncio.sleep(0.2)
        return await self._tmux("capture-pane", "-p", "-e") if colours else screen

    async def end(self) -> None:
        await self._tmux("kill-server")


def drawn(frame: str) -> str:
    """A frame with its colours, as SVG."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    for line in frame.rstrip().splitlines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    return console.export_svg(title="docpipe run", code_format=FONTS.sub("", CONSOLE_SVG_FORMAT))


async def terminal(box: Box, folder: Path, running: fakes.Running) -> None:
    """A run with an outage in the middle: frames.txt and terminal.svg."""
    (box.folder / "patients.txt").write_text("\n".join(PATIENTS))
    box.env["DOCPIPE_DOCEX__SPACING"] = "even"  # or all would search at once, and none stand in line
    screen = Terminal(box.folder)
    await screen.start(box, "run --patients patients.txt")
    try:
        frames = [await screen.frame(r"DocEx_Search .*place [34]")]
        await screen.frame(r"P10\d  completed")
        running.add_fault("docex.* 503")
        await screen.frame(r"is down for [3-9] s")
        picture = await screen.frame("asked again in", colours=True)
        frames.append(Text.from_ansi(picture).plain)
        running.clear_faults()
        frames.append(await screen.frame(r"(?m)^(waited|took) "))
    finally:
        await screen.end()
    rule = "\n" + "-" * COLUMNS + "\n"
    text = rule.join("\n".join(map(str.rstrip, frame.rstrip().splitlines())) for frame in frames)
    (folder / "frames.txt").write_text(f"{text}\n", "utf-8")
    (folder / "terminal.svg").write_text(drawn(picture), "utf-8")


async def page(box: Box, folder: Path) -> None:
    """The list of runs, and a document that a search leads to: page.png and document.png, of few colours."""
    async with serving(box) as service, async_playwright() as playwright:
        for run in await service.submit("P123", "P124", "P199"):
            await service.until(run, "completed", "completed_with_errors", "failed")
        await service.submit("P125", "P126", "P127")
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        tab = await browser.new_page(viewport={"width": 1100, "height": 680})
        await tab.goto(service.address)
        await tab.wait_for_selector("tr[data-run]:has-text('P127')")
        await tab.wait_for_timeout(2500)
        _keep(await tab.screenshot(), folder / "page.png")
        await tab.goto(f"{service.address}/#/search?q=blood%20pressure")
        await tab.set_viewport_size({"width": 1500, "height": 860})
        await tab.click(".hits li:has-text('P123') a:has-text('Continuity of Care')")
        await tab.wait_for_selector("mark.here")
        await tab.locator("#documents-title").evaluate("title => title.scrollIntoView()")
        await tab.wait_for_timeout(4000)  # the browser draws the PDF
        _keep(await tab.screenshot(), folder / "document.png")
        await browser.close()


def _keep(raw: bytes, target: Path) -> None:
    few = Image.open(io.BytesIO(raw)).convert("RGB").quantize(64)
    few.save(target, optimize=True)


async def taken(folder: Path, only: str | None) -> None:
    """All pictures, against fakes of their own."""
    options = {"search_rate": RATE, "search_seconds": (2.0, 6.0)}
    with tempfile.TemporaryDirectory() as place:
        if only != "page":
            box = _box(Path(place) / "terminal")
            async with fakes.serve(fakes.FakeOptions(mix="tiny", **options)) as running:
                await terminal(pointed_at(box, running, f"{RATE.n}/min"), folder, running)
        if only != "terminal":
            box = _box(Path(place) / "page")
            async with fakes.serve(fakes.FakeOptions(**options)) as running:
                await page(pointed_at(box, running, f"{RATE.n}/min"), folder)


def _box(folder: Path) -> Box:
    folder.mkdir()
    (folder / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    return Box(
        folder,
        {"DOCPIPE_STORAGE__URL": "storage", "DOCPIPE_STATE__DIR": "state", "DOCPIPE_SERVICE__TOKEN": "none"},
    )


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--only", choices=("terminal", "page"))
    args = parser.parse_args()
    if args.only != "page" and shutil.which("tmux") is None:
        parser.error("tmux is needed (Debian: apt install tmux)")
    args.folder.mkdir(exist_ok=True)
    asyncio.run(taken(args.folder, args.only))


if __name__ == "__main__":
    main()
