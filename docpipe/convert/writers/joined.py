"""A PDF of the pages of others, written as it is put together: memory depends on no document but the current.

Objects are copied as qpdf reads them, with new numbers; streams as they are, without being decoded. The pages
get their numbers beforehand, so that links may lead to pages that come later.
"""

import copy
import re
import secrets
from array import array
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, Final

import pikepdf

_CATALOG, _TREE, _INFO, _OUTLINE, _FIRST_PAGE = 1, 2, 3, 4, 5
_TOKEN: Final = re.compile(
    rb"\((?:[^()\\]|\\.)*\)"  # a string
    rb"|/[^\s()<>\[\]{}/%]*"  # a name
    rb"|\b(\d+) (\d+) R\b",
    re.DOTALL,
)
_INHERITED: Final = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")
_DEEPEST: Final = 64
"""Levels of a tree of pages that are looked at for what a page inherits."""
_LETTER: Final = (0, 0, 612, 792)


class Joined:
    """The file under construction.

    Args:
        file: is written from its beginning on.
        pages: how many there will be.
    """

    def __init__(self, file: BinaryIO, pages: int) -> None:
        self._file = file
        self._pages = pages
        self._nodes = array("Q")
        """The tree's nodes, one a document."""
        self._placed = 0
        self._at = array("Q", bytes(8 * (_FIRST_PAGE + pages)))
        """Where each object begins, by its number."""
        self._mark = f"/{secrets.token_hex(8)}-"
        """What names begin with that stand for numbers of objects; no document can know it."""
        self._marking = self._mark.encode()
        self._marked = re.compile(re.escape(self._marking) + rb"(\d+)")
        file.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def page(self, number: int) -> pikepdf.Name:
        """What stands in a document for a page of the whole, from 1; it becomes a reference."""
        return self.stand_in(_FIRST_PAGE + number - 1)

    def stand_in(self, number: int) -> pikepdf.Name:
        """What stands in a document for an object of the whole."""
        return pikepdf.Name(f"{self._mark}{number}")

    def add_object(self, text: str) -> int:
        """Write an object that refers to none; returns its number."""
        number = self.reserve()
        self.write(number, text.encode())
        return number

    def copies(self, source: pikepdf.Pdf) -> "Copies":
        """What copies single objects of a document, each once."""
        return Copies(self, source, _TREE)

    def add(self, source: pikepdf.Pdf) -> None:
        """Write all pages of a document behind those that are there."""
        node = self.reserve()
        copies = Copies(self, source, node)
        numbers = []
        for page in source.pages:
            numbers.append(_FIRST_PAGE + self._placed)
            copies.numbers[page.obj.objgen] = numbers[-1]
            self._placed += 1
        for page in source.pages:
            inherit(page.obj)
            copies.copy(page.obj)
        kids = " ".join(f"{number} 0 R" for number in numbers)
        tree = f"<< /Type /Pages /Parent {_TREE} 0 R /Count {len(numbers)} /Kids [ {kids} ] >>"
        self.write(node, tree.encode())
        self._nodes.append(node)

    def finish(self, title: str, bookmarks: Sequence[tuple[str, int]]) -> None:
        """Write what holds the pages together.

        Args:
            title: of the whole.
            bookmarks: titles and pages, from 1.
        """
        kids = " ".join(f"{node} 0 R" for node in self._nodes)
        self.write(_TREE, f"<< /Type /Pages /Count {self._pages} /Kids [ {kids} ] >>".encode())
        self.write(_INFO, b"<< /Title " + _string(title) + b" >>")
        first = len(self._at)
        last = first + len(bookmarks) - 1
        ends = f"/First {first} 0 R /Last {last} 0 R /Count {len(bookmarks)}" if bookmarks else ""
        self.write(_OUTLINE, f"<< /Type /Outlines {ends} >>".encode())
        for words, page in bookmarks:
            number = self.reserve()
            before = f"/Prev {number - 1} 0 R" if number > first else ""
            after = f"/Next {number + 1} 0 R" if number < last else ""
            place = f"/Parent {_OUTLINE} 0 R {before} {after} /Dest [ {_FIRST_PAGE + page - 1} 0 R /Fit ]"
            self.write(number, b"<< /Title " + _string(words) + f" {place} >>".encode())
        looks = f"/Outlines {_OUTLINE} 0 R /PageMode /UseOutlines"
        self.write(_CATALOG, f"<< /Type /Catalog /Pages {_TREE} 0 R {looks} >>".encode())
        self._write_table()

    def _write_table(self) -> None:
        begins = self._file.tell()
        self._file.write(f"xref\n0 {len(self._at)}\n0000000000 65535 f \n".encode())
        for at in self._at[1:]:
            self._file.write(b"%010d 00000 n \n" % at if at else b"0000000000 00000 f \n")
        name = secrets.token_hex(16)
        ends = f"/Size {len(self._at)} /Root {_CATALOG} 0 R /Info {_INFO} 0 R /ID [ <{name}> <{name}> ]"
        self._file.write(f"trailer << {ends} >>\nstartxref\n{begins}\n%%EOF\n".encode())

    def placed(self, text: bytes) -> bytes:
        """A copied object, with references instead of what stood in for them."""
        return self._marked.sub(rb"\1 0 R", text) if self._marking in text else text

    def reserve(self) -> int:
        """A number for an object that is still to be written."""
        self._at.append(0)
        return len(self._at) - 1

    def write(self, number: int, *parts: bytes) -> None:
        """Write an object."""
        self._at[number] = self._file.tell()
        self._file.write(b"%d 0 obj\n" % number)
        self._file.writelines(parts)
        self._file.write(b"\nendobj\n")


