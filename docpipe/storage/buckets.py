"""An object store as a tree of names; obstore itself retries, since there is no gate here."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore import exceptions

from docpipe.storage.attempts import error_without_retry
from docpipe.storage.names import FLEET, TEMPORARY
from docpipe.storage.tree import Listing

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_READ: Final = 4 * 2**20
_T = TypeVar("_T")


class BucketTree:
    """A bucket with a prefix: a `Tree`. A listing costs one request for each thousand files."""

    def __init__(self, store: "ObjectStore", url: str) -> None:
        self._store = store
        self._url = url.removesuffix("/")

    def patients(self) -> list[str]:
        """See Tree."""
        folders = _made(lambda: obstore.list_with_delimiter(self._store))["common_prefixes"]
        return sorted(name for name in folders if not name.startswith(FLEET))

    def orphans(self) -> list[str]:
        """See Tree."""
        top = _made(lambda: obstore.list_with_delimiter(self._store))["objects"]
        return sorted(item["path"] for item in top if item["path"].startswith(TEMPORARY))

    def listing(self, patient: str) -> Listing:
        """See Tree."""
        listing, start = Listing(), f"{patient}/"
        for item in _made(lambda: obstore.list(self._store, start).collect()):
            path = item["path"].removeprefix(start)
            listing.files[path] = item["size"]
            parts = path.split("/")
            listing.folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return listing

    def names(self, folder: str) -> list[str]:
        """See Tree. A request for each thousand names."""
        here = _made(lambda: obstore.list_with_delimiter(self._store, f"{folder}/"))
        paths = [*here["common_prefixes"], *(item["path"] for item in here["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def exists(self, path: str) -> bool:
        """See Tree."""
        try:
            _made(lambda: obstore.head(self._store, path))
        except FileNotFoundError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """See Tree."""
        return bytes(_made(lambda: obstore.get(self._store, path).bytes()))

    def sha256(self, path: str) -> str:
        """See Tree."""
        digest = hashlib.sha256()
        for piece in self._pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    def copy(self, path: str, target: Path) -> None:
        """See Tree."""
        with target.open("wb") as file:
            for piece in self._pieces(path):
                file.write(piece)

    def _pieces(self, path: str) -> Iterator[bytes]:
        size = _made(lambda: obstore.head(self._store, path))["size"]
        for start in range(0, size, _READ):
            end = min(size, start + _READ)
            yield bytes(_made(lambda: obstore.get_range(self._store, path, start=start, end=end)))  # noqa: B023 -- called here

    def remove(self, path: str) -> None:
        """See Tree."""
        inner = [item["path"] for item in _made(lambda: obstore.list(self._store, f"{path}/").collect())]
        for gone in (*inner, path):
            try:
                _made(lambda: obstore.delete(self._store, gone))  # noqa: B023 -- called here
            except FileNotFoundError:  # some stores say so
                continue

    def where(self, path: str = "") -> str:
        """See Tree."""
        return f"{self._url}/{path}" if path else self._url


def _made(request: Callable[[], _T]) -> _T:
    try:
        return request()
    except (FileNotFoundError, exceptions.BaseError) as error:
        raise error_without_retry(error) from error
