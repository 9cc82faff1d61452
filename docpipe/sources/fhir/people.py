"""Finds the patient at a FHIR server: by the logical id, or by an identifier."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog

from docpipe.errors import ServiceError
from docpipe.gates.line import waiting
from docpipe.http import Answer, Check, about
from docpipe.http.verdicts import refusal
from docpipe.model import Clock, Patient, Ticket, Wait, WaitKind
from docpipe.sources.fhir.resources import Person, bundle_of, person_of, resources
from docpipe.sources.fhir.vocabulary import is_id
from docpipe.sources.fhir.wire import Reply, Wire

log = structlog.get_logger(__name__)

UNKNOWN: Final = (
    "The exchange does not know the patient: check docex.patient_system, the system of the patient ids there."
)
OTHERS: Final = "The exchange answers a look-up of the patient with other patients only."
MERGED: Final = (
    "The exchange has merged the patient into another one, whose date of birth differs or who is missing: "
    "check the patient's record there."
)
_MERGES: Final = 5
"""Patients that are merged one into the other."""
_PAUSES_S: Final = (2.0, 5.0, 15.0)
"""Pauses between look-ups that are answered with other patients."""
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.BAD_REQUEST)
_DAY: Final = 10


@dataclass(frozen=True, slots=True)
class People:
    """Looks patients up; a look-up costs no search."""

    wire: Wire
    clock: Clock

    async def find(self, ticket: Ticket, patient: Patient) -> str:
        """The patient's logical id.

        With `docex.patient_system` the patient's id is an identifier of that system. Without, it is the
        logical id; where there is none such, an identifier of any system, if the date of birth is the same.
        Where the server allows no look-up, the id is used as it is.

        Raises:
            ServiceError: if the server does not know the patient, or knows several.
        """
        if system := self.wire.config.patient_system:
            reply, own = await self._search(ticket, patient, system)
            if not reply.ok:
                answer = Answer(reply.status, {}, None)
                raise refusal("The exchange", self.wire.config, answer, "a look-up of the patient")
            return await self._current(ticket, _only(own), patient)
        if is_id(patient.id):
            reply = await self._read(ticket, patient.id)
            if reply.status not in _GONE:
                return await self._current(ticket, person_of(reply.body), patient)
        reply, own = await self._search(ticket, patient)
        if not reply.ok or bundle_of(reply.body) is None:
            if is_id(patient.id):  # the server allows no look-up
                return patient.id
            raise ServiceError(UNKNOWN)
        born = patient.birth_date[:_DAY]
        person = _only([person for person in own if person.birth_date == born])
        return await self._current(ticket, person, patient)

    async def _read(self, ticket: Ticket, id_: str) -> Reply:
        """Read the Patient with a logical id."""

        def is_this_patient(body: Any) -> bool:
            person = person_of(body)
            return person is None or about(person.id, id_)

        return await self._get(ticket, f"Patient/{_quoted(id_)}", is_this_patient)

    async def _current(self, ticket: Ticket, person: Person | None, patient: Patient) -> str:
        """The logical id that a Patient has now: servers merge duplicates (Patient.link, `replaced-by`).

        Raises:
            ServiceError: if the Patient is merged into one who has another date of birth, or into none.
        """
        id_ = person.id if person is not None and person.id is not None and is_id(person.id) else patient.id
        for _ in range(_MERGES):
            if person is None or (other := person.replaced_by) is None:
                return id_
            reply = await self._read(ticket, other)
            person = person_of(reply.body)
            if not reply.ok or person is None or person.birth_date != patient.birth_date[:_DAY]:
                break
            log.info("patient_merged", run_id=ticket.run_id)
            id_ = other
        raise ServiceError(MERGED)

    async def _search(
        self, ticket: Ticket, patient: Patient, system: str | None = None
    ) -> tuple[Reply, list[Person]]:
        """Search by identifier: the answer, and the patients in it with the identifier.

        An answer with other patients only is followed by another attempt: the server mixes up answers, or
        ignores the identifier.

        Raises:
            ServiceError: if all attempts are answered so.
        """
        token = patient.id if system is None else f"{system}|{patient.id}"
        for pause in (*_PAUSES_S, None):
            reply = await self._get(ticket, f"Patient?identifier={_quoted(token)}")
            people = _patients(reply) if reply.ok else []
            own = [person for person in people if _has_identifier(person, patient, system)]
            if own or not people:
                return reply, own
            log.warning("patients_of_another_request", run_id=ticket.run_id, listed=len(people))
            if pause is not None:
                now = self.clock()
                with waiting(ticket, Wait(WaitKind.RETRY, "docex", now, now + pause)):
                    await asyncio.sleep(pause)
        raise ServiceError(OTHERS)

    async def _get(self, ticket: Ticket, path: str, check: Check | None = None) -> Reply:
        url = f"{self.wire.config.base_url}/{path}"
        return await self.wire.request(ticket, "GET", url, gate=self.wire.polling, check=check)


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _patients(reply: Reply) -> list[Person]:
    bundle = bundle_of(reply.body)
    people = [person_of(resource) for resource, _ in resources(bundle)] if bundle is not None else []
    return [person for person in people if person is not None]


def _has_identifier(person: Person, patient: Patient, system: str | None = None) -> bool:
    """Whether a Patient has the identifier: servers that ignore it list others.

    A Patient without any identifiers is recognised by the date of birth.
    """
    if not person.identifier:
        return person.birth_date == patient.birth_date[:_DAY]
    return any(
        (given.value or "").casefold() == patient.id.strip().casefold()
        and (system is None or given.system in (None, system))
        for given in person.identifier
    )


def _only(people: list[Person]) -> Person:
    """The one Patient.

    Raises:
        ServiceError: if there are several, or none.
    """
    ids = {person.id: person for person in people if is_id(person.id)}
    if len(ids) > 1:
        raise ServiceError("The exchange knows several patients with this id.")
    if not ids:
        raise ServiceError(UNKNOWN)
    return next(iter(ids.values()))
