"""Look-ups through their gate, over a PostgreSQL that is stopped and started in the middle."""

import asyncio
import contextlib
import errno
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from docpipe.config.config import Patients
from docpipe.errors import PatientError, PoisonedError
from docpipe.gates import Attempt, Gate, Health, Quota, Service
from docpipe.gates.line import Slots
from docpipe.gates.local_trouble import TROUBLES
from docpipe.model import Patient, Ticket, WaitKind, describe_wait
from docpipe.patients import PatientDatabase
from docpipe.patients.lookup import Lookup
from tests.postgres import Postgres

TABLE = """
    CREATE TABLE patients AS SELECT 'P' || number AS id, 'Ann' AS given, 'Lee' AS family,
    '1957-03-31' AS birth_date, 'f' AS sex, '12345' AS postal_code FROM generate_series(1, 60) AS number
"""
IDS = [f"P{number}" for number in range(1, 61)]


@contextlib.asynccontextmanager
async def lookup(url: str, config: Patients | None = None, *, places: int = 5) -> AsyncIterator[Lookup]:
    """As the service builds it, but that it probes every 50 to 100 ms."""
    rng = random.Random(0)
    health = Health(rng, first=0.05, longest=0.1)
    service = Service("patients", clock=time.time, rng=rng, health=health)
    async with Quota.local("patients", None, clock=time.time) as quota, contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(contextlib.aclosing(PatientDatabase(url, config)))
        yield Lookup(database, Gate(service, quota), Slots(places, time.time))


async def until(what: object) -> None:
    while not what():
        await asyncio.sleep(0.01)


async def test_a_restart_costs_nobody_anything(postgres: Postgres) -> None:
    """While the database is down one call probes and all others wait for it; then all are found."""
    url = await postgres.fresh("restart", TABLE)
    async with lookup(url) as patients:
        await patients.get("P1", Ticket("R0"))
        service = patients.gate.service
        tickets = [Ticket(f"R{number}") for number in range(len(IDS))]
        async with postgres.down():
            tasks = [asyncio.create_task(patients.get(*pair)) for pair in zip(IDS, tickets, strict=True)]
            await until(lambda: not service.up and service.view().outage.probes >= 3)
            waits = Counter(ticket.wait and (ticket.wait.kind, ticket.wait.what) for ticket in tickets)
            # All but the probe, and the first whose failures showed the outage, in their own pauses still.
            assert waits[WaitKind.OUTAGE, "patients"] >= len(IDS) - 3
            assert waits.keys() <= {(WaitKind.OUTAGE, "patients"), (WaitKind.RETRY, "patients"), None}
            assert service.view().outage.reason == "the connection was refused"
            # Only callers that had a place try again.
            assert service._all.failures <= service.view().outage.probes + 5
            tasks[7].cancel()
        result = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(result.pop(7), asyncio.CancelledError)
        assert [patient.id for patient in result] == IDS[:7] + IDS[8:]
        assert service.up
        assert all(ticket.wait is None for ticket in tickets)
        assert patients.places.held == patients.gate.quota.view().used == 0


async def test_a_pause_holds_back_look_ups(postgres: Postgres) -> None:
    """The database can be paused like any service; waiting callers continue when it is unpaused."""
    async with lookup(await postgres.fresh("pause", TABLE)) as patients:
        patients.gate.service.pause()
        ticket = Ticket("R1")
        task = asyncio.create_task(patients.get("P1", ticket))
        await until(lambda: ticket.wait is not None)
        assert ticket.wait.kind is WaitKind.PAUSE
        patients.gate.service.unpause()
        assert (await task).id == "P1"


async def test_who_is_not_there_is_an_answer(postgres: Postgres) -> None:
    """A thousand unknown patients are no outage."""
    async with lookup(await postgres.fresh("unknown", TABLE)) as patients:
        for number in range(10):
            with pytest.raises(PatientError, match="There is no patient"):
                await patients.get(f"X{number}", Ticket(f"R{number}"))
        assert patients.gate.service.up
        assert patients.gate.service._all.failures == 0


COLUMNS = "id, given, family, birth_date, sex, postal_code"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("", "there is no patients database"),
        ("no database at all, although it is as long as one has to be" * 20, "cannot answer"),
        ("CREATE TABLE others (id)", "has no table patients that may be read: set patients.table"),
        ("CREATE TABLE patients (id, given)", "has no column family, birth_date"),
    ],
)
@pytest.mark.parametrize("own", [True, False])
async def test_what_the_database_lacks_is_waited_for(
    tmp_path: Path, made: str, reason: str, *, own: bool
) -> None:
    """Whoever makes the file or table anew: no run fails meanwhile, and the wait says what is missing."""
    file = tmp_path / "patients.db"
    if made.startswith("CREATE"):
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute(made)
    elif made:
        file.write_text(made)
    async with lookup(f"sqlite:///{file}", None if own else Patients(table="patients")) as patients:
        service = patients.gate.service
        ticket = Ticket("R1")
        task = asyncio.create_task(patients.get("P1", ticket))
        await until(lambda: task.done() or (not service.up and service.view().outage.probes >= 2))
        assert not task.done()
        assert reason in service.view().outage.reason
        assert ticket.wait is not None
        sentence = describe_wait(ticket.wait.kind, ticket.wait.what)  # as `status` shows it
        assert sentence.startswith("patients cannot be used: ")
        assert reason in sentence
        with contextlib.closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as database:
            database.execute(f"CREATE TABLE patients ({COLUMNS})")
            database.execute("INSERT INTO patients VALUES ('P1', 'Ann', 'Lee', '1957-03-31', 'f', '')")
        (tmp_path / "new.db").replace(file)
        assert (await task).given == "Ann"
        assert service.up


