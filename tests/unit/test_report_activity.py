"""GenerateReport: three files in the storage, with the thumbnails that can be read there."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from docpipe.activities.activities import Activities
from docpipe.activities.changes import changes_of
from docpipe.activities.reporting import reports
from docpipe.activities.spool import FolderSpool
from docpipe.model import Ticket
from docpipe.report.terminal import as_lines
from docpipe.results.files import Digest
from docpipe.results.report import Facts, Report
from docpipe.storage.folder import FolderStorage
from docpipe.storage.tree import FolderTree
from tests.report_support import document, facts, wrong

PNG = b"\x89PNG\r\n\x1a\nrest"
RUN = "01J00000000000000000000000"


def over(folder: Path) -> Activities:
    """Activities that can do no more than report, over a folder."""
    others = dict.fromkeys(("patients", "exchange", "tracker", "downloads", "workers"))
    return Activities(
        **others,
        storage=FolderStorage(folder),
        spool=FolderSpool(folder / "spool"),
        clock=lambda: 1_767_261_661.0,
    )


async def made(folder: Path, expected: dict[str, Any]) -> Digest:
    """The activity alone, over a folder."""
    return await over(folder).report(SimpleNamespace(ticket=Ticket(RUN)), msgspec.convert(expected, Facts))


async def test_reports_and_manifest_are_written(tmp_path: Path) -> None:
    """The page has the picture, the JSON keeps to its schema, a line holds an item; the digest is given."""
    folder = tmp_path / "P1" / f"{1:016x}"
    folder.mkdir(parents=True)
    (folder / "thumbnail.png").write_bytes(PNG)
    files = [
        document("a.pdf", id=f"{1:016x}", title="Größe \ud800"),
        document("b", "refused", reason="Unsafe."),
    ]
    of_run = await made(tmp_path, facts(files))
    run = tmp_path / "P1" / "runs" / RUN
    assert of_run.link == str(run / "report.html")
    assert of_run.digest.startswith("# Completed\n")
    assert (run / "report.html").read_text("utf-8").count('<img src="data:image/png;base64,') == 1
    report = json.loads((run / "report.json").read_bytes())
    assert wrong(report) == []
    assert report["run"]["finished"] == "2026-01-01T10:01:01+00:00"
    manifest = (run / "manifest.json").read_text("utf-8")
    assert json.loads(manifest)["files"] == report["documents"]
    assert sum('"path": ' in line for line in manifest.splitlines()) == len(files)
    assert "Größe ?" in manifest


async def test_a_thumbnail_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """What the storage does not give is no reason to be without a report."""
    ids = [f"{number:016x}" for number in range(3)]
    for id_ in ids[:2]:
        (tmp_path / "P1" / id_).mkdir(parents=True)
    (tmp_path / "P1" / ids[0] / "thumbnail.png").mkdir()
    (tmp_path / "P1" / ids[1] / "thumbnail.png").write_bytes(PNG)
    await made(tmp_path, facts([document(f"{id_}.pdf", id=id_) for id_ in ids]))
    page = (tmp_path / "P1" / "runs" / RUN / "report.html").read_text("utf-8")
    assert page.count("<img") == 1


async def test_few_reports_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand runs that resume before their report must not stand before the first one's next step."""
    now, most = 0, 0

    async def to_thread(work: Callable[..., Any], *args: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    activities = over(tmp_path)
    runs = [SimpleNamespace(ticket=Ticket(f"R{number}")) for number in range(20)]
    of_run = await asyncio.gather(
        *(activities.report(run, msgspec.convert(facts([]), Facts)) for run in runs)
    )
    assert len(of_run) == len(runs)
    assert most == 4


def ids(*numbers: int) -> list[dict[str, Any]]:
    """Documents of these numbers."""
    return [document(f"{n}.pdf", id=f"{n:016x}", key=f"P1/{n:016x}", title=f"Letter {n}") for n in numbers]


def of(run: int, state: str, *files: dict[str, Any]) -> dict[str, Any]:
    expected = facts(list(files))
    expected["run"] |= {"run_id": f"{RUN[:-1]}{run}", "state": state}
    return expected


async def test_what_has_changed_since_the_last_retrieval(tmp_path: Path) -> None:
    """New is what no earlier run has, gone what the exchange no longer has; in every form of the report."""
    empty = document("empty.txt", "ignored", id=f"{9:016x}")
    await made(tmp_path, of(1, "completed", *ids(1, 2), empty))
    await made(tmp_path, of(2, "completed", *ids(2, 3)))
    await made(tmp_path, of(3, "failed", *ids(4)))
    digest = (await made(tmp_path, of(4, "completed_with_errors", *ids(3, 4, 5)))).digest
    run = tmp_path / "P1" / "runs" / f"{RUN[:-1]}4"
    report = json.loads((run / "report.json").read_bytes())
    assert wrong(report) == []
    changes = report["changes"]
    assert [mention["title"] for mention in changes["new"]] == ["Letter 5"]
    assert [mention["title"] for mention in changes["gone"]] == ["Letter 1", "Letter 2"]
    assert changes["since_run"] == f"{RUN[:-1]}2"
    assert "- since the last retrieval, on 2026\\-01\\-01: 1 new, 2 no longer at the exchange" in digest
    assert "## New since the last retrieval\n\n- Letter 5 (2021\\-05\\-06)\n" in digest
    assert "## No longer at the exchange\n\n- Letter 1 (2021\\-05\\-06)\n- Letter 2" in digest
    page = (run / "report.html").read_text("utf-8")
    assert '<h2 id="new">New since the last retrieval</h2>' in page
    assert f'href="../../{1:016x}/original.pdf"' in page
    lines = list(as_lines(msgspec.json.decode((run / "report.json").read_bytes(), type=Report)))
    assert "  changes    since the last retrieval, on 2026-01-01: 1 new, 2 no longer at the exchange" in lines
    assert "  2021-05-06  Letter 5" in lines[lines.index("New since the last retrieval") + 1]


async def test_nothing_is_new_at_first(tmp_path: Path) -> None:
    """Nor after runs that failed alone; where nothing has changed, that is said in one line."""
    for run, state in ((1, "failed"), (2, "completed")):
        digest = (await made(tmp_path, of(run, state, *ids(1)))).digest
        report = json.loads((tmp_path / "P1" / "runs" / f"{RUN[:-1]}{run}" / "report.json").read_bytes())
        assert report["changes"] is None
        assert "retrieval" not in digest
    (tmp_path / "P1" / "runs" / f"{RUN[:-1]}1" / "manifest.json").write_text("{", "utf-8")
    digest = (await made(tmp_path, of(3, "completed", *ids(1)))).digest
    assert "- since the last retrieval, on 2026\\-01\\-01: nothing new" in digest
    again = (await made(tmp_path, of(2, "completed", *ids(1)))).digest  # done again: later runs do not count
    assert "retrieval" not in again


async def test_documents_are_not_listed_for_what_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the names of runs are read, and their manifests: a patient may have thousands of files."""
    await made(tmp_path, of(1, "completed", *ids(1)))
    (tmp_path / "P1" / "runs" / ".DS_Store").write_bytes(b"")
    (tmp_path / "P1" / "runs" / f"{RUN[:-1]}2").mkdir()
    monkeypatch.setattr(FolderTree, "listing", lambda *_: pytest.fail("all files were listed"))
    digest = (await made(tmp_path, of(3, "completed", *ids(1, 2)))).digest
    assert "1 new" in digest


async def test_a_storage_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is written without what has changed."""
    await made(tmp_path, of(1, "completed", *ids(1)))

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("docpipe.activities.changes._earlier", broken)
    digest = (await made(tmp_path, of(2, "completed", *ids(1, 2)))).digest
    assert digest.startswith("# Completed\n")
    assert "retrieval" not in digest


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that are allocated while something is done, beyond those before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_file_of_a_report_is_in_memory_as_a_whole() -> None:
    """Each has some megabytes for thousands of documents; one sign that is no Latin letter doubles a page."""
    files = [document(f"{n}.pdf", id=f"{n:016x}", title=f"Letter {n} \u2026") for n in range(5_000)]
    made, _ = reports(msgspec.convert(facts(files), Facts), {})
    for name, content in made.items():
        assert callable(content)
        size = sum(map(len, content()))
        peak = peak_of(lambda content=content: sum(map(len, content())))  # type: ignore[misc]  # bound at once
        assert (size > 2_000_000, peak < size / 2) == (True, True), (name, size, peak)


async def test_pictures_beyond_the_room_are_not_kept(tmp_path: Path) -> None:
    """200 thumbnails of 4 MiB, which is what a worker may hand over, would be 800 MiB."""
    files = ids(*range(30))
    for file in files:
        (folder := tmp_path / "P1" / file["id"]).mkdir(parents=True)
        (folder / "thumbnail.png").write_bytes(PNG + bytes(400_000))
    documents = msgspec.convert(facts(files), Facts).documents
    kept = await over(tmp_path)._pictures(SimpleNamespace(ticket=Ticket(RUN)), "P1", documents)
    assert len(kept) == 4 * 2**20 // 400_012


def test_earlier_manifests_are_not_in_memory_all_at_once(tmp_path: Path) -> None:
    """A schedule leaves one each day, and 200 are read."""
    runs = [f"{RUN[:-2]}{number:02d}" for number in range(8)]
    for run in runs[:-1]:
        expected = facts([document(f"{n}.pdf", id=f"{n:016x}") for n in range(400)])
        expected["run"] |= {"run_id": run}
        asyncio.run(made(tmp_path, expected))
    now = msgspec.convert(facts([]) | {"run": facts([])["run"] | {"run_id": runs[-1]}}, Facts)
    manifest = (tmp_path / "P1" / "runs" / runs[0] / "manifest.json").stat().st_size
    peak = peak_of(lambda: changes_of(FolderStorage(tmp_path), now))
    assert peak < 4 * manifest
