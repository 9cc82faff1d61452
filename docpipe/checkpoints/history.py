"""Durations of finished runs and the work in progress, for forecasts."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from docpipe.checkpoints.schema import UNFINISHED, Grant, reading
from docpipe.model import Activity

_LATEST: Final = 500
_GRANTS_S: Final = 2 * 3600.0
_TIMES: Final = """
    SELECT run_id, activity, started_at, finished_at,
        json_extract(result, '$.seconds'), json_extract(result, '$.size'),
        json_extract(result, '$.at'), json_extract(result, '$.ask_after'), json_extract(result, '$.asked')
    FROM steps WHERE attempts = 1 AND result IS NOT NULL AND run_id IN (
        SELECT run_id FROM runs WHERE state IN ('completed', 'completed_with_errors') AND retries = 0
        ORDER BY run_id DESC LIMIT ?
    )
    ORDER BY run_id, item
"""


@dataclass(slots=True)
class PastRun:
    """Durations of one finished run, in seconds. A list has an entry for each time an activity was done."""

    durations: dict[Activity, list[float]] = field(default_factory=lambda: defaultdict(list))
    """From start to finish, including waits for quotas and slots."""
    convert_s: list[float] = field(default_factory=list)
    """In the worker."""
    download_s: float | None = None
    archive_b: int = 0
    accepted: float | None = None
    """When the search was accepted, by the wall clock."""
    ask_after: float | None = None
    asked: list[float] = field(default_factory=list)
    """Seconds from then to each poll; at the last one the search was ready."""


@dataclass(frozen=True, slots=True)
class Present:
    """The unfinished work in the database. Times are of the wall clock."""

    queued: int = 0
    """Unfinished runs that have not searched yet."""
    searched: tuple[float, ...] = ()
    """When the searches of the other unfinished runs were accepted."""
    grants: tuple[tuple[str, Grant], ...] = ()
    """Grants of each quota in the last two hours."""
    alive: float | None = None


def past_runs(folder: Path, latest: int = _LATEST) -> list[PastRun]:
    """Return the durations of the latest finished runs.

    Args:
        folder: the state folder.
        latest: how many at most.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return []
    runs: dict[str, PastRun] = defaultdict(PastRun)
    with reading(folder) as db:
        for run_id, activity, started, finished, *rest in db.execute(_TIMES, (latest,)):
            run = runs[run_id]
            run.durations[Activity(activity)].append(finished - started)
            _add(run, Activity(activity), *rest)
    return list(runs.values())


def _add(run: PastRun, activity: Activity, *rest: Any) -> None:
    seconds, size, accepted, ask_after, asked = rest
    if activity is Activity.CONVERT and seconds is not None:
        run.convert_s.append(seconds)
    elif activity is Activity.DOWNLOAD:
        run.download_s, run.archive_b = seconds, size or 0
    elif activity is Activity.SEARCH:
        run.accepted, run.ask_after = accepted, ask_after
    elif activity is Activity.CHECK_STATUS and asked:
        run.asked = json.loads(asked)


def present(folder: Path, now: float) -> Present:
    """Return the unfinished work in the database.

    Raises:
        StateError: if the database is there and cannot be read.
    """
    if not (folder / "checkpoints.db").exists():
        return Present()
    with reading(folder) as db:
        return _present(db, now)


def _present(db: Connection, now: float) -> Present:
    rows: list[tuple[Any, ...]] = db.execute(
        "SELECT (SELECT json_extract(result, '$.at') FROM steps "  # noqa: S608 -- a constant
        "WHERE steps.run_id = runs.run_id AND activity = ? AND item = '') "
        f"FROM runs WHERE {UNFINISHED}",
        (Activity.SEARCH,),
    ).fetchall()
    grants = db.execute(
        "SELECT quota, at, answered FROM grants WHERE coalesce(answered, at) >= ?", (now - _GRANTS_S,)
    )
    alive = db.execute("SELECT alive FROM process").fetchone()
    searched = tuple(at for (at,) in rows if at is not None)
    return Present(
        queued=len(rows) - len(searched),
        searched=searched,
        grants=tuple((name, Grant(at, answered)) for name, at, answered in grants),
        alive=alive[0] if alive else None,
    )
