"""ConvertFile: what the converter is reported a document's patient."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from docpipe.activities.activities import Activities
from docpipe.activities.spool import FolderSpool
from docpipe.engine.budget import Budget
from docpipe.model import Patient, Ticket
from docpipe.results.files import Declared, Member, summed_up
from docpipe.storage.folder import FolderStorage
from docpipe.workers.answers import Conversion

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
    "warnings": [],
}


class Workers:
    """Workers that keep the job."""

    def __init__(self, answer: dict[str, Any] = ANSWER) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.answer = answer

    async def execute(self, job: dict[str, Any], _: Ticket) -> Any:
        """As of the pool."""
        self.jobs.append(job)
        return SimpleNamespace(value=msgspec.convert(self.answer, Conversion), seconds=0.1)

    def forget(self, run_id: str) -> None:
        """As of the pool."""


def over(folder: Path, workers: Workers) -> Activities:
    """Activities that can convert and store, in a folder."""
    others: Any = dict.fromkeys(("patients", "exchange", "tracker", "downloads"))
    (folder / "spool" / RUN).mkdir(parents=True)
    return Activities(
        **others,
        workers=workers,  # type: ignore[arg-type]  # no more than what is asked
        storage=FolderStorage(folder / "out"),
        spool=FolderSpool(folder / "spool"),
        clock=lambda: 0.0,
    )


STEP: Any = SimpleNamespace(ticket=Ticket(RUN))


@pytest.mark.parametrize("row", [ROW, None])
async def test_converter_knows_the_patient(row: Patient | None, tmp_path: Path) -> None:
    """Name, date of birth and number go into the facts, and into no log."""
    workers = Workers()
    activities = over(tmp_path, workers)
    member = Member(id=f"{1:016x}", file="a", path="a.txt", declared=Declared(title="T"))
    with capture_logs() as logs:
        await activities.convert(STEP, ("P1", RUN, "00001"), member, row)
    known = {"name": "Rosa Example", "birth_date": "1970-02-03", "id": "P1"}
    assert workers.jobs[0]["facts"] == {"title": "T", "patient": known if row else None}
    assert "Example" not in str(logs)


async def test_documents_in_documents_beyond_what_a_run_takes_are_one_line(tmp_path: Path) -> None:
    """10,000 mails with 500 attachments each are millions of entries, until the pipeline refuses them."""
    parts = [
        {"name": f"{n}", "file": f"{n:03d}", "size": 2, "sha256": f"{n:064x}", "declared": None}
        for n in range(500)
    ]
    workers = Workers({**ANSWER, "embedded": parts})
    activities = over(tmp_path, workers)
    mails = [Member(id=f"{n:016x}", file="a", path=f"{n}.eml") for n in range(5)]
    converted = [
        await activities.convert(STEP, ("P1", RUN, f"{n:05d}"), mail) for n, mail in enumerate(mails)
    ]
    assert [len(done.embedded) for done in converted] == [500, 500, 500, 1, 1]
    (rest,) = converted[4].embedded
    assert (rest.path, rest.size, rest.outcome) == ("4.eml/(more documents, 500)", 1000, "refused")
    assert Budget(files=0).parts("00005", "4.eml", [rest]) == [rest]
    again = [await activities.convert(STEP, ("P1", RUN, f"{n:05d}"), mail) for n, mail in enumerate(mails)]
    assert again == converted, "an attempt that is repeated counts once, also by a worker of a fleet"
    await activities.clear_spool(RUN)
    assert len((await activities.convert(STEP, ("P1", RUN, "1"), mails[0])).embedded) == 500


async def test_a_mail_of_which_parts_were_not_taken_is_converted_again(tmp_path: Path) -> None:
    """Stored as it is, nobody would learn of the rest in the next run."""
    workers = Workers({**ANSWER, "metadata": {"media_type": "message/rfc822"}})
    activities = over(tmp_path, workers)
    (tmp_path / "spool" / RUN / "a").write_bytes(b"mail")
    mail, place = Member(id=f"{1:016x}", file="a", path="a.eml", size=4), ("P1", RUN, "1")
    done = await activities.convert(STEP, place, mail)
    await activities.store(STEP, place, mail, done)
    assert (await activities.convert(STEP, place, mail)).reused
    rest = summed_up("a.eml", [Member(path="a.eml/1", size=1)], "Too many.")
    await activities.store(STEP, place, mail, replace(done, embedded=[rest]))
    assert not (await activities.convert(STEP, place, mail)).reused
