"""`forget`: what docpipe keeps of one patient goes, that of others stays, and a crash does no harm."""

import contextlib
import json
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from docpipe import forget
from docpipe.activities.spool import FolderSpool
from docpipe.checkpoints import forget_patient, open_database, read_runs, read_steps
from docpipe.checkpoints.schema import connect
from docpipe.config.config import Config, State
from docpipe.config.config import Storage as StorageConfig
from docpipe.errors import UsageError
from docpipe.forget import logs, patient
from docpipe.model import Activity, Patient, RunState
from docpipe.patients import PatientDatabase
from docpipe.runtime.activity_log import ActivityLog, Entry
from docpipe.runtime.state_folder import InUseError, StateFolder
from docpipe.storage import FolderStorage
from docpipe.wiring.backends import patients_url

IDS = ("P1", "P12", "=A,1", "Zoë")
"""Ids that are a part of others, that the log quotes, and that JSON may escape."""


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    """A state folder and a storage with a finished run, a document and a row of each patient."""
    config = Config(
        state=State(dir=str(tmp_path / "state")), storage=StorageConfig(url=str(tmp_path / "storage"))
    )
    with StateFolder(config.state_dir) as state:
        storage = FolderStorage(tmp_path / "storage")
        source = tmp_path / "source.txt"
        async with (
            open_database(state.path, time.time) as checkpoints,
            ActivityLog(state.path, time.time) as log,
        ):
            for number, patient_id in enumerate(IDS):
                run_id = f"RUN-{number}"
                await checkpoints.create_runs({patient_id: run_id}, 0)
                await checkpoints.finish_step(run_id, Activity.CREATE_TASK, "", {"task_id": f"T{number}"})
                await checkpoints.finish_run(run_id, RunState.COMPLETED, {}, f"T{number}", None)
                await checkpoints.answers.remember(f"key{number}", "d", f'{{"patient_id":"{patient_id}"}}')
                log.start(Entry(run_id, patient_id, Activity.CREATE_TASK, 1, {"search_id": "S"}))
                (state.spool / run_id).mkdir()
                source.write_text(f"text of {patient_id}", "utf-8")
                await storage.put_document(patient_id, f"d{number}", {"original.txt": source}, {})
                source.unlink()
        put_aside = state.path / "activity_log-20200101T000000Z.csv"
        put_aside.write_bytes((state.path / "activity_log.csv").read_bytes())
        database = PatientDatabase(patients_url(config))
        await database.put([Patient(patient_id, "Ann", "Lee", "1957-03-31") for patient_id in IDS])
        await database.aclose()
    return config


def traces_of(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, in their names or their bytes."""
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if text in str(path.relative_to(folder)) or (path.is_file() and text.encode() in path.read_bytes())
    ]


@pytest.mark.parametrize("number", range(len(IDS)))
async def test_nothing_of_the_patient_is_left(config: Config, tmp_path: Path, number: int) -> None:
    """Storage, runs, logs, spool and row are gone, and those of all others are as they were."""
    kept = await forget.find(config, IDS[number])
    assert (kept.documents, kept.runs, kept.spools, kept.log_lines) == (1, [f"RUN-{number}"], 1, 2)
    assert (kept.tasks, kept.nothing) == ([f"T{number}"], False)
    assert f"T{number}" in kept.beyond_reach[0]
    removed = await forget.remove(config, IDS[number])
    assert (removed.runs, removed.in_patients) == (kept.runs, True)
    assert (await forget.find(config, IDS[number])).nothing
    assert traces_of(config.state_dir, f"RUN-{number}") == []
    for other in range(len(IDS)):
        if other != number:
            result = await forget.find(config, IDS[other])
            assert (result.documents, result.runs, result.log_lines) == (1, [f"RUN-{other}"], 2)
            assert len(read_steps(config.state_dir, f"RUN-{other}")) == 1
    if number == IDS.index("Zoë"):  # no other id contains it
        assert traces_of(tmp_path, "Zoë") == traces_of(tmp_path, "Zo\\u00eb") == []


async def test_what_a_killed_process_left_is_gone(config: Config) -> None:
    """Rooms of workers and charts hold anybody's documents; unfinished runs of others keep theirs."""
    async with open_database(config.state_dir, time.time) as checkpoints:
        await checkpoints.create_runs({"P9": "RUN-9"}, 0)
    spool = config.state_dir / "spool"
    for place in ("rooms/.worker-7/in", "chart-x1", "RUN-9"):
        (spool / place).mkdir(parents=True)
        (spool / place / "original").write_text("text of P1")
    await forget.remove(config, "P1")
    assert [path.name for path in spool.iterdir()] == ["RUN-9"]


async def test_finding_changes_nothing(config: Config, tmp_path: Path) -> None:
    """`--dry-run` leaves every byte as it was."""

    def content() -> dict[Path, bytes]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}

    before = content()
    await forget.find(config, "P1")
    assert content() == before


