"""Decodes answers of the DocumentExchange. Optional members that have the wrong type count as missing."""

from typing import Any, Final

from msgspec import Struct

from docpipe.results.search import ArchiveLink, ListedDocument

_LONGEST: Final = 1000
_WAITING: Final = ("queued", "running")


class SearchStatus(Struct, frozen=True, kw_only=True):
    """A search, as the exchange answers it."""

    id: str
    state: str
    archive: ArchiveLink | None = None
    documents: list[ListedDocument] = []
    progress: float | None = None
    error: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether it is in a state that the contract has for searches that are not over."""
        return self.state in _WAITING


def is_search_status(body: Any) -> bool:
    """Whether the JSON of a search keeps the contract as far as docpipe relies on it.

    A search that is ready and lists documents without an archive does not.
    """
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):
        return False
    state, archive = body.get("state"), body.get("archive")
    progress, documents = body.get("progress"), body.get("documents") or []
    if not isinstance(state, str) or not isinstance(documents, list):
        return False
    if progress is not None and not isinstance(progress, int | float):
        return False
    if archive is not None and not (isinstance(archive, dict) and isinstance(archive.get("url"), str)):
        return False
    return all(isinstance(item, dict) for item in documents) and not (
        state == "ready" and documents and archive is None
    )


def search_status(body: Any) -> SearchStatus | None:
    """Decode the JSON of a search; None where it breaks the contract, see `is_search_status`."""
    if not is_search_status(body):
        return None
    archive = body.get("archive")
    return SearchStatus(
        id=body["id"],
        state=body["state"],
        archive=None if archive is None else _link(archive),
        documents=[_document(item) for item in body.get("documents") or []],
        progress=body.get("progress"),
        error=_text(body.get("error")),
    )


def _link(archive: dict[str, Any]) -> ArchiveLink:
    size, sha256 = archive.get("size"), _text(archive.get("sha256"))
    if isinstance(size, str) and size.isdecimal():
        size = int(size)
    return ArchiveLink(
        url=archive["url"],
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        sha256=sha256 and sha256.lower().removeprefix("sha256:"),
    )


def _document(item: dict[str, Any]) -> ListedDocument:
    texts = {name: _text(item.get(name)) for name in ("media_type", "title", "author", "created")}
    path = item.get("path")
    return ListedDocument(path=path if isinstance(path, str) else None, **texts)


def _text(value: Any) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) else None
