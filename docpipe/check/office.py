"""Checks LibreOffice: a worker makes a PDF with it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.convert.libreoffice.program import installed
from docpipe.errors import WorkerError
from docpipe.model import Json, Ticket
from docpipe.workers.answers import Conversion
from docpipe.workers.confinement import contained

_NAME: Final = "LibreOffice"
_TIME_S: Final = 90.0
_LETTER: Final = rb"{\rtf1 docpipe check\par}"
_WITHOUT: Final = (
    "old office files (such as .doc, .xls and .ppt) are stored as they are, and document.pdf of other office "
    "files is set from their text, without pictures"
)
_INSTALL: Final = (
    "install LibreOffice (Debian: apt install --no-install-recommends libreoffice-writer-nogui "
    "libreoffice-calc-nogui libreoffice-impress-nogui libreoffice-draw-nogui), or set convert.libreoffice to "
    "false"
)


async def libreoffice(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """LibreOffice is installed, and draws a letter within a worker."""
    if not bench.config.convert.libreoffice:
        yield Fit(_NAME, "convert.libreoffice", f"is turned off: {_WITHOUT}")
        return
    if (office := await asyncio.to_thread(installed)) is None:
        yield Finding(_NAME, "not installed", f"{_WITHOUT}, and the report says so", _INSTALL, wrong=False)
        return
    where = f"LibreOffice {office[0]}"
    if not contained():
        problem = f"it is not used, since this machine cannot keep converters to their own folder: {_WITHOUT}"
        yield Finding(_NAME, where, problem, "use Linux 5.13 or later with Landlock in use", wrong=False)
        return
    try:
        async with asyncio.timeout(_TIME_S):
            problem = await _draw(bench)
    except (WorkerError, OSError) as error:
        problem = f"it could not be tried: {error}"
    except TimeoutError:
        problem = f"it did not draw a letter within {_TIME_S:.0f} s"
    if problem:
        yield Finding(_NAME, where, problem, _INSTALL)
    else:
        yield Fit(_NAME, where, "opens old office files, and draws the pages of office files")


async def _draw(bench: Bench) -> str:
    """Convert a letter in a worker; what is wrong, empty where nothing is."""
    one = replace(bench.config, convert=replace(bench.config.convert, workers=1))
    with tempfile.TemporaryDirectory(prefix="docpipe-check-") as place:
        letter, folder = Path(place) / "letter.rtf", Path(place) / "out"
        letter.write_bytes(_LETTER)
        folder.mkdir(mode=0o700)
        job: dict[str, Json] = {
            "path": str(letter),
            "name": letter.name,
            "declared": None,
            "folder": str(folder),
            "facts": {},
            "siblings": None,
            "languages": (),
            "libreoffice": True,
        }
        async with bench.workers(one) as workers:
            done: Conversion = (await workers.execute(job, Ticket())).value
    if "libreoffice" in done.metadata["converter"]["versions"]:
        return ""
    return f"a letter could not be drawn: {done.reason or ', '.join(done.warnings)}"
