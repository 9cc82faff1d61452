"""The program tesseract, one process for each picture: over a pipe, without files."""

import errno
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from typing import Final

from PIL import Image

from docpipe.convert.core.blocks import clean
from docpipe.convert.ocr.reading import LEAST_SCORE, Line, OcrError, Reading, Word

_LANGUAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_/-]{0,40}")
_WORD: Final = "5"
_FIELDS: Final = 12
_AUTOMATIC: Final = "3"
"""Tesseract's page segmentation that finds columns and paragraphs, and takes columns of tables for such."""
_ONE_BLOCK: Final = "6"
"""That of one block of lines: it keeps each row of a table whole."""
_CERTAIN: Final = 2.0
"""Of the orientation: below it, tesseract's own margin between the best and the next is worth nothing."""


@cache
def installed() -> tuple[str, frozenset[str]] | None:
    """Version and languages of the tesseract on the path, None if none works."""
    program = shutil.which("tesseract")
    if program is None:
        return None
    try:
        version = _run([program, "--version"], b"", 20).decode("utf-8", "replace").split()
        listed = _run([program, "--list-langs"], b"", 20).decode("utf-8", "replace").splitlines()[1:]
    except OcrError:
        return None
    return (version[1] if len(version) > 1 else "unknown"), frozenset(name.strip() for name in listed)


class Tesseract:
    """Tesseract with those of the wished languages that are installed.

    Args:
        languages: as tesseract names them, such as `eng`.

    Raises: OcrError when none of its languages is installed.
    """

    is_program = True

    def __init__(self, languages: Iterable[str]) -> None:
        version, known = installed() or ("unknown", frozenset[str]())
        wished = [name for name in dict.fromkeys(languages) if _LANGUAGE.fullmatch(name)]
        self.missing = tuple(name for name in wished if name not in known)
        self._languages = "+".join(name for name in wished if name in known) or "eng"
        if self._languages == "eng" and "eng" not in known:
            raise OcrError("tesseract has no language to read")
        self._turns = "osd" in known
        self.libraries = (f"tesseract {version}",)

    def read(self, picture: Image.Image, seconds: float) -> Reading:
        """As of Engine."""
        return self._read(picture, seconds, _AUTOMATIC)

    def read_rows(self, picture: Image.Image, seconds: float) -> Reading:
        """As of Engine."""
        return self._read(picture, seconds, _ONE_BLOCK)

    def _read(self, picture: Image.Image, seconds: float, segmentation: str) -> Reading:
        # Grey PNM needs no compression; it has no resolution, which is passed as an option.
        options = ("-l", self._languages, "--psm", segmentation, "--dpi", _dpi(picture))
        return _parsed(_run_tesseract(picture, seconds, *options, "tsv"))

    def turn(self, picture: Image.Image, reading: Reading, seconds: float) -> int:
        """As of Engine."""
        del reading  # it decides from the shapes of letters
        if not self._turns:
            return 0
        try:
            report = _run_tesseract(picture, seconds, "-l", "osd", "--psm", "0", "--dpi", _dpi(picture))
        except OcrError:  # too few letters
            return 0
        turn = re.search(r"^Rotate: (90|180|270)$", report, re.MULTILINE)
        sure = re.search(r"^Orientation confidence: ([\d.]+)", report, re.MULTILINE)
        return int(turn[1]) if turn and sure and float(sure[1]) >= _CERTAIN else 0


def _dpi(picture: Image.Image) -> str:
    return str(round(picture.info.get("dpi", (300, 300))[0]))


def _run_tesseract(picture: Image.Image, seconds: float, *arguments: str) -> str:
    pnm = io.BytesIO()
    picture.save(pnm, "PPM")
    return _run(["tesseract", "-", "-", *arguments], pnm.getvalue(), seconds).decode("utf-8", "replace")


def _run(command: list[str], given: bytes, seconds: float) -> bytes:
    """What the program prints. It stays in the worker's session, so that it ends with the worker."""
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments; the picture goes in as data
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(seconds, 0.1),
            check=False,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENFILE):  # a machine at its limit: that passes
            raise
        raise OcrError("tesseract could not be started") from error
    if done.returncode:
        raise OcrError(f"tesseract ended with {done.returncode}")
    return done.stdout


def _parsed(table: str) -> Reading:
    """Tesseract's table: one row for each page, block, paragraph, line and word, with its level."""
    paragraphs: dict[tuple[str, str], dict[str, list[Word]]] = {}
    for row in table.split("\n")[1:]:
        cells = row.split("\t", _FIELDS - 1)
        if len(cells) < _FIELDS or cells[0] != _WORD:
            continue
        left, top, width, height = map(float, cells[6:10])
        text = "".join(clean(cells[11]).split())
        score = float(cells[10]) / 100
        if text and score >= LEAST_SCORE and width > 0 and height > 0:
            word = Word(text, left, top, left + width, top + height, score)
            lines = paragraphs.setdefault((cells[2], cells[3]), {})
            lines.setdefault(cells[4], []).append(word)
    read: list[tuple[Line, ...]] = [
        tuple(tuple(line) for line in lines.values()) for lines in paragraphs.values()
    ]
    return Reading(tuple(read))
