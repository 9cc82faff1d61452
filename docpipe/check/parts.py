"""Checks of the parts on this machine: patients, storage, converters, OCR, disk and memory."""

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
from docpipe.errors import (
    ConfigError,
    DatabaseDownError,
    DatabaseUnusableError,
    PatientError,
    StateError,
    UnfitError,
    UnreachableError,
    WorkerError,
)
from docpipe.model import Json, Outcome, Ticket, count_of
from docpipe.wiring.backends import open_patients, open_storage, patients_url, storage_folder
from docpipe.wiring.fleet import identity, make_store
from docpipe.workers.answers import Conversion
from docpipe.workers.confinement import missing
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.machine import OWN_MEMORY, default_workers, usable_cpus, usable_memory
from docpipe.workers.pool import Workers

STATE: Final = "state folder"
_QUOTA_STORE: Final = "quota store"
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_GIB: Final = 2**30
_LEAST_ROOM: Final = 1 * _GIB
_DATABASE_S: Final = 15.0
_CONVERSION_S: Final = 60.0
_LETTER: Final = "docpipe check\n\nThis letter is converted to see whether the converters work.\n"
_EXTRAS: Final = {
    "dicom": (("pydicom", "gdcm", "numpy"), "DICOM files"),
    "heic": (("pi_heif",), "HEIC pictures"),
}
"""The modules that an extra brings, and what is stored as it is without them."""
_INSTALL: Final = "install tesseract (Debian: apt install tesseract-ocr), or pip install 'docpipe[ocr]'"


