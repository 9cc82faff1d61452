"""Which patients a command names: with --all and --where those of the database."""

import argparse
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from docpipe.cli.wanted import wanted_patients
from docpipe.config.config import Config, Patients
from docpipe.errors import DatabaseDownError, PatientError, UsageError


def args(**given: Any) -> argparse.Namespace:
    usual = {"command": "run", "patient": [], "patients": None, "all": False, "where": []}
    return argparse.Namespace(**(usual | given))


def config(folder: Path, *rows: tuple[object, ...]) -> Config:
    """A database with these ids and wards."""
    path = folder / "wards.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE patients (id TEXT, given, family, birth_date, ward TEXT)")
        database.executemany("INSERT INTO patients VALUES (?, 'Ann', 'Lee', '1957-03-31', ?)", rows)
    database.close()
    return Config(patients=Patients(url=f"sqlite:///{path}", columns=(("sex", ""), ("postal_code", ""))))


async def test_everybody_and_those_who_meet_every_condition(tmp_path: Path) -> None:
    """By id, each once, beside those who are named."""
    wards = config(tmp_path, ("P3", "A"), ("P1", "B"), ("P2", "B"), ("P2", "B"))
    assert await wanted_patients(args(all=True), wards) == ["P1", "P2", "P3"]
    assert await wanted_patients(args(where=["ward=B"], patient=["X1"]), wards) == ["X1", "P1", "P2"]
    assert await wanted_patients(args(where=["ward=B", "id>P1"]), wards) == ["P2"]
    assert await wanted_patients(args(patient=["X1"]), wards) == ["X1"]
    with pytest.raises(UsageError, match="nobody like that"):
        await wanted_patients(args(where=["ward=' OR 1=1"]), wards)


async def test_rows_without_an_id_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be an id is told by its number, and the rest is taken."""
    wards = config(tmp_path, ("P1", "A"), (None, "A"), ("", "A"), ("P\x07", "A"), (b"\xff\xfe", "A"))
    assert await wanted_patients(args(all=True), wards) == ["P1"]
    assert "4 rows of the patients database are left out" in capsys.readouterr().err


async def test_what_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """No words, nobody there, no file, no server: a sentence each."""
    empty = config(tmp_path)
    with pytest.raises(UsageError, match="--all or --where COLUMN=VALUE"):
        await wanted_patients(args(), empty)
    with pytest.raises(UsageError, match="has nobody in it"):
        await wanted_patients(args(all=True), empty)
    with pytest.raises(PatientError, match="There is no patients database"):
        await wanted_patients(args(all=True), Config(patients=Patients(url=f"sqlite:///{tmp_path}/none.db")))
    with pytest.raises(DatabaseDownError, match="the connection was refused"):
        await wanted_patients(args(all=True), Config(patients=Patients(url="postgresql://u@127.0.0.1:1/d")))
