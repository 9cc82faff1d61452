"""The folder storage: atomic, repeatable after a crash at any step, and safe against names."""

import asyncio
import json
import os
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.errors import StateError
from docpipe.storage import FolderStorage, folder_name, opening
from docpipe.storage.names import to_json

PATIENT, DOCUMENT = "P123", "0123456789abcdef"
CALLS = ["fsync", "replace", "rename", "link", "unlink", "mkdir", "open", "chmod"]


class Crash(BaseException):
    """The process ends here."""


def sources(tmp_path: Path, mode: int = 0o644, **contents: bytes) -> dict[str, Path]:
    """Files in a spool, by the name they are to have; an underscore stands for the dot.

    A private file, of mode 0600, counts as synced.
    """
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    files = {}
    for name, data in contents.items():
        path = spool / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(mode)  # whatever the umask
        files[name.replace("_", ".")] = path
    return files


def visible(folder: Path) -> dict[str, bytes]:
    """What a reader sees."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".tmp-")}


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Make the `step`th call to the disk end the process, before it does anything."""
    calls: list[str] = []

    def counted(name: str, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            if len(calls) == step:
                raise Crash(name)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))
    return calls


async def test_a_document_is_stored_and_found(tmp_path):
    """What is put is found, with names and sizes, and files stay in the spool for a retry."""
    storage = FolderStorage(tmp_path / "storage")
    files = sources(tmp_path, original_pdf=b"%PDF", text_md=b"# Text\n")
    done = await storage.put_document(PATIENT, DOCUMENT, files, {"title": "Größe \ud800"})
    assert done == {"key": f"{PATIENT}/{DOCUMENT}", "files": {"original.pdf": 4, "text.md": 7}}
    assert await storage.find_document(PATIENT, DOCUMENT) == {"title": "Größe \ud800", "files": done["files"]}
    assert all(path.exists() for path in files.values())
    assert storage.key(PATIENT, DOCUMENT) == done["key"]
    assert storage.location(PATIENT, document_id=DOCUMENT) == str(tmp_path / "storage" / done["key"])
    assert storage.location(PATIENT, run_id="R1") == str(tmp_path / "storage" / PATIENT / "runs" / "R1")


