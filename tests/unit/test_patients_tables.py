"""Patients in databases that docpipe did not make: SQLite files, URLs, filters, the keys of [patients]."""

import contextlib
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from docpipe.config.config import Patients
from docpipe.config.schedule import Schedule
from docpipe.errors import ConfigError, DatabaseDownError, DatabaseUnusableError, PatientError, UsageError
from docpipe.model import Patient
from docpipe.patients import Filter, PatientDatabase
from docpipe.patients.troubles import outage_of
from docpipe.patients.urls import connecting, parsed
from docpipe.schedule import members_of


def foreign(folder: Path, columns: str, *rows: tuple[Any, ...], table: str = "patients") -> str:
    """A database that docpipe did not make; returns its URL."""
    path = folder / "foreign.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE {table} ({columns})")
        for row in rows:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 -- question marks
    db.close()
    return f"sqlite:///{path}"


def opened(url: str, config: Patients | None = None) -> contextlib.aclosing[PatientDatabase]:
    return contextlib.aclosing(PatientDatabase(url, config))


async def test_rows_that_cannot_be_used_fail_alone(tmp_path: Path) -> None:
    """A NULL birth date or two rows for one id fail that patient, naming the column, not the data."""
    url = foreign(
        tmp_path,
        "id, given, family, birth_date, sex, postal_code",
        ("P1", "Ann", "Lee", None, None, None),
        ("P2", "Ann", "Lee", "1957-03-31", None, 12345),
        ("P3", "Ann", "Lee", "1957-03-31", None, None),
        ("P3", "Bob", "Lee", "1957-03-31", None, None),
    )
    async with opened(url) as database:
        with pytest.raises(PatientError, match="patient P1 cannot be used: birth_date is empty"):
            await database.find("P1")
        with pytest.raises(PatientError, match="2 rows for patient P3"):
            await database.find("P3")
        assert await database.find("P2") == Patient("P2", "Ann", "Lee", "1957-03-31", "unknown", "12345")


async def test_odd_values(tmp_path: Path) -> None:
    """SQLite holds anything in any column: what is a text or a number of its kind is read."""
    url = foreign(
        tmp_path,
        "id NUMERIC, given TEXT, family TEXT, birth_date DATE, sex TEXT, postal_code INTEGER",
        (1, "Ann", b"Lee", "1957-03-31 00:00:00.000", "F", 12345.0),
        ("P2", "Ann", b"\xffLee", "1957-03-31", None, None),
        ("P3", "Ann", "Lee", "31.03.1957", None, None),
        ("P4", "Ann", "Lee", -4000000, None, None),
        ("P5", "Ann", "Lee", "1957-03-31", 3.5, None),
    )
    with sqlite3.connect(tmp_path / "foreign.db") as db:
        db.execute(
            "INSERT INTO patients VALUES ('P6', CAST(x'4aff' AS TEXT), 'Lee', '1957-03-31', NULL, NULL)"
        )
    db.close()
    async with opened(url) as database:
        assert await database.find("1") == Patient("1", "Ann", "Lee", "1957-03-31", "female", "12345")
        for patient_id, message in {
            "P2": "family holds bytes that are not text",
            "P3": "birth_date has to be a date",
            "P4": "birth_date has to be a date",
            "P5": "sex has to be one of",
            "P6": "given holds control characters or is not UTF-8",
        }.items():
            with pytest.raises(PatientError, match=f"patient {patient_id} cannot be used: {message}"):
                await database.find(patient_id)
        rows: list[dict[str, str]] = []
        await database.each(rows.append, [Filter.parse("postal_code>=2")])
        assert [row["id"] for row in rows] == ["1"]
        rows.clear()
        await database.each(rows.append)
        assert [(row["id"], row["family"]) for row in rows][:3] == [("1", "Lee"), ("P2", "?"), ("P3", "Lee")]
        assert rows[-1]["given"].startswith("J")


async def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """Table and columns are as configured; nothing is imported into it, and a lock on it is an outage."""
    url = foreign(tmp_path, "nr, name, surname, born", ("P1", "Ann", "Lee", "1957-03-31"), table="people")
    names = {
        "id": "nr",
        "given": "name",
        "family": "SURNAME",
        "birth_date": "born",
        "sex": "",
        "postal_code": "",
    }
    theirs = Patients(table="people", columns=tuple(names.items()))
    async with opened(url, theirs) as database:
        assert await database.find("P1") == Patient("P1", "Ann", "Lee", "1957-03-31")
        with pytest.raises(UsageError, match="own SQLite file only"):
            await database.put([])
    async with opened(f"{url}?timeout=0", theirs) as database:
        db = sqlite3.connect(tmp_path / "foreign.db", isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseDownError, match="locked by another program"):
            await database.find("P1")
        db.execute("ROLLBACK")
        db.close()
        assert (await database.find("P1")).given == "Ann"


