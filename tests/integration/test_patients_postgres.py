"""Patients in a real PostgreSQL: found, listed, refused one by one, and waited for."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docpipe.config.config import Patients
from docpipe.errors import ConfigError, DatabaseDownError, DatabaseUnusableError, PatientError, UsageError
from docpipe.model import Patient
from docpipe.patients import Filter, PatientDatabase
from tests.postgres import Postgres

TABLE = """
    CREATE TABLE patients (
        id text PRIMARY KEY, given text, family text, birth_date date, sex text, postal_code integer
    )
"""
PEOPLE = """
    CREATE SCHEMA clinic;
    CREATE TYPE clinic.ward AS ENUM ('A', 'B');
    CREATE TABLE clinic.people (
        number bigint PRIMARY KEY, "First Name" varchar(80), last_name char(20), born timestamptz,
        ward clinic.ward, active boolean, token uuid DEFAULT gen_random_uuid(), weight numeric
    );
    INSERT INTO clinic.people VALUES
        (1, 'Zoë', 'Lee', '1957-03-31T10:00Z', 'A', true),
        (2, 'Ann', 'Moss', '2001-01-01T10:00Z', 'B', false),
        (30, 'Bob', 'Ray', '1999-12-31T10:00Z', 'B', true);
"""
COLUMNS = (
    ("id", "number"),
    ("given", "First Name"),
    ("family", "LAST_NAME"),
    ("birth_date", "born"),
    ("sex", ""),
    ("postal_code", ""),
)
CLINIC = Patients(table="clinic.people", columns=COLUMNS)
ANN = "INSERT INTO patients VALUES ('P1', 'Ann', 'Lee', '1957-03-31', 'f', 12345)"
OTHER = "INSERT INTO patients VALUES ('p1', 'Bob', 'Ray', '2001-01-01')"


@contextlib.asynccontextmanager
async def opened(url: str, config: Patients | None = None) -> AsyncIterator[PatientDatabase]:
    async with contextlib.aclosing(PatientDatabase(url, config)) as database:
        yield database


async def listed(database: PatientDatabase, *filters: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    await database.each(rows.append, [Filter.parse(text) for text in filters])
    return rows


async def ids(database: PatientDatabase, *filters: str) -> list[str]:
    return [row["id"] for row in await listed(database, *filters)]


async def test_a_table_with_its_own_types(postgres: Postgres) -> None:
    """Dates, numbers and NULL become what a patient needs; only that one id is found."""
    url = await postgres.fresh("own", TABLE, ANN, OTHER)
    async with opened(url) as database:
        await database.check()
        assert await database.find("P1") == Patient("P1", "Ann", "Lee", "1957-03-31", "female", "12345")
        assert (await database.find("p1")).family == "Ray"
        for nobody in ("P2", "P%", "P1' OR '1'='1", "\x00", "\ud800", "", "P" * 100_000):
            with pytest.raises(PatientError, match="There is no patient"):
                await database.find(nobody)
        assert await ids(database) == ["P1", "p1"]


async def test_a_table_of_somebody_else(postgres: Postgres) -> None:
    """Schema, table and columns are as the configuration names them; a number as id is found by its text."""
    async with opened(await postgres.fresh("clinic", PEOPLE), CLINIC) as database:
        assert await database.find("1") == Patient("1", "Zoë", "Lee", "1957-03-31")
        for nobody in ("01", "1 OR 1", "P1", "9" * 18, "9" * 30, "1.0", "-1"):
            with pytest.raises(PatientError, match="There is no patient"):
                await database.find(nobody)
        assert await ids(database, "ward=B") == ["2", "30"]
        assert await ids(database, "ward=B", "active = true") == ["30"]
        assert await ids(database, "number>=2", "number<30") == ["2"]
        assert await ids(database, "born<=1999-12-31T10:00:00+00:00") == ["1", "30"]
        assert await ids(database, "First Name!=Ann") == ["1", "30"]
        assert await ids(database, "First Name=Ann' OR '1'='1") == []
        for bad, message in {
            "wrad=B": "no column wrad; its columns are number, First Name",
            "number=two": "number is compared with a whole number",
            "active=yes": "true or false",
            "born<=soon": "a time such as",
            "token=1": "a UUID",
            "weight>NaN": "a number",
        }.items():
            with pytest.raises(UsageError, match=message):
                await ids(database, bad)


async def test_a_query_of_ones_own(postgres: Postgres) -> None:
    """A query with :id looks one patient up, another one lists; missing columns are named."""
    url = await postgres.fresh("query", PEOPLE)
    select = 'SELECT "First Name" AS given, last_name AS family, born AS birth_date FROM clinic.people'
    query = f"{select} WHERE number = CAST(:id AS bigint)"
    async with opened(url, Patients(query=query)) as database:
        await database.check()
        assert await database.find("30") == Patient("30", "Bob", "Ray", "1999-12-31")
        with pytest.raises(PatientError, match=r"22P02.*check the id, then patients\.query"):
            await database.find("P1")
        with pytest.raises(UsageError, match=r"patients\.list_query"):
            await ids(database)
    both = Patients(query=query, list_query="SELECT number AS id FROM clinic.people WHERE active")
    async with opened(url, both) as database:
        assert await ids(database) == ["1", "30"]
        with pytest.raises(UsageError, match=r"in patients\.list_query"):
            await ids(database, "ward=A")
    async with opened(url, Patients(query=query.replace("birth_date", "born_on"))) as database:
        with pytest.raises(DatabaseUnusableError, match="no column birth_date: select it AS birth_date"):
            await database.find("1")
    for bad in (select, query + " AND ward = :ward"):
        with pytest.raises(ConfigError, match=r"patients\.query has to have exactly one parameter, :id"):
            PatientDatabase(url, Patients(query=bad))


ODD = {
    "NULL": ("birth_date is empty", "NULL", "'Lee'"),
    "infinity": ("birth_date", "'infinity'", "'Lee'"),
    "before Christ": ("what its driver cannot read", "'0044-03-15 BC'", "'Lee'"),
    "control characters": ("family holds control characters", "'1957-03-31'", "E'Le\\x07e'"),
    "long": ("family is longer than 200", "'1957-03-31'", "repeat('Lee', 100)"),
    "bytes": ("family holds bytes that are not text", "'1957-03-31'", "'\\xff00'::bytea"),
}


async def test_odd_rows_fail_alone(postgres: Postgres) -> None:
    """NULL, impossible dates, bytes and doubles stop their patient, by the column and never the value."""
    for number, (name, (message, born, family)) in enumerate(ODD.items()):
        url = await postgres.fresh(
            "odd",
            f"CREATE TABLE patients AS SELECT 'P{number}' AS id, 'Xaver' AS given, {family} AS family, "
            f"CAST({born} AS date) AS birth_date, 'm' AS sex, '1' AS postal_code",
        )
        async with opened(url) as database:
            if name == "infinity":  # as far off as dates go
                assert (await database.find(f"P{number}")).birth_date == "9999-12-31"
                continue
            with pytest.raises(PatientError, match=message) as refused:
                await database.find(f"P{number}")
            assert "Xaver" not in str(refused.value)
            assert "Lee" not in str(refused.value)
    url = await postgres.fresh("odd", TABLE.replace("PRIMARY KEY", ""), ANN, ANN)
    async with opened(url) as database:
        with pytest.raises(PatientError, match="2 rows for patient P1; one is needed"):
            await database.find("P1")


async def test_what_is_missing_is_reported(postgres: Postgres) -> None:
    """A table, a column or a right that is missing is reported with its name and the cure."""
    url = await postgres.fresh("missing", TABLE, ANN)
    owner = await postgres.connect("missing")
    async with opened(url, Patients(table="people")) as database:
        with pytest.raises(
            DatabaseUnusableError, match=r"no table people that may be read: set patients\.table"
        ):
            await database.check()
    async with opened(url) as database:
        await database.find("P1")
        await owner.execute("ALTER TABLE patients RENAME COLUMN given TO first_name")
        with pytest.raises(
            DatabaseUnusableError, match=r"no column given: name its columns in patients\.columns"
        ):
            await database.find("P1")
        await owner.execute("ALTER TABLE patients RENAME COLUMN first_name TO given")
        assert (await database.find("P1")).given == "Ann"
    await owner.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 's3cret'")
    async with opened(postgres.url("missing", user="reader")) as database:
        with pytest.raises(DatabaseUnusableError, match=r"42501.*permission denied for table patients"):
            await database.check()
    await owner.close()


async def test_nothing_can_be_written(postgres: Postgres) -> None:
    """Every transaction is read only: even a query that tries to write is refused by the database."""
    url = await postgres.fresh("reading", TABLE, ANN)
    query = "DELETE FROM patients WHERE id = :id RETURNING *"
    async with opened(url, Patients(query=query)) as database:
        with pytest.raises(DatabaseUnusableError, match="25006"):
            await database.find("P1")
        with pytest.raises(UsageError, match="own SQLite file only"):
            await database.put([])
    async with opened(url) as database:
        assert await ids(database) == ["P1"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("{user}:wrong@{at}/postgres", "the login was refused"),
        ("{user}:s3cret@{at}/nowhere", "there is no such database"),
        ("{user}:s3cret@127.0.0.1:1/postgres", "the connection was refused"),
        ("{user}:s3cret@nowhere.invalid/postgres", "its name is not known"),
        ("{user}:s3cret@{at}/postgres?sslmode=verify-full", "no secure connection: check the certificate"),
    ],
)
async def test_outages_are_distinguished(postgres: Postgres, url: str, message: str) -> None:
    """A refused login and an unreachable server are outages with their reasons; no password is shown."""
    url = "postgresql://" + url.format(user="docpipe", at=f"127.0.0.1:{postgres.port}")
    async with opened(url) as database:
        with pytest.raises(DatabaseDownError, match=message) as down:
            await database.find("P1")
        assert "s3cret" not in str(down.value) + down.value.reason


async def test_tls_is_verified(postgres: Postgres) -> None:
    """With the authority's file and the right name it is encrypted, with another refused."""
    url = await postgres.fresh("tls")
    query = "SELECT 'P1' AS id, 'Ann' AS given, 'Lee' AS family, '1957-03-31' AS birth_date FROM pg_stat_ssl"
    encrypted = Patients(query=f"{query} WHERE pid = pg_backend_pid() AND ssl AND 'P1' = :id")
    options = f"sslrootcert={postgres.certificate}"
    async with opened(f"{url}?sslmode=verify-full&{options}", encrypted) as database:
        assert (await database.find("P1")).given == "Ann"
    named = url.replace("127.0.0.1", "localhost")
    async with opened(f"{named}?sslmode=verify-full&{options}", encrypted) as database:
        with pytest.raises(DatabaseDownError, match="check the certificate"):
            await database.find("P1")
    async with opened(f"{named}?sslmode=verify-ca&{options}", encrypted) as database:
        assert (await database.find("P1")).given == "Ann"
    with pytest.raises(ConfigError, match="sslmode has to be one of"):
        PatientDatabase(f"{url}?sslmode=verify")


