"""Conversion of one document, as a worker process runs it: files in, files out, a small dict back."""

import errno
import importlib
import logging
import mimetypes
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from docpipe import __version__
from docpipe.convert.core.base import (
    SCANNED,
    Content,
    MissingExtraError,
    NothingToReadError,
    Siblings,
    Source,
    UnreadableError,
)
from docpipe.convert.core.blocks import cleaned, placeholder, words
from docpipe.convert.core.detect import detect
from docpipe.convert.core.facts import bounded, cut, few
from docpipe.convert.core.job import Job
from docpipe.convert.core.kinds import EMPTY, UNKNOWN, Kind, kind_of
from docpipe.convert.core.symbols import LOST, without_private
from docpipe.convert.core.tabbed import in_columns
from docpipe.convert.libreoffice import heads, opening
from docpipe.convert.libreoffice.program import LibreOfficeError, installed
from docpipe.convert.writers import markdown, thumbnail, typeset
from docpipe.convert.writers.sheet import Sheet, sheet

MOST_EMBEDDED: Final = 500
SECONDS: Final = 300.0
"""How long a conversion may take, where the job sets no limit."""
_TOO_MANY: Final = f"only the first {MOST_EMBEDDED} embedded documents were taken out"
_NO_PDF: Final = "no PDF could be made of the text"
_SET_ANEW: Final = "the PDF is set from the text, without pictures: LibreOffice {}"
_NO_PICTURE: Final = "no preview could be made"
_MACHINE: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT),
        *(errno.EAGAIN, errno.ENFILE, errno.ESTALE, errno.ENOTCONN),
    }
)
"""Errors of the disk, and of a machine that cannot start another process: no fault of the document."""
_MEMORY: Final = "The document needs more memory than one document may use."

