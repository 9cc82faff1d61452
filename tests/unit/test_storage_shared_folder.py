"""One folder for several processes: what they write at once is whole, and none is in another's way."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from docpipe.storage import METADATA, FolderStorage
from docpipe.storage import folderfiles as module

PATIENT, DOCUMENT = "P123", "0123456789abcdef"
WRITER = """
import asyncio, sys
from pathlib import Path
from docpipe.storage import FolderStorage

async def main(root, spool, who, rounds):
    storage = FolderStorage(root, shared=True)
    for number in range(rounds):
        text = spool / f"{who}-{number}"
        text.write_bytes(who.encode() * (100 + number))
        files = {"original.pdf": spool / "original.pdf", "text.md": text}
        if who == "a":
            files["thumbnail.png"] = spool / "original.pdf"
        await storage.put_document("P123", "0123456789abcdef", files, {"by": who})
        await storage.put_run_files("P123", "R1", {"report.json": who.encode() * 50})
        print(number, flush=True)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


def writer(root: Path, who: str, rounds: int) -> "subprocess.Popen[bytes]":
    spool = root.parent / f"spool-{who}"
    spool.mkdir()
    (spool / "original.pdf").write_bytes(b"%PDF")
    command = [sys.executable, "-c", WRITER, str(root), str(spool), who, str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_two_processes_write_the_same_document(tmp_path: Path) -> None:
    """All the time; at the end it is that of one of them, whole, with nothing of the other beside it."""
    root = tmp_path / "storage"
    writers = [writer(root, who, 150) for who in ("a", "b")]
    storage = FolderStorage(root, shared=True)
    seen = set()
    while any(process.poll() is None for process in writers):
        if (stored := await storage.find_document(PATIENT, DOCUMENT)) is not None:
            seen.add(stored["by"])
        await asyncio.sleep(0.01)
    ends = [(process.communicate()[0], process.returncode) for process in writers]
    assert [(status, len(out.split())) for out, status in ends] == [(0, 150)] * 2
    assert seen
    stored = await storage.find_document(PATIENT, DOCUMENT)
    assert stored is not None
    folder = root / PATIENT / DOCUMENT
    who = stored["by"]
    assert (folder / "text.md").read_bytes() == who.encode() * stored["files"]["text.md"]
    assert set(stored["files"]) == {"original.pdf", "text.md", *(["thumbnail.png"] if who == "a" else [])}
    assert not [name for name in names(folder) | names(root / PATIENT / "runs" / "R1") if name[0] == "."]
    assert (root / PATIENT / "runs" / "R1" / "report.json").read_bytes() in (b"a" * 50, b"b" * 50)


def meddled(monkeypatch: pytest.MonkeyPatch, times: int, meddle: Any) -> list[int]:
    """Another process does something after each of the first `times` writings of the metadata."""
    done: list[int] = []
    real = module.FolderFiles.write

    def write(self: module.FolderFiles, folder: Path, files: dict[str, bytes]) -> None:
        real(self, folder, files)
        if METADATA in files and len(done) < times:
            done.append(1)
            meddle(folder)

    monkeypatch.setattr(module.FolderFiles, "write", write)
    return done


def replaced(folder: Path) -> None:
    (folder / "new").write_bytes(b"b" * 4)
    (folder / "new").replace(folder / "text.md")


@pytest.mark.parametrize(
    "meddle",
    [
        replaced,
        lambda folder: (folder / "text.md").unlink(),
        lambda folder: (folder / METADATA).unlink(),
        lambda folder: (folder / METADATA).write_text('{"by": "b", "files": {}}'),
    ],
)
async def test_who_was_written_over_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meddle: Any
) -> None:
    """Another process's file of the same size, too, would be a document of two halves."""
    (tmp_path / "text").write_bytes(b"a" * 4)
    done = meddled(monkeypatch, 3, meddle)
    storage = FolderStorage(tmp_path / "s", shared=True)
    await storage.put_document(PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {"by": "a"})
    assert len(done) == 3
    assert (await storage.find_document(PATIENT, DOCUMENT) or {})["by"] == "a"
    assert await storage.get_document_file(PATIENT, DOCUMENT, "text.md") == b"a" * 4


async def test_two_that_never_agree_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than write for ever."""
    (tmp_path / "text").write_bytes(b"a" * 4)
    meddled(monkeypatch, 100, replaced)
    with pytest.raises(OSError, match="another docpipe keeps writing"):
        await FolderStorage(tmp_path / "s", shared=True).put_document(
            PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {}
        )


async def test_what_another_is_writing_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But what a crash left behind a day ago is removed; where one process writes, all that is left is."""
    (tmp_path / "text").write_bytes(b"a")
    folder = tmp_path / "s" / PATIENT / DOCUMENT
    folder.mkdir(parents=True)
    (folder / ".tmp-other").write_bytes(b"half")
    shared = FolderStorage(tmp_path / "s", shared=True)
    await shared.put_document(PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {})
    assert names(folder) == {".tmp-other", "text.md", METADATA}
    later = time.time() + 2 * 86_400
    monkeypatch.setattr(module.time, "time", lambda: later)
    await shared.put_document(PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {})
    assert names(folder) == {"text.md", METADATA}
    (folder / ".tmp-other").write_bytes(b"half")
    monkeypatch.undo()
    alone = FolderStorage(tmp_path / "s")
    await alone.put_document(PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {})
    assert names(folder) == {"text.md", METADATA}


async def test_temporary_names_are_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each writing has its own."""
    used: list[str] = []
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        used.append(Path(source).name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    (tmp_path / "text").write_bytes(b"a")
    for _ in range(2):
        await FolderStorage(tmp_path / "s", shared=True).put_document(
            PATIENT, DOCUMENT, {"text.md": tmp_path / "text"}, {}
        )
    assert len(used) == len(set(used)) == 4
    assert all(name.startswith(".tmp-") for name in used)
