"""Looks patients up through a gate: while the database is down one caller probes and all others wait."""

from dataclasses import dataclass
from typing import Final

from docpipe.errors import DatabaseDownError, DatabaseUnusableError, PatientError
from docpipe.gates import Failure, Gate
from docpipe.gates.attempts import AttemptError, admitted, attempt
from docpipe.gates.line import Slots
from docpipe.model import Patient, Ticket
from docpipe.patients.opened import PatientDatabase

_ANSWERS: Final = (DatabaseDownError, PatientError)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The database, its gate, and a slot for each of its connections."""

    database: PatientDatabase
    gate: Gate
    places: Slots

    async def get(self, patient_id: str, ticket: Ticket) -> Patient:
        """Look a patient up; waits while the database cannot be reached.

        Raises:
            PatientError: if there is no such patient, or the row cannot be used.
            PoisonedError: if this look-up keeps failing while others succeed.
        """
        call = self.gate.call(ticket)

        async def find() -> Patient:
            return await self.database.find(patient_id)

        while True:
            try:
                async with admitted(self.gate, call, self.places) as waited:
                    return await attempt(
                        self.gate,
                        call,
                        find,
                        method="SELECT",
                        waited=waited,
                        failures=_failure_of,
                        answers=_ANSWERS,
                    )
            except AttemptError as error:
                await self.gate.pause(call, error.failure)


def _failure_of(error: Exception) -> Failure | None:
    if not isinstance(error, DatabaseDownError):
        return None
    return Failure(error.reason, ours=isinstance(error, DatabaseUnusableError))