# Log lines of libraries may quote the document, and add nothing to the outcome.
for _library in ("pikepdf", "img2pdf", "PIL", "fontTools", "chardet", "charset_normalizer"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


def convert(job: Job) -> dict[str, Any]:
    """Convert one document; never raises because of its content.

    Args:
        job: the document, and how it is converted.

    Returns:
        {"outcome", "reason", "media_type", "extension", "outputs": names in the folder, "metadata",
        "embedded": [{"name", "declared"}], "warnings"}. Embedded documents are in the folder `embedded` and
        are called by their numbers: 001 and so on. Nothing need have reached the disk by then.

    Raises: OSError when the disk is full or gone, or no program can be started: no fault of the document.
    """
    started = time.monotonic()
    folder = Path(job["folder"])
    _empty(folder)  # of what a try left that did not survive
    done = _Done(job, started)
    try:
        done.media_type = detect(Path(job["path"]), str(job.get("name") or ""), job.get("declared"))
        done.finish(folder)
    except NothingToReadError as nothing:
        done.outcome, done.reason = "stored", str(nothing)
        done.needs = getattr(nothing, "extra", None)
    except Exception as error:  # noqa: BLE001 - whatever a document does to a library is an outcome, not a crash
        done.fail(error)
        _empty(folder)
    done.duration = time.monotonic() - started
    return done.answer()


class _Done:
    """The state of one conversion, from which the answer is made."""

    def __init__(self, job: Job, started: float) -> None:
        self.job = job
        self.started = started
        self.media_type = UNKNOWN
        self.outcome = "failed"
        self.reason: str | None = None
        self.content = Content(blocks=())
        self.warnings: list[str] = []
        self.outputs: list[str] = []
        self.embedded: list[dict[str, str | None]] = []
        self.needs: str | None = None
        self.pages: int | None = None
        self.proven: str | None = None
        self.libraries: list[str] = []
        self.duration = 0.0
        self.drawn: bytes | None = None
        """The pages as LibreOffice drew them."""

    def finish(self, folder: Path) -> None:
        """Read the document and write its outputs, or find that it is to be kept as it is."""
        kind = kind_of(self.media_type)
        if self.media_type == EMPTY:
            raise UnreadableError("The file is empty.")
        if kind.reader is None and opening.is_opened(self.media_type):
            self._open(kind, folder)
            return
        if kind.reader is None:
            self.outcome, self.reason = "stored", f"This is {kind.name}; {kind.advice}."
            return
        self._keep(self._read(self._source(), kind.reader), folder)

    def _source(self) -> Source:
        return Source(
            Path(self.job["path"]),
            self.media_type,
            str(self.job.get("name") or ""),
            self.job.get("declared"),
            Siblings(self.job.get("siblings")),
            self.started,
            float(self.job.get("seconds") or SECONDS),
            self._languages,
            Path(places) if (places := self.job.get("places")) else None,
        )

    def _read(self, source: Source, reader: str) -> Content:
        """What a reader makes of the document; of one without text, the pages that LibreOffice draws."""
        module = importlib.import_module(f"docpipe.convert.readers.{reader}")
        read: Callable[[Source], Content] = module.read
        try:
            content = read(source)
        except NothingToReadError as nothing:
            if isinstance(nothing, MissingExtraError) or not self._draw(source):
                raise
            return Content(blocks=(placeholder("This document has no text."),))
        if content.pdf is None:
            self._draw(source)
        return content

    def _draw(self, source: Source) -> bool:
        """Have LibreOffice make the PDF, where it is to do that and has not done it yet."""
        if self.drawn is None and self._has_office and opening.is_drawn(source.media_type):
            try:
                self.drawn = opening.drawn(source)
            except LibreOfficeError as error:
                self.warnings.append(_SET_ANEW.format(error))
        return self.drawn is not None

    def _open(self, kind: Kind, folder: Path) -> None:
        """Have LibreOffice open what docpipe has no reader for, and read what it saves."""
        if not self.job.get("libreoffice"):
            self.reason = f"This is {kind.name}; {kind.advice}."
        elif installed() is None:
            self.needs = "libreoffice"
            self.reason = f"This is {kind.name}; {kind.advice}, or install LibreOffice where docpipe runs."
        else:
            try:
                with opening.modern(self._source()) as opened:
                    self.drawn = opened.pdf
                    self.libraries += opening.libraries()
                    reader = str(kind_of(opened.source.media_type).reader)
                    return self._keep(self._read(opened.source, reader), folder)
            except LibreOfficeError as error:
                self.reason = f"This is {kind.name}; LibreOffice {error}. Open it with another program."
        self.outcome = "stored"
        return None

    @property
    def _has_office(self) -> bool:
        return bool(self.job.get("libreoffice")) and installed() is not None

    def _keep(self, content: Content, folder: Path) -> None:
        """Write the outputs."""
        blocks, private = without_private(cleaned(in_columns(content.blocks)))
        self.content = replace(content, blocks=blocks)
        self.warnings += [*self.content.warnings, *([LOST] if private else [])]
        self.libraries += self.content.libraries
        self._write(folder)
        self.outcome = "converted"

    @property
    def _languages(self) -> tuple[str, ...]:
        """Of OCR; none where it is not wanted."""
        languages = self.job.get("languages")
        return ("eng",) if languages is None else tuple(languages)

    def _write(self, folder: Path) -> None:
        self._output(folder, "text.md", markdown.write(self.content.blocks).encode())
        if self._pdf(folder):
            self._thumbnail(folder)
        if len(self.content.embedded) > MOST_EMBEDDED:
            self.warnings.append(_TOO_MANY)
        for number, part in enumerate(self.content.embedded[:MOST_EMBEDDED], 1):
            inner = folder / "embedded"
            inner.mkdir(mode=0o700, exist_ok=True)
            _store(inner / f"{number:03d}", part.data)
            self.embedded.append({"name": cut(part.name), "declared": cut(part.declared)})

    def _pdf(self, folder: Path) -> bool:
        pdf = self.content.pdf
        self.proven = self.content.proven
        if self.content.bare and isinstance(pdf, bytes):
            with suppress(heads.HeadsError):
                pdf = heads.with_heads(pdf, self._sheet())
                self.libraries += ["typst", "pikepdf"]
        if pdf is None:
            pdf = self._headed()
        if pdf is None:
            self.warnings += self.content.undrawn
            self.libraries.append("typst")
            try:
                done = typeset.render(self.content.blocks, self.content.facts, self._sheet())
            except typeset.TypesetError:
                self.warnings.append(_NO_PDF)
                return False
            pdf, self.proven = done.pdf, done.proven
            self.warnings += done.warnings
        if isinstance(pdf, Path):
            target = folder / "document.pdf"
            with pdf.open("rb") as original, _private(target) as copy:
                shutil.copyfileobj(original, copy)
            self.outputs.append("document.pdf")
        else:
            self._output(folder, "document.pdf", pdf)
        return True

    def _headed(self) -> bytes | None:
        """The pages that LibreOffice drew, each with its line above it."""
        if self.drawn is None:
            return None
        try:
            pdf = heads.with_heads(self.drawn, self._sheet())
        except heads.HeadsError as error:
            self.warnings.append(_SET_ANEW.format(f"made a PDF that is not used: {error}"))
            return None
        self.libraries += opening.libraries()
        return pdf

    def _sheet(self) -> Sheet:
        """The head of each page."""
        given = self.job.get("facts") or {}
        title = self.content.facts.title or given.get("title")
        return sheet(self.content.blocks, title, given.get("patient"))

    def _thumbnail(self, folder: Path) -> None:
        target = folder / "thumbnail.png"
        try:
            with _private(target):
                pass  # created with its mode first
            self.pages = thumbnail.render(folder / "document.pdf", target)
        except Exception as error:
            if isinstance(error, MemoryError) or _of_machine(error):
                raise
            target.unlink(missing_ok=True)
            self.warnings.append(_NO_PICTURE)
            return
        self.libraries.append("pypdfium2")
        self.outputs.append("thumbnail.png")

    def _output(self, folder: Path, name: str, data: bytes) -> None:
        _store(folder / name, data)
        self.outputs.append(name)

    def fail(self, error: Exception) -> None:
        """Set the reason for an error."""
        self.outcome, self.outputs, self.embedded = "failed", [], []
        match error:
            case UnreadableError():
                self.reason = str(error)
            case MemoryError():
                self.reason = _MEMORY
            case RecursionError():
                self.reason = "The document is nested too deeply to be read."
            case OSError() if _of_machine(error):
                raise error
            case _:
                kind = kind_of(self.media_type).name
                self.reason = f"This is {kind} that could not be read ({type(error).__name__})."

    def answer(self) -> dict[str, Any]:
        """The answer, small and fit for JSON."""
        order = ("document.pdf", "text.md", "thumbnail.png")
        warnings = few(self.warnings)
        return {
            "outcome": self.outcome,
            "reason": cut(self.reason),
            "media_type": self.media_type,
            "extension": _extension(self.media_type),
            "outputs": [name for name in order if name in self.outputs],
            "metadata": bounded(self._metadata(warnings)),
            "embedded": self.embedded,
            "warnings": warnings,
        }

    def _metadata(self, warnings: list[str]) -> dict[str, Any]:
        facts, declared = self.content.facts, self.job.get("facts") or {}
        converted = self.outcome == "converted"
        return {
            "media_type": self.media_type,
            "declared_media_type": self.job.get("declared"),
            "title": facts.title or declared.get("title"),
            "date": facts.date or declared.get("created"),
            "author": facts.author or declared.get("author"),
            "custodian": facts.custodian or declared.get("custodian"),
            "loinc": dict(facts.loinc) if facts.loinc else declared.get("loinc"),
            "language": facts.language,
            "pages": self.pages,
            "words": words(self.content.blocks) if converted else None,
            "ocr": bool(self.content.ocr_pages) and converted,
            "ocr_pages": list(self.content.ocr_pages) if converted else [],
            "needs": "ocr" if SCANNED in warnings and self._languages else self.needs,
            "pdf": {"claimed": self.content.claimed, "proven": self.proven},
            "warnings": warnings,
            "converter": {"name": "docpipe", "versions": _versions(tuple(sorted(set(self.libraries))))},
            "duration_s": round(self.duration, 4),
        }


def _extension(media_type: str) -> str:
    extension = kind_of(media_type).extension
    return (mimetypes.guess_extension(media_type) or extension) if extension == ".bin" else extension


@cache
def _versions(libraries: tuple[str, ...]) -> dict[str, str]:
    versions = {"docpipe": __version__}
    for library in libraries:
        name, _, known = library.partition(" ")
        try:
            versions[name] = known or version(name)
        except PackageNotFoundError:  # vendored or renamed: only its name is known
            versions[name] = "unknown"
    return versions


def _private(path: Path) -> Any:
    """A new file for writing that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _of_machine(error: Exception) -> bool:
    """Whether this machine is at fault, not the document."""
    return isinstance(error, OSError) and error.errno in _MACHINE


def _store(path: Path, data: bytes) -> None:
    with _private(path) as file:
        file.write(data)


def _empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
