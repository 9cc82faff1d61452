"""`docpipe check`: every kind of damage is found, reported with its cure, and repaired where possible."""

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fakes
from docpipe import app
from docpipe.check import Finding, Scene, findings, repair
from docpipe.checkpoints import open_database
from docpipe.config.config import Config
from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from docpipe.storage import FolderStorage
from docpipe.wiring.backends import open_storage
from tests import virtual
from tests.simulation.world import Plan, config_of, ids, options_of

pytestmark = pytest.mark.virtual

CONVERTER = "tests.integration.test_check:convert"
PART = b"Part: a note within the chart.\n"
FILES = {"chart.txt": b"Chart\n" + PART, "letter.txt": b"Letter: all is well.\n", "empty.txt": b""}


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """A text of each document; the chart holds another document."""
    folder, content = Path(job["folder"]), Path(job["path"]).read_bytes()
    (folder / "text.md").write_bytes(content)
    embedded = []
    if content.startswith(b"Chart"):
        (folder / "embedded").mkdir()
        (folder / "embedded" / "001").write_bytes(PART)
        embedded.append({"name": "part.txt", "declared": None})
    metadata = {"media_type": "text/plain", "title": job["facts"].get("title"), "warnings": []}
    done = {"outcome": "converted", "reason": None, "media_type": "text/plain", "extension": ".txt"}
    return {**done, "outputs": ["text.md"], "metadata": metadata, "embedded": embedded, "warnings": []}


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass
class Kept:
    """What one run has left."""

    config: Config
    run_id: str

    @property
    def storage(self) -> Path:
        return self.config.folder / self.config.storage.url

    @property
    def state(self) -> Path:
        return self.config.state_dir

    @property
    def patient(self) -> Path:
        return self.storage / "S00000"

    @property
    def chart(self) -> Path:
        return self.patient / id_of(FILES["chart.txt"])

    @property
    def letter(self) -> Path:
        return self.patient / id_of(FILES["letter.txt"])

    @property
    def part(self) -> Path:
        return self.patient / id_of(PART)

    def scene(self, *, beside: bool = False) -> Scene:
        return Scene(self.state, open_storage(self.config), beside=beside)

    async def findings(self, *, beside: bool = False) -> list[Finding]:
        return [finding async for finding in findings(self.scene(beside=beside))]

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[app.Docpipe]:
        rng = random.Random(0)
        async with app.opened(
            self.config, clock=virtual.wall_clock, rng=rng, converter=CONVERTER, inline=True
        ) as docpipe:
            yield docpipe

    async def repaired(self) -> list[str]:
        """What was done about each finding."""
        async with self.opened() as docpipe:
            done = [await repair(finding, docpipe.activities) async for finding in findings(self.scene())]
        return [mended.action for mended in done if mended]

    def content(self) -> dict[str, bytes]:
        """Every stored document, without the times of its conversion."""
        return {str(path.relative_to(self.storage)): path.read_bytes() for path in self.documents()}

    def documents(self) -> list[Path]:
        return [path for path in self.patient.glob("*/*") if path.parent.name != "runs"]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    """A patient whose run is completed."""
    documents = tmp_path / "documents"
    documents.mkdir()
    for name, data in FILES.items():
        (documents / name).write_bytes(data)
    plan = Plan(tmp_path, options={"documents": documents})
    async with fakes.serve(options_of(plan)) as running:
        config = config_of(plan, running)
        database = PatientDatabase(config.patients.url)
        await database.put([Patient(ids(1)[0], "Ann", "Lee", "1957-03-31")])
        await database.aclose()
        kept = Kept(config, "")
        async with kept.opened() as docpipe:
            (run,) = await docpipe.engine.submit(ids(1))
            await docpipe.engine.wait()
        (tmp_path / "state" / "fakes.db").unlink(missing_ok=True)
        kept.run_id = run.run_id
        yield kept


