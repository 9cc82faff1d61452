"""A client of `docpipe serve`, for programs and notebooks. Imports `api`, `config` and `errors`.

    from docpipe.client import Client

    with Client("http://127.0.0.1:8080") as docpipe:
        runs = docpipe.submit(["P123", "P124"])
        for run in docpipe.wait(runs):
            for document in docpipe.documents(run.run_id):
                print(run.patient_id, document.title or document.path, document.outcome)

Every error is a `ClientError`:

    ClientError
        NotReachableError       no connection, or it broke off, also after a few tries
        RefusedError            the service has answered with a problem (RFC 9457)
            SignInError         401 or 403: the token is missing, wrong, or tried too often
            NotFoundError       404: there is no such run, document or service
            ConflictError       409: the run is in a state in which that cannot be
        NoServiceError          what answers is no docpipe
"""

from docpipe.api.hits import Hit, Hits
from docpipe.api.people import People
from docpipe.api.schedules import Notifications, Schedule
from docpipe.api.shapes import (
    CheckedPatients,
    Document,
    Forgotten,
    Identity,
    OnePatient,
    OneRun,
    Person,
    Run,
    Services,
    Summary,
    Wait,
)
from docpipe.client.client import Client
from docpipe.client.events import Event
from docpipe.client.problems import (
    ClientError,
    ConflictError,
    NoServiceError,
    NotFoundError,
    NotReachableError,
    RefusedError,
    SignInError,
)

__all__ = [
    "CheckedPatients",
    "Client",
    "ClientError",
    "ConflictError",
    "Document",
    "Event",
    "Forgotten",
    "Hit",
    "Hits",
    "Identity",
    "NoServiceError",
    "NotFoundError",
    "NotReachableError",
    "Notifications",
    "OnePatient",
    "OneRun",
    "People",
    "Person",
    "RefusedError",
    "Run",
    "Schedule",
    "Services",
    "SignInError",
    "Summary",
    "Wait",
]