async def test_slow_answers_and_thrown_out_connections(postgres: Postgres) -> None:
    """A query that takes too long is an outage; a connection that the server closed is replaced unseen."""
    url = await postgres.fresh("slow", TABLE, ANN)
    owner = await postgres.connect("slow")
    async with opened(url, Patients(timeout=0.2)) as database, owner.transaction():
        await owner.execute("LOCK TABLE patients")
        with pytest.raises(DatabaseDownError, match="no answer in time"):
            await database.find("P1")
    async with opened(url) as database:
        await database.find("P1")
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'docpipe'"
        )
        assert (await database.find("P1")).given == "Ann"
    await owner.close()


async def test_large_lists_are_streamed(postgres: Postgres) -> None:
    """Rows are handed over while the database still has most: a reader who stops has not fetched all."""
    query = "SELECT number AS id, pg_advisory_lock_shared(number) FROM generate_series(1, 20000) AS number"
    url = await postgres.fresh("large")
    config = Patients(query="SELECT 1 WHERE '1' = :id", list_query=query)
    owner = await postgres.connect("large")
    await owner.execute("SELECT pg_advisory_lock(15000)")  # a reader that fetches all waits here for ever
    seen: list[str] = []

    def note(row: dict[str, str]) -> None:
        seen.append(row["id"])
        if len(seen) == 3000:
            raise KeyError

    async with opened(url, config) as database:
        with pytest.raises(KeyError):
            await database.each(note)
    await owner.close()
    assert seen[-1] == "3000"


INJECTIONS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["'", "\\", "--", ";", "/*", "$1", ":id", "%s", "%(id)s", "\x00", "\\'"]).flatmap(
        lambda mark: st.tuples(st.text(max_size=6), st.text(max_size=20)).map(mark.join)
    ),
    st.sampled_from(["1; DROP TABLE patients", "' OR ''='", "') OR 1=1 --", "P1'/**/UNION/**/SELECT/**/1--"]),
)


async def test_ids_are_never_sql(postgres: Postgres) -> None:
    """Whatever an id or a filter's value holds, it finds nobody and breaks nothing."""
    url = await postgres.fresh("injections", TABLE, ANN)
    async with (
        opened(url) as database,
        opened(url, Patients(query="SELECT * FROM patients WHERE id = :id")) as by_query,
    ):
        tried: list[str] = []
        settings(max_examples=60, database=None)(given(INJECTIONS)(lambda text: tried.append(text)))()  # noqa: PLW0108 -- Hypothesis needs a function
        for text in tried:
            for asked in (database, by_query):
                with pytest.raises(PatientError, match="There is no patient"):
                    await asked.find(text)
            if "\x00" not in text and text.isprintable():
                assert await ids(database, f"given={text}") == []
        assert await ids(database) == ["P1"]