async def test_an_unfinished_run_is_in_the_way(config: Config) -> None:
    """It would write again what was removed: the cure is named, and nothing is removed."""
    async with open_database(config.state_dir, time.time) as checkpoints:
        await checkpoints.create_runs({"P1": "RUN-9"}, 0)
    with pytest.raises(UsageError, match="docpipe cancel P1"):
        await forget.remove(config, "P1")
    assert len(read_runs(config.state_dir, "P1")) == 2


async def test_a_process_that_owns_the_state_is_in_the_way(config: Config) -> None:
    """Nothing is removed under a process that works on the folder."""
    with StateFolder(config.state_dir), pytest.raises(InUseError):
        await forget.remove(config, "P1")
    assert not (await forget.find(config, "P1")).nothing


@pytest.mark.parametrize("step", ["remove_lines", "forget_patient"])
async def test_a_repetition_finishes_what_a_crash_left(
    config: Config, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Runs are known until the end, so that the second attempt finds their spool and their lines."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(patient, step, fail)
        with pytest.raises(OSError, match="No space"):
            await forget.remove(config, "P1")
    assert (await forget.find(config, "P1")).runs == ["RUN-0"]
    await forget.remove(config, "P1")
    assert (await forget.find(config, "P1")).nothing


async def test_an_id_that_cannot_be(config: Config) -> None:
    """No empty id removes the storage as a whole."""
    for patient_id in ("", " ", "a\nb"):
        with pytest.raises(UsageError):
            await forget.remove(config, patient_id)


async def test_logs_stay_private_and_whole(config: Config) -> None:
    """A rewritten log has its header, all lines of others, and mode 0600."""
    before = (config.state_dir / "activity_log.csv").read_bytes().splitlines()
    assert logs.remove_lines(config.state_dir, "P1", {"RUN-0"}) == 2
    path = config.state_dir / "activity_log.csv"
    assert path.read_bytes().splitlines() == [before[0], *before[2:]]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("temporal", ["", "temporal.example:7233"])
async def test_what_a_docpipe_at_work_forgets(config: Config, temporal: str) -> None:
    """Storage, spool, rows and both logs of that patient; what only the command reaches is listed."""
    fleet = replace(config.fleet, temporal=temporal)
    storage = FolderStorage(Path(config.storage.url))
    database = PatientDatabase(patients_url(config))
    async with ActivityLog(config.state_dir, time.time) as log:
        parts = forget.AtWork(
            config=replace(config, fleet=fleet),
            storage=storage,
            spool=FolderSpool(config.state_dir / "spool"),
            patients=database,
            activity_log=log,
            index=None,
        )
        kept = await forget.remove_at_work(parts, "P1")
        log.start(Entry("RUN-9", "P12", Activity.SEARCH, 1, None))
    await database.aclose()
    assert (kept.documents, kept.runs, kept.in_patients) == (1, ["RUN-0"], True)
    assert any("Temporal: `docpipe forget`" in text for text in kept.beyond_reach) is bool(temporal)
    assert [run.patient_id for run in read_runs(config.state_dir, latest=9)] == ["P12", "=A,1", "Zoë"]
    assert not (config.state_dir / "spool" / "RUN-0").exists()
    lines = (config.state_dir / "activity_log.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[1] for line in lines] == ["run_id", "RUN-1", "RUN-2", "RUN-3", "RUN-9"]
    (aside,) = config.state_dir.glob("activity_log-*.csv")
    assert "RUN-0" not in aside.read_text("utf-8")


@pytest.mark.parametrize("seed", range(20))
def test_no_copy_of_a_row_stays_in_the_database(tmp_path: Path, seed: int) -> None:
    """Pages that were divided keep copies of rows, which secure_delete does not overwrite."""
    rng, runs = random.Random(seed), [f"01M8MS9T7JCQVV09JNV2S00{number:03d}" for number in (seed, 999)]
    with contextlib.closing(connect(tmp_path / "checkpoints.db")) as db:
        for number, run_id in enumerate(runs):
            row = (run_id, f"P{number}", 0, "completed", 1.0)
            db.execute(
                "INSERT INTO runs (run_id, patient_id, priority, state, created_at) VALUES (?, ?, ?, ?, ?)",
                row,
            )
        for _ in range(120):
            item, text = f"{rng.randrange(60):05d}", json.dumps("x" * rng.randrange(50, 1500))
            step = (rng.choice(runs), "ConvertFile", item, 1, 1.0, 2.0, None, text)
            db.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?)", step)
    forget_patient(tmp_path, "P0")
    data = (tmp_path / "checkpoints.db").read_bytes()
    assert runs[0].encode() not in data
    assert runs[1].encode() in data
