"""Recorded histories of earlier docpipes are replayed by this one: runs continue after an upgrade."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from docpipe.engine import pipeline
from docpipe.fleet.flow import RetrievePatient
from docpipe.fleet.keys import Keyring
from docpipe.fleet.payloads import data_converter
from docpipe.fleet.queues import PIPELINE
from docpipe.model import Activity
from docpipe.storage.blobs import FolderBlobs
from tests.fleet_histories import FOLDER, KEY

HISTORIES = sorted((FOLDER / str(PIPELINE)).glob("*.json"))


def replayer(folder: Path) -> Replayer:
    converter = data_converter(Keyring(KEY), FolderBlobs(folder))
    return Replayer(
        workflows=[RetrievePatient],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=converter,
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_is_replayed(path: Path, tmp_path: Path) -> None:
    """Command by command, as the release that recorded it decided."""
    history = WorkflowHistory.from_json(f"docpipe:{path.stem}", path.read_text())
    result = await replayer(tmp_path).replay_workflow(history, raise_on_replay_failure=True)
    assert result.replay_failure is None


def test_there_is_one_of_each_course() -> None:
    """Completed, without documents, cancelled, carried over, and retried."""
    names = {path.stem for path in HISTORIES}
    assert names == {"completed", "empty", "cancelled", "carried", "retried"}


async def test_another_order_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that asks for something else than the recorded one is refused: its number has to change."""
    real = pipeline.Activity

    class Other:
        """The report before the status."""

        UPDATE_STATUS, REPORT = Activity.REPORT, Activity.UPDATE_STATUS

        def __getattr__(self, name: str) -> Activity:
            return getattr(real, name)

    monkeypatch.setattr(pipeline, "Activity", Other())
    path = next(path for path in HISTORIES if path.stem == "completed")
    history = WorkflowHistory.from_json("docpipe:completed", path.read_text())
    result = await replayer(tmp_path).replay_workflow(history, raise_on_replay_failure=False)
    assert "nondeterminism" in str(result.replay_failure).lower()
