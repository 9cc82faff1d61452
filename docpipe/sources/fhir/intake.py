"""Takes lists of resources apart: which documents there are, every line accounted for. Runs in a thread."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from docpipe.archive import names
from docpipe.model import Json, Outcome
from docpipe.sources.fhir.files import Source, from_base64, mismatches
from docpipe.sources.fhir.vocabulary import outcome, parsed, referred, resources
from docpipe.sources.fhir.wanted import FOREIGN, Wanted, foreign, wanted

LONGEST_LINE: Final = 128 * 2**20
"""Bytes of one resource in NDJSON, with all that it carries."""
MOST_BAD_LINES: Final = 20
"""So many are told one by one."""
LISTS: Final = frozenset({"DocumentReference", "Binary"})
_BLOCK: Final = 2**20
UNDECODED: Final = "The document is within its entry, but cannot be decoded."


@dataclass(slots=True)
class Item:
    """One file of the result: where it lies or comes from, or why it is not to be had."""

    name: str
    told: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    source: Source | None = None
    outcome: Outcome | None = None
    """None: a document, to be converted."""
    reason: str | None = None


@dataclass(slots=True)
class Counts:
    """What was found in one list of resources."""

    lines: int = 0
    documents: int = 0
    others: int = 0
    foreign: int = 0
    bad: int = 0
    errors: int = 0
    codes: set[str] = field(default_factory=set)


class Intake:
    """Everything that a search found, as it is read.

    Args:
        folder: where what resources carry within is put; files in it are numbered in the order of the items.
        patient: the logical id of whom all should be about.
        most: items; beyond them resources are only counted.
    """

    def __init__(self, folder: Path, patient: str, most: int) -> None:
        self.items: list[Item] = []
        self.beyond = 0
        self._folder = folder
        self._patient = patient
        self._most = most
        self._names: dict[str, int] = {}
        self._binaries: dict[str, tuple[Item, bool]] = {}

    def add(self, item: Item) -> Item:
        """Add an item, under a name that no other has."""
        item.name = self._unique(item.name)
        if len(self.items) < self._most:
            self.items.append(item)
        else:
            self.beyond += 1
        return item

    def place(self) -> Path:
        """Where the next item's file lies: the same at every try."""
        return self._folder / f"{len(self.items) + 1:05d}.bin"

    def _unique(self, name: str) -> str:
        shown = names.shown(name)
        count = self._names[shown] = self._names.get(shown, 0) + 1
        if count == 1:
            return shown
        stem, dot, suffix = shown.rpartition(".")
        again = f"{stem} ({count}).{suffix}" if dot and "/" not in suffix else f"{shown} ({count})"
        return self._unique(again)

    def resource(self, resource: dict[str, Any], counts: Counts, *, token: bool) -> None:
        """Take the documents of one resource."""
        told = outcome(resource)
        if told is not None:
            counts.errors += told.bad
            counts.codes.update(told.codes if told.bad else ())
            return
        kind = str(resource.get("resourceType"))
        if kind != "DocumentReference" and foreign(resource, self._patient):
            counts.foreign += 1
            return
        counts.others += kind not in LISTS
        for found in wanted(resource, self._patient):
            counts.documents += 1
            counts.foreign += found.refused == FOREIGN
            item = self._item(found, token=token)
            if kind == "Binary" and isinstance(resource.get("id"), str):
                self._binaries[resource["id"]] = (item, False)

    def _item(self, found: Wanted, *, token: bool) -> Item:
        for verdict, reason in (
            (Outcome.IGNORED, found.ignored),
            (Outcome.REFUSED, found.refused),
            (Outcome.FAILED, found.failed),
        ):
            if reason is not None:
                return self.add(Item(found.name, dict(found.told), outcome=verdict, reason=reason))
        if found.data is not None:
            return self._inline(found)
        place = referred(found.url)
        if place is not None and place[0] == "Binary" and place[1] in self._binaries:
            return self._of_binary(place[1], found)
        source = Source(found.url or "", found.told.get("media_type"), found.size, found.sha1, token)
        return self.add(Item(found.name, dict(found.told), self.place(), source))

    def _inline(self, found: Wanted) -> Item:
        content = from_base64(found.data)
        told: dict[str, Any] = dict(found.told)
        if content is None:
            return self.add(Item(found.name, told, outcome=Outcome.FAILED, reason=UNDECODED))
        path = self.place()
        if len(self.items) < self._most:
            path.write_bytes(content)
            if wrong := mismatches(path, found.size, found.sha1):
                told["warnings"] = wrong
        return self.add(Item(found.name, told, path))

    def _of_binary(self, id_: str, found: Wanted) -> Item:
        """A document whose bytes the same result holds as a Binary: that one gets the name and the facts."""
        item, used = self._binaries[id_]
        if used:
            return self.add(
                Item(found.name, dict(found.told), item.path, outcome=item.outcome, reason=item.reason)
            )
        self._binaries[id_] = (item, True)
        item.name = self._unique(found.name)
        item.told = {**item.told, **found.told}
        if (
            item.path is not None
            and item.path.exists()
            and (wrong := mismatches(item.path, found.size, found.sha1))
        ):
            item.told["warnings"] = wrong
        return item

    def bundle(self, bundle: Json, others: Path) -> Counts:
        """Take one page of a searchset, or what a batch-response answers.

        Resources that are no lists of documents are written to the file `others`, where there are some.
        """
        counts = Counts()
        found = sorted(resources(bundle), key=lambda resource: resource.get("resourceType") != "Binary")
        with others.open("w", encoding="utf-8") as file:
            for resource in found:
                counts.lines += 1
                before = counts.others
                self.resource(resource, counts, token=True)
                if counts.others > before:
                    file.write(json.dumps(resource) + "\n")
        return counts

    def lines(self, path: Path, name: str, *, token: bool) -> tuple[Counts, Path]:
        """Take a file of NDJSON, line by line; returns the file without what is about other patients.

        A line that is no resource is told as a file of its own, and the rest goes on.
        """
        counts, own = Counts(), path.with_name(f"{path.name}.own")
        with path.open("rb") as file, own.open("wb") as kept:
            for number, line in enumerate(ndjson(file), 1):
                if line is not None and not line.strip():
                    continue
                counts.lines += 1
                value = None if line is None else parsed(line)
                if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
                    self._bad(counts, name, number, too_long=line is None)
                    kept.write(line or b"")
                    continue
                before = counts.foreign
                self.resource(value, counts, token=token)
                if counts.foreign == before:
                    kept.write(line or b"")
        if counts.foreign:
            return counts, own
        own.unlink()
        return counts, path

    def _bad(self, counts: Counts, name: str, number: int, *, too_long: bool) -> None:
        counts.bad += 1
        if counts.bad > MOST_BAD_LINES:
            return
        why = f"Longer than {LONGEST_LINE >> 20} MiB." if too_long else "It is no resource in JSON."
        self.add(Item(f"{name}, line {number}", outcome=Outcome.FAILED, reason=why))


def ndjson(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes | None]:
    """The lines of a file, with their ends; None for one that is too long. Never holds more than one."""
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


def loads(path: Path) -> Json:
    """The JSON value in a file, None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):
        return None
