"""Checks of the state folder: the checkpoint database, permissions, the spool, the activity log."""

import csv
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docpipe.check.finding import Finding, Permit, Remove, Scene
from docpipe.checkpoints import integrity, outdated, unfinished_runs
from docpipe.errors import StateError
from docpipe.runtime.activity_log import COLUMNS

_FOLDER: Final = 0o700
_FILE: Final = 0o600
_MOST: Final = 10
_EVERY: Final = 10_000
_REPLACE: Final = (
    "put a backup in its place, or move it away to begin anew (stored documents stay, unfinished runs are "
    "forgotten)"
)


def database(scene: Scene) -> Iterator[Finding]:
    """The checkpoint database is whole, docpipe's own, and of a version that this docpipe knows."""
    path = scene.state / "checkpoints.db"
    if not path.exists():
        return
    scene.progress("checkpoint database")
    try:
        broken = False
        for damage in integrity(scene.state):
            broken = True
            yield Finding("database", str(path), f"it is damaged: {damage}", _REPLACE)
        if not broken and path.stat().st_size and (version := outdated(scene.state)) is not None:
            problem = f"it is of an older docpipe (schema {version})"
            yield Finding("database", str(path), problem, "the next run upgrades it", wrong=False)
    except StateError as error:
        yield Finding("database", str(path), str(error), _REPLACE)
    scene.counts["databases"] += 1


def folder(scene: Scene) -> Iterator[Finding]:
    """The state folder and its files are private to their owner, who is the one that runs docpipe."""
    if not scene.state.exists():
        return
    for path in (scene.state, *sorted(scene.state.iterdir())):
        try:
            status = path.lstat()
        except FileNotFoundError:  # SQLite's own files come and go
            continue
        wanted = _FOLDER if stat.S_ISDIR(status.st_mode) else _FILE
        if status.st_mode & 0o077 and not stat.S_ISLNK(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            problem = f"other users can read it (mode {mode:04o}); it may hold patient data"
            yield Finding(
                "state", str(path), problem, f"chmod {wanted:o}, or --repair", remedy=Permit(path, wanted)
            )
        if status.st_uid != os.geteuid():
            problem = "it belongs to another user, not to the one that runs docpipe"
            yield Finding("state", str(path), problem, f"chown it to user {os.geteuid()}")
    yield from _spool(scene)


def _spool(scene: Scene) -> Iterator[Finding]:
    spool = scene.state / "spool"
    left = sorted(spool.iterdir()) if spool.is_dir() else []
    if not left:
        return
    try:
        unfinished = unfinished_runs(scene.state)
    except StateError:
        return  # reported by the check of the database; without it nobody knows what is needed
    for path in left:
        if path.name not in unfinished and not scene.beside:
            problem = "it belongs to no unfinished run"
            cure = "the next start of docpipe removes it, or --repair"
            yield Finding("state", str(path), problem, cure, wrong=False, remedy=Remove(path))


def log(scene: Scene) -> Iterator[Finding]:
    """The activity log can be read to its end."""
    path = scene.state / "activity_log.csv"
    if not path.exists():
        return
    bad = 0
    number = 0
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(_whole_lines(file))
        while True:
            number += 1
            try:
                row = next(lines)
            except StopIteration:
                break
            except csv.Error as error:
                row = [str(error)]
            if number % _EVERY == 0:
                scene.progress(f"activity log, line {number}")
            if not _readable(row, number):
                bad += 1
                if bad <= _MOST:
                    problem = f"line {lines.line_num} cannot be read"
                    yield Finding("log", str(path), problem, "delete the line; nothing else needs it")
    scene.counts["log lines"] += number - 1
    if bad > _MOST:
        yield Finding(
            "log", str(path), f"{bad - _MOST} more lines cannot be read", "delete these lines as well"
        )
    if not scene.beside and _torn(path):
        problem = "its last line is incomplete, from a crash or a full disk"
        yield Finding(
            "log", str(path), problem, "the next start of docpipe removes the incomplete line", wrong=False
        )


def _whole_lines(file: Iterator[str]) -> Iterator[str]:
    """Lines without a last one that is cut short: its writer may be at it."""
    for line in file:
        if line.endswith("\n"):
            yield line


def _readable(row: list[str], number: int) -> bool:
    if number == 1:
        return tuple(row) == COLUMNS
    if len(row) != len(COLUMNS):
        return False
    try:
        json.loads(row[COLUMNS.index("args")])
    except ValueError:
        return False
    return row[COLUMNS.index("event")] in ("start", "finish")


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"
