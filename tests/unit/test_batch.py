"""Files converted by hand twice: what is there and whole stays, with the documents in it."""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from docpipe.archive.delivered import DeliveredFile
from docpipe.archive.extract import Entry
from docpipe.archive.limits import Limits
from docpipe.batch import BatchConverter, OutputFolder, Result
from docpipe.convert.document import __version__
from docpipe.model import Ticket
from docpipe.workers.answers import Answer, Conversion, Part
from docpipe.workers.unpacking import UnpackingHere


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Workers:
    """Documents whose text names the documents in them: {"parts": {name: text}}."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.runs: dict[str, str] = {}
        self.forgotten: list[str] = []
        self.version = __version__

    async def execute(self, job: Mapping[str, Any], ticket: Ticket) -> Answer:
        self.asked.append(str(job["name"]))
        self.runs[str(job["name"])] = ticket.run_id
        text = Path(job["path"]).read_text("utf-8")
        parts = json.loads(text)["parts"] if text.startswith("{") else {}
        folder = Path(job["folder"])
        (folder / "text.md").write_text(text, "utf-8")
        if parts:
            (folder / "embedded").mkdir()
        embedded = []
        for name, inner in parts.items():
            (folder / "embedded" / name).write_text(inner, "utf-8")
            digest = _digest(inner.encode())
            embedded.append(Part(name=name, file=f"embedded/{name}", sha256=digest, size=1, declared=None))
        metadata = {
            "media_type": "text/plain",
            "warnings": [],
            "converter": {"name": "docpipe", "versions": {"docpipe": self.version}},
        }
        failed = text == "broken"
        value = Conversion(
            outcome="failed" if failed else "converted",
            reason="It is broken." if failed else None,
            media_type="text/plain",
            extension=".txt",
            outputs=["text.md"],
            metadata=metadata,
            embedded=embedded,
            warnings=[],
        )
        return Answer(value=value, seconds=0.1, peak=1)

    def forget(self, run_id: str) -> None:
        self.forgotten.append(run_id)


class _Unpacker:
    async def gather(
        self, given: Sequence[DeliveredFile], folder: Path, limits: Limits, ticket: Ticket
    ) -> list[Entry]:
        entries: list[Any] = []
        for file in given:
            data = file.path.read_bytes()
            (folder / file.path.name).write_bytes(data)
            entries.append(
                {
                    "path": file.name,
                    "file": file.path.name,
                    "sha256": _digest(data),
                    "outcome": None,
                    "reason": None,
                    "parent": None,
                    "duplicate_of": None,
                }
            )
        return entries


class _Twice:
    """A folder with one letter, converted again and again."""

    def __init__(self, root: Path, workers: _Workers) -> None:
        self.root, self.workers = root, workers
        self.letter = root / "letter.txt"

    async def convert(self, *, again: bool = False) -> dict[str, Result]:
        """The results by name; `workers.asked` holds what was converted."""
        self.workers.asked.clear()
        results: list[Result] = []
        work = self.root / "work"
        work.mkdir(exist_ok=True)
        hand = BatchConverter(
            self.workers,  # type: ignore[arg-type]  # a double
            _Unpacker(),  # type: ignore[arg-type]  # a double
            work,
            shelf=OutputFolder(self.root / "out", again=again),
            done=results.append,
            job={},
            at_once=2,
        )
        await hand.convert({"letter.txt": self.letter})
        for path in work.iterdir():
            for file in sorted(path.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            path.rmdir()
        return {result.path: result for result in results}


@pytest.fixture
def twice(tmp_path: Path) -> _Twice:
    (tmp_path / "out").mkdir()
    return _Twice(tmp_path, _Workers())


NESTED = json.dumps({"parts": {"scan.txt": json.dumps({"parts": {"note.txt": "Hello."}}), "b.txt": "B."}})
ALL = ["letter.txt", "letter.txt/scan.txt", "letter.txt/scan.txt/note.txt", "letter.txt/b.txt"]


async def test_what_holds_documents_is_left_as_it_is(twice: _Twice) -> None:
    """The second time no worker is asked, and every document has its row and its folder again."""
    twice.letter.write_text(NESTED, "utf-8")
    first = await twice.convert()
    assert sorted(twice.workers.asked) == sorted(ALL)
    second = await twice.convert()
    assert twice.workers.asked == []
    assert sorted(second) == sorted(ALL)
    assert all(result.unchanged for result in second.values())
    assert {path: result.folder for path, result in second.items()} == {
        path: result.folder for path, result in first.items()
    }
    await twice.convert(again=True)
    assert sorted(twice.workers.asked) == sorted(ALL)


@pytest.mark.parametrize("lost", ["text.md", "metadata.json", "original.txt"])
async def test_a_lost_file_of_a_part_is_made_again(twice: _Twice, lost: str) -> None:
    """A document in a document has to be whole as well."""
    twice.letter.write_text(NESTED, "utf-8")
    first = await twice.convert()
    folder = first["letter.txt/scan.txt/note.txt"].folder
    assert folder is not None
    (folder / lost).unlink()
    await twice.convert()
    assert "letter.txt" in twice.workers.asked
    second = await twice.convert()
    assert twice.workers.asked == []
    assert len(second) == len(ALL)


async def test_what_failed_or_is_of_another_docpipe_is_converted_again(twice: _Twice) -> None:
    """A broken part is tried again, and so is all that another version made."""
    twice.letter.write_text(json.dumps({"parts": {"bad.txt": "broken"}}), "utf-8")
    await twice.convert()
    await twice.convert()
    assert sorted(twice.workers.asked) == ["letter.txt", "letter.txt/bad.txt"]
    twice.letter.write_text(NESTED, "utf-8")
    twice.workers.version = "0.0.1"
    await twice.convert()
    await twice.convert()
    assert sorted(twice.workers.asked) == sorted(ALL)


async def test_metadata_without_digests_of_parts_is_not_trusted(twice: _Twice) -> None:
    """An earlier docpipe wrote down the names of the parts only."""
    twice.letter.write_text(NESTED, "utf-8")
    first = await twice.convert()
    folder = first["letter.txt"].folder
    assert folder is not None
    metadata = json.loads((folder / "metadata.json").read_bytes())
    del metadata["parts"]
    (folder / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    await twice.convert()
    assert "letter.txt" in twice.workers.asked


async def test_each_file_counts_as_a_patient_of_its_own(tmp_path: Path) -> None:
    """Nobody knows whose they are: they share no worker, no turn and no budget; what is in one is with it."""
    paths = {}
    for name, text in (("a.txt", json.dumps({"parts": {"001": "inner"}})), ("b.txt", "b"), ("c.zip", "")):
        paths[name] = tmp_path / name
        paths[name].write_text(text)
    with zipfile.ZipFile(paths["c.zip"], "w") as archive:
        archive.writestr("one.txt", "one")
        archive.writestr("two.txt", "two")
    workers, work = _Workers(), tmp_path / "work"
    work.mkdir()
    hand = BatchConverter(
        workers,  # type: ignore[arg-type]  # a double
        UnpackingHere(),
        work,
        shelf=None,
        done=lambda _: None,
        job={},
        at_once=2,
    )
    await hand.convert(paths)
    runs = workers.runs
    assert runs["a.txt"] == runs["a.txt/001"]
    assert runs["c.zip/one.txt"] == runs["c.zip/two.txt"]
    assert len(set(runs.values())) == 3
    assert sorted(workers.forgotten) == sorted(set(runs.values()))
