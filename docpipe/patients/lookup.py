"""Looking patients up through a gate: while the database is down one asks, and everybody else waits."""

from dataclasses import dataclass

from docpipe.errors import DatabaseDownError, PatientError
from docpipe.gates import Call, Failure, Gate
from docpipe.gates.line import Slots
from docpipe.model import Patient, Ticket
from docpipe.patients.database import PatientDatabase


@dataclass(frozen=True, slots=True)
class Lookup:
    """The database, its gate, and as many places as it has connections."""

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
        while True:
            found = await self._attempt(call, patient_id)
            if isinstance(found, Patient):
                return found
            if found is not None:
                await self.gate.pause(call, found)

    async def _attempt(self, call: Call, patient_id: str) -> Patient | Failure | None:
        """One try; None where the database went down before it was made."""
        place = await self.gate.enter(call)
        service = self.gate.service
        try:
            async with self.places.hold(call.ticket):
                if not service.may_still(call):
                    return None
                found = await self.database.find(patient_id)
        except DatabaseDownError as error:
            failure = Failure(error.reason)
            self.gate.report(call, failure)
            return failure
        except PatientError:
            service.answered(call)
            raise
        except BaseException:
            service.abandoned(call)
            raise
        finally:
            place.unspent()  # nothing is counted here but who is under way
        service.answered(call)
        return found
