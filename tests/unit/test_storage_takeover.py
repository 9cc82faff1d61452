"""A folder of outputs becomes that of the document: by one rename, all of it or nothing, after any crash."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from docpipe.storage import FolderStorage
from tests.unit.test_storage_folder import DOCUMENT, PATIENT, Crash, crash_at, listing, visible

CONTENTS = {"original.pdf": b"%PDF", "text.md": b"text", "document.pdf": b"%PDF-2"}


def spooled(root: Path, **more: bytes) -> tuple[dict[str, Path], Path]:
    """The files of a document as a conversion leaves them, and the folder of its outputs."""
    outputs = root / "out"
    outputs.mkdir(mode=0o700, parents=True)
    files = {name: outputs / name for name in CONTENTS} | {"original.pdf": root / "00001.bin"}
    for name, path in files.items():
        write(path, CONTENTS[name])
    for name, data in more.items():
        write(outputs / name, data)
    return files, outputs


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


async def test_the_folder_is_taken_and_the_original_stays(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "storage")
    files, outputs = spooled(tmp_path / "spool")
    done = await storage.put_document(PATIENT, DOCUMENT, files, {"title": "T"}, outputs=outputs)
    folder = tmp_path / "storage" / PATIENT / DOCUMENT
    sizes = {name: len(data) for name, data in CONTENTS.items()}
    assert done == {"key": f"{PATIENT}/{DOCUMENT}", "files": sizes, "moved": folder}
    assert await storage.find_document(PATIENT, DOCUMENT) == {"title": "T", "files": sizes}
    assert {name: (folder / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert listing(folder) == {*CONTENTS, "metadata.json"}
    assert files["original.pdf"].exists()
    assert not outputs.exists()


async def test_a_crash_at_any_step_shows_nothing_or_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat completes the document, whether its folder was there already or not."""
    step, finished = 0, False
    while not finished:
        step += 1
        root = tmp_path / f"{step}"
        storage, (files, outputs) = FolderStorage(root / "storage"), spooled(root / "spool")
        folder = root / "storage" / PATIENT / DOCUMENT
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            try:
                await storage.put_document(PATIENT, DOCUMENT, files, {"title": "T"}, outputs=outputs)
                finished = True
            except Crash:
                pass
        assert set(visible(folder)) in (set(), {*CONTENTS, "metadata.json"})
        again = FolderStorage(root / "storage")
        done = await again.put_document(PATIENT, DOCUMENT, files, {"title": "T"}, outputs=outputs)
        assert done["files"] == {name: len(data) for name, data in CONTENTS.items()}
        assert {name: (folder / name).read_bytes() for name in CONTENTS} == CONTENTS
        assert listing(folder) == {*CONTENTS, "metadata.json"}
    assert step > 8


async def test_all_is_on_the_disk_before_the_folder_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace: list[tuple[str, str]] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(number: int) -> None:
        real_fsync(number)
        trace.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))

    def rename(source: Any, target: Any) -> None:
        real_rename(source, target)
        trace.append(("rename", Path(target).name))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    files, outputs = spooled(tmp_path / "spool")
    await FolderStorage(tmp_path / "storage").put_document(PATIENT, DOCUMENT, files, {}, outputs=outputs)
    assert trace == [
        ("sync", "metadata.json"),
        ("sync", "out"),
        ("sync", tmp_path.name),  # the root has a name
        ("sync", "storage"),  # the patient's folder has one
        ("rename", DOCUMENT),
        ("sync", PATIENT),
    ]


async def test_what_is_more_than_the_files_stays_where_it_is(tmp_path: Path) -> None:
    """Documents in the document are read later, and rests of a failed conversion are no part of it."""
    files, outputs = spooled(tmp_path / "spool", rest=b"half")
    done = await FolderStorage(tmp_path / "storage").put_document(
        PATIENT, DOCUMENT, files, {}, outputs=outputs
    )
    assert "moved" not in done
    assert listing(outputs) == {"text.md", "document.pdf", "rest"}
    assert listing(tmp_path / "storage" / PATIENT / DOCUMENT) == {*CONTENTS, "metadata.json"}


@pytest.mark.parametrize("kind", ["mode", "link"])
async def test_what_is_not_private_or_no_plain_file_is_not_taken(tmp_path: Path, kind: str) -> None:
    files, outputs = spooled(tmp_path / "spool")
    if kind == "mode":
        files["text.md"].chmod(0o644)
    else:
        files["text.md"].unlink()
        files["text.md"].symlink_to("/etc/hostname")
    storage = FolderStorage(tmp_path / "storage")
    if kind == "mode":
        assert "moved" not in await storage.put_document(PATIENT, DOCUMENT, files, {}, outputs=outputs)
        return
    with pytest.raises(OSError, match="not a regular file"):
        await storage.put_document(PATIENT, DOCUMENT, files, {}, outputs=outputs)
    assert await storage.find_document(PATIENT, DOCUMENT) is None


async def test_an_earlier_version_is_replaced_as_before(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "storage")
    for number in range(2):
        files, outputs = spooled(tmp_path / f"spool{number}")
        done = await storage.put_document(PATIENT, DOCUMENT, files, {"n": number}, outputs=outputs)
        assert ("moved" in done) == (number == 0)
    assert (await storage.find_document(PATIENT, DOCUMENT) or {})["n"] == 1


async def test_another_file_system_gets_copies_and_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def rename(source: Any, target: Any) -> None:
        tries.append(str(target))
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))

    monkeypatch.setattr(os, "rename", rename)
    storage = FolderStorage(tmp_path / "storage")
    for number in range(2):
        files, outputs = spooled(tmp_path / f"spool{number}")
        done = await storage.put_document(PATIENT, f"{number:016x}", files, {}, outputs=outputs)
        assert "moved" not in done
        assert await storage.find_document(PATIENT, f"{number:016x}") is not None
    assert len(tries) == 1


async def test_a_patients_folder_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "storage")
    for number in range(2):
        files, outputs = spooled(tmp_path / f"spool{number}")
        await storage.put_document(PATIENT, f"{number:016x}", files, {}, outputs=outputs)
        if not number:
            storage.tree().remove(PATIENT)
    assert listing(tmp_path / "storage" / PATIENT) == {"0000000000000001"}
