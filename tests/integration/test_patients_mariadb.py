"""Patients in a real MariaDB, by both names that it goes under."""

import contextlib

import pytest

from docpipe.config.config import Patients
from docpipe.errors import DatabaseDownError, DatabaseUnusableError, PatientError
from docpipe.model import Patient
from docpipe.patients import Filter, PatientDatabase
from tests.mariadb import MariaDB

PEOPLE = """
    DROP DATABASE IF EXISTS clinic;
    CREATE DATABASE clinic CHARACTER SET utf8mb4;
    CREATE TABLE clinic.patients (
        id varchar(20) PRIMARY KEY, given varchar(80), family varchar(80), birth_date date, sex char(1),
        postal_code int
    );
    INSERT INTO clinic.patients VALUES
        ('P1', 'Zoë', 'Lee', '1957-03-31', 'f', 12345), ('P2', 'Ann', 'Lee', NULL, NULL, NULL);
    CREATE TABLE clinic.people (
        nr int PRIMARY KEY, given varchar(80), family varbinary(80), birth_date datetime
    );
    INSERT INTO clinic.people VALUES (1, 'Zoë', 'Lee', '1957-03-31'), (2, 'Ann', x'ff00', '2001-01-01')
"""
THEIRS = Patients(table="clinic.people", columns=(("id", "nr"), ("sex", ""), ("postal_code", "")))


@pytest.fixture
async def filled(mariadb: MariaDB) -> MariaDB:
    """Two tables of patients."""
    connection = await mariadb.connect()
    async with connection.cursor() as cursor:
        for statement in PEOPLE.split(";"):
            await cursor.execute(statement)
    await connection.ensure_closed()
    return mariadb


def opened(url: str, config: Patients | None = None) -> contextlib.aclosing[PatientDatabase]:
    return contextlib.aclosing(PatientDatabase(url, config))


@pytest.mark.parametrize("scheme", ["mariadb", "mysql"])
async def test_a_table(filled: MariaDB, scheme: str) -> None:
    """Only that one id is found, whatever this database takes for equal, and no id is ever SQL."""
    async with opened(filled.url(scheme, "clinic")) as database:
        assert await database.check() == 2
        assert await database.find("P1") == Patient("P1", "Zoë", "Lee", "1957-03-31", "female", "12345")
        for nobody in ("p1", "P1 ", "P9", "P1' OR '1'='1", "\\' OR 1=1 -- ", "%s", "%(id)s", ":id", "\\"):
            with pytest.raises(PatientError, match="There is no patient"):
                await database.find(nobody)
        with pytest.raises(PatientError, match="birth_date is empty"):
            await database.find("P2")
        rows: list[dict[str, str]] = []
        await database.each(
            rows.append, [Filter.parse("postal_code>=12345"), Filter.parse("given!=' OR 1=1")]
        )
        assert [row["id"] for row in rows] == ["P1"]
    async with opened(filled.url(scheme), THEIRS) as database:
        assert await database.find("1") == Patient("1", "Zoë", "Lee", "1957-03-31")
        with pytest.raises(PatientError, match="There is no patient 1a"):
            await database.find("1a")
        with pytest.raises(PatientError, match="family holds bytes that are not text"):
            await database.find("2")


async def test_troubles(filled: MariaDB) -> None:
    """Nothing can be written; what is missing, down or slow is an outage."""
    url = filled.url("mariadb", "clinic")
    for query, message in {
        "DELETE FROM patients WHERE id = :id": "25006",
        "SELECT first_name FROM patients WHERE id = :id": "Unknown column 'first_name'",
        "SELECT * FROM nowhere WHERE id = :id": r"Table 'clinic\.nowhere' doesn't exist",
    }.items():
        async with opened(url, Patients(query=query)) as database:
            with pytest.raises(DatabaseUnusableError, match=message):
                await database.find("P1")
    slow = Patients(query="SELECT *, sleep(1) FROM patients WHERE id = :id", timeout=0.3)
    for where, config, message in (
        (url, slow, "no answer in time"),
        (filled.url("mariadb", "clinic", "docpipe:wrong"), None, "the login was refused"),
        (filled.url("mariadb", "nowhere"), None, "there is no such database"),
        (url.replace(str(filled.port), "1"), None, "no connection"),
    ):
        async with opened(where, config) as database:
            with pytest.raises(DatabaseDownError, match=message):
                await database.find("P1")


async def test_thrown_out_connections(filled: MariaDB) -> None:
    """A connection that the server closed meanwhile is replaced unseen."""
    query = "SELECT patients.*, connection_id() AS connection FROM patients WHERE id = :id"
    async with opened(filled.url("mariadb", "clinic"), Patients(query=query)) as database:
        await database.find("P1")
        owner = await filled.connect()
        async with owner.cursor() as cursor:
            await cursor.execute(
                "SELECT id FROM information_schema.processlist "
                "WHERE user = 'docpipe' AND id != connection_id()"
            )
            for (number,) in await cursor.fetchall():
                await cursor.execute(f"KILL {int(number)}")
        await owner.ensure_closed()
        assert (await database.find("P1")).given == "Zoë"
