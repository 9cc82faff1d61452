"""Conversion of one document, as a worker process runs it: files in, files out, a small dict back."""

import errno
import importlib
import logging
import mimetypes
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from docpipe import __version__
from docpipe.convert.core.base import SCANNED, Content, NothingToReadError, Siblings, Source, UnreadableError
from docpipe.convert.core.blocks import words
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import EMPTY, UNKNOWN, kind_of
from docpipe.convert.writers import markdown, thumbnail, typeset

MOST_EMBEDDED: Final = 500
SECONDS: Final = 300.0
"""How long a conversion may take, where the job does not say."""
_TOO_MANY: Final = f"only the first {MOST_EMBEDDED} embedded documents were taken out"
_NO_PDF: Final = "no PDF could be made of the text"
_NO_PICTURE: Final = "no preview could be made"
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT})
_MEMORY: Final = "The document needs more memory than one document may use."

# What libraries log of a document may bear its text, and says nothing that the outcome does not.
for _library in ("pikepdf", "img2pdf", "PIL", "fontTools", "charset_normalizer"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """Convert one document; never raises for what is in it.

    Args:
        job: {"path": the document, "name": its name in the archive, "declared": media type or None,
            "folder": where outputs go (there, and empty), "siblings": a JSON file with a list of the names of
            the same archive,
            "facts": {"title", "author", "created", "custodian", "loinc"} as the exchange says,
            where the document itself does not,
            "seconds": how long it may take, "languages": of OCR, a list of tesseract's names, empty where
            scans are not to be read}.

    Returns:
        {"outcome", "reason", "media_type", "extension", "outputs": names in the folder, "metadata",
        "embedded": [{"path", "name", "declared"}], "warnings"}. All of it is on the disk by then, mode 0600.

    Raises: OSError when the disk is full or gone, which is no fault of the document.
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
    return done.told()


class _Done:
    """What became of a document, as it becomes known."""

    def __init__(self, job: dict[str, Any], started: float) -> None:
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

    def finish(self, folder: Path) -> None:
        """Read the document and write its outputs, or find that it is to be kept as it is."""
        kind = kind_of(self.media_type)
        if self.media_type == EMPTY:
            raise UnreadableError("The file is empty.")
        if kind.reader is None:
            self.outcome, self.reason = "stored", f"This is {kind.name}; {kind.advice}."
            return
        module = importlib.import_module(f"docpipe.convert.readers.{kind.reader}")
        read: Callable[[Source], Content] = module.read
        self.content = read(
            Source(
                Path(self.job["path"]),
                self.media_type,
                str(self.job.get("name") or ""),
                self.job.get("declared"),
                Siblings(self.job.get("siblings")),
                self.started,
                float(self.job.get("seconds") or SECONDS),
                self._languages,
            )
        )
        self.warnings += self.content.warnings
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
            path = inner / f"{number:03d}{kind_of(detect(part.data, part.name, part.declared)).extension}"
            _store(path, part.data)
            self.embedded.append({"path": str(path), "name": part.name, "declared": part.declared})
        _sync(folder)

    def _pdf(self, folder: Path) -> bool:
        pdf = self.content.pdf
        self.proven = self.content.proven
        if pdf is None:
            self.libraries.append("typst")
            try:
                done = typeset.render(self.content.blocks, self.content.facts)
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

    def _thumbnail(self, folder: Path) -> None:
        target = folder / "thumbnail.png"
        try:
            with _private(target):
                pass  # created with its mode first
            self.pages = thumbnail.render(folder / "document.pdf", target)
        except Exception as error:
            if isinstance(error, MemoryError):
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
        """Turn what went wrong into a reason."""
        self.outcome, self.outputs, self.embedded = "failed", [], []
        match error:
            case UnreadableError():
                self.reason = str(error)
            case MemoryError():
                self.reason = _MEMORY
            case RecursionError():
                self.reason = "The document is nested too deeply to be read."
            case OSError() if error.errno in _DISK:
                raise error
            case _:
                kind = kind_of(self.media_type).name
                self.reason = f"This is {kind} that could not be read ({type(error).__name__})."

    def told(self) -> dict[str, Any]:
        """The answer, small and fit for JSON."""
        order = ("document.pdf", "text.md", "thumbnail.png")
        warnings = list(dict.fromkeys(self.warnings))
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "media_type": self.media_type,
            "extension": _extension(self.media_type),
            "outputs": [name for name in order if name in self.outputs],
            "metadata": self._metadata(warnings),
            "embedded": self.embedded,
            "warnings": warnings,
        }

    def _metadata(self, warnings: list[str]) -> dict[str, Any]:
        facts, told = self.content.facts, self.job.get("facts") or {}
        converted = self.outcome == "converted"
        return {
            "media_type": self.media_type,
            "declared_media_type": self.job.get("declared"),
            "title": facts.title or told.get("title"),
            "date": facts.date or told.get("created"),
            "author": facts.author or told.get("author"),
            "custodian": facts.custodian or told.get("custodian"),
            "loinc": dict(facts.loinc) if facts.loinc else told.get("loinc"),
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
    found = {"docpipe": __version__}
    for library in libraries:
        name, _, told = library.partition(" ")
        try:
            found[name] = told or version(name)
        except PackageNotFoundError:  # vendored or renamed: its work is still told by name
            found[name] = "unknown"
    return found


def _private(path: Path) -> Any:
    """A new file for writing that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _store(path: Path, data: bytes) -> None:
    with _private(path) as file:
        file.write(data)


def _sync(path: Path) -> None:
    """Have a file, or a folder and all in it, reach the disk: at the end, so that one commit serves all."""
    if path.is_dir():
        for inner in path.iterdir():
            _sync(inner)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    """Take away what was written before the failure."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
