"""The spool: names of siblings lie beside the files, also where an older docpipe left them out."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docpipe.activities import spool as module
from docpipe.activities.activities import Activities
from docpipe.activities.spool import SIBLINGS, FolderSpool, OutFolders
from docpipe.errors import RunError
from docpipe.gates.line import Slots
from docpipe.model import Ticket
from docpipe.results.files import Archive, Converted, Member
from docpipe.results.search import ArchiveLink, Ready, Search
from docpipe.storage import FolderStorage

RUN = "01J00000000000000000000000"
DONE = Archive(
    state="ready",
    members=[
        Member(path="a/b.txt", file="files/1"),
        Member(path="gone.txt"),
        Member(path="c.txt", file="files/2"),
    ],
)
READY = Ready(state="ready", archive=ArchiveLink(url="/a", sha256=None, size=None))


class Source:
    """An exchange that has one archive."""

    async def download(self, _step: Any, _search: Search, _ready: Ready, folder: Path) -> Archive:
        (folder / "files").mkdir(exist_ok=True)
        for member in DONE.members:
            if member.file:
                (folder / member.file).write_text(member.path)
        return DONE


def over(folder: Path) -> Activities:
    others: Any = dict.fromkeys(("patients", "tracker", "workers", "storage"))
    return Activities(
        **others,
        exchange=Source(),  # type: ignore[arg-type]  # no more than what is asked
        downloads=Slots(1, lambda: 0.0),
        spool=FolderSpool(folder),
        clock=lambda: 0.0,
    )


async def test_a_download_writes_the_names_of_the_files(tmp_path: Path) -> None:
    """Conversions read them there; another download of the run writes them again."""
    step: Any = SimpleNamespace(ticket=Ticket(RUN))
    (tmp_path / RUN).mkdir()
    (tmp_path / RUN / SIBLINGS).write_text("[]")
    await over(tmp_path).download_and_extract(step, RUN, Search(search_id="S1"), READY)
    assert json.loads((tmp_path / RUN / SIBLINGS).read_text()) == ["a/b.txt", "c.txt"]


async def test_files_of_an_older_docpipe_get_them_when_their_run_continues(tmp_path: Path) -> None:
    """There the first conversion wrote the names; files that are lost get none, and are downloaded again."""
    activities = over(tmp_path)
    assert not activities.extracted(RUN)(DONE)
    (tmp_path / RUN / "files").mkdir(parents=True)
    for name in ("1", "2"):
        (tmp_path / RUN / "files" / name).touch()
    assert activities.extracted(RUN)(DONE)
    assert json.loads((tmp_path / RUN / SIBLINGS).read_text()) == ["a/b.txt", "c.txt"]
    await activities.spool.drop(RUN)
    await activities.spool.drop(RUN)
    assert not (tmp_path / RUN).exists()


def a_conversion(**more: Any) -> Converted:
    facts: Any = {"reason": None, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"]}
    return Converted(**{"outcome": "converted", **facts, "metadata": {}, "embedded": [], **more})


def test_outputs_that_went_to_the_storage_are_not_made_again(tmp_path: Path) -> None:
    """Their folder is gone as a whole; one that lacks a file, or documents to be read, is made again."""
    valid = over(tmp_path).converted(RUN, "00001")
    assert valid(a_conversion())
    assert not valid(a_conversion(embedded=[Member(path="a", file="out/00001/embedded/001")]))
    (tmp_path / RUN / "out" / "00001").mkdir(parents=True)
    assert not valid(a_conversion())
    (tmp_path / RUN / "out" / "00001" / "text.md").touch()
    assert valid(a_conversion())


async def test_a_document_that_is_in_its_place_is_not_stored_again(tmp_path: Path) -> None:
    """After a kill between the storage and the checkpoint; if it was removed since, the run says so."""
    storage = FolderStorage(tmp_path / "storage")
    activities = replace(over(tmp_path), storage=storage)
    member = Member(path="a.txt", file="files/1", id="0123456789abcdef", size=1, sha256="0" * 64)
    (tmp_path / RUN / "files").mkdir(parents=True)
    (outputs := tmp_path / RUN / "out" / "00001").mkdir(parents=True, mode=0o700)
    for path in (tmp_path / RUN / "files" / "1", outputs / "text.md"):
        path.write_text("a")
        path.chmod(0o600)
    step: Any = SimpleNamespace(ticket=Ticket(RUN))
    place = ("P123", RUN, "00001")
    for _ in range(2):
        stored = await activities.store(step, place, member, a_conversion())
        assert stored.key == "P123/0123456789abcdef"
        assert not outputs.exists()
    storage.tree().remove("P123")
    with pytest.raises(RunError, match="removed from the storage"):
        await activities.store(step, place, member, a_conversion())


def test_folders_of_conversions_are_made_with_one_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is handed over once, empty and durable; what an earlier attempt has left is not among them."""
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync_folder", synced.append)
    folder, folders = tmp_path / RUN, OutFolders()
    (folder / "out" / "00002").mkdir(parents=True)
    folders.make(folder, ["00001", "00002", "00003"])
    assert synced == [folder / "out"]
    assert [folders.take(RUN, f"0000{number}") for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert not folders.take(RUN, "00001")
    assert {path.name for path in (folder / "out").iterdir()} == {"00001", "00002", "00003"}
    folders.make(folder, [f"{number:05d}" for number in range(10, 1000)])
    assert len(list((folder / "out").iterdir())) < 300
    folders.forget(RUN)
    assert not folders.take(RUN, "00010")
    assert not folders._made
