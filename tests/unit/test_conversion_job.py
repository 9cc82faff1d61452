"""ConvertFile: what the converter is reported a document's patient."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from docpipe.activities.activities import Activities
from docpipe.activities.spool import FolderSpool
from docpipe.model import Patient, Ticket
from docpipe.results.files import Declared, Member
from docpipe.storage.folder import FolderStorage

RUN = "01J00000000000000000000000"
ROW = Patient("P1", "Rosa", "Example", "1970-02-03", "female")

ANSWER = {
    "outcome": "converted",
    "reason": None,
    "media_type": "text/plain",
    "extension": ".txt",
    "outputs": [],
    "metadata": {},
    "embedded": [],
}


class Workers:
    """Workers that keep the job."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    async def ask(self, job: dict[str, Any], _: Ticket) -> Any:
        """As of the pool."""
        self.jobs.append(job)
        return SimpleNamespace(value=ANSWER, seconds=0.1)


@pytest.mark.parametrize("row", [ROW, None])
async def test_converter_knows_the_patient(row: Patient | None, tmp_path: Path) -> None:
    """Name, date of birth and number go into the facts, and into no log."""
    workers = Workers()
    others: Any = dict.fromkeys(("patients", "exchange", "tracker", "downloads"))
    activities = Activities(
        **others,
        workers=workers,  # type: ignore[arg-type]  # no more than what is asked
        storage=FolderStorage(tmp_path / "out"),
        spool=FolderSpool(tmp_path / "spool"),
        clock=lambda: 0.0,
    )
    member = Member(id=f"{1:016x}", file="a", path="a.txt", declared=Declared(title="T"))
    (tmp_path / "spool" / RUN).mkdir(parents=True)
    step: Any = SimpleNamespace(ticket=Ticket(RUN))
    with capture_logs() as logs:
        await activities.convert(step, ("P1", RUN, "00001"), member, row)
    known = {"name": "Rosa Example", "birth_date": "1970-02-03", "id": "P1"}
    assert workers.jobs[0]["facts"] == {"title": "T", "patient": known if row else None}
    assert "Example" not in str(logs)