async def test_what_is_sound(kept: Kept) -> None:
    """Nothing is found where nothing is wrong, and what was looked at is counted."""
    scene = kept.scene()
    assert [finding async for finding in findings(scene)] == []
    assert (scene.counts["documents"], scene.counts["patients"], scene.counts["runs"]) == (3, 1, 1)
    assert scene.counts["log lines"] > 20
    assert await Kept(kept.config, "").findings(beside=True) == []


def no_output(kept: Kept) -> None:
    (kept.letter / "text.md").unlink()


def short_output(kept: Kept) -> None:
    (kept.letter / "text.md").write_bytes(b"")


def no_metadata(kept: Kept) -> None:
    (kept.chart / "metadata.json").unlink()


def torn_metadata(kept: Kept) -> None:
    (kept.letter / "metadata.json").write_bytes(b'{"files": {"orig')


def odd_metadata(kept: Kept) -> None:
    (kept.letter / "metadata.json").write_bytes(b"[]")


def no_part(kept: Kept) -> None:
    shutil.rmtree(kept.part)


def spoiled_part(kept: Kept) -> None:
    original = kept.part / "original.txt"
    original.write_bytes(b"X" * original.stat().st_size)


def half_written(kept: Kept) -> None:
    (kept.letter / ".tmp-text.md").write_bytes(b"x")
    (kept.patient / "runs" / kept.run_id / ".tmp-manifest.json").write_bytes(b"x")
    (kept.storage / ".tmp-check-1").write_bytes(b"x")


def unknown_folder(kept: Kept) -> None:
    (kept.patient / "0123456789abcdef").mkdir()
    (kept.patient / "0123456789abcdef" / "original.pdf").write_bytes(b"x")


def open_to_all(kept: Kept) -> None:
    (kept.state / "checkpoints.db").chmod(0o644)


@pytest.mark.parametrize(
    ("damage", "problems", "done"),
    [
        (no_output, ["text.md: missing"], ["converted again"]),
        (short_output, ["text.md: missing, or not as it was stored"], ["converted again"]),
        (no_metadata, ["metadata.json is missing"], ["converted again"]),
        (torn_metadata, ["metadata.json cannot be read"], ["converted again"]),
        (odd_metadata, ["does not list the files"], ["converted again"]),
        (no_part, ["its original (original.txt) is missing"], ["converted again"]),
        (spoiled_part, ["has other bytes"], ["converted again"]),
        (half_written, ["incomplete file"] * 3, ["removed"] * 3),
        (unknown_folder, ["a leftover"], ["removed"]),
        # SQLite gives the files beside the database its permissions.
        (open_to_all, ["other users can read it (mode 0644)"] * 3, ["mode set to 0600"] * 3),
    ],
)
async def test_what_can_be_mended(
    kept: Kept, damage: Callable[[Kept], None], problems: list[str], done: list[str]
) -> None:
    """Each damage is found and mended, and everything is as it was before."""
    before = kept.content()
    damage(kept)
    findings = await kept.findings()
    assert len(findings) == len(problems)
    for finding, problem in zip(findings, problems, strict=True):
        assert problem in finding.problem
        assert "--repair" in finding.cure
        assert finding.wrong
    assert await kept.findings(beside=True) or damage is half_written
    assert await kept.repaired() == done
    assert await kept.findings() == []
    assert kept.content() == before
    assert not list((kept.state / "spool").iterdir())