async def test_what_a_file_lacks_is_reported(tmp_path: Path) -> None:
    """A table or a column that is missing, and a file that is no database, are reported in a sentence."""
    async with opened(foreign(tmp_path, "id, given", ("P1", "Ann"))) as database:
        with pytest.raises(
            DatabaseUnusableError, match="no column family, birth_date, sex, postal_code: name its"
        ):
            await database.check()
    async with opened(foreign(tmp_path, "id"), Patients(table="people")) as database:
        with pytest.raises(
            DatabaseUnusableError, match=r"no table people that may be read: set patients\.table"
        ):
            await database.check()
    (tmp_path / "text.db").write_text("no database, but a text that is long enough to be one" * 100)
    async with opened(f"sqlite:///{tmp_path}/text.db") as database:
        with pytest.raises(DatabaseUnusableError, match="cannot answer"):
            await database.find("P1")


async def test_a_file_is_only_read(tmp_path: Path) -> None:
    """Not even a query of the user's can write into the file."""
    url = foreign(tmp_path, "id, given, family, birth_date", ("P1", "Ann", "Lee", "1957-03-31"))
    async with opened(url, Patients(query="DELETE FROM patients WHERE id = :id RETURNING *")) as database:
        with pytest.raises(DatabaseUnusableError, match="cannot answer"):
            await database.find("P1")
    async with opened(url, Patients(query="SELECT * FROM patients WHERE id = :id")) as database:
        assert (await database.find("P1")).given == "Ann"


@pytest.mark.parametrize(
    "url",
    ["nonsense", "oracle+nodriver://me:s3cret@x/y", "sqlite://", "sqlite:///:memory:", "mssql+pymssql://x/y"],
)
def test_bad_urls(url: str) -> None:
    """A URL that nobody understands, or whose driver cannot be used, is reported without quoting it."""
    with pytest.raises(ConfigError, match=r"patients\.url") as refused:
        PatientDatabase(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        ("postgres://u@h/d", "postgresql+asyncpg"),
        ("postgresql://u@h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg"),
        ("mysql://u@h/d", "mysql+asyncmy"),
        ("mysql+pymysql://u@h/d", "mysql+asyncmy"),
        ("mariadb://u@h/d", "mariadb+asyncmy"),
        ("mysql+aiomysql://u@h/d", "mysql+aiomysql"),
        ("sqlite+aiosqlite:///x.db", "sqlite"),
    ],
)
def test_urls_as_people_write_them(written: str, driver: str) -> None:
    """A database without a driver, or with one that would block, gets the one that fits."""
    assert parsed(written).drivername == driver


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/d", "mariadb://u:s3cret@h/d"])
def test_missing_drivers_are_reported_with_the_cure(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the sentence says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'docpipe\[(postgres|mysql)\]'") as refused:
        PatientDatabase(url)
    assert "s3cret" not in str(refused.value)


def test_options_in_urls(tmp_path: Path) -> None:
    """PostgreSQL's usual options are understood; what the driver does not know is refused at the start."""
    url, given = connecting(parsed("postgresql://h/d?sslmode=require&application_name=x"), 3.0, 2.0)
    named = given.pop("prepared_statement_name_func")
    names = [named() for _ in range(2)]
    assert len(set(names)) == 2  # a pooler may hand over a connection that knows the other one's
    assert given == {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "timeout": 2.0,
        "command_timeout": 3.0,
        "ssl": "require",
        "server_settings": {"application_name": "x"},
    }
    assert not url.query
    with pytest.raises(ConfigError, match="no option chanel_binding"):
        parsed("postgresql://h/d?chanel_binding=require")
    with pytest.raises(ConfigError, match="sslrootcert="):
        connecting(parsed(f"postgresql://h/d?sslmode=verify-full&sslrootcert={tmp_path}/none"), 3.0, 2.0)


def test_numbers_in_urls():
    """What has to be a number is one for the driver; caches of statements stay off, whatever is asked for."""
    query = "command_timeout=7&timeout=1.5&statement_cache_size=100&prepared_statement_cache_size=500"
    url, given = connecting(parsed(f"postgresql://h/d?{query}"), 3.0, 2.0)
    assert not url.query
    assert (given["command_timeout"], given["timeout"]) == (7.0, 1.5)
    assert given["statement_cache_size"] == given["prepared_statement_cache_size"] == 0


@pytest.mark.parametrize(
    "option",
    [
        "command_timeout=soon",
        "statement_cache_size=many",
        "prepared_statement_cache_size=x",
        "loop=1",
        "record_class=x",
        "server_settings=x",
    ],
)
def test_bad_options_are_refused_at_the_start(option: str) -> None:
    """Not at the first look-up, as an error of the driver."""
    with pytest.raises(ConfigError, match=option.partition("=")[0]):
        PatientDatabase(f"postgresql://u:s3cret@h/d?{option}")


@pytest.mark.parametrize("error", [TypeError("unexpected keyword"), ValueError("s3cret")])
async def test_options_that_the_driver_does_not_take(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What nobody could know before the first connection is reported as a fault of the configuration, too."""
    database = PatientDatabase("mysql://u:s3cret@h/d?colour=blue")

    async def connect():
        raise error

    async def disposed():
        """There is nothing to let go of."""

    monkeypatch.setattr(database._sql._link, "_engine", SimpleNamespace(connect=connect, dispose=disposed))
    with pytest.raises(ConfigError, match=r"does not take its options \(\w+\): colour") as refused:
        await database.find("P1")
    assert "s3cret" not in str(refused.value)
    await database.aclose()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ward=B2", Filter("ward", "=", "B2")),
        (" born >= 1957-03-31", Filter("born", ">=", "1957-03-31")),
        ("a!=b=c", Filter("a", "!=", "b=c")),
        ("a<", Filter("a", "<", "")),
    ],
)
def test_filters(text: str, read: Filter) -> None:
    """A column, an operator and a value; the value may hold anything."""
    assert Filter.parse(text) == read


@pytest.mark.parametrize("text", ["ward", "=B2", "ward LIKE 'B%'", "", "1 OR 1"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    """SQL is no filter."""
    with pytest.raises(UsageError, match="--where has to be"):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (("wrad=B",), "schedule.patients: the table has no column wrad"),
        (("=B",), "schedule.patients has to be a column"),
        (("ward=B", "wrad=B"), "schedule.patients: the table has no column wrad"),
    ],
)
async def test_conditions_of_a_schedule_are_named_by_their_key(
    tmp_path: Path, conditions: tuple[str, ...], message: str
) -> None:
    """No option --where was typed."""
    url = foreign(tmp_path, "id, given, family, birth_date, sex, postal_code, ward")
    async with opened(url) as database:
        with pytest.raises(UsageError) as refused:
            await members_of(Schedule(patients=conditions, every="1d"), tmp_path, database)
    assert str(refused.value).startswith(message)


async def test_conditions_of_a_schedule_need_a_table(tmp_path: Path) -> None:
    """With queries of one's own the condition belongs into one of them."""
    config = Patients(query="SELECT :id AS id", list_query="SELECT 1 AS id")
    async with opened(foreign(tmp_path, "id"), config) as database:
        with pytest.raises(UsageError, match=r"^schedule\.patients needs patients\.table"):
            await members_of(Schedule(patients=("ward=B",), every="1d"), tmp_path, database)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Patients(table="people", query="SELECT :id"), r"patients\.query replaces"),
        (Patients(list_query="SELECT 1"), r"needs patients\.query"),
        (Patients(columns=(("family", ""),)), "family is required"),
        (Patients(query="SELECT 1"), "exactly one parameter"),
        (Patients(query="SELECT :id", list_query="SELECT :id"), r"patients\.list_query has to have no"),
    ],
)
def test_keys_that_do_not_go_together(config: Patients, message: str) -> None:
    """They are refused before anything is connected."""
    with pytest.raises(ConfigError, match=message):
        PatientDatabase("sqlite:///none.db", config)