async def test_folders_and_files_are_private(tmp_path):
    """Folders are 0700 and files 0600, whatever the mode in the spool."""
    storage = FolderStorage(tmp_path / "storage")
    files = sources(tmp_path, original_pdf=b"%PDF")
    files["original.pdf"].chmod(0o644)
    await storage.put_document(PATIENT, DOCUMENT, files, {})
    await storage.put_run_files(PATIENT, "R1", {"report.html": b"<!doctype html>"})
    for path in (tmp_path / "storage", *(tmp_path / "storage").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_files_are_copied_where_they_cannot_be_linked(tmp_path, monkeypatch):
    """Another file system has no second name for a file: its bytes are copied."""

    def other_disk(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    storage = FolderStorage(tmp_path / "storage")
    files = sources(tmp_path, original_pdf=b"x" * 3_000_000)
    await storage.put_document(PATIENT, DOCUMENT, files, {})
    stored = tmp_path / "storage" / PATIENT / DOCUMENT / "original.pdf"
    assert stored.read_bytes() == b"x" * 3_000_000
    assert stored.stat().st_ino != files["original.pdf"].stat().st_ino


@pytest.mark.parametrize(("linked", "mode"), [(True, 0o644), (True, 0o600), (False, 0o600)])
async def test_a_crash_at_any_step_is_mended_by_repeating(tmp_path, monkeypatch, linked, mode):
    """Wherever the process ends, nothing half is visible or found, and a repeat completes."""
    step, finished = 0, False
    contents = {"original_pdf": b"%PDF-1", "text_md": b"text", "document_pdf": b"%PDF-2"}
    plain = {name.replace("_", "."): data for name, data in contents.items()}
    while not finished:
        step += 1
        root = tmp_path / f"{step}"
        root.mkdir()
        storage, files = FolderStorage(root / "storage"), sources(root, mode, **contents)
        with monkeypatch.context() as patch:
            if not linked:
                patch.setattr(os, "link", _no_link)
            crash_at(patch, step)
            try:
                await storage.put_document(PATIENT, DOCUMENT, files, {"title": "T"})
                finished = True
            except Crash:
                pass
        folder = root / "storage" / PATIENT / DOCUMENT
        seen = visible(folder)
        assert all(data == plain[name] for name, data in seen.items() if name != "metadata.json")
        result = await storage.find_document(PATIENT, DOCUMENT)
        assert (result is not None) == ("metadata.json" in seen)
        if result:
            assert set(seen) == {*plain, "metadata.json"}
        await storage.put_document(PATIENT, DOCUMENT, files, {"title": "T"})
        assert (await storage.find_document(PATIENT, DOCUMENT) or {})["title"] == "T"
        assert listing(folder) == {*plain, "metadata.json"}
    assert step > (15 if linked and mode == 0o600 else 25)


def _no_link(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(18, "Invalid cross-device link")


async def test_a_crash_never_mixes_two_conversions(tmp_path, monkeypatch):
    """When a document is stored anew, what is found is the old one whole or the new one whole."""
    step, finished = 0, False
    while not finished:
        step += 1
        root = tmp_path / f"{step}"
        root.mkdir()
        storage = FolderStorage(root / "storage")
        old = sources(root, original_pdf=b"%PDF", text_md=b"old", thumbnail_png=b"png")
        await storage.put_document(PATIENT, DOCUMENT, old, {"title": "old"})
        new = sources(root, original_pdf=b"%PDF", text_md=b"new")
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            try:
                await storage.put_document(PATIENT, DOCUMENT, new, {"title": "new"})
                finished = True
            except Crash:
                pass
        result = await storage.find_document(PATIENT, DOCUMENT)
        if result:
            seen = visible(root / "storage" / PATIENT / DOCUMENT)
            assert seen["text.md"].decode() == result["title"]
    assert set(seen) == {"original.pdf", "text.md", "metadata.json"}


async def test_bytes_reach_the_disk_before_names(tmp_path, monkeypatch):
    """Every file is synced before its rename, the folder after it, and the metadata after all of these."""
    trace: list[tuple[str, str]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(number: int) -> None:
        real_fsync(number)
        trace.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))

    def replace(source: Any, target: Any) -> None:
        real_replace(source, target)
        trace.append(("rename", Path(target).name))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    files = sources(tmp_path, original_pdf=b"%PDF", text_md=b"text")
    await FolderStorage(tmp_path / "storage").put_document(PATIENT, DOCUMENT, files, {})
    assert trace == [
        ("sync", tmp_path.name),  # the root has a name
        ("sync", "storage"),  # the patient's folder has one
        ("sync", PATIENT),  # and the document's
        ("sync", ".tmp-original.pdf"),
        ("sync", ".tmp-text.md"),
        ("rename", "original.pdf"),
        ("rename", "text.md"),
        ("sync", DOCUMENT),
        ("sync", ".tmp-metadata.json"),
        ("rename", "metadata.json"),
        ("sync", DOCUMENT),
    ]


@pytest.mark.parametrize(
    ("shared", "mode", "linked_and_count"),
    [
        (False, 0o600, (True, 0)),
        (False, 0o644, (True, 2)),
        (True, 0o600, (True, 2)),
        (False, 0o600, (False, 2)),
    ],
)
async def test_what_the_spool_has_synced_is_not_synced_again(
    tmp_path, monkeypatch, shared, mode, linked_and_count
):
    """A second name of a file needs no fsync; a copy, a new mode and a file of another machine do."""
    (linked, count), synced = linked_and_count, list[str]()
    real = os.fsync

    def fsync(number: int) -> None:
        real(number)
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    if not linked:
        monkeypatch.setattr(os, "link", _no_link)
    files = sources(tmp_path, original_pdf=b"%PDF", text_md=b"text")
    for path in files.values():
        path.chmod(mode)
    storage = FolderStorage(tmp_path / "storage", shared=shared)
    await storage.put_document(PATIENT, DOCUMENT, files, {})
    assert sum(name.endswith((".pdf", ".md")) for name in synced) == count


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "metadata.json").unlink(),
        lambda folder: (folder / "metadata.json").write_bytes(b'{"files": {"text.md": 4'),
        lambda folder: (folder / "metadata.json").write_bytes(b"[1, 2]"),
        lambda folder: (folder / "metadata.json").write_bytes(b'{"files": [[1, 2]]}'),
        lambda folder: (folder / "metadata.json").write_bytes(b'{"files": {"../../x": 1}}'),
        lambda folder: (folder / "metadata.json").write_bytes(b"[" * 100_000),
        lambda folder: (folder / "text.md").unlink(),
        lambda folder: (folder / "text.md").write_bytes(b"longer than before"),
    ],
)
async def test_a_damaged_document_is_not_found(tmp_path, damage):
    """Missing or broken metadata, and files that are not as it says, mean that the document is not there."""
    storage = FolderStorage(tmp_path)
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"text"), {})
    damage(tmp_path / PATIENT / DOCUMENT)
    assert await storage.find_document(PATIENT, DOCUMENT) is None
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"text"), {})
    assert await storage.find_document(PATIENT, DOCUMENT) is not None


