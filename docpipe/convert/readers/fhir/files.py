"""The documents that FHIR resources carry or refer to."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

from docpipe.convert.core.base import Embedded, Source
from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.payload import ELSEWHERE, MISSING, UNDECODED, decoded
from docpipe.convert.readers.fhir.values import is_attachment, is_data_address


class Attachments:
    """Extracts documents from resources; warns once of those that are not available."""

    def __init__(self, source: Source, by_address: Mapping[str, Mapping[str, Any]]) -> None:
        self.embedded: list[Embedded] = []
        self.warnings: list[str] = []
        self._source = source
        self._by_address = by_address

    def take(self, resource: Mapping[str, Any]) -> list[str]:
        """Extract the documents of a resource; a sentence on each, for people."""
        return [line for attachment in _attachments(resource) for line in self._one(attachment)]

    def _one(self, attachment: Mapping[str, Any]) -> Iterator[str]:
        declared = str(attachment.get("contentType") or "").strip() or None
        data = attachment.get("data") or attachment.get("content")  # `content` before release 3
        address = attachment.get("url")
        if not data and isinstance(address, str) and is_data_address(address):
            declared, data = _inside(address, declared)
        title = attachment.get("title")
        named = (
            f" ({' '.join(tidy(title).split())[:200]})" if isinstance(title, str) and title.strip() else ""
        )
        if isinstance(data, str) and data.strip():
            made = decoded(data, declared)
            if made is None:
                self.warnings.append(UNDECODED)
                return
            kind = kind_of(detect(made, declared=declared))
            name = f"embedded-{len(self.embedded) + 1}{kind.extension}"
            self.embedded.append(Embedded(name, declared, made))
            yield f"A document{named} is {kind.name}, kept beside this one as {name}."
        elif isinstance(address, str) and address:
            yield f"A document{named} is {self._referred(address)}."

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
            stack.extend(reversed([_wrapped(key, part) for key, part in top.items() if key != "contained"]))


def _wrapped(key: str, part: Any) -> Any:
    """A member; an address that holds a document as an attachment."""
    return {"url": part} if key != "url" and isinstance(part, str) and is_data_address(part) else part


def _inside(address: str, declared: str | None) -> tuple[str | None, str]:
    """The type and the base64 of a document that an address holds."""
    head, _, data = address.partition(",")
    media_type = head[5:].partition(";")[0] or None
    raw = unquote_to_bytes(data)
    coded = raw if head.lower().endswith(";base64") else base64.b64encode(raw)
    return declared or media_type, coded.decode("ascii", "replace")