class Copies:
    """Copies of one document's objects; `numbers` has those of the whole by those of the document."""

    def __init__(self, whole: Joined, source: pikepdf.Pdf, tree: int) -> None:
        self.numbers: dict[tuple[int, int], int] = {}
        self._whole = whole
        self._source = source
        self._tree = tree
        """What stands for the document's own tree of pages."""
        self._left: deque[tuple[int, int]] = deque()

    def copy(self, start: pikepdf.Object) -> int:
        """Write an object and all that it refers to, unless that is there; returns its number."""
        number = self.numbers.setdefault(start.objgen, 0) or self._new(start.objgen)
        self._left.append(start.objgen)
        while self._left:
            objgen = self._left.popleft()
            self._write(self.numbers[objgen], self._source.get_object(objgen))
        return number

    def _new(self, objgen: tuple[int, int]) -> int:
        number = self.numbers[objgen] = self._whole.reserve()
        return number

    def _write(self, number: int, value: pikepdf.Object) -> None:
        if not isinstance(value, pikepdf.Stream):
            self._whole.write(number, self._renumbered(value.unparse(resolved=True)))
            return
        try:
            data = value.read_raw_bytes()
        except (pikepdf.PdfError, pikepdf.DataDecodingError):
            data = b""  # a damaged one costs no more than itself
        about = copy.copy(value.stream_dict)
        about["/Length"] = len(data)
        text = self._renumbered(about.unparse(resolved=True))
        self._whole.write(number, text, b"\nstream\n", data, b"\nendstream")

    def _renumbered(self, text: bytes) -> bytes:
        return self._whole.placed(_TOKEN.sub(self._reference, text))

    def _reference(self, match: re.Match[bytes]) -> bytes:
        """A reference with the number that its object has in the whole; other tokens as they are."""
        if match[1] is None:
            return match[0]
        objgen = int(match[1]), int(match[2])
        number = self.numbers.get(objgen)
        if number is None:
            kind = _kind(self._source.get_object(objgen))
            if kind == "/Catalog":
                return b"null"
            if kind == "/Pages":
                number = self.numbers[objgen] = self._tree
            else:
                number = self._new(objgen)
                self._left.append(objgen)
        return b"%d 0 R" % number


def _kind(value: pikepdf.Object) -> str:
    return str(value.get("/Type", "")) if isinstance(value, pikepdf.Dictionary) else ""


def inherit(page: pikepdf.Object) -> None:
    """Bring to a page what it has from the tree above it."""
    missing = [name for name in _INHERITED if name not in page]
    above = page.get("/Parent")
    for _ in range(_DEEPEST):
        if not missing or not isinstance(above, pikepdf.Dictionary):
            break
        for name in missing:
            if name in above:
                page[name] = above[name]
        missing = [name for name in missing if name not in page]
        above = above.get("/Parent")
    if "/MediaBox" not in page:
        page.MediaBox = pikepdf.Array(_LETTER)


def _string(words: str) -> bytes:
    return b"<feff%s>" % words.encode("utf-16-be", errors="replace").hex().encode()
