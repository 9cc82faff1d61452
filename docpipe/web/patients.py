"""Handlers for patients: their identity, all their runs, and all documents of these."""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog
from aiohttp import web

from docpipe.api.people import People
from docpipe.api.shapes import CheckedPatients, Forgotten, Identity, OnePatient, Person
from docpipe.errors import DatabaseDownError, PatientError, UsageError
from docpipe.util.json import to_json
from docpipe.web.answers import answer, each
from docpipe.web.context import web_of
from docpipe.web.documents import views_of_run
from docpipe.web.history import Delivery, merged
from docpipe.web.problems import Problem
from docpipe.web.reading import LONGEST_ID, bad, body_of, one_in, only, submission_of
from docpipe.web.source import Source
from docpipe.web.views import DELIVERED

log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 10.0
"""A look-up in the patients database that takes longer is given up."""
CHECKED: Final = 500
"""As many ids of one request are looked up; more would take too long."""
NAMED: Final = 100
"""Patients of one request for names."""
_NAMESAKES: Final = 20
"""People of one search by name."""
NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{2,100}")
"""Characters of a name that is searched."""
_WORDS: Final = 5
_SEARCH_S: Final = 5.0
"""A search by name may read a whole table; one that takes longer is given up."""
_AT_ONCE: Final = 4
"""Look-ups of one request at a time; the rest of the connections is for runs."""


async def one_patient(request: web.Request) -> web.Response:
    """A patient, as the database has the row now, with all runs and documents."""
    return await web_of(request).coalesce(request, _one_patient)


async def _one_patient(request: web.Request) -> str:
    only(request)
    here = web_of(request)
    source, patient_id = here.source, request.match_info["patient_id"]
    if len(patient_id) > LONGEST_ID or not patient_id.isprintable():
        raise _no_such_patient()
    runs = await source.of_patient(patient_id)
    row, problem = await _look_up(source, patient_id)
    if not runs and row is None:
        raise _no_such_patient() if problem is None else Problem(503, problem, "patients-database")
    deliveries = [
        Delivery(run, run.state in DELIVERED, await views_of_run(source, run)) for run in reversed(runs)
    ]
    return to_json(
        OnePatient(
            patient_id=patient_id,
            person=row,
            problem=problem,
            runs=await each(runs, source.view),
            documents=merged(deliveries),
        )
    )


async def _look_up(source: Source, patient_id: str) -> tuple[Person | None, str | None]:
    """The person, or None and why there is none; None twice for one that the database does not have."""
    if not source.patients_up():
        return None, "The patients database cannot be reached now, so the name is missing here."
    try:
        async with asyncio.timeout(_PATIENCE_S):
            row = await source.patients.find(patient_id)
    except PatientError:
        return None, None
    except (DatabaseDownError, TimeoutError) as error:
        log.warning("patient_not_looked_up", reason=type(error).__name__)
        return None, "The patients database cannot be reached now, so the name is missing here."
    return Person(given=row.given, family=row.family, birth_date=row.birth_date, sex=row.sex), None


async def forget(request: web.Request) -> web.Response:
    """Remove all that docpipe keeps of a patient."""
    only(request)
    here = web_of(request)
    here.refuse_when_stopping()
    patient_id = request.match_info["patient_id"]
    if len(patient_id) > LONGEST_ID or not patient_id.isprintable():
        raise _no_such_patient()
    try:
        kept = await here.shielded(here.source.forget(patient_id))
    except UsageError as error:
        raise Problem(409, str(error), "unfinished-run") from error
    return answer(msgspec.convert(kept, Forgotten, from_attributes=True))


async def person(request: web.Request) -> web.Response:
    """The demographics of a patient, as the database has them now."""
    only(request)
    patient_id = request.match_info["patient_id"]
    row, problem = await _look_up(web_of(request).source, patient_id)
    return answer(Identity(patient_id=patient_id, person=row, problem=problem))


