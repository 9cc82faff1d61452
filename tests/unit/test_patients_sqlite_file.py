"""docpipe's own patients file is looked up as SQLAlchemy would, and without it."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from docpipe.config.config import Patients
from docpipe.errors import DatabaseDownError, PatientError, StateError
from docpipe.patients import PatientDatabase, checked
from docpipe.patients.sqlite_file import own_file

ANN = {"id": "P1", "given": "Ann", "family": "Lee", "birth_date": "1957-03-31"}


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    path = tmp_path / "pat ients #1.db"
    async with contextlib.aclosing(PatientDatabase(f"sqlite:///{path}")) as database:
        await database.put([checked(ANN)])
    return path


async def both(file: Path, patient_id: str = "P1") -> list[object]:
    """What a look-up gives, without SQLAlchemy where that is possible, and with it."""
    result: list[object] = []
    async with contextlib.aclosing(PatientDatabase(f"sqlite:///{file}")) as database:
        for one in (database, database._sql):
            try:
                result.append(await one.find(patient_id))
            except (PatientError, DatabaseDownError) as error:
                result.append((type(error), str(error)))
    return result


def test_a_look_up_needs_no_sqlalchemy(file: Path) -> None:
    script = (
        "import asyncio, sys; from docpipe.patients import PatientDatabase\n"
        f"print(asyncio.run(PatientDatabase({f'sqlite:///{file}'!r}).find('P1')).given)\n"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Ann", "False"]


def test_a_first_try_with_invented_patients_needs_no_sqlalchemy(tmp_path: Path) -> None:
    """They are written before the first request, and one is removed likewise."""
    script = (
        "import asyncio, sys; from docpipe.patients import PatientDatabase, checked\n"
        "async def main():\n"
        f"    database = PatientDatabase({f'sqlite:///{tmp_path}/new/patients.db'!r})\n"
        f"    await database.put([checked({ANN!r}), checked({ANN!r} | {{'id': 'P2', 'sex': 'f'}})])\n"
        f"    await database.put([checked({ANN!r} | {{'given': 'Eve'}})])\n"
        "    print(await database.remove('P2'), await database.remove('P3'))\n"
        "    print((await database.find('P1')).given)\n"
        "    await database.aclose()\n"
        "asyncio.run(main()); print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "Eve", "False"]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "patients.db").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with contextlib.aclosing(PatientDatabase(f"sqlite:///{tmp_path}/file/patients.db")) as database:
        with pytest.raises(StateError, match=r"file/patients\.db cannot be written"):
            await database.put([checked(ANN)])


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1",
        "DELETE FROM patients",
        "UPDATE patients SET birth_date = 'soon'",
        "UPDATE patients SET given = X'4AFF'",
        "UPDATE patients SET given = CAST(X'4AFF' AS TEXT)",
        "UPDATE patients SET sex = NULL, postal_code = 12345.0",
        "ALTER TABLE patients RENAME COLUMN family TO FAMILY",
        "ALTER TABLE patients RENAME COLUMN family TO surname",
        "ALTER TABLE patients ADD COLUMN ward TEXT",
        "DROP TABLE patients",
    ],
)
async def test_the_answers_are_those_of_sqlalchemy(file: Path, change: str) -> None:
    """Patients as well as errors, whatever the table has become."""
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute(change)
    one, other = await both(file)
    assert one == other


@pytest.mark.parametrize("patient_id", ["P1", "p1", "P2", "P1 ", "Zoe\u0301", "\ud800", "'", " "])
async def test_ids_are_compared_as_by_sqlalchemy(file: Path, patient_id: str) -> None:
    one, other = await both(file, patient_id)
    assert one == other


async def test_files_that_cannot_be_read(file: Path) -> None:
    """One that is no database, one that is locked for good and one that is gone have the usual sentences."""
    file.write_bytes(b"no database" * 1000)
    one, other = await both(file)
    assert one == other
    os.unlink(file)  # noqa: PTH108
    one, other = await both(file)
    assert one == other
    assert "docpipe patients import" in str(one)


async def test_a_file_in_wal_mode_that_cannot_be_opened_has_a_cure(file: Path) -> None:
    """SQLite has to create a file beside it, and cannot: as on a mount that is read-only."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    file.with_name(f"{file.name}-wal").mkdir()
    one, other = await both(file)
    assert one == other
    assert "SQLite cannot open it" in str(one)
    assert "journal_mode = DELETE" in str(one)


async def test_dates_are_listed_as_a_run_uses_them(file: Path) -> None:
    """Other programs keep timestamps."""
    listed: list[dict[str, str]] = []
    for text in ("1957-03-31T03:04:05", "1957-03-31 00:00:00"):
        with contextlib.closing(sqlite3.connect(file)) as db, db:
            db.execute("UPDATE patients SET birth_date = ?", (text,))
        async with contextlib.aclosing(PatientDatabase(f"sqlite:///{file}")) as database:
            await database.each(listed.append)
            assert (await database.find("P1")).birth_date == "1957-03-31"
    assert [row["birth_date"] for row in listed] == ["1957-03-31"] * 2


async def test_blanks_around_an_id(file: Path) -> None:
    """Tables of other programs have them; who is listed as P1 is found as P1."""
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE patients SET id = ' P1 '")
    one, other = await both(file)
    assert one == other == checked(ANN)


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("sqlite://", Patients()),
        ("sqlite:///:memory:", Patients()),
        ("sqlite:///file:x?uri=true", Patients()),
        ("sqlite:///x.db?timeout=1", Patients()),
        ("sqlite:///a%20b.db", Patients()),
        ("postgresql://h/x", Patients()),
        ("sqlite:///x.db", Patients(table="people")),
        ("sqlite:///x.db", Patients(columns={"id": "mrn"})),
        ("sqlite:///x.db", Patients(query="SELECT 1 WHERE :id")),
    ],
)
def test_other_databases_are_left_to_sqlalchemy(url: str, config: Patients) -> None:
    assert own_file(url, config) is None