@pytest.mark.parametrize("number", sorted(TROUBLES), ids=lambda number: errno.errorcode[number])
async def test_trouble_of_the_machine_at_the_file_is_waited_for(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit, a mount or a right: no run fails for it, and the wait says what to do."""
    file = tmp_path / "patients.db"
    async with contextlib.aclosing(PatientDatabase(f"sqlite:///{file}")) as whole:
        await whole.put([Patient("P1", "Ann", "Lee", "1957-03-31")])
    opened, connected = Path.open, sqlite3.connect

    def not_opened(path: Path, *given: Any, **more: Any) -> Any:
        if path == file:
            raise OSError(number, os.strerror(number))
        return opened(path, *given, **more)

    def not_connected(at: str, *given: Any, **more: Any) -> Any:
        if str(file) in at:
            raise sqlite3.OperationalError("unable to open database file")
        return connected(at, *given, **more)

    async with lookup(f"sqlite:///{file}") as patients:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", not_opened)
            patch.setattr(sqlite3, "connect", not_connected)
            patch.setattr(sqlite3.dbapi2, "connect", not_connected)  # SQLAlchemy's
            ticket = Ticket("R1")
            task = asyncio.create_task(patients.get("P1", ticket))
            await until(lambda: task.done() or (ticket.wait and ticket.wait.kind is WaitKind.LOCAL))
            assert not task.done()
            assert ticket.wait.what.endswith(TROUBLES[number].sentence("patients database"))
        assert (await task).given == "Ann"


async def test_a_right_that_is_missing_is_waited_for(postgres: Postgres) -> None:
    """A table that is granted, or restored, later."""
    await postgres.fresh("granted", TABLE)
    owner = await postgres.connect("granted")
    await owner.execute("DROP ROLE IF EXISTS later; CREATE ROLE later LOGIN PASSWORD 's3cret'")
    async with lookup(postgres.url("granted", user="later")) as patients:
        service = patients.gate.service
        task = asyncio.create_task(patients.get("P1", Ticket("R1")))
        await until(lambda: task.done() or (not service.up and service.view().outage.probes >= 2))
        assert not task.done()
        assert "permission denied" in service.view().outage.reason
        await owner.execute("GRANT SELECT ON patients TO later")
        assert (await task).given == "Ann"
    await owner.close()


async def test_one_bad_look_up_does_not_hold_the_others(postgres: Postgres) -> None:
    """A look-up that keeps timing out while others are answered ends alone."""
    await postgres.fresh("poison", TABLE)
    query = "SELECT *, CASE WHEN id = 'P13' THEN pg_sleep(60) END AS slept FROM patients WHERE id = :id"
    async with lookup(postgres.url("poison"), Patients(query=query, timeout=0.1)) as patients:
        patients.gate.service.rng.uniform = lambda _, __: 0.01  # pauses of hundredths of seconds
        bad = asyncio.create_task(patients.get("P13", Ticket("R13")))
        number = 0
        while not bad.done():
            number += 1
            await patients.get(IDS[number % 12], Ticket(f"R{number}"))
            await asyncio.sleep(0.005)
        with pytest.raises(PoisonedError, match="no answer in time"):
            await bad
        assert patients.gate.service.up


async def test_look_ups_are_observed_like_requests(tmp_path: Path) -> None:
    """Each attempt has its service, run, method and outcome, for metrics and traces."""
    database = PatientDatabase(f"sqlite:///{tmp_path}/patients.db")
    await database.put([Patient("P1", "Ann", "Lee", "1957-03-31")])
    seen: list[Attempt] = []
    service = Service("patients", clock=time.time, rng=random.Random(0))
    async with Quota.local("patients", None, clock=time.time) as quota, contextlib.aclosing(database):
        gate = Gate(service, quota, observers=[seen.append])
        patients = Lookup(database, gate, Slots(2, time.time))
        await patients.get("P1", Ticket("R1"))
        with pytest.raises(PatientError):
            await patients.get("P2", Ticket("R2"))
    assert [(one.service, one.run_id, one.method, one.status, one.failure) for one in seen] == [
        ("patients", "R1", "SELECT", 200, None),
        ("patients", "R2", "SELECT", 200, None),
    ]