async def people(request: web.Request) -> web.Response:
    """The same of several patients; after one look-up that fails no other is begun."""
    only(request, "id")
    source, ids = web_of(request).source, request.query.getall("id", [])
    if not ids or len(ids) > NAMED or not all(1 <= len(one) <= LONGEST_ID for one in ids):
        raise bad(f"`id` has to be given 1 to {NAMED} times, with 1 to {LONGEST_ID} characters each.")
    places, missing = asyncio.Semaphore(_AT_ONCE), list[str]()

    async def one(patient_id: str) -> Identity:
        async with places:
            row, problem = (None, missing[0]) if missing else await _look_up(source, patient_id)
        if problem is not None:
            missing.append(problem)
        return Identity(patient_id=patient_id, person=row, problem=problem)

    return answer(People(people=list(await asyncio.gather(*map(one, dict.fromkeys(ids))))))


async def people_by_name(request: web.Request) -> web.Response:
    """People whose names begin with the words of the request; nothing of it is kept or logged."""
    return answer(await _by_name(request))


async def _by_name(request: web.Request) -> People:
    only(request, "name")
    here, name = web_of(request), one_in(request, "name")
    words = name.split()[:_WORDS]
    if NAME.fullmatch(name) is None:
        raise bad("`name` has to have 2 to 100 characters, all of which print.")
    if not words:
        return People(people=[])
    away = "The patients database cannot be reached now, so names cannot be searched."
    if not here.source.patients_up():
        return People(people=[], problem=away)
    try:
        async with asyncio.timeout(_SEARCH_S), here.name_search:
            rows = await here.source.patients.named(words, _NAMESAKES + 1)
    except UsageError as error:
        return People(people=[], problem=str(error))
    except PatientError as error:
        log.warning("names_not_searched", reason=type(error).__name__)
        return People(people=[], problem="The patients database cannot search names.")
    except (DatabaseDownError, TimeoutError) as error:
        log.warning("names_not_searched", reason=type(error).__name__)
        return People(people=[], problem=away)
    known = [row for row in rows if row["id"]]
    return People(people=[_identity(row) for row in known[:_NAMESAKES]], more=len(rows) > _NAMESAKES)


def _identity(row: Mapping[str, str]) -> Identity:
    person = Person(
        given=row["given"], family=row["family"], birth_date=row["birth_date"], sex=row["sex"] or "unknown"
    )
    return Identity(patient_id=row["id"], person=person, problem=None)


async def check(request: web.Request) -> web.Response:
    """Which of some ids can be submitted, before anything begins."""
    only(request, "priority")
    source = web_of(request).source
    given = await submission_of(request, await body_of(request))
    ids = list(dict.fromkeys(given.patient_ids))
    places, unknown, unchecked = asyncio.Semaphore(_AT_ONCE), set[str](), set(ids[CHECKED:])

    async def one(patient_id: str) -> None:
        async with places:
            row, problem = await _look_up(source, patient_id)
        if problem is not None:
            unchecked.add(patient_id)
        elif row is None:
            unknown.add(patient_id)

    await asyncio.gather(*map(one, ids[:CHECKED]))
    return answer(
        CheckedPatients(
            patients=[patient_id for patient_id in ids if patient_id not in unknown],
            unknown=[patient_id for patient_id in ids if patient_id in unknown],
            unchecked=len(unchecked),
            refused=given.refused,
        )
    )


def _no_such_patient() -> Problem:
    return Problem(
        404,
        "The patients database has no patient with this id, and nothing was retrieved for it. Compare the id "
        "with the patient's file: capital letters and leading zeros count.",
        "no-such-patient",
    )


ROUTES: Final = (
    web.get("/api/patients/{patient_id:[^/]+}", one_patient),
    web.delete("/api/patients/{patient_id:[^/]+}", forget),
    web.get("/api/patients/{patient_id:[^/]+}/person", person),
    web.get("/api/people", people),
    web.get("/api/people/search", people_by_name),
    web.post("/api/submissions/check", check),
)
