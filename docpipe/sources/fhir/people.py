"""Finds the patient at a FHIR server: by the logical id, or by an identifier."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from docpipe.errors import ServiceError
from docpipe.http import Answer
from docpipe.http.verdicts import refusal
from docpipe.model import Patient, Ticket
from docpipe.sources.fhir.vocabulary import is_id, resources
from docpipe.sources.fhir.wire import Reply, Wire

UNKNOWN: Final = (
    "The exchange does not know the patient: docex.patient_system says in which system ids of patients are "
    "identifiers there."
)
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.BAD_REQUEST)
_DAY: Final = 10


@dataclass(frozen=True, slots=True)
class People:
    """Looks patients up, with questions that cost no search."""

    wire: Wire

    async def find(self, ticket: Ticket, patient: Patient) -> str:
        """The patient's logical id.

        With `docex.patient_system` the patient's id is an identifier of that system. Without, it is the
        logical id; where there is none such, an identifier of any system, if the date of birth is the same.
        Where the server lets nobody look, the id is taken as it is.

        Raises:
            ServiceError: if the server does not know the patient, or knows several.
        """
        if system := self.wire.config.patient_system:
            reply = await self._ask(ticket, f"Patient?identifier={_quoted(f'{system}|{patient.id}')}")
            if not reply.ok:
                answer = Answer(reply.status, {}, None)
                raise refusal("The exchange", self.wire.config, answer, "the question after the patient")
            return _only(_patients(reply))
        if is_id(patient.id):
            reply = await self._ask(ticket, f"Patient/{_quoted(patient.id)}")
            if reply.status not in _GONE:
                return patient.id
        reply = await self._ask(ticket, f"Patient?identifier={_quoted(patient.id)}")
        if not reply.ok or not isinstance(reply.body, dict) or reply.body.get("resourceType") != "Bundle":
            if is_id(patient.id):  # there is nobody to be asked
                return patient.id
            raise ServiceError(UNKNOWN)
        born = patient.birth_date[:_DAY]
        return _only([found for found in _patients(reply) if found.get("birthDate") == born])

    async def _ask(self, ticket: Ticket, path: str) -> Reply:
        return await self.wire.ask(
            ticket, "GET", f"{self.wire.config.base_url}/{path}", gate=self.wire.asking
        )


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _patients(reply: Reply) -> list[dict[str, Any]]:
    if not isinstance(reply.body, dict):
        return []
    return [found for found in resources(reply.body) if found.get("resourceType") == "Patient"]


def _only(found: list[dict[str, Any]]) -> str:
    ids = {person["id"] for person in found if is_id(person.get("id"))}
    if len(ids) > 1:
        raise ServiceError("The exchange knows several patients with this id.")
    if not ids:
        raise ServiceError(UNKNOWN)
    return str(ids.pop())
