"""What the client asks about patients."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from docpipe.api.people import People
from docpipe.api.shapes import CheckedPatients, Forgotten, Identity, OnePatient

NAMED_AT_ONCE: Final = 100
"""As many ids go into one request for their persons."""

_T = TypeVar("_T")


class Patients(ABC):
    """A part of `Client`."""

    @abstractmethod
    def _decoded(
        self,
        kind: type[_T],
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> _T:
        """Send a request, and read its answer."""

    def patient(self, patient_id: str) -> OnePatient:
        """A patient with all runs and all documents; the name is read from the database."""
        return self._decoded(OnePatient, "GET", _patient(patient_id))

    def person(self, patient_id: str) -> Identity:
        """Who a patient is, read from the database."""
        return self._decoded(Identity, "GET", f"{_patient(patient_id)}/person")

    def people(self, patient_ids: Iterable[str]) -> list[Identity]:
        """Who some patients are, each once, in this order."""
        ids = list(dict.fromkeys(patient_ids))
        people = list[Identity]()
        for start in range(0, len(ids), NAMED_AT_ONCE):
            query = urlencode([("id", one) for one in ids[start : start + NAMED_AT_ONCE]])
            people += self._decoded(People, "GET", f"/api/people?{query}").people
        return people

    def people_by_name(self, name: str) -> People:
        """The first 20 patients with such a name; `more` tells whether there are others.

        Args:
            name: beginnings of names, such as `lee an`.
        """
        return self._decoded(People, "GET", f"/api/people/search?{urlencode({'name': name})}")

    def check(self, patients: Iterable[str]) -> CheckedPatients:
        """Check what `submit` would do with up to 10,000 ids; nothing begins."""
        body = {"patients": list(dict.fromkeys(patients))}
        return self._decoded(CheckedPatients, "POST", "/api/submissions/check", body, again=True)

    def forget(self, patient_id: str) -> Forgotten:
        """Permanently remove all that docpipe keeps of a patient, immediately and without confirmation."""
        return self._decoded(Forgotten, "DELETE", _patient(patient_id))


def _patient(patient_id: str) -> str:
    return f"/api/patients/{quote(patient_id, safe='')}"