async def configuration(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """Report the configuration as valid, and note settings that are allowed but unwise."""
    config = bench.config
    yield Fit("config", str(config.source or "the environment"), "is valid")
    for name, section in (("docex", config.docex), ("tasktracker", config.tasktracker)):
        secrets = {"base_url": "the token, and patients' data,", "token_url": "the secret, and every token,"}
        for key, what in secrets.items():
            url = urlsplit(getattr(section, key))
            if (section.token or section.token_url) and url.scheme == "http" and url.hostname not in _HERE:
                problem = f"{what} go there without encryption"
                yield Finding(
                    "config", f"{name}.{key}", problem, "use https:// if the server offers it", wrong=False
                )


async def state_folder(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The state folder can be written, or made where it is not there yet."""
    folder = bench.config.state_dir
    try:
        there = _nearest_existing(folder)
        with tempfile.TemporaryFile(dir=there):
            list(there.iterdir())  # a folder that can be written may still be one that cannot be read
    except OSError as error:
        cure = "set state.dir to a folder of the user that runs docpipe, or correct its permissions"
        yield Finding(STATE, str(folder), f"it cannot be used: {error.strerror}", cure)
    else:
        yield Fit(STATE, str(folder), "can be written" if there == folder else "can be made")


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


async def quota_store(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The Redis that counts quotas for several processes runs docpipe's scripts."""
    if not bench.config.fleet.redis:
        return
    try:
        store = make_store(bench.config)
    except ConfigError as error:
        yield Finding(_QUOTA_STORE, "fleet.redis", str(error), "")
        return
    bench.progress(store.address)
    try:
        async with store:
            version = await store.check()
            await store.claim(identity(bench.config))
    except ConfigError as error:
        yield Finding(_QUOTA_STORE, store.address, str(error), "")
    except UnreachableError as error:
        problem = f"{str(error).rstrip('.')}: until it is up again, no request under a quota is sent"
        cure = "start it, or correct fleet.redis; without the key each process counts its own quotas"
        yield Finding(_QUOTA_STORE, store.address, problem, cure)
    else:
        yield Fit(_QUOTA_STORE, store.address, f"counts the quotas ({version})")


async def patients(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The patients database can be read, and has patients."""
    config = bench.config
    if config.patients.url == FAKE:
        yield Fit("patients", FAKE, "are generated at the first run")
        return
    where = _without_password(patients_url(config))
    try:
        async with asyncio.timeout(_DATABASE_S), open_patients(config) as database:
            number = await database.check()
    except ConfigError as error:
        yield Finding("patients", where, str(error), "set patients.url to what can be used")
    except (PatientError, DatabaseUnusableError) as error:
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
            yield Fit("patients", where, f"has {count_of(number, 'patient')}")


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
    """A real worker makes a PDF of a letter, and reads that PDF; missing extras are reported."""
    bench.progress("converters")
    one = replace(bench.config, convert=replace(bench.config.convert, workers=1))
    with tempfile.TemporaryDirectory(prefix="docpipe-check-") as folder:
        letter = Path(folder) / "letter.txt"
        letter.write_text(_LETTER, "utf-8")
        cure = (
            "install docpipe again (pip install --force-reinstall docpipe); if that does not help, report it"
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
            problem = f"a letter was not converted within {_CONVERSION_S:.0f} s"
            yield Finding(
                "converters", "worker", problem, "find out what else keeps this machine busy, and check again"
            )
        else:
            yield Fit("converters", "worker", "made a PDF of a letter and read it back")
    for extra, (modules, kept) in _EXTRAS.items():
        if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
            problem = f"not installed ({', '.join(missing)}): {kept} are kept as they are"
            yield Finding("converters", extra, problem, f"pip install 'docpipe[{extra}]'", wrong=False)


async def confinement(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """What this machine keeps converters from, which read documents of strangers."""
    del bench  # it is the kernel's
    for gap in (gaps := missing()):
        what, _, cure = gap.partition(": ")
        yield Finding("converters", "confinement", f"converters are not kept from {what}", cure, wrong=False)
    if not gaps:
        yield Fit("converters", "confinement", "are kept to their own folder, without network or signals")


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
    done: Conversion = (await workers.execute({**job, "siblings": None, "languages": ()}, Ticket())).value
    if done.outcome != Outcome.CONVERTED:
        raise UnfitError(f"{path.name} could not be converted: {done.reason}")
    text = (
        await asyncio.to_thread((folder / "text.md").read_text, "utf-8") if "text.md" in done.outputs else ""
    )
    if "docpipe check" not in text or "document.pdf" not in done.outputs:
        raise UnfitError(f"{path.name} was converted, but its text or PDF is missing or wrong")
    return folder / "document.pdf"


async def ocr(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """Scans can be read, in the languages that are wanted."""
    from docpipe.convert.ocr import rapid, tesseract  # noqa: PLC0415 -- loads a library of pictures

    wanted = bench.config.convert.languages
    if not bench.config.convert.ocr:
        yield Fit("OCR", "convert.ocr", "is turned off: scans are stored without text")
    elif (installation := await asyncio.to_thread(tesseract.installed)) is not None:
        version, known = installation
        if missing := [name for name in wanted if name not in known]:
            packages = " ".join(f"tesseract-ocr-{name.lower().replace('_', '-')}" for name in missing)
            problem = f"the languages {', '.join(missing)} of convert.languages are not installed"
            yield Finding(
                "OCR", f"tesseract {version}", problem, f"install them (Debian: apt install {packages})"
            )
        else:
            yield Fit("OCR", f"tesseract {version}", f"reads {', '.join(wanted)}")
    elif rapid.installed():
        yield Fit("OCR", "RapidOCR", "reads scans; tesseract would be quicker")
    else:
        problem = "no OCR program is installed: scans are stored without text, and the report lists them"
        yield Finding("OCR", "not installed", problem, _INSTALL, wrong=False)


async def room(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """There is room on the disks, and memory for the workers."""
    for path in _disks(bench.config):
        free = shutil.disk_usage(path).free
        if free < _LEAST_ROOM:
            problem = f"only {free / _GIB:.2f} GiB are free"
            yield Finding("disk", str(path), problem, "make room, or move state.dir or storage.url elsewhere")
        else:
            yield Fit("disk", str(path), f"{free / _GIB:.0f} GiB are free")
    yield _memory(bench.config)


def _disks(config: Config) -> Iterator[Path]:
    """A folder that is there on each of the disks that docpipe writes to."""
    folders = [config.state_dir]
    with contextlib.suppress(ConfigError):  # reported by the trial of this part
        if (storage := storage_folder(config)) is not None:
            folders.append(storage)
    seen = set()
    for folder in folders:
        with contextlib.suppress(OSError):  # reported by the trial of this part
            there = _nearest_existing(folder)
            if (device := there.stat().st_dev) not in seen:
                seen.add(device)
                yield there


def _memory(config: Config) -> Fit | Finding:
    convert, there = config.convert, usable_memory()
    workers = convert.workers or default_workers(convert.memory)
    demand = f"{count_of(workers, 'worker')} of at most {convert.memory / _GIB:.3g} GiB"
    if there is None:
        return Fit("memory", demand, "the memory of this machine is unknown")
    if workers * convert.memory + OWN_MEMORY > there:
        fewer = default_workers(convert.memory)
        problem = f"{there / _GIB:.3g} GiB are too little: the system may end docpipe or other programs"
        cure = f"set convert.workers to {fewer} or auto" if fewer < workers else "set convert.memory lower"
        return Finding("memory", demand, problem, cure, wrong=fewer < workers)
    return Fit("memory", demand, f"of {there / _GIB:.3g} GiB and {usable_cpus()} CPUs")
