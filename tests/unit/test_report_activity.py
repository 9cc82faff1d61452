"""GenerateReport: three files in the storage, with the thumbnails that can be read there."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docpipe.activities.activities import Activities
from docpipe.model import Ticket
from docpipe.storage.folder import FolderStorage
from tests.report_support import document, facts, wrong

PNG = b"\x89PNG\r\n\x1a\nrest"
RUN = "01J00000000000000000000000"


def over(folder: Path) -> Activities:
    """Activities that can do no more than report, over a folder."""
    others = dict.fromkeys(("patients", "exchange", "tracker", "downloads", "workers"))
    return Activities(
        **others, storage=FolderStorage(folder), spool=folder / "spool", clock=lambda: 1_767_261_661.0
    )


async def made(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """The activity alone, over a folder."""
    return await over(folder).report(SimpleNamespace(ticket=Ticket(RUN)), told)


async def test_reports_and_manifest_are_written(tmp_path: Path) -> None:
    """The page has the picture, the JSON keeps to its schema, a line holds an item; the digest is given."""
    folder = tmp_path / "P1" / f"{1:016x}"
    folder.mkdir(parents=True)
    (folder / "thumbnail.png").write_bytes(PNG)
    files = [
        document("a.pdf", id=f"{1:016x}", title="Größe \ud800"),
        document("b", "refused", reason="Unsafe."),
    ]
    told = await made(tmp_path, facts(files))
    run = tmp_path / "P1" / "runs" / RUN
    assert told["link"] == str(run / "report.html")
    assert told["digest"].startswith("# Completed\n")
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
    told = await asyncio.gather(*(activities.report(run, facts([])) for run in runs))
    assert len(told) == len(runs)
    assert most == 4