async def test_links_are_not_followed(tmp_path):
    """A link in place of a converter's output does not bring another file into the storage."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="not a regular file"):
        await FolderStorage(tmp_path / "s").put_document(
            PATIENT, DOCUMENT, {"text.md": tmp_path / "link"}, {}
        )


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a\\b", "metadata.json"])
async def test_names_that_are_no_names_are_a_mistake(tmp_path, name):
    """Names of files are docpipe's own; one that is unsafe is a mistake of the caller, and leaves nothing."""
    storage, path = FolderStorage(tmp_path / "s"), sources(tmp_path, text_md=b"t")["text.md"]
    with pytest.raises(ValueError, match=r"cannot be|written by"):
        await storage.put_document(PATIENT, DOCUMENT, {name: path}, {})
    if name != "metadata.json":
        with pytest.raises(ValueError, match="cannot be"):
            await storage.put_run_files(PATIENT, "R1", {name: b"t"})
    assert not (tmp_path / "s").exists()


async def test_run_files_are_replaced_and_read(tmp_path):
    """A file of a run can be written again, and one that is not there is None."""
    storage = FolderStorage(tmp_path)
    assert await storage.get_run_file(PATIENT, "R1", "report.json") is None
    await storage.put_run_files(PATIENT, "R1", {"report.json": b"1"})
    await storage.put_run_files(PATIENT, "R1", {"report.json": b"22"})
    await storage.put_run_files(PATIENT, "R1", {"report.html": b"3"})
    assert await storage.get_run_file(PATIENT, "R1", "report.json") == b"22"
    assert listing(tmp_path / PATIENT / "runs" / "R1") == {"report.json", "report.html"}


async def test_a_file_of_a_document_is_read(tmp_path):
    """A thumbnail comes back as it is; one that is not there is None, and no name leads elsewhere."""
    storage = FolderStorage(tmp_path / "s")
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"t"), {})
    assert await storage.get_document_file(PATIENT, DOCUMENT, "text.md") == b"t"
    assert await storage.get_document_file(PATIENT, DOCUMENT, "thumbnail.png") is None
    with pytest.raises(ValueError, match="cannot be"):
        await storage.get_document_file(PATIENT, DOCUMENT, "../text.md")


async def test_the_check_names_cause_and_cure(tmp_path):
    """A storage that cannot be written is reported in a sentence, and a good one is left empty."""
    await FolderStorage(tmp_path / "new" / "storage").check()
    assert listing(tmp_path / "new" / "storage") == set()
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"a part of the path is a file; .* storage\.url"):
        await FolderStorage(tmp_path / "file" / "storage").check()
    with pytest.raises(StateError, match="file"):
        await FolderStorage(tmp_path / "file").check()


@given(st.text(max_size=300))
def test_any_patient_has_a_safe_folder(patient_id):
    """Whatever an id holds, its folder is one plain name that fits and hides nothing."""
    name = folder_name(patient_id)
    assert 0 < len(name) <= 128
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>| ')
    assert name[0] not in ".-"
    assert name[-1] != "."


@given(st.lists(st.text("a.%~_-/\\ é", max_size=6) | st.text(max_size=200), unique=True, max_size=30))
def test_patients_never_share_a_folder(ids):
    """Two ids have two folders."""
    assert len({folder_name(patient_id) for patient_id in ids}) == len(ids)


def test_plain_ids_are_their_own_folder():
    """The layout of the design holds for ids as they are in practice."""
    assert [folder_name(name) for name in ("P123", "a-b_c.d", "..", "a/b", "_x")] == [
        "P123",
        "a-b_c.d",
        "%2E%2E",
        "a%2Fb",
        "%5Fx",
    ]


async def test_metadata_is_for_people_too(tmp_path):
    """The metadata is readable JSON in UTF-8."""
    storage = FolderStorage(tmp_path)
    await storage.put_document(PATIENT, DOCUMENT, {}, {"title": "Größe"})
    text = (tmp_path / PATIENT / DOCUMENT / "metadata.json").read_text("utf-8")
    assert "Größe" in text
    assert json.loads(text)["files"] == {}


def test_no_id_can_be_made_to_look_like_a_cut_one():
    """The folder of a long id, taken apart and used as an id, is another folder."""
    folder = folder_name(" " * 100)
    assert folder_name(unquote(folder)) != folder


async def test_parts_of_a_file_are_read(tmp_path: Path) -> None:
    """A stored file is read in chunks, whole or from one byte to another."""
    storage = FolderStorage(tmp_path / "storage")
    data = bytes(range(256)) * 3000
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=data), {})

    async def read(start: int = 0, end: int | None = None) -> bytes:
        chunks = storage.read(PATIENT, "text.md", document_id=DOCUMENT, start=start, end=end)
        return b"".join([chunk async for chunk in chunks])

    assert await storage.size(PATIENT, "text.md", document_id=DOCUMENT) == len(data)
    assert await read() == data
    assert await read(5, 300_000) == data[5:300_000]
    assert await read(len(data) - 1) == data[-1:]
    assert await read(7, 7) == b""


