"""Patients behind a pooler: in transaction mode, and in session mode with few connections."""

import asyncio
import contextlib

from docpipe.config.config import Patients
from docpipe.errors import DatabaseDownError
from docpipe.model import Patient
from docpipe.patients import PatientDatabase
from tests.pgbouncer import pooled
from tests.postgres import Postgres

IDS = [f"P{number}" for number in range(30)]
TABLE = """
    CREATE TABLE patients (
        id text PRIMARY KEY, given text, family text, birth_date date, sex text, postal_code text
    );
    INSERT INTO patients
    SELECT 'P' || n, 'Ann', 'Lee', '1957-03-31', 'f', '12345' FROM generate_series(0, 29) AS n;
"""


async def test_transaction_mode(postgres: Postgres) -> None:
    """Each statement may meet another connection of the server: one after the other, and at the same time."""
    url = await postgres.fresh("pooled", TABLE)
    with pooled(postgres, url, mode="transaction", size=2) as through:
        for _ in range(3):
            async with contextlib.aclosing(PatientDatabase(through)) as database:
                assert await database.check() == len(IDS)
                people = await asyncio.gather(*map(database.find, IDS))
                assert people == [Patient(id_, "Ann", "Lee", "1957-03-31", "female", "12345") for id_ in IDS]


async def test_session_mode_with_fewer_connections(postgres: Postgres) -> None:
    """docpipe learns how many the pooler has: nobody is left out."""
    url = await postgres.fresh("fewer", TABLE)
    with pooled(postgres, url, mode="session", size=2) as through:
        async with contextlib.aclosing(PatientDatabase(through, Patients(pool=5, timeout=2.0))) as database:

            async def find(id_: str) -> str:
                while True:
                    with contextlib.suppress(DatabaseDownError):
                        return (await database.find(id_)).id

            for _ in range(2):
                assert await asyncio.gather(*map(find, IDS)) == IDS


async def test_session_mode_with_as_many_connections(postgres: Postgres) -> None:
    """A pooler that keeps a connection for each of docpipe's needs as many as `patients.pool`."""
    url = await postgres.fresh("small", TABLE)
    with pooled(postgres, url, mode="session", size=2) as through:
        async with contextlib.aclosing(PatientDatabase(through, Patients(pool=2))) as database:
            for _ in range(2):
                assert [person.id for person in await asyncio.gather(*map(database.find, IDS))] == IDS
