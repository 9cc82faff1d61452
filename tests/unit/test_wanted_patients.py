"""Which patients a command names: with --all and --where those of the database."""

import argparse
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from docpipe.cli.selection import selected_patients
from docpipe.config.config import Config, Patients
from docpipe.errors import DatabaseDownError, DatabaseUnusableError, PatientError, UsageError
from docpipe.wiring.backends import open_patients


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
    """By id, each once, beside those that are named."""
    wards = config(tmp_path, ("P3", "A"), ("P1", "B"), ("P2", "B"), ("P2", "B"))
    assert await selected_patients(args(all=True), wards) == ["P1", "P2", "P3"]
    assert await selected_patients(args(where=["ward=B"], patient=["X1"]), wards) == ["X1", "P1", "P2"]
    assert await selected_patients(args(where=["ward=B", "id>P1"]), wards) == ["P2"]
    assert await selected_patients(args(patient=["X1"]), wards) == ["X1"]
    with pytest.raises(UsageError, match="no patients with these values"):
        await selected_patients(args(where=["ward=' OR 1=1"]), wards)


async def test_rows_without_an_id_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be an id is reported by its line, and the rest is taken."""
    wards = config(tmp_path, ("P1", "A"), (None, "A"), ("", "A"), ("P\x07", "A"), (b"\xff\xfe", "A"))
    assert await selected_patients(args(all=True), wards) == ["P1"]
    assert "4 rows of the patients database are left out" in capsys.readouterr().err


async def test_what_cannot_be_listed_is_reported(tmp_path: Path) -> None:
    """No words, nobody there, no file, no server: a sentence each."""
    empty = config(tmp_path)
    with pytest.raises(UsageError, match="--all or --where COLUMN=VALUE"):
        await selected_patients(args(), empty)
    with pytest.raises(UsageError, match="database has no patients"):
        await selected_patients(args(all=True), empty)
    with pytest.raises(DatabaseUnusableError, match="There is no patients database"):
        await selected_patients(
            args(all=True), Config(patients=Patients(url=f"sqlite:///{tmp_path}/none.db"))
        )
    with pytest.raises(DatabaseDownError, match="the connection was refused"):
        await selected_patients(args(all=True), Config(patients=Patients(url="postgresql://u@127.0.0.1:1/d")))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("P1\nP2\n", ["P1", "P2"]),
        ("P1\rP2\rP3", ["P1", "P2", "P3"]),
        ("# my patients\r\nP1\r\n\r\n  P2  \r\n", ["P1", "P2"]),
        ("id,ward\rP1,A\rP2,B\r", ["P1", "P2"]),
        ('\ufeffsep=;\n"ID";ward\nP1;"a, b"\n# later\nP2;c\n', ["P1", "P2"]),
        ("ward\tid\nA\tP1\n", ["P1"]),
        ('id,note\nP1,"two\n# lines"\nP2,""\n', ["P1", "P2"]),
        ("id\n123\n", ["123"]),
        ("abc\n", ["abc"]),
    ],
)
async def test_files_of_patients(tmp_path: Path, text: str, ids: list[str]) -> None:
    """However lines end, whatever the delimiter is: each patient is taken, and nothing else."""
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    assert await selected_patients(args(patients=path), Config()) == ids


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("patient_id,name\nP101,x\n", "without a column `id`; its columns are patient_id, name."),
        ("name\nP101\nP102\n", "without a column `id`; its columns are name."),
        ("P101,Ann,1957\nP102,Zoe,1960\n", "without a column `id`. Call the column"),
        ('id,note\nP1,a\nP2,"b\nP3,c\nP4,d\n', r'the quote \("\) opened on line 3 is not closed'),
        ('id,note\nP1,"a\nP2,"b"\n', r'the quote \("\) opened on line 2|opened on line 3'),
        ("\xff".encode("latin-1"), "is not UTF-8 text"),
    ],
)
async def test_files_that_are_refused(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """What cannot be a list of patients is refused as a whole, with the columns or the line, and no data."""
    path = tmp_path / "patients.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=problem) as refused:
        await selected_patients(args(patients=path), Config())
    assert "Ann" not in str(refused.value)


async def test_an_odd_id_is_refused_with_its_line(tmp_path: Path) -> None:
    """A file is not begun by halves, and who mends it finds the line."""
    path = tmp_path / "ids.csv"
    path.write_text("id,ward\nP1,A\nP\u200b2,A\nP3,A\n", "utf-8")
    with pytest.raises(UsageError, match=r"ids\.csv: the id on line 3 has .* cannot be seen"):
        await selected_patients(args(patients=path), Config())
    path.write_text("id\n" + "P\u00a01\n" * 7, "utf-8")
    with pytest.raises(UsageError, match=r"on lines 2, 3, 4, 5, 6 and more have"):
        await selected_patients(args(patients=path), Config())


async def test_a_blank_at_the_end_of_an_id_hides_nobody(tmp_path: Path) -> None:
    """Who is listed is found."""
    wards = config(tmp_path, ("P3 ", "A"))
    (listed,) = await selected_patients(args(all=True), wards)
    async with open_patients(wards) as database:
        assert (await database.find(listed)).id == "P3"
        with pytest.raises(PatientError, match="There is no patient P"):
            await database.find("P")
