"""`forget` of a patient of whom there is everything: a canary of each kind is found nowhere."""

import time
from pathlib import Path

import pytest

from docpipe import forget
from docpipe.activities.spool import FolderSpool
from docpipe.checkpoints import open_database
from docpipe.config.config import Config, State
from docpipe.config.config import Storage as StorageConfig
from docpipe.config.schedule import Schedule
from docpipe.model import Activity, Patient, RunState
from docpipe.patients import PatientDatabase
from docpipe.runtime.activity_log import ActivityLog, Entry
from docpipe.runtime.state_folder import StateFolder
from docpipe.search import Text, open_index
from docpipe.storage import FolderStorage, Storage
from docpipe.wiring.backends import index_path, patients_url

PATIENT, OTHER = "CANARY-1", "CANARY-12"
"""The one id is a part of the other."""
RUNS = ("RUN-CANARY-A", "RUN-CANARY-B")


def word(kind: str, patient_id: str = PATIENT) -> str:
    """A text that stands in one kind of place only."""
    return f"{'mine' if patient_id == PATIENT else 'another'}{kind}canary"


async def checkpointed(state: StateFolder, patient_id: str, runs: tuple[str, ...]) -> None:
    """Several runs with steps, errors, notifications and answers to requests, the last one not delivered."""
    async with open_database(state.path, time.time) as checkpoints:
        checkpoints.outbox.enabled = True
        for number, run_id in enumerate(runs):
            await checkpoints.create_runs({patient_id: run_id}, 0)
            given = {"given": word("given", patient_id), "birth_date": word("born", patient_id)}
            await checkpoints.finish_step(run_id, Activity.GET_PATIENT, "", given)
            checkpoints.begin_step(run_id, Activity.CREATE_TASK, "")
            await checkpoints.save_step(run_id, Activity.CREATE_TASK, "", {"key": word("intent", patient_id)})
            await checkpoints.finish_step(
                run_id, Activity.CREATE_TASK, "", {"task_id": word("task", patient_id)}
            )
            converted = {"metadata": {"title": word("title", patient_id) * 300}}
            await checkpoints.finish_step(run_id, Activity.CONVERT, "00001", converted)
            checkpoints.note_doing(run_id, {"at": word("doing", patient_id)})
            error = word("error", patient_id)
            await checkpoints.finish_run(run_id, RunState.FAILED, {}, word("task", patient_id), error)
            answer = f'{{"runs": [{{"run_id": "{run_id}", "patient_id": "{patient_id}"}}]}}'
            await checkpoints.answers.remember(f"key-{len(runs)}-{number}", "digest", answer)


async def logged(state: StateFolder, patient_id: str, runs: tuple[str, ...]) -> None:
    """Lines of the log, in one put aside, too, and in drafts that killed processes left."""
    async with ActivityLog(state.path, time.time) as log:
        for run_id in runs:
            log.start(Entry(run_id, patient_id, Activity.SEARCH, 1, {"search_id": word("log", patient_id)}))
    lines = (state.path / "activity_log.csv").read_bytes()
    for name in ("activity_log-20200101T000000Z.csv", "activity_log-20190101T000000Z.csv.part"):
        (state.path / name).write_bytes(lines)
    (state.path / "activity_log.new").write_bytes(lines)


