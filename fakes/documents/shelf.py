"""The archives of the patients, made when first asked for and kept while there is room."""

import asyncio
import hashlib
import mimetypes
import mmap
import tempfile
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fakes.documents.pack import Made, entry
from fakes.patients import Person

_ROOM_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Facts:
    """What the exchange says of an archive."""

    size: int
    sha256: str
    documents: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip and its facts."""

    facts: Facts
    body: memoryview


class Shelf:
    """Archives by patient. Making one takes CPU, so a thread does it; the bytes are the same each time."""

    def __init__(self, seed: int, mix: str, folder: Path | None) -> None:
        self._seed, self._mix, self._folder = seed, mix, folder
        self._facts: dict[Person | None, Facts] = {}
        self._kept: OrderedDict[Person | None, Archive] = OrderedDict()
        self._room = _ROOM_BYTES
        self._making: dict[Person | None, asyncio.Future[Archive]] = {}
        self._pool = ThreadPoolExecutor(1, "fakes-documents")

    async def facts(self, person: Person) -> Facts:
        """What the exchange says of the patient's archive."""
        known = self._facts.get(self._slot(person))
        return known if known is not None else (await self.archive(person)).facts

    async def archive(self, person: Person) -> Archive:
        """The patient's archive."""
        slot = self._slot(person)
        if (kept := self._kept.get(slot)) is not None:
            self._kept.move_to_end(slot)
            return kept
        if self._mix == "tiny" and slot is not None:  # cheaper than a thread, and in order
            return self._keep(slot, self._make(slot))
        making = self._making.get(slot)
        if making is None:
            making = asyncio.get_running_loop().run_in_executor(self._pool, self._make, slot)
            self._making[slot] = making
            making.add_done_callback(lambda done: self._made(slot, done))
        return await asyncio.shield(making)  # others may wait for it too

    def close(self) -> None:
        """Stop making archives; safe to call again."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _slot(self, person: Person) -> Person | None:
        """A folder's archive is the same for everybody."""
        return person if self._folder is None else None

    def _made(self, slot: Person | None, done: asyncio.Future[Archive]) -> None:
        del self._making[slot]
        if not done.cancelled() and done.exception() is None:
            self._keep(slot, done.result())

    def _keep(self, slot: Person | None, archive: Archive) -> Archive:
        self._kept[slot] = archive
        self._facts[slot] = archive.facts
        self._room -= archive.facts.size
        while self._room < 0 and len(self._kept) > 1:
            self._room += self._kept.popitem(last=False)[1].facts.size
        return archive

    def _make(self, slot: Person | None) -> Archive:
        if slot is None:
            return _folder_archive(self._folder or Path())
        if self._mix == "tiny":
            from fakes.documents.tiny import make_tiny as make  # noqa: PLC0415 - its sibling is heavy
        else:
            from fakes.documents.mix import make_full as make  # noqa: PLC0415 - imports Pillow, typst, ...
        made: Made = make(self._seed, slot)
        digest = hashlib.sha256(made.body).hexdigest()
        return Archive(Facts(len(made.body), digest, tuple(made.documents)), memoryview(made.body))


def _folder_archive(folder: Path) -> Archive:
    """Everything under a folder, on disk, as it may be large."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    documents = []
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as packed:
            for path in paths:
                name = path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()
                with path.open("rb") as source, packed.open(entry(name), "w", force_zip64=True) as target:
                    while block := source.read(2**20):
                        target.write(block)
                documents.append(_described(name))
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        body = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
    return Archive(Facts(size, digest, tuple(documents)), body)


def _described(name: str) -> dict[str, Any]:
    media_type = mimetypes.guess_type(name)[0]
    return {"path": name, "title": Path(name).stem, **({"media_type": media_type} if media_type else {})}
