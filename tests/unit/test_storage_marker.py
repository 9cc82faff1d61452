"""A storage folder that is another one than before, as where its disk is not mounted, is not used."""

import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from docpipe.errors import StateError
from docpipe.storage import FolderStorage
from docpipe.storage.marker import MARKER, Marker

PATIENT, DOCUMENT, RUN = "P123", "0123456789abcdef", "01J00000000000000000000000"


def opened(tmp_path: Path) -> FolderStorage:
    (tmp_path / "state").mkdir(exist_ok=True)
    return FolderStorage(tmp_path / "storage", known=tmp_path / "state" / "storages.json")


async def stored(tmp_path: Path) -> FolderStorage:
    """A storage with one document."""
    storage = opened(tmp_path)
    await storage.check()
    source = tmp_path / "text.md"
    source.write_bytes(b"1")
    await storage.put_document(PATIENT, DOCUMENT, {"text.md": source}, {})
    return storage


def unmount(tmp_path: Path, *, other: bool = False) -> None:
    """Leave what is below a mount point: an empty folder, or the storage of somebody else."""
    (tmp_path / "storage").rename(tmp_path / "disk")
    (tmp_path / "storage").mkdir()
    if other:
        (tmp_path / "storage" / MARKER).write_text("f" * 32 + "\n")


def mount(tmp_path: Path) -> None:
    left = list((tmp_path / "storage").iterdir())
    assert [path.name for path in left if path.name != MARKER] == [], "nothing is written below"
    for path in left:
        path.unlink()
    (tmp_path / "storage").rmdir()
    (tmp_path / "disk").rename(tmp_path / "storage")


USES: dict[str, Callable[[FolderStorage, Path], Awaitable[Any]]] = {
    "put_document": lambda storage, path: storage.put_document(PATIENT, "f" * 16, {"text.md": path}, {}),
    "put_run_files": lambda storage, _: storage.put_run_files(PATIENT, RUN, {"manifest.json": b"{}"}),
    "find_document": lambda storage, _: storage.find_document(PATIENT, DOCUMENT),
    "get_document_file": lambda storage, _: storage.get_document_file(PATIENT, DOCUMENT, "text.md"),
    "get_run_file": lambda storage, _: storage.get_run_file(PATIENT, RUN, "manifest.json"),
    "size": lambda storage, _: storage.size(PATIENT, "text.md", document_id=DOCUMENT),
}


@pytest.mark.parametrize("other", [False, True], ids=["empty", "another"])
@pytest.mark.parametrize("use", USES)
async def test_nothing_is_written_and_nothing_is_missing(tmp_path: Path, use: str, other: bool) -> None:
    """Each use of the storage raises while it is not mounted, also in a new process."""
    storage = await stored(tmp_path)
    unmount(tmp_path, other=other)
    for one in (storage, opened(tmp_path)):
        with pytest.raises(OSError, match="mounted") as raised:
            await USES[use](one, tmp_path / "text.md")
        assert raised.value.errno == errno.ENODEV
    mount(tmp_path)
    await USES[use](storage, tmp_path / "text.md")
    assert await storage.find_document(PATIENT, DOCUMENT) is not None


async def test_lists_of_all_are_refused(tmp_path: Path) -> None:
    """`check` and `forget` read trees: an empty one would be believed."""
    storage = await stored(tmp_path)
    unmount(tmp_path)
    tree = storage.tree()
    for read in (
        tree.patients,
        lambda: tree.listing(PATIENT),
        lambda: tree.names(f"{PATIENT}/runs"),
        lambda: tree.exists(f"{PATIENT}/x"),
    ):
        with pytest.raises(OSError, match="not mounted"):
            read()
    mount(tmp_path)
    assert tree.patients() == [PATIENT]


@pytest.mark.parametrize("gone", [False, True], ids=["the mount point itself", "a folder on the mount"])
async def test_the_start_names_the_cure(tmp_path: Path, gone: bool) -> None:
    """Neither an empty folder nor a missing one is taken in its place; the cure works."""
    await stored(tmp_path)
    unmount(tmp_path)
    if gone:
        (tmp_path / "storage").rmdir()
    with pytest.raises(StateError, match=r"mount it.*delete .*storages\.json"):
        await opened(tmp_path).check()
    assert (tmp_path / "storage").exists() is not gone
    (tmp_path / "state" / "storages.json").unlink()
    await opened(tmp_path).check()
    assert (tmp_path / "storage" / MARKER).exists()


async def test_another_state_folder_takes_the_storage_as_it_is(tmp_path: Path) -> None:
    """A storage that was moved, or whose state was lost, is used with the marker that it has."""
    await stored(tmp_path)
    before = (tmp_path / "storage" / MARKER).read_bytes()
    (tmp_path / "other").mkdir()
    storage = FolderStorage(tmp_path / "storage", known=tmp_path / "other" / "storages.json")
    await storage.check()
    assert (tmp_path / "storage" / MARKER).read_bytes() == before
    (tmp_path / "storage").rename(tmp_path / "moved")
    await FolderStorage(tmp_path / "moved", known=tmp_path / "other" / "storages.json").check()
    assert await FolderStorage(tmp_path / "moved").find_document(PATIENT, DOCUMENT) is not None


def test_many_that_begin_at_once_agree(tmp_path: Path) -> None:
    """Machines of a fleet share a storage: the first marker counts for all."""
    (tmp_path / "storage").mkdir()
    for number in range(8):
        (tmp_path / f"state{number}").mkdir()
    markers = [Marker(tmp_path / "storage", tmp_path / f"state{number}" / "known") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(Marker.begin, markers))
    for marker in markers:
        marker.refuse_other()
    assert [path.name for path in (tmp_path / "storage").iterdir()] == [MARKER]


def test_without_hard_links_a_marker_is_left_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on shares of Windows."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr("os.link", link)
    Marker(tmp_path, tmp_path / "known").begin()
    assert {path.name for path in tmp_path.iterdir()} == {MARKER, "known"}