async def test_only_files_of_the_storage_are_read(tmp_path: Path) -> None:
    """Links, folders, other names and ways out of the storage are no files here."""
    storage = FolderStorage(tmp_path / "storage")
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"x"), {})
    folder = tmp_path / "storage" / PATIENT / DOCUMENT
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert await storage.size(PATIENT, "link", document_id=DOCUMENT) is None
    assert await storage.size(PATIENT, "no.pdf", document_id=DOCUMENT) is None
    assert await storage.size(PATIENT, DOCUMENT) is None
    assert await storage.size("..", "secret") is None
    for name in ("../text.md", "/etc/passwd", "..", ".hidden", "a\0b", ""):
        with pytest.raises(ValueError, match="cannot be the name"):
            await storage.size(PATIENT, name, document_id=DOCUMENT)
    with pytest.raises(OSError, match="symbolic"):
        [chunk async for chunk in storage.read(PATIENT, "link", document_id=DOCUMENT)]


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced from now on."""
    names: list[str] = []
    real = os.fsync

    def fsync(number: int) -> None:
        real(number)
        names.append(Path(f"/proc/self/fd/{number}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


async def test_a_folder_that_is_known_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second document of a patient costs no fsync of the folders above the patient's."""
    storage = FolderStorage(tmp_path / "storage")
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"1"), {})
    names = synced(monkeypatch)
    await storage.put_document(PATIENT, "f" * 16, sources(tmp_path, text_md=b"2"), {})
    assert names == [PATIENT, ".tmp-text.md", "f" * 16, ".tmp-metadata.json", "f" * 16]


async def test_a_folder_that_was_known_and_is_gone_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patient's folder may be removed while docpipe runs; all names are synced again."""
    storage = FolderStorage(tmp_path / "storage")
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"1"), {})
    shutil.rmtree(tmp_path / "storage")
    names = synced(monkeypatch)
    await storage.put_document(PATIENT, "f" * 16, sources(tmp_path, text_md=b"2"), {})
    assert names[:3] == [tmp_path.name, "storage", PATIENT]
    assert await storage.find_document(PATIENT, "f" * 16) is not None


async def test_a_folder_that_a_crash_left_behind_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is there may not yet have its name on the disk: another process knows nothing of that."""
    await FolderStorage(tmp_path / "storage").put_document(
        PATIENT, DOCUMENT, sources(tmp_path, text_md=b"1"), {}
    )
    names = synced(monkeypatch)
    await FolderStorage(tmp_path / "storage").put_document(
        PATIENT, DOCUMENT, sources(tmp_path, text_md=b"2"), {}
    )
    assert names[:2] == ["storage", PATIENT]


async def test_the_last_file_of_a_run_is_named_once_the_others_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a manifest, there are the reports."""
    storage = FolderStorage(tmp_path / "storage")
    names = synced(monkeypatch)
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        real(source, target)
        names.append(f"to {Path(target).name}")

    monkeypatch.setattr(os, "replace", replace)
    await storage.put_run_files(PATIENT, "R1", {"a.html": b"1", "b.json": b"2", "manifest.json": b"3"})
    assert names == [
        *(tmp_path.name, "storage", PATIENT, "runs"),
        *(".tmp-a.html", ".tmp-b.json", "to a.html", "to b.json", "R1"),
        *(".tmp-manifest.json", "to manifest.json", "R1"),
    ]


async def test_a_file_whose_caller_is_cancelled_while_it_is_opened_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has opened it by then, and nobody else could close it."""
    opened: list[BinaryIO] = []
    began, may_end, real = threading.Event(), threading.Event(), opening._open

    def slow(path: Path) -> BinaryIO:
        began.set()
        may_end.wait(60)
        opened.append(real(path))
        return opened[0]

    monkeypatch.setattr(opening, "_open", slow)
    (tmp_path / "a").write_bytes(b"a")
    with ThreadPoolExecutor(1) as executor:
        task = asyncio.create_task(opening.open_file(tmp_path / "a", executor))
        await asyncio.to_thread(began.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()
    for _ in range(10):  # the loop learns of the thread's end
        await asyncio.sleep(0)
    assert opened[0].closed


@pytest.mark.parametrize(
    "metadata",
    [
        {"title": "Größe \u2028 \x7f", "none": None, "list": [], "inner": {}, "deep": [[1, {"a": -0.5}]]},
        {"title": "a lone \ud800 surrogate", "list": [1, 2]},
        {"number": float("nan")},
        {},
    ],
)
def test_metadata_are_indented_as_json_has_it(metadata):
    """However they are encoded, files of earlier releases and of this one are the same."""
    expected = json.dumps(metadata, indent=1, ensure_ascii=False).encode(errors="backslashreplace")
    assert to_json(metadata) == expected
