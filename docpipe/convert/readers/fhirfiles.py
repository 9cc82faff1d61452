"""The documents that FHIR resources carry or refer to."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from docpipe.convert.core.base import Embedded, Source
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.payload import ELSEWHERE, MISSING, UNDECODED, decoded


def is_attachment(value: Mapping[str, Any]) -> bool:
    """Whether a value is, or may be, an Attachment or a Binary."""
    kind = value.get("contentType")
    if not isinstance(kind, str):
        return False
    return isinstance(value.get("data"), str) or isinstance(value.get("url"), str) or "content" in value


class Attachments:
    """Takes documents out of resources; what cannot be had is told once."""

    def __init__(self, source: Source, by_address: Mapping[str, Mapping[str, Any]]) -> None:
        self.embedded: list[Embedded] = []
        self.warnings: list[str] = []
        self._source = source
        self._by_address = by_address

    def take(self, resource: Mapping[str, Any]) -> list[str]:
        """Take out what the resource carries; a sentence on each, for people."""
        return [line for found in _attachments(resource) for line in self._one(found)]

    def _one(self, found: Mapping[str, Any]) -> Iterator[str]:
        declared = str(found["contentType"]).strip() or None
        data = found.get("data") or found.get("content")  # `content` before release 3
        title = found.get("title")
        said = f" ({' '.join(tidy(title).split())[:200]})" if isinstance(title, str) and title.strip() else ""
        if isinstance(data, str) and data.strip():
            made = decoded(data, declared)
            if made is None:
                self.warnings.append(UNDECODED)
                return
            kind = kind_of(detect(made, declared=declared))
            name = f"embedded-{len(self.embedded) + 1}{kind.extension}"
            self.embedded.append(Embedded(name, declared, made))
            yield f"A document{said} is {kind.name}, kept beside this one as {name}."
        elif isinstance(address := found.get("url"), str) and address:
            yield f"A document{said} is {self._referred(address)}."

    def _referred(self, address: str) -> str:
        parts = address.split("/_history/", maxsplit=1)[0].split("/")
        for key in (address, "/".join(parts[-2:])):
            if key in self._by_address:
                return f"the resource {'/'.join(parts[-2:])} in this file"
        wanted = PurePosixPath(address.replace("\\", "/").split("?")[0]).name
        beside = {PurePosixPath(name.replace("\\", "/")).name for name in self._source.siblings}
        if wanted not in beside:
            remote = "://" in address or not beside
            self.warnings.append(ELSEWHERE if remote else MISSING)
        return f"elsewhere, as {address[:300]}" if wanted not in beside else f"the file {wanted}"


def _attachments(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Attachments anywhere in a resource, without those of resources contained in it."""
    stack: list[Any] = [resource]
    while stack:
        top = stack.pop()
        if isinstance(top, list):
            stack.extend(reversed(top))
        elif isinstance(top, Mapping):
            if is_attachment(top):
                yield top
            stack.extend(reversed([part for key, part in top.items() if key != "contained"]))