async def test_names_in_a_table_of_somebody_else(tmp_path: Path) -> None:
    """By the configured columns, in the order of family names, whatever the letters mean to LIKE."""
    url = foreign(
        tmp_path,
        "nr INTEGER, vorname TEXT, nachname TEXT, geboren TEXT",
        (1, "Ann_a", "100%", "1957-03-31"),
        (2, "Annna", "Bohr", "1957-03-31"),
        (3, "ÄNNE", "von Ahn", None),
        (4, "a/b", "C", "1957-03-31"),
    )
    columns = {"id": "nr", "given": "vorname", "family": "nachname", "birth_date": "geboren"}
    config = Patients(columns={**columns, "sex": "", "postal_code": ""})
    async with opened(url, config) as database:
        for words, expected in {
            ("ann",): ["1", "2"],
            ("Ann_",): ["1"],
            ("100%",): ["1"],
            ("änne",): ["3"],
            ("ahn",): ["3"],
            ("bohr", "ann"): ["2"],
            ("bohr", "x"): [],
            ("A/",): ["4"],
        }.items():
            assert [row["id"] for row in await database.named(words, 10)] == expected, words
        assert len(await database.named(["a"], 2)) == 2


async def test_a_query_for_one_patient_searches_no_names(tmp_path: Path) -> None:
    """It says so."""
    url = foreign(tmp_path, "id TEXT, given TEXT, family TEXT, birth_date TEXT")
    async with opened(url, Patients(query="SELECT * FROM patients WHERE id = :id")) as database:
        with pytest.raises(UsageError, match="by id alone"):
            await database.named(["lee"], 10)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_IOERR, "its disk fails"),
        (sqlite3.SQLITE_IOERR_READ, "its disk fails"),
        (sqlite3.SQLITE_NOMEM, "out of memory"),
        (sqlite3.SQLITE_FULL, "its disk is full"),
        (sqlite3.SQLITE_SCHEMA, "its tables were changed"),
    ],
)
def test_trouble_of_the_disk_below_a_file_is_an_outage(code: int, reason: str) -> None:
    """It passes, and is no fault of the patient who is looked up."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    assert reason in (outage_of(error) or "")
