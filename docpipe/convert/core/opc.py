"""Office files of the open kind (ECMA-376-2): parts in a ZIP, found by their relations."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import unquote

from lxml import etree

from docpipe.convert.core.base import Facts, UnreadableError
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.salvage import salvaged
from docpipe.convert.core.xmltree import MENDED, Element, local, parse

LARGEST_PART: Final = 100 * 2**20
SALVAGED: Final = "the file is damaged; its readable parts are converted"
_DAMAGED: Final = "The document is damaged: a part of it cannot be unpacked."
_PICTURE: Final = re.compile(
    r"(?:word|xl|ppt)/media/[^/]+\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf)", re.IGNORECASE
)
_EMBEDDED: Final = re.compile(r"(?:word|xl|ppt)/embeddings/[^/]+", re.IGNORECASE)


class Package:
    """The parts of an Office file. A ZIP that lost its directory is read by its local headers.

    Raises: UnreadableError.
    """

    def __init__(self, path: Path) -> None:
        self.warnings: list[str] = []
        self._salvaged: dict[str, bytes] = {}
        self._archive: zipfile.ZipFile | None = None
        try:
            self._archive = zipfile.ZipFile(path)
            names = self._archive.namelist()
        except Exception as error:
            self._salvaged = salvaged(path)
            names = list(self._salvaged)
            if not names:
                raise UnreadableError("The file is cut short.") from error
            self.warnings.append(SALVAGED)
        self._names = {_key(name): name for name in names}

    def __enter__(self) -> Self:
        """The package itself."""
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def has(self, name: str) -> bool:
        """Whether the package has the part."""
        return _key(name) in self._names

    def names(self) -> list[str]:
        """The names of all parts, in the file's order."""
        return list(self._names.values())

    def pictures(self) -> list[str]:
        """The parts that are pictures."""
        return [name for name in self.names() if _PICTURE.fullmatch(name)]

    def embeddings(self) -> list[str]:
        """The parts that are documents inside of this one."""
        return [name for name in self.names() if _EMBEDDED.fullmatch(name)]

    def part(self, name: str) -> bytes:
        """The bytes of a part.

        Raises: UnreadableError.
        """
        try:
            with self.open(name) as opened:
                data = opened.read(LARGEST_PART + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            # What unpacks of it may be wrong, and not only short.
            raise UnreadableError(_DAMAGED) from error
        if len(data) > LARGEST_PART:
            raise UnreadableError("The document unpacks to more than it may.")
        return data

    def open(self, name: str) -> IO[bytes]:
        """A part, to be read piece by piece.

        Raises: UnreadableError; while it is read, what zipfile raises.
        """
        stored = self._names.get(_key(name), name)
        if self._archive is None:
            if stored not in self._salvaged:
                raise UnreadableError("The file is cut short.")
            return io.BytesIO(self._salvaged[stored])
        try:
            return self._archive.open(stored)
        except RuntimeError as error:
            raise UnreadableError("The document needs a password.") from error
        except Exception as error:
            raise UnreadableError(_DAMAGED) from error

    def xml(self, name: str) -> Element:
        """The tree of a part.

        Raises: UnreadableError.
        """
        data = self.part(name)
        try:
            parsed = parse(data)
        except UnreadableError:
            root = _recovered(data)
            if root is None:
                raise
            self.warnings.append(SALVAGED)
            return root
        self.warnings += [MENDED] if parsed.mended else []
        return parsed.root

    def main(self, *usual: str) -> str:
        """The part with the content, by relation or by its usual name.

        Raises: UnreadableError.
        """
        for name in (*self.relations("", "officeDocument"), *usual):
            if self.has(name):
                return name
        if self._archive is None:
            raise UnreadableError("The file is cut short.")
        raise UnreadableError("The document is damaged: it lacks its text.")

    def related(self, name: str, kind: str) -> Element | None:
        """The tree of the first part of a kind that is there and can be read."""
        for target in self.relations(name, kind):
            if self.has(target):
                try:
                    return self.xml(target)
                except UnreadableError:
                    self.warnings.append(SALVAGED)
        return None

    def relations(self, name: str, kind: str) -> list[str]:
        """The parts that a part refers to by a kind of relation; "" is the package itself."""
        return [target for _, type_, target in self.links(name) if type_ == kind]

    def targets(self, name: str) -> dict[str, str]:
        """The parts that a part refers to, by the relation's id."""
        return {id_: target for id_, _, target in self.links(name)}

    def links(self, name: str) -> list[tuple[str, str, str]]:
        """What a part refers to inside of the package: id, kind, part."""
        folder, _, base = name.rpartition("/")
        rels = f"{folder}/_rels/{base}.rels".lstrip("/") if name else "_rels/.rels"
        if not self.has(rels):
            return []
        try:
            root = self.xml(rels)
        except UnreadableError:
            self.warnings.append(SALVAGED)
            return []
        return [
            (
                relation.get("Id") or "",
                re.sub(r".*/relationships/(?:metadata/)?", "", relation.get("Type") or ""),
                _joined(folder, relation.get("Target") or ""),
            )
            for relation in root
            if relation.get("TargetMode") != "External"
        ]

    def facts(self) -> Facts:
        """The document's properties."""
        core = self.related("", "core-properties")
        properties = {} if core is None else {local(element): tidy(element.text or "") for element in core}
        return Facts(
            title=properties.get("title") or None,
            author=properties.get("creator") or None,
            date=iso_date(properties.get("modified")) or iso_date(properties.get("created")),
            language=properties.get("language") or None,
        )


def iso_date(text: str | None) -> str | None:
    """A date of XML Schema, None for anything else."""
    match = re.match(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?)?)?)?$", text or "")
    return match[0] if match else None


def _recovered(data: bytes) -> Element | None:
    """The tree up to where a part breaks off; None where entities might be in play, or nothing is there."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        root: Element | None = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None
    return root


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _joined(folder: str, target: str) -> str:
    parts: list[str] = [] if target.startswith(("/", "\\")) else folder.split("/") if folder else []
    for part in _segments(unquote(target).replace("\\", "/")):
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/".join(parts)


def _segments(target: str) -> Iterator[str]:
    return (part for part in target.split("/") if part not in {"", "."})
