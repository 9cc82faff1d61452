"""Patients from databases: the same over SQLite and PostgreSQL, and a PostgreSQL that restarts meanwhile."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from pathlib import Path

import pytest

import fakes
from docpipe.patients import checked
from tests.acceptance.conftest import Box
from tests.acceptance.test_fifty_patients import PATIENTS, judge
from tests.postgres import Postgres

TABLE = """
    CREATE TABLE people (
        number varchar(20), first_name varchar(80), last_name varchar(80), born date, sex varchar(10),
        zip varchar(20), ward integer
    )
"""
COLUMNS = "id=number,given=first_name,family=last_name,birth_date=born,postal_code=zip"
ROWS = [
    (*astuple(checked(row)), 1 + (row["id"] >= "P105"))
    for row in fakes.patients.sample()
    if row["id"] in PATIENTS
]
NO_BIRTH_DATE = ("N1", "Nomen", "Nescio", None, "unknown", None, 1)
QUICK = {"tracker_rate": None, "mix": "tiny", "search_rate": None, "search_seconds": (0.0, 0.5)}


def in_sqlite(rows: list[tuple[str | int | None, ...]], folder: Path, _: Postgres | None = None) -> str:
    with sqlite3.connect(folder / "clinic.db") as database:
        database.execute(TABLE)
        database.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()
    return "sqlite:///clinic.db"


async def in_postgres(rows: list[tuple[str | int | None, ...]], _: Path, postgres: Postgres) -> str:
    url = await postgres.fresh("acceptance", TABLE)
    connection = await postgres.connect("acceptance")
    texts = "INSERT INTO people VALUES ($1, $2, $3, CAST($4::text AS date), $5, $6, $7)"
    await connection.executemany(texts, rows)
    await connection.close()
    return url


def configured(box: Box, url: str) -> None:
    box.env |= {
        "DOCPIPE_PATIENTS__URL": url,
        "DOCPIPE_PATIENTS__TABLE": "people",
        "DOCPIPE_PATIENTS__COLUMNS": COLUMNS,
        "DOCPIPE_DOCEX__SEARCH_RATE": "none",
        "DOCPIPE_TASKTRACKER__RATE": "none",
    }


@pytest.mark.parametrize("services", [QUICK], indirect=True)
@pytest.mark.parametrize("filled", [in_sqlite, in_postgres])
async def test_from_a_database_of_ones_own(
    box: Box,
    services: fakes.Running,
    postgres: Postgres,
    filled: Callable[..., str | Awaitable[str]],
) -> None:
    """A ward of a table with names of its own is listed, retrieved and reported; a bad row fails alone."""
    url = filled([*ROWS[:8], NO_BIRTH_DATE], box.folder, postgres)
    configured(box, url if isinstance(url, str) else await url)
    listed = await box.run("patients", "list", "--json")
    assert listed.status == 0, listed.err
    rows = json.loads(listed.out)["patients"]
    assert [row["id"] for row in rows] == ["N1", *PATIENTS[:8]]
    assert (rows[0]["birth_date"], tuple(rows[1].values())) == ("", ROWS[0][:6])

    ended = await box.run("run", "--json", "--where", "ward<=1", "--where", "last_name!=x' OR 'x'='x")
    assert ended.status == 1, ended.err
    runs = {run["patient_id"]: run for run in ended.json["runs"]}
    bad = runs.pop("N1")
    assert bad["error"] == "The row of patient N1 cannot be used: birth_date is empty."
    assert "Nescio" not in ended.err
    judge(box, services, list(runs.values()), PATIENTS[:5])
    assert {run["state"] for run in runs.values()} == {"completed"}

    refused = await box.run("run", "--json", "--where", "1=1 OR ward")
    assert refused.status == 2, refused.err
    assert "no column 1; its columns are number, first_name" in refused.json["error"]


HELD = """
    SELECT first_name AS given, last_name AS family, born AS birth_date, sex, zip AS postal_code,
           CASE WHEN number >= 'P120' THEN pg_advisory_lock_shared(1) END AS held
    FROM people WHERE number = :id
"""


@pytest.mark.parametrize("services", [QUICK], indirect=True)
async def test_postgres_restarts_in_the_middle_of_fifty(
    box: Box, services: fakes.Running, postgres: Postgres
) -> None:
    """Twenty are looked up, others just now, the rest later: nobody fails, nothing is lost or done twice."""
    configured(box, await in_postgres(ROWS, box.folder, postgres))
    del box.env["DOCPIPE_PATIENTS__TABLE"], box.env["DOCPIPE_PATIENTS__COLUMNS"]
    box.env |= {
        "DOCPIPE_PATIENTS__QUERY": HELD,
        "DOCPIPE_PATIENTS__LIST_QUERY": "SELECT number AS id FROM people",
    }
    holder = await postgres.connect("acceptance")
    await holder.execute("SELECT pg_advisory_lock(1)")
    process = await box.start("run", "--all", "--json")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while looked_up(box) < 20 or not await holder.fetchval(waiting):
        await asyncio.sleep(0.05)
        assert process.returncode is None
    assert looked_up(box) == 20
    async with postgres.down():
        output = b""
        while b"service_down" not in output:
            output = await process.stderr.readline()
            assert output, "docpipe ended"
        assert b"patients" in output
        while "patients is down" not in (await box.run("status")).out:
            assert process.returncode is None
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    runs = json.loads(out)["runs"]
    judge(box, services, runs)
    assert {run["state"] for run in runs} == {"completed"}
    assert all(run["error"] is None for run in runs)
    holder.terminate()


@pytest.mark.parametrize("services", [QUICK], indirect=True)
async def test_a_file_that_comes_later(box: Box, services: fakes.Running) -> None:
    """Nobody fails until it is there, and `status` names the cure."""
    configured(box, "sqlite:///clinic.db")
    process = await box.start("run", "--patient", PATIENTS[0], "--json")
    output = b""
    while b"service_down" not in output:
        output = await process.stderr.readline()
        assert output, "docpipe ended"
    printed = ""
    while "patients cannot be used: there is no patients database" not in printed:
        printed = (await box.run("status")).out
        assert process.returncode is None
    (box.folder / "new").mkdir()
    in_sqlite(ROWS[:1], box.folder / "new")
    (box.folder / "new" / "clinic.db").rename(box.folder / "clinic.db")
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    judge(box, services, json.loads(out)["runs"], PATIENTS[:1])


def looked_up(box: Box) -> int:
    log = box.state / "activity_log.csv"
    if not log.exists():
        return 0
    with log.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["activity"] == "GetPatientFromDB"]
    return sum(row["outcome"] == "ok" for row in rows)
