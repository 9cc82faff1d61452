"""Reads the documents from lists of resources; every line gets an entry or a count. Runs in a thread."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from msgspec.structs import replace

from docpipe.archive import names
from docpipe.model import Outcome
from docpipe.results.files import Declared, merged
from docpipe.sources.fhir.arrived import Source, from_base64, mismatches
from docpipe.sources.fhir.declared import FOREIGN, DeclaredDocument, foreign, wanted
from docpipe.sources.fhir.decoding import struct_of
from docpipe.sources.fhir.resources import Owned, Resource
from docpipe.sources.fhir.vocabulary import is_id, outcome, parsed, referred

LONGEST_LINE: Final = 128 * 2**20
"""Bytes of one resource in NDJSON."""
MOST_BAD_LINES: Final = 20
"""This many get an entry each."""
LISTS: Final = frozenset({"DocumentReference", "Binary"})
_BLOCK: Final = 2**20
UNOWNED: Final = "The exchange sent it among documents of other patients, and it names no patient."
UNOWNED_NAME: Final = "File of an unknown patient"
UNREADABLE: Final = "It is no resource in JSON, or too large to be read."
UNDECODED: Final = "The document is within its entry, but cannot be decoded."


@dataclass(slots=True)
class Item:
    """One file of the result: its path or its source, or why there is none."""

    name: str
    declared: Declared = field(default_factory=Declared)
    path: Path | None = None
    source: Source | None = None
    outcome: Outcome | None = None
    """None: a document, to be converted."""
    reason: str | None = None
    refetch: bool = False
    """Whether it could not be fetched, so that a retry fetches it again."""
    owned: bool = True
    """Whether it, or a resource that refers to it, names its patient."""


@dataclass(slots=True)
class Counts:
    """What one list of resources holds."""

    lines: int = 0
    documents: int = 0
    others: int = 0
    binaries: int = 0
    foreign: int = 0
    bad: int = 0
    errors: int = 0
    warnings: int = 0
    """Those that the result is incomplete."""
    codes: set[str] = field(default_factory=set)


class Intake:
    """The files of a result, collected while its lists are read.

    Args:
        folder: for content that resources hold; its files are numbered in the order of the items.
        patient: the logical id of the patient of all.
        most: the number of items; further ones are only counted.
    """

    def __init__(self, folder: Path, patient: str, most: int) -> None:
        self.items: list[Item] = []
        self.beyond = 0
        self._folder = folder
        self._patient = patient
        self._most = most
        self._names: dict[str, int] = {}
        self._binaries: dict[str, tuple[Item, bool]] = {}
        """Items of Binaries by id, or by `urn:` where they have none; and whether each is used."""
        self._urns: dict[str, str] = {}
        """Keys of Binaries by the `urn:` that a Bundle gives them."""
        self._mixed = False
        """Whether a resource named another patient."""

    def add(self, item: Item) -> Item:
        """Add an item, under a unique name."""
        item.name = self._unique(item.name)
        if len(self.items) < self._most:
            self.items.append(item)
        else:
            self.beyond += 1
        return item

    def place(self) -> Path:
        """The path of the next item's file: the same at every attempt."""
        return self._folder / f"{len(self.items) + 1:05d}.bin"

    def _unique(self, name: str) -> str:
        unique = names.display_name(name)
        count = self._names[unique] = self._names.get(unique, 0) + 1
        if count == 1:
            return unique
        stem, dot, suffix = unique.rpartition(".")
        again = f"{stem} ({count}).{suffix}" if dot and "/" not in suffix else f"{unique} ({count})"
        return self._unique(again)

    def resource(self, resource: Resource, counts: Counts, *, token: bool, urn: str = "") -> None:
        """Add the documents of one resource; `urn` is its `fullUrl` in a Bundle, if that is a `urn:`."""
        issues = outcome(resource)
        if issues is not None:
            counts.errors += issues.bad
            counts.warnings += issues.incomplete and not issues.bad
            counts.codes.update(issues.codes if issues.bad or issues.incomplete else ())
            return
        kind = str(resource.get("resourceType"))
        if kind != "DocumentReference" and foreign(resource, self._patient):
            counts.foreign += 1
            self._mixed = True
            return
        counts.others += kind not in LISTS
        for document in wanted(resource, self._patient):
            counts.documents += 1
            counts.foreign += document.refused == FOREIGN
            self._mixed |= document.refused == FOREIGN
            item = self._item(document, token=token)
            if kind == "Binary":
                key = resource["id"] if is_id(resource.get("id")) else urn
                self._binaries[key] = (item, False)
                self._urns[urn or key] = key
            if kind == "Binary":
                counts.binaries += 1
                owned = struct_of(Owned, resource) or Owned()
                item.owned = any(owner.target is not None for owner in owned.security_context)

    def _item(self, document: DeclaredDocument, *, token: bool) -> Item:
        for verdict, reason in (
            (Outcome.IGNORED, document.ignored),
            (Outcome.REFUSED, document.refused),
            (Outcome.FAILED, document.failed),
        ):
            if reason is not None:
                return self.add(Item(document.name, document.declared, outcome=verdict, reason=reason))
        if document.data is not None:
            return self._inline(document)
        place = referred(document.url)
        key = self._urns.get(document.url or "") if place is None else place[1]
        if (place is None or place[0] == "Binary") and key in self._binaries:
            return self._of_binary(str(key), document)
        media_type = document.declared.media_type
        source = Source(document.url or "", media_type, document.size, document.sha1, token, self._patient)
        return self.add(Item(document.name, document.declared, self.place(), source))

    def _inline(self, document: DeclaredDocument) -> Item:
        content = from_base64(document.data)
        declared = document.declared
        if content is None:
            return self.add(Item(document.name, declared, outcome=Outcome.FAILED, reason=UNDECODED))
        path = self.place()
        if len(self.items) < self._most:
            path.write_bytes(content)
            if wrong := mismatches(path, document.size, document.sha1):
                declared = replace(declared, warnings=wrong)
        return self.add(Item(document.name, declared, path))

    def _of_binary(self, id_: str, document: DeclaredDocument) -> Item:
        """A document whose Binary is in the same result: the Binary's item gets its name and declarations."""
        item, used = self._binaries[id_]
        if used:
            return self.add(
                Item(
                    document.name,
                    document.declared,
                    item.path,
                    outcome=item.outcome,
                    reason=item.reason,
                )
            )
        self._binaries[id_] = (item, True)
        item.owned = True
        item.name = self._unique(document.name)
        item.declared = merged(item.declared, document.declared)
        if (
            item.path is not None
            and item.path.exists()
            and (wrong := mismatches(item.path, document.size, document.sha1))
        ):
            item.declared = replace(item.declared, warnings=wrong)
        return item

    def settle(self) -> None:
        """After all lists: in a mixed result, refuse files that name no patient."""
        if not self._mixed:
            return
        for item in self.items:
            if not item.owned and item.outcome is not Outcome.REFUSED:
                item.name, item.declared = self._unique(UNOWNED_NAME), Declared()
                item.outcome, item.reason = Outcome.REFUSED, UNOWNED

    def bundle(self, read: Callable[[], Iterable[tuple[Resource, str]]], others: Path, name: str) -> Counts:
        """Read one page of a searchset, or a batch-response, twice: documents refer to its Binaries.

        Resources that are no lists of documents are written to the file `others`.

        Args:
            read: the resources, each with its `urn:` or ""; an empty one for each that cannot be read.
            others: the file.
            name: of the page.
        """
        counts = Counts()
        for resource, urn in read():
            if resource.get("resourceType") == "Binary":
                counts.lines += 1
                self.resource(resource, counts, token=True, urn=urn)
        with others.open("w", encoding="utf-8") as file:
            for number, (resource, urn) in enumerate(read(), 1):
                if resource.get("resourceType") == "Binary":
                    continue
                counts.lines += 1
                if not resource:
                    self._bad(counts, f"{name}, resource {number}", UNREADABLE)
                    continue
                before = counts.others
                self.resource(resource, counts, token=True, urn=urn)
                if counts.others > before:
                    file.write(json.dumps(resource) + "\n")
        return counts

    def lines(self, path: Path, name: str, *, token: bool) -> tuple[Counts, Path]:
        """Read a file of NDJSON, line by line; returns the file without resources of other patients.

        A line that is no resource gets an entry of its own.
        """
        counts, own = Counts(), path.with_name(f"{path.name}.own")
        with path.open("rb") as file, own.open("wb") as kept:
            for number, line in enumerate(ndjson(file), 1):
                if line is not None and not line.strip():
                    continue
                counts.lines += 1
                value = None if line is None else parsed(line)
                if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
                    why = f"Longer than {LONGEST_LINE >> 20} MiB." if line is None else UNREADABLE
                    self._bad(counts, f"{name}, line {number}", why)
                    continue  # in a file with resources of others its patient is unknown
                before = counts.foreign
                self.resource(value, counts, token=token)
                if counts.foreign == before:
                    kept.write(line or b"")
        if counts.foreign:
            return counts, own
        own.unlink()
        return counts, path

    def _bad(self, counts: Counts, name: str, why: str) -> None:
        counts.bad += 1
        if counts.bad <= MOST_BAD_LINES:
            self.add(Item(name, outcome=Outcome.FAILED, reason=why))


def ndjson(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes | None]:
    """The lines of a file, with their ends; None for one that is too long. Holds one line in memory."""
    while line := file.readline(longest + 1):
        if len(line) <= longest:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_BLOCK)
        yield None


def in_words(counts: Counts) -> str:
    """Codes of errors, for people."""
    plain = sorted(code for code in counts.codes if re.fullmatch(r"[a-z-]{1,40}", code))
    return f" ({', '.join(plain[:5])})" if plain else ""
