"""Read the pages of a PDF that are pictures, as long as there is time."""

import contextlib
import enum
import io
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pikepdf
import pypdfium2
from PIL import Image, ImageStat

from docpipe.convert.core.base import Source
from docpipe.convert.ocr import parallel, rapid, skew, tesseract
from docpipe.convert.ocr.layer import Corner, Layer, Placed
from docpipe.convert.ocr.reading import Engine, OcrError, Reading, Word

SHARE: Final = 0.6
"""The share of a document's time for reading; the rest is for saving, checking and the preview."""
LONGEST: Final = 60.0
"""Seconds for one page: pages that take longer are drawings, maps or noise."""
LAST: Final = 0.85
"""Of a document's time: when the page that is being read is given up."""
_DPI: Final = 300.0
_MOST_PIXELS: Final = 9_500_000
"""A letter at 300 dpi has 8.4 million; larger sheets are read at a lower resolution."""
_LEAST_PIXELS: Final = 16
_BLANK: Final = 3.0
"""Standard deviation of shades, of 255, below which a page is a blank sheet."""
_AS_GOOD: Final = 0.95
"""The share of the first reading's weight from which a second one by rows replaces it."""
_GOOD: Final = 0.85
"""The score from which a page is not read again in another orientation."""

_TURNS: Final[Mapping[int, Callable[[Image.Image], Image.Image]]] = {
    0: lambda picture: picture,
    90: lambda picture: picture.transpose(Image.Transpose.ROTATE_270),  # Pillow counts the other way round
    180: lambda picture: picture.transpose(Image.Transpose.ROTATE_180),
    270: lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Page:
    """A page to read."""

    at: int
    """Its index."""
    known: tuple[Box, ...] = ()
    """Left, bottom, right, top of text that the page has already."""


@dataclass(slots=True)
class Read:
    """What was read of a document's pages."""

    texts: dict[int, str] = field(default_factory=dict)
    """By index; pages without text are missing."""
    readings: dict[int, Reading] = field(default_factory=dict)
    """The words of the same pages, with their places."""
    blank: list[int] = field(default_factory=list)
    """Pages that turned out to be empty sheets."""
    pending: list[int] = field(default_factory=list)
    """Pages for which there was no time, or no engine."""
    failed: list[int] = field(default_factory=list)
    """Pages that the engine could not read."""
    pdf: bytes | None = None
    """The document with a layer of text and pages turned upright; None where nothing was read."""
    libraries: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Languages that were wished for and are not installed."""


class _Unread(enum.Enum):
    """Why there is nothing of a page."""

    PENDING = enum.auto()
    FAILED = enum.auto()
    BLANK = enum.auto()


@dataclass(frozen=True, slots=True)
class _Placed:
    """The text of a page, empty where there is none, and where its words are."""

    text: str
    turn: int
    lines: tuple[Placed, ...]
    reading: Reading


def engine(languages: Sequence[str]) -> Engine | None:
    """The engine that is installed: tesseract, else RapidOCR, else None; None for no languages."""
    if not languages:
        return None
    try:
        if tesseract.installed() is not None:
            return tesseract.Tesseract(languages)
    except OcrError:
        pass
    try:
        return rapid.Rapid() if rapid.installed() else None
    except OcrError:
        return None


def read(pdf: Path | bytes, pages: Sequence[Page], source: Source) -> Read:
    """Read pages in their order until none is left or the time is up.

    Raises: pypdfium2.PdfiumError when the PDF cannot be opened.
    """
    done = Read()
    reader = engine(source.languages)
    if reader is None:
        done.pending = [page.at for page in pages]
        return done
    done.libraries, done.missing = reader.libraries, reader.missing
    with pypdfium2.PdfDocument(pdf) as document:
        if document.get_formtype():
            document.init_forms()
        work = _Document(document, reader, source)
        results = parallel.in_order(work.read, pages, work.places)
    placed: dict[int, _Placed] = {}
    unread = {_Unread.PENDING: done.pending, _Unread.FAILED: done.failed, _Unread.BLANK: done.blank}
    for page, result in zip(pages, results, strict=True):
        if isinstance(result, _Unread):
            unread[result].append(page.at)
        elif result.text:
            done.texts[page.at], done.readings[page.at] = result.text, result.reading
            placed[page.at] = result
    if placed:
        with contextlib.suppress(pikepdf.PdfError, ValueError):  # the text is there without its layer
            done.pdf = _searchable(pdf, placed)
    return done


class _Document:
    """A document that is open, for several threads."""

    def __init__(self, document: pypdfium2.PdfDocument, reader: Engine, source: Source) -> None:
        self._document = document
        self._reader = reader
        self._source = source
        self._pdfium = threading.Lock()
        """It is not made for threads."""
        self._turns: dict[int, int] = {}
        """Of pages with text, by their index."""

    def places(self) -> int:
        """How many pages may be read at the same time by now."""
        return parallel.granted(self._source.places) if self._reader.is_program else 1

    def read(self, page: Page) -> "_Placed | _Unread":
        """What is on a page, if there is time.

        Raises: OSError where the machine does not let the engine work.
        """
        elapsed = time.monotonic() - self._source.began
        if elapsed > SHARE * self._source.seconds:
            return _Unread.PENDING
        before = max((at for at in list(self._turns) if at < page.at), default=None)
        first = 0 if before is None else self._turns[before]
        left = min(LONGEST, LAST * self._source.seconds - elapsed)
        try:
            result = _read(self._rendered(page.at), page, self._reader, first, time.monotonic() + left)
        except (OcrError, TimeoutError, pypdfium2.PdfiumError, ValueError, MemoryError):
            return _Unread.FAILED
        if isinstance(result, _Placed) and result.text:
            self._turns[page.at] = result.turn
        return result

    def _rendered(self, at: int) -> tuple[Image.Image, "Place"]:
        with self._pdfium:
            opened = self._document[at]
            try:
                return _picture(opened)
            finally:
                opened.close()


def _read(
    rendered: tuple[Image.Image, "Place"], page: Page, reader: Engine, first: int, until: float
) -> "_Placed | _Unread":
    """The text of a page with the positions of its words."""
    picture, place = rendered
    if min(picture.size) < _LEAST_PIXELS or _is_blank(picture):
        return _Unread.BLANK
    if degrees := skew.angle(picture):
        picture, back = skew.straightened(picture, degrees)
        place = _through(back, place)
    reading, turn = _upright(reader, picture, first, until)
    reading = _with_rows(reader, _TURNS[turn](picture), reading, until)
    place = _turned(place, picture.size, turn)
    if page.known:
        reading = reading.only(lambda word: not _inside(place(*_middle(word)), page.known))
    if not reading.is_text():
        return _Placed("", 0, (), Reading())
    lines = tuple(
        (
            line,
            tuple(
                (place(word.left, word.bottom), place(word.right, word.bottom), place(word.left, word.top))
                for word in line
            ),
        )
        for line in reading.lines()
    )
    return _Placed(reading.text(), turn, lines, reading)


Place = Callable[[float, float], Corner]
"""From a point of the picture to the same point in the page's space."""


def _picture(page: Any) -> tuple[Image.Image, Place]:
    """The page in shades of grey, at the resolution at which engines read best."""
    width, height = page.get_size()
    scale = min(_DPI / 72, math.sqrt(_MOST_PIXELS / max(width * height, 1)))
    bitmap = page.render(scale=scale, grayscale=True, limit_image_cache=True)
    convert = bitmap.get_posconv(page)
    across, down = bitmap.width, bitmap.height
    origin, right, low = (convert.to_page(*point) for point in ((0, 0), (across, 0), (0, down)))
    picture = bitmap.to_pil().copy()
    bitmap.close()
    picture.info["dpi"] = (scale * 72, scale * 72)

    def place(x: float, y: float) -> Corner:
        u, v = x / across, y / down
        return (
            origin[0] + (right[0] - origin[0]) * u + (low[0] - origin[0]) * v,
            origin[1] + (right[1] - origin[1]) * u + (low[1] - origin[1]) * v,
        )

    return picture, place


def _through(back: Place, place: Place) -> Place:
    """From a straightened picture over the crooked one to the page."""
    return lambda x, y: place(*back(x, y))


def _is_blank(picture: Image.Image) -> bool:
    return ImageStat.Stat(picture.reduce(2)).stddev[0] < _BLANK


def _upright(reader: Engine, picture: Image.Image, first: int, until: float) -> tuple[Reading, int]:
    """The best reading, and by how many degrees the picture was turned clockwise for it.

    `first` is the rotation of the page before: scans are mostly rotated as a whole.
    """
    standing = _TURNS[first](picture)
    reading = reader.read(standing, until - time.monotonic())
    if reading.is_text() and reading.score() >= _GOOD and not reading.sideways():
        return reading, first
    try:
        more = reader.turn(standing, reading, until - time.monotonic())
        if more:
            again = reader.read(_TURNS[more](standing), until - time.monotonic())
            if again.weight() > reading.weight() or (reading.sideways() and again.is_text()):
                return again, (first + more) % 360
    except (OcrError, TimeoutError):
        pass  # the first reading remains
    return reading, first


def _with_rows(reader: Engine, picture: Image.Image, reading: Reading, until: float) -> Reading:
    """The reading; of a page with a table a second one by rows, completed by the words of the first."""
    left = until - time.monotonic()
    if not reading.is_text() or not reading.has_rows() or left <= 0:
        return reading
    try:
        again = reader.read_rows(picture, left)
    except (OcrError, TimeoutError):
        return reading
    if again is None or not again.is_text():
        return reading
    if again.weight() >= _AS_GOOD * reading.weight():
        return again.completed(reading)
    return reading.completed(again)


def _turned(place: Place, size: tuple[int, int], turn: int) -> Place:
    """The same for the picture turned clockwise."""
    wide, high = size
    match turn:
        case 90:
            return lambda x, y: place(y, high - x)
        case 180:
            return lambda x, y: place(wide - x, high - y)
        case 270:
            return lambda x, y: place(wide - y, x)
        case _:
            return place


def _middle(word: Word) -> Corner:
    return (word.left + word.right) / 2, (word.top + word.bottom) / 2


def _inside(point: Corner, boxes: Iterable[Box]) -> bool:
    x, y = point
    return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in boxes)


def _searchable(pdf: Path | bytes, pages: Mapping[int, _Placed]) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(pdf if isinstance(pdf, Path) else io.BytesIO(pdf)) as opened:
        layer = Layer(opened)
        for at, placed in pages.items():
            page = opened.pages[at]
            layer.write(page, placed.lines)
            if placed.turn:
                page.rotate(placed.turn, relative=True)
        layer.finish()
        with warnings.catch_warnings():  # of forms that were odd before
            warnings.simplefilter("ignore")
            opened.save(out, deterministic_id=True)
    return out.getvalue()
