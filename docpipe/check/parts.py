"""Whether the parts on this machine can be used: patients, storage, converters, OCR, disk and memory."""

import asyncio
import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError, DatabaseDownError, PatientError, StateError, UnfitError, WorkerError
from docpipe.model import Json, Outcome, Ticket
from docpipe.wiring.backends import open_patients, open_storage, patients_url, storage_folder
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.machine import OWN_MEMORY, default_workers, usable_cpus, usable_memory
from docpipe.workers.pool import Workers

_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_GIB: Final = 2**30
_LEAST_ROOM: Final = 1 * _GIB
_DATABASE_S: Final = 15.0
_CONVERSION_S: Final = 60.0
_LETTER: Final = "docpipe check\n\nThis letter is converted to see whether the converters work.\n"
_EXTRAS: Final = {"dicom": (("pydicom", "gdcm", "numpy"), "DICOM files")}
"""The modules that an extra brings, and what is stored as it is without them."""
_INSTALL: Final = "install tesseract (Debian: apt install tesseract-ocr), or pip install 'docpipe[ocr]'"


async def configuration(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """It was read, so it is valid; what is allowed and unwise is told."""
    config = bench.config
    yield Fit("config", str(config.source or "the environment"), "is valid")
    for name, section in (("docex", config.docex), ("tasktracker", config.tasktracker)):
        told = {"base_url": "the token, and patients' data,", "token_url": "the secret, and every token,"}
        for key, what in told.items():
            url = urlsplit(getattr(section, key))
            if (section.token or section.token_url) and url.scheme == "http" and url.hostname not in _HERE:
                problem = f"{what} go there without encryption"
                yield Finding("config", f"{name}.{key}", problem, "use https:// if there is any", wrong=False)


async def patients(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The patients database can be read, and has patients."""
    config = bench.config
    if config.patients.url == FAKE:
        yield Fit("patients", FAKE, "are invented at the first run")
        return
    where = _without_password(patients_url(config))
    try:
        async with asyncio.timeout(_DATABASE_S), open_patients(config) as database:
            number = await database.check()
    except ConfigError as error:
        yield Finding("patients", where, str(error), "set patients.url to what can be used")
    except PatientError as error:
        yield Finding("patients", where, str(error), "")
    except (DatabaseDownError, TimeoutError) as error:
        reason = error.reason if isinstance(error, DatabaseDownError) else "no answer in time"
        cure = "check patients.url, and that the database is up and lets docpipe in"
        yield Finding("patients", where, f"it cannot be used: {reason}", cure)
    else:
        if number == 0:
            yield Finding("patients", where, "it has no patients", "`docpipe patients import FILE.csv`")
        elif number is None:
            yield Fit("patients", where, "answers patients.query")
        else:
            yield Fit("patients", where, f"has {number} patient{'' if number == 1 else 's'}")


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "patients.url"


async def storage(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The storage can be written."""
    where = bench.config.storage.url
    try:
        await open_storage(bench.config).check()
    except ConfigError as error:
        yield Finding("storage", where, str(error), "set storage.url to what can be used")
    except StateError as error:
        yield Finding("storage", where, str(error), "")
    else:
        yield Fit("storage", where, "can be written")


async def converters(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """A real worker makes a PDF of a letter, and reads that PDF; extras that are missing are told."""
    bench.progress("converters")
    one = replace(bench.config, convert=replace(bench.config.convert, workers=1))
    with tempfile.TemporaryDirectory(prefix="docpipe-check-") as folder:
        letter = Path(folder) / "letter.txt"
        letter.write_text(_LETTER, "utf-8")
        cure = (
            "install docpipe anew (pip install --force-reinstall docpipe); if that does not help, report it"
        )
        try:
            async with asyncio.timeout(_CONVERSION_S), bench.workers(one) as workers:
                made = await _converted(workers, letter, Path(folder) / "letter")
                await _converted(workers, made, Path(folder) / "pdf")
        except UnfitError as error:
            yield Finding("converters", "worker", str(error), cure)
        except (WorkerError, OSError) as error:
            yield Finding("converters", "worker", f"a letter could not be converted: {error}", cure)
        except TimeoutError:
            told = f"a letter was not converted within {_CONVERSION_S:.0f} s"
            yield Finding("converters", "worker", told, "see what else keeps this machine busy")
        else:
            yield Fit("converters", "worker", "made a PDF of a letter, and read it")
    for extra, (modules, kept) in _EXTRAS.items():
        if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
            told = f"not installed ({', '.join(missing)}): {kept} are kept as they are"
            yield Finding("converters", extra, told, f"pip install 'docpipe[{extra}]'", wrong=False)


async def _converted(workers: Workers | InlineWorkers, path: Path, folder: Path) -> Path:
    """The PDF of a document.

    Raises:
        UnfitError: if there is none, or no text.
    """
    await asyncio.to_thread(folder.mkdir, 0o700)
    job: dict[str, Json] = {
        "path": str(path),
        "name": path.name,
        "declared": None,
        "folder": str(folder),
        "facts": {},
    }
    done: Json = (await workers.ask({**job, "siblings": None, "languages": ()}, Ticket())).value
    if done["outcome"] != Outcome.CONVERTED:
        raise UnfitError(f"{path.name} could not be converted: {done['reason']}")
    text = (
        await asyncio.to_thread((folder / "text.md").read_text, "utf-8")
        if "text.md" in done["outputs"]
        else ""
    )
    if "docpipe check" not in text or "document.pdf" not in done["outputs"]:
        raise UnfitError(f"{path.name} was converted, and what came out of it is not what was in it")
    return folder / "document.pdf"


async def ocr(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """Scans can be read, in the languages that are wanted."""
    from docpipe.convert.ocr import rapid, tesseract  # noqa: PLC0415 -- loads a library of pictures

    wanted = bench.config.convert.languages
    if not bench.config.convert.ocr:
        yield Fit("OCR", "convert.ocr", "is turned off: scans are stored without text")
    elif (found := await asyncio.to_thread(tesseract.installed)) is not None:
        version, known = found
        if missing := [name for name in wanted if name not in known]:
            packages = " ".join(f"tesseract-ocr-{name.lower().replace('_', '-')}" for name in missing)
            told = f"the languages {', '.join(missing)} of convert.languages are not installed"
            yield Finding(
                "OCR", f"tesseract {version}", told, f"install them (Debian: apt install {packages})"
            )
        else:
            yield Fit("OCR", f"tesseract {version}", f"reads {', '.join(wanted)}")
    elif rapid.installed():
        yield Fit("OCR", "RapidOCR", "reads scans; tesseract, where it is installed, is quicker")
    else:
        told = "nothing to read scans with: they are stored without text, and the report says so"
        yield Finding("OCR", "not installed", told, _INSTALL, wrong=False)


async def room(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """There is room on the disks, and memory for the workers."""
    for path in _disks(bench.config):
        free = shutil.disk_usage(path).free
        if free < _LEAST_ROOM:
            told = f"only {free / _GIB:.2f} GiB are free"
            yield Finding("disk", str(path), told, "make room, or move state.dir or storage.url elsewhere")
        else:
            yield Fit("disk", str(path), f"{free / _GIB:.0f} GiB are free")
    yield _memory(bench.config)


def _disks(config: Config) -> Iterator[Path]:
    """A folder that is there on each of the disks that docpipe writes to."""
    folders = [config.state_dir]
    with contextlib.suppress(ConfigError):  # told already
        if (storage := storage_folder(config)) is not None:
            folders.append(storage)
    seen = set()
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.is_dir())
        if (device := there.stat().st_dev) not in seen:
            seen.add(device)
            yield there


def _memory(config: Config) -> Fit | Finding:
    convert, there = config.convert, usable_memory()
    workers = convert.workers or default_workers(convert.memory)
    told = f"{workers} worker{'' if workers == 1 else 's'} of at most {convert.memory / _GIB:.3g} GiB"
    if there is None:
        return Fit("memory", told, "how much this machine has is not known")
    if workers * convert.memory + OWN_MEMORY > there:
        fewer = default_workers(convert.memory)
        problem = f"{there / _GIB:.3g} GiB are too few: large documents may end other programs, or docpipe"
        cure = f"set convert.workers to {fewer} or auto" if fewer < workers else "set convert.memory lower"
        return Finding("memory", told, problem, cure, wrong=fewer < workers)
    return Fit("memory", told, f"of {there / _GIB:.3g} GiB and {usable_cpus()} CPUs")
