"""Documents are looked for together: how many trips through threads that takes, and whose error is whose."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from docpipe.storage.buckets import BucketTree
from docpipe.storage.folder import FolderStorage
from docpipe.storage.tree import FolderTree

PATIENT = "P1"
DOCUMENTS = [f"{number:016x}" for number in range(4)]


class CountingExecutor(ThreadPoolExecutor):
    """Counts the trips through its threads."""

    trips = 0

    def submit(self, *args: Any, **more: Any) -> Any:
        self.trips += 1
        return super().submit(*args, **more)


async def stored(folder: Path, executor: CountingExecutor) -> FolderStorage:
    """A storage with one document: the first."""
    storage = FolderStorage(folder / "storage", executor)
    (folder / "a").write_bytes(b"1")
    await storage.put_document(PATIENT, DOCUMENTS[0], {"text.md": folder / "a"}, {"title": "A"})
    executor.trips = 0
    return storage


async def test_documents_of_a_run_take_one_trip(tmp_path: Path) -> None:
    """Those that are asked for at the same time share a thread; each gets its own answer."""
    with CountingExecutor() as executor:
        storage = await stored(tmp_path, executor)
        answers = await asyncio.gather(*(storage.find_document(PATIENT, name) for name in DOCUMENTS))
        assert [answer and answer["title"] for answer in answers] == ["A", None, None, None]
        assert executor.trips == 1
        assert await storage.find_document(PATIENT, DOCUMENTS[0])
        assert executor.trips == 2


async def test_an_error_is_raised_where_it_belongs(tmp_path: Path) -> None:
    """A document that cannot be read fails its own look alone."""
    with CountingExecutor() as executor:
        storage = await stored(tmp_path, executor)
        (tmp_path / "storage" / PATIENT / DOCUMENTS[1] / "metadata.json").mkdir(parents=True)
        wanted = (storage.find_document(PATIENT, name) for name in DOCUMENTS)
        answers = await asyncio.gather(*wanted, return_exceptions=True)
    assert isinstance(answers[1], IsADirectoryError)
    assert answers[0]["title"] == "A"
    assert answers[2:] == [None, None]


async def test_who_is_cancelled_disturbs_nobody(tmp_path: Path) -> None:
    """The others, whichever came first, have their answers."""
    with CountingExecutor() as executor:
        storage = await stored(tmp_path, executor)
        finding = [asyncio.create_task(storage.find_document(PATIENT, name)) for name in DOCUMENTS[:1] * 3]
        await asyncio.sleep(0)
        finding[0].cancel()
        answers = await asyncio.gather(*finding, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer["title"] for answer in answers[1:]] == ["A", "A"]


async def test_without_a_thread_each_caller_learns_why(tmp_path: Path) -> None:
    """The machine refuses a thread: as any other trouble of it, it can be waited out."""

    class Refusing(CountingExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("can't start new thread")

    storage = FolderStorage(tmp_path / "storage", Refusing())
    wanted = (storage.find_document(PATIENT, name) for name in DOCUMENTS)
    answers = await asyncio.gather(*wanted, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["can't start new thread"] * len(DOCUMENTS)


def test_another_loop_starts_anew(tmp_path: Path) -> None:
    """What a loop left behind that was closed at once does not hold up the next."""
    storage = FolderStorage(tmp_path / "storage")
    loop = asyncio.new_event_loop()
    left = loop.create_task(storage.find_document(PATIENT, DOCUMENTS[0]))
    loop.call_soon(loop.stop)
    loop.run_forever()
    left.cancel()
    loop.close()
    assert asyncio.run(asyncio.wait_for(storage.find_document(PATIENT, DOCUMENTS[0]), 60)) is None


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_names_in_a_folder(tmp_path: Path, kind: str) -> None:
    """Files and folders, in order, and nothing of what is below them or beside it."""
    paths = (
        "P1/runs/B/manifest.json",
        "P1/runs/A/manifest.json",
        "P1/runs/c",
        "P1/runs2/D/x",
        "P1/d/text.md",
    )
    store = MemoryStore()
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"1")
        store.put(path, b"1")
    tree = FolderTree(tmp_path) if kind == "folder" else BucketTree(store, "memory://")
    assert tree.names("P1/runs") == ["A", "B", "c"]
    assert tree.names("P2/runs") == []