async def stored(storage: Storage, config: Config, patient_id: str, runs: tuple[str, ...]) -> None:
    """Documents, reports of runs, a temporary file, and texts in the search index."""
    source = config.state_dir / "source"
    source.write_text(word("text", patient_id))
    await storage.put_document(
        patient_id, "d1", {"original.txt": source}, {"title": word("meta", patient_id)}
    )
    source.unlink(missing_ok=True)
    for run_id in runs:
        await storage.put_run_files(patient_id, run_id, {"report.html": word("report", patient_id).encode()})
    folder = Path(config.storage.url) / storage.folder_of(patient_id)
    (folder / ".tmp-left").write_text(word("draft", patient_id))
    async with open_index(index_path(config), storage) as index:
        text = Text(
            document_id="d1",
            name=word("name", patient_id),
            title=word("indextitle", patient_id),
            author=word("author", patient_id),
            text=f"{word('indexed', patient_id)} " * 500,
        )
        await index.add(patient_id, text)


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    """A state folder and a storage with everything of two patients."""
    config = Config(
        state=State(dir=str(tmp_path / "state")),
        storage=StorageConfig(url=str(tmp_path / "storage")),
        schedule=(Schedule(name="nightly", patients=("ids.txt",), every="7d"),),
    )
    storage = FolderStorage(tmp_path / "storage")
    database = PatientDatabase(patients_url(config))
    with StateFolder(config.state_dir) as state:
        for patient_id, runs in ((OTHER, ("RUN-OTHER",)), (PATIENT, RUNS)):
            await checkpointed(state, patient_id, runs)
            await logged(state, patient_id, runs)
            await stored(storage, config, patient_id, runs)
            family, born = word("family", patient_id), "1957-03-31"
            await database.put([Patient(patient_id, word("first", patient_id), family, born)])
            for place in (*runs, "chart-1", "rooms/.worker-3/in"):
                folder = state.spool / place
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{patient_id}.txt").write_text(word("spool", patient_id))
    await database.aclose()
    return config


def traces(folder: Path, *texts: str) -> list[tuple[str, str]]:
    """Which text stands in which file, by its name or its bytes."""
    return [
        (str(path.relative_to(folder)), text)
        for path in sorted(folder.rglob("*"))
        for text in texts
        if text in str(path.relative_to(folder)) or (path.is_file() and text.encode() in path.read_bytes())
    ]


KINDS = (
    *("given", "born", "intent", "task", "title", "doing", "error", "log", "text", "meta", "report", "draft"),
    *("name", "indextitle", "author", "indexed", "first", "family", "spool"),
)
GONE = {"given", "born"}
"""What has left with the end of the run already."""


@pytest.mark.parametrize("at_work", [False, True])
async def test_nothing_of_anything_is_left(config: Config, tmp_path: Path, at_work: bool) -> None:
    """Of another patient all is there; what docpipe cannot reach is listed."""
    before = {text for _, text in traces(tmp_path, *map(word, KINDS))}
    assert before >= {word(kind) for kind in set(KINDS) - GONE - {"doing"}}
    if at_work:
        kept = await removed_at_work(config)
    else:
        kept = await forget.remove(config, PATIENT)
    assert sorted(kept.runs) == list(RUNS)
    left = [
        (path, text)
        for path, text in traces(tmp_path, *map(word, KINDS), *RUNS, f'"{PATIENT}"', f",{PATIENT},")
        if not (at_work and path.startswith(("state/spool/chart-1", "state/spool/rooms")))  # others' work
    ]
    assert left == []
    others = [word(kind, OTHER) for kind in set(KINDS) - GONE - {"doing", "spool"}]
    assert {text for _, text in traces(tmp_path, *others)} == set(others)
    reach = "\n".join(kept.beyond_reach)
    for what in (
        "TaskTracker",
        word("task"),
        "backups",
        "exchange",
        "--trace-http",
        "nightly",
        "idempotency",
    ):
        assert what in reach


async def removed_at_work(config: Config) -> forget.Kept:
    """By the service, which holds log and index open."""
    storage = FolderStorage(Path(config.storage.url))
    database = PatientDatabase(patients_url(config))
    async with (
        ActivityLog(config.state_dir, time.time) as log,
        open_index(index_path(config), storage) as index,
    ):
        parts = forget.AtWork(
            config=config,
            storage=storage,
            spool=FolderSpool(config.state_dir / "spool"),
            patients=database,
            activity_log=log,
            index=index,
        )
        kept = await forget.remove_at_work(parts, PATIENT)
    await database.aclose()
    return kept