async def test_what_is_lost(kept: Kept) -> None:
    """An original that is gone is reported with the run to retry, and that fetches it again."""
    before = kept.content()
    (kept.letter / "original.txt").write_bytes(b"Letter: ALL is well.\n")
    (finding,) = await kept.findings()
    assert "other bytes than were stored" in finding.problem
    assert f"docpipe retry {kept.run_id} --from DocEx_DownloadAndExtract" in finding.cure
    assert await kept.repaired() == ["permanently lost here"]
    async with kept.opened() as docpipe:
        await docpipe.engine.retry(kept.run_id, "DocEx_DownloadAndExtract")
        await docpipe.engine.wait()
    assert await kept.findings() == []
    assert {name: data for name, data in kept.content().items() if "metadata" not in name} == {
        name: data for name, data in before.items() if "metadata" not in name
    }


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"[")])
async def test_a_manifest_that_is_lost(kept: Kept, spoil: Callable[[Path], Any]) -> None:
    """A run without a manifest is reported with its cure; its documents are still checked."""
    spoil(kept.patient / "runs" / kept.run_id / "manifest.json")
    (kept.letter / "text.md").unlink()
    (kept.part / "original.txt").unlink()
    findings = await kept.findings()
    assert {f"docpipe retry {kept.run_id} --from GenerateReport"} == {
        finding.cure for finding in findings if "manifest" in finding.problem
    }
    assert [finding for finding in findings if "text.md" in finding.problem]
    assert [finding for finding in findings if "original.txt" in finding.problem]
    async with kept.opened() as docpipe:
        await docpipe.engine.retry(kept.run_id, "GenerateReport")
        await docpipe.engine.wait()
    assert await kept.repaired() == ["converted again"] * 2
    assert await kept.findings() == []


async def test_a_document_that_was_converted_later(kept: Kept) -> None:
    """What the metadata say of a document's files counts, where the manifest of an earlier run has others."""
    body = json.loads((kept.letter / "metadata.json").read_bytes())
    (kept.letter / "original.txt").rename(kept.letter / "original.rtf")
    body["files"]["original.rtf"] = body["files"].pop("original.txt")
    (kept.letter / "metadata.json").write_text(json.dumps(body | {"original": "original.rtf"}), "utf-8")
    assert await kept.findings() == []


async def test_runs_that_are_not_finished(kept: Kept) -> None:
    """What a run is still at is not judged, whether its process lives or not."""
    no_output(kept)
    half_written(kept)
    (kept.storage / ".tmp-check-1").unlink()
    async with open_database(kept.state, virtual.wall_clock) as store:
        await store.create_runs({"S00000": "01MCC5RM00V3RS3DTR98H6BCFN"}, 0)
        for beside in (False, True):
            (note,) = await kept.findings(beside=beside)
            assert not note.wrong
            assert "01MCC5RM00V3RS3DTR98H6BCFN is not finished" in note.problem


async def test_logs_and_the_database(kept: Kept) -> None:
    """Bad lines are reported by number, a torn end as a note, a damaged database with its cure."""
    log = kept.state / "activity_log.csv"
    lines = log.read_text("utf-8").splitlines(keepends=True)
    log.write_text("".join([*lines[:3], "what is this\n", *lines[3:], "2026-01-01T00:0"]), "utf-8")
    bad, torn = await kept.findings()
    assert ("line 4" in bad.problem, bad.wrong) == (True, True)
    assert ("incomplete" in torn.problem, torn.wrong) == (True, False)
    assert [finding.problem for finding in await kept.findings(beside=True)] == [bad.problem]
    log.write_text("".join(lines), "utf-8")

    path = kept.state / "checkpoints.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[-4096 * (pages - 3) :] = b"\xff" * (4096 * (pages - 3))
    path.write_bytes(data)
    findings = await kept.findings()
    assert {finding.check for finding in findings} == {"database"}
    assert "put a backup in its place" in findings[0].cure


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Before anything ran there is nothing to find."""
    scene = Scene(tmp_path / "state", FolderStorage(tmp_path / "storage"), beside=False)
    assert [finding async for finding in findings(scene)] == []


async def test_metadata_are_the_same_after_a_repair(kept: Kept) -> None:
    """What was known of a document beforehand is known when it is converted again."""
    before = json.loads((kept.chart / "metadata.json").read_bytes())
    no_metadata(kept)
    await kept.repaired()
    assert json.loads((kept.chart / "metadata.json").read_bytes()) == before
