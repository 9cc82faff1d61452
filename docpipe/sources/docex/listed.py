"""Compares the documents that an exchange lists with the files of its archive, to report missing ones."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from docpipe.archive import names
from docpipe.model import Outcome
from docpipe.results.files import MISSING
from docpipe.results.search import ListedDocument

_WRITTEN: Final = ("utf-8", "cp437", "cp850", "cp1252")
_READ: Final = (*_WRITTEN, "cp932")
"""Encodings in which packers write names, and which the reader of archives may guess."""


def compare(
    documents: Iterable[ListedDocument], paths: Sequence[str]
) -> tuple[list[ListedDocument], list[str]]:
    """Find the file of each listed document.

    Names match also where they differ in case, in Unicode's normal form, in separators, or where one encoding
    was mistaken for another; then each file matches one document only. A listed folder is no document.

    Args:
        documents: as the exchange lists them; those without a path cannot be compared.
        paths: of the files of the archive, as `archive.extract` gives them.

    Returns:
        For each file its listed document, empty for none; and the paths of the documents without a file.
    """
    listed = {item.path: item for item in documents if item.path is not None}
    exact = {names.display_name(path): item for path, item in listed.items()}
    facts = [exact.get(path) for path in paths]
    left = {path: item for path, item in listed.items() if path.strip()}
    taken: set[int] = set()
    for forms in (_displayed, _normal, _misread):
        free: dict[str, list[int]] = {}
        for number, path in enumerate(paths):
            if number not in taken:
                free.setdefault(path if forms is _displayed else _key(path), []).append(number)
        for path in list(left) if free else ():
            if (name := next((form for form in forms(path) if free.get(form)), None)) is not None:
                number = free[name].pop(0)
                taken.add(number)
                facts[number] = left.pop(path)
    folders = {folder for path in paths for folder in _folders(_key(path))}
    missing = [path for path in left if not names.slashed(path).endswith("/") and _key(path) not in folders]
    return [item or ListedDocument() for item in facts], missing


def members_of(missing: Sequence[str], room: int) -> list[dict[str, Any]]:
    """Missing documents as members; those beyond `room` as a single one."""
    members = [_member(names.display_name(path)) for path in missing[:room]]
    if (more := len(missing) - len(members)) > 0:
        members.append(_member(f"(more documents, {more:,})"))
    return members


def _member(path: str) -> dict[str, Any]:
    return {"path": path, "outcome": Outcome.FAILED.value, "reason": MISSING}


def _displayed(path: str) -> Iterator[str]:
    yield names.display_name(path)


def _normal(path: str) -> Iterator[str]:
    yield _key(names.display_name(path))


def _misread(path: str) -> Iterator[str]:
    """How the name reads where its encoding is mistaken for another."""
    if path.isascii():
        return
    for written in _WRITTEN:
        for read in _READ:
            try:
                yield _key(names.display_name(path.encode(written).decode(read)))
            except UnicodeError:
                continue


def _key(path: str) -> str:
    """The same for names that differ in case, normal form or separators only."""
    parts = unicodedata.normalize("NFKC", names.slashed(path)).casefold().split("/")
    return "/".join(part for part in map(str.strip, parts) if part not in ("", "."))


def _folders(key: str) -> Iterator[str]:
    """The folders that a file is in, from the innermost on."""
    while (end := key.rfind("/")) >= 0:
        key = key[:end]
        yield key
