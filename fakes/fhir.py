"""A FHIR R4 server: asynchronous requests as in HL7's bulk-data guide, document references as in IHE MHD."""

import json
import math
import random
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from fakes.calls import Call, Refusal, Reply
from fakes.clock import http_date
from fakes.documents.shelf import Shelf
from fakes.fhirfiles import Files, Held
from fakes.fhirxml import to_xml
from fakes.front import Front, Handler, Route, World, digest
from fakes.patients import Person, sample
from fakes.quota import whole_seconds

FHIR: Final = "application/fhir+json"
SYSTEM: Final = "urn:oid:2.999.1"
"""The system of the patients' identifiers; their logical ids are the same."""
_LONGEST_HINT_S: Final = 60.0
_IN_XML: Final = ("fhir.patient", "fhir.search", "fhir.page")
_TYPES_OF_XML: Final = ("application/fhir+xml", "*/*")


@dataclass(frozen=True, slots=True)
class Job:
    """An asynchronous request. Times are seconds since 1970."""

    id: str
    patient: str
    what: str
    """`search`, `export` or `everything`."""
    began: float
    seconds: float
    end: str
    """`ready`, `failed` or `expired`."""
    gone: bool = False
    """Deleted by the client, or purged."""

    @property
    def done(self) -> float:
        """When it ends."""
        return self.began + self.seconds


def outcome(code: str, text: str, severity: str = "error") -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class FhirServer(Front):
    """The server, and what tests ask of it."""

    name: ClassVar[str] = "fhir"

    def __init__(self, world: World, shelf: Shelf) -> None:
        options = world.options
        rates = {"fhir.search": options.search_rate, "fhir.status": options.status_rate}
        super().__init__(world, rates, options.docex_token)
        self.jobs: dict[str, Job] = {}
        """Every request that was answered with 202, oldest first."""
        self.deleted: list[str] = []
        """Jobs that the client let go, oldest first."""
        self.file_port = 0
        """Of the files' own origin, once it listens; 0 where they lie here."""
        self.files = Files(shelf, options.fhir)
        self._asked_after: dict[str, None] = {}
        """Patients that somebody asked for, in order."""
        self._people = {row["id"]: Person(**row) for row in sample(options.seed)}
        for id_, fields in world.journal.load("fhir.job").items():
            self.jobs[id_] = Job(**{**fields, "id": id_})
        self.deleted += [id_ for id_, job in self.jobs.items() if job.gone]

    async def _handle(self, call: Call, handler: Handler, wait: float) -> Reply:
        speaks_xml = self.world.options.fhir.xml and call.seen.operation in _IN_XML
        if speaks_xml and not set(_TYPES_OF_XML) & set((call.header("Accept") or "*/*").split(", ")):
            return Reply.of(406, outcome("not-supported", "Only XML."), {"Content-Type": FHIR})
        reply = await super()._handle(call, handler, wait)
        if speaks_xml and reply.headers.get("Content-Type") == FHIR:
            headers = {**reply.headers, "Content-Type": "application/fhir+xml"}
            return Reply(reply.status, to_xml(json.loads(bytes(reply.body))), headers)
        return reply

    def refusal(self, refusal: Refusal) -> Reply:
        """An OperationOutcome."""
        return self._of(refusal.status, outcome("processing", str(refusal)), refusal.headers)

    def routes(self) -> list[Route]:
        """What it knows; the rest is answered with 404."""
        return [
            ("GET", "/fhir/metadata", "fhir.patient", self._metadata),
            ("GET", "/fhir/Patient", "fhir.patient", self._find),
            ("GET", "/fhir/Patient/{id}", "fhir.patient", self._read),
            ("GET", "/fhir/DocumentReference", "fhir.search", self._kick_off("search")),
            ("POST", "/fhir/Patient/$export", "fhir.search", self._kick_off("export")),
            ("GET", "/fhir/Patient/{id}/$export", "fhir.search", self._kick_off("patient-export")),
            ("GET", "/fhir/Patient/{id}/$everything", "fhir.search", self._kick_off("everything")),
            ("GET", "/fhir/jobs/{job}", "fhir.status", self._status),
            ("DELETE", "/fhir/jobs/{job}", "fhir.delete", self._delete),
            ("GET", "/fhir/pages/{id}/{page}", "fhir.page", self._page),
            ("GET", "/fhir/manifests/{job}/{page}", "fhir.page", self._manifest_page),
            ("GET", "/fhir/files/{job}/{file}", "fhir.file", self.file),
            ("GET", "/fhir/Binary/{binary}", "fhir.binary", self.binary),
            ("GET", "/fhir/Binary/{binary}/$binary-access-read", "fhir.binary", self.access),
        ]

    def subjects(self, call: Call) -> Collection[str]:
        """The id of the patient."""
        info = call.request.match_info
        if "job" in info:
            job = self.jobs.get(info["job"])
            return (job.patient,) if job else ()
        if "binary" in info:
            return (info["binary"].rpartition(".")[0],)
        return (self._asked(call),)

    def jobs_of(self, patient: str) -> list[Job]:
        """The jobs for a patient, oldest first."""
        return [job for job in self.jobs.values() if job.patient == patient]

    def purge(self, id_: str) -> None:
        """Forget a job, as servers do after a time; KeyError where there is none."""
        self._keep(replace(self.jobs[id_], gone=True))

    # Patients

    def person(self, id_: str) -> Person:
        """The patient of the request; 404 for those that the options leave out."""
        if id_ in self.world.options.fhir.strangers:
            raise Refusal(404, "There is no such patient.")
        self._asked_after[id_] = None
        return self._people.get(id_) or Person(id_, "Ann", "Lee", "1957-03-31")

    def _asked(self, call: Call) -> str:
        """The patient that a request is about."""
        if "id" in call.request.match_info:
            return call.part("id")
        query = parse_qs(call.request.query_string)
        for name in ("patient", "subject"):
            if name in query:
                return query[name][0].removeprefix("Patient/")
        if "identifier" in query:
            return query["identifier"][0].rpartition("|")[2].removeprefix("MRN-")
        try:
            given = json.loads(call.raw)["parameter"]
            who = next(part["valueReference"]["reference"] for part in given if part["name"] == "patient")
            return str(who).partition("/")[2]
        except (ValueError, LookupError, TypeError, StopIteration) as error:
            raise Refusal(400, "Whose documents?") from error

    async def _metadata(self, _call: Call) -> Reply:
        formats = ["application/fhir+json"]
        capabilities = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": formats}
        return self._of(200, {**capabilities, "status": "active", "kind": "instance"})

    async def _read(self, call: Call) -> Reply:
        options = self.world.options.fhir
        if options.by_identifier:
            raise Refusal(404, "There is no such patient.")
        return self._of(200, self._resource(self.person(call.part("id"))))

    async def _find(self, call: Call) -> Reply:
        system, bar, value = call.request.query.get("identifier", "").rpartition("|")
        actual: list[dict[str, Any]] = []
        if not bar or system == SYSTEM:
            try:
                actual = [self._resource(self.person(value))]
            except Refusal:
                actual = []
        if call.unfiltered:
            actual += [self._resource(self.person(id_)) for id_ in [*self._asked_after] if id_ != value]
        entries = [{"resource": resource, "search": {"mode": "match"}} for resource in actual]
        return self._of(
            200, {"resourceType": "Bundle", "type": "searchset", "total": len(actual), "entry": entries}
        )

    def _logical(self, id_: str) -> str:
        return f"L-{id_}" if self.world.options.fhir.by_identifier else id_

    def _resource(self, person: Person) -> dict[str, Any]:
        merged = dict(self.world.options.fhir.merged).get(person.id)
        link = [{"type": "replaced-by", "other": {"reference": f"Patient/{merged}"}}] if merged else []
        return {
            "resourceType": "Patient",
            "id": self._logical(person.id),
            **({"link": link} if link else {}),
            "identifier": [{"system": SYSTEM, "value": person.id}],
            "name": [{"family": person.family, "given": [person.given]}],
            "birthDate": person.birth_date,
        }

    # Requests

    def _kick_off(self, what: str) -> Handler:
        async def handle(call: Call) -> Reply:
            options = self.world.options.fhir
            if what not in options.knows:
                raise Refusal(404, "There is no such operation.")
            patient = self._asked(call).removeprefix("L-")
            self.person(patient)
            wants = "respond-async" in (call.header("Prefer") or "")
            if what == "search" and call.request.query.get("status") != "current":
                raise Refusal(400, "MHD asks for status.")
            if options.at_once or not wants:
                held = await self._held(call, patient, whole=what != "search")
                return self._of(200, self.files.page(held, 0, self._base(call)))
            job = self._begin(patient, what)
            place = f"/fhir/jobs/{job.id}"
            if self.world.options.absolute_urls:
                place = self._origin(call) + place
            reported = outcome("informational", "Accepted.", "information")
            return self._of(202, reported, {options.location: place})

        return handle

    def _begin(self, patient: str, what: str) -> Job:
        options, nth = self.world.options, len(self.jobs_of(patient))
        seconds = options.patient_seconds.get(patient)
        if seconds is None:
            seconds = random.Random(f"{options.seed}:fhir:{patient}:{nth}").uniform(*options.search_seconds)
        end = "failed" if patient in options.failing else "ready"
        if patient in options.expiring and nth == 0:
            end = "expired"
        id_ = f"j-{digest(options.seed, 'job', len(self.jobs))}"
        job = Job(id_, patient, what, self.world.clock.epoch(), seconds, end)
        self._keep(job)
        return job

    def _keep(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.world.journal.put("fhir.job", job.id, asdict(job))

    def _job(self, call: Call) -> Job:
        job = self.jobs.get(call.part("job"))
        if job is None or job.gone:
            raise Refusal(404, "There is no such job.")
        if job.end == "expired" and self.world.clock.epoch() >= job.done:
            raise Refusal(410, "The job has expired.")
        return job

    async def _status(self, call: Call) -> Reply:
        job, options, now = self._job(call), self.world.options, self.world.clock.epoch()
        if now < job.done:
            return self._unfinished(job, now)
        if job.end == "failed":
            family = self.person(job.patient).family
            return self._of(500, outcome("processing", f"No network answered for {family}."))
        held = await self._held(call, job.patient, whole=job.what != "search")
        expires = {"Expires": http_date(math.ceil(now + options.search_lifetime))}
        if options.fhir.result == "bundle":
            page = self.files.page(held, 0, self._base(call))
            entry = {"response": {"status": "200 OK"}, "resource": page}
            bundle = {"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}
            return self._of(200, bundle, expires)
        return Reply.of(200, self._manifest(call, held, job, 0), expires)

    def _manifest(self, call: Call, held: Held, job: Job, page: int) -> dict[str, Any]:
        return self.files.manifest(held, job.id, page, self._base(call), self.file_origin(call))

    def _unfinished(self, job: Job, now: float) -> Reply:
        options, waited = self.world.options, now - job.began
        if options.sparse:
            return Reply(202)
        seconds = whole_seconds(min(waited / 10, _LONGEST_HINT_S))
        hint = http_date(math.ceil(now + int(seconds))) if options.fhir.dates else seconds
        text = f"{waited / job.seconds:.0%}" if job.seconds else "in progress"
        return Reply(202, b"", {"X-Progress": text, "Retry-After": hint})

    async def _delete(self, call: Call) -> Reply:
        job = self._job(call)
        self._keep(replace(job, gone=True))
        self.deleted.append(job.id)
        return self._of(202, outcome("informational", "Deleted.", "information"))

    async def _page(self, call: Call) -> Reply:
        held = await self._held(call, call.part("id"), whole=False)
        return self._of(200, self.files.page(held, int(call.part("page")), self._base(call)))

    async def _manifest_page(self, call: Call) -> Reply:
        job = self._job(call)
        held = await self._held(call, job.patient, whole=job.what != "search")
        return Reply.of(200, self._manifest(call, held, job, int(call.part("page"))))

    # Files

    async def file(self, call: Call) -> Reply:
        """One file of a manifest."""
        job = self._job(call)
        held = await self._held(call, job.patient, whole=job.what != "search")
        return self.files.file(held, call)

    async def binary(self, call: Call) -> Reply:
        """The content of a document."""
        id_, _, number = call.part("binary").rpartition(".")
        held = await self._held(call, id_, whole=False)
        return self.files.binary(held, number, call)

    async def access(self, call: Call) -> Reply:
        """The data of a Binary that is handed out without it, as HAPI FHIR has it."""
        if self.world.options.fhir.binaries != "external" or call.request.query.get("path") != "Binary":
            raise Refusal(404, "There is no such operation.")
        id_, _, number = call.part("binary").rpartition(".")
        held = await self._held(call, id_, whole=False)
        content, kind = held.contents[int(number)]
        return Reply(200, content, {"Content-Type": kind})

    async def _held(self, call: Call, patient: str, *, whole: bool) -> Held:
        person = self.person(patient)
        empty = patient in self.world.options.empty
        held = await self.files.held(
            person, self._resource(person), self.file_origin(call), whole=whole, empty=empty
        )
        for id_ in [*self._asked_after] if call.unfiltered else ():
            if id_ != patient:
                other = self.person(id_)
                more = await self.files.held(
                    other, self._resource(other), self.file_origin(call), whole=whole, empty=empty
                )
                held.add(more)
        return held

    def file_origin(self, call: Call) -> str:
        """Where files lie: here, or at an origin of their own."""
        if not self.file_port:
            return self._base(call)
        return f"http://{call.request.url.host}:{self.file_port}/fhir"

    @staticmethod
    def _origin(call: Call) -> str:
        return f"{call.request.scheme}://{call.request.host}"

    def _base(self, call: Call) -> str:
        return f"{self._origin(call)}/fhir"

    @staticmethod
    def _of(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
        return Reply.of(status, value, {"Content-Type": FHIR, **(headers or {})})


class FileOrigin(Front):
    """A server of its own for files and documents, which needs no token and must not get one."""

    name: ClassVar[str] = "fhirfiles"
    guarded: ClassVar[bool] = False

    def __init__(self, world: World, server: FhirServer) -> None:
        super().__init__(world, {})
        self.tokens_received = 0
        """How many requests bore an Authorization header, which none ever must."""
        self._server = server

    def routes(self) -> list[Route]:
        """Files of manifests, and documents."""
        return [
            ("GET", "/fhir/files/{job}/{file}", "fhir.file", self._open(self._server.file)),
            ("GET", "/fhir/Binary/{binary}", "fhir.binary", self._open(self._server.binary)),
        ]

    def subjects(self, call: Call) -> Collection[str]:
        """The id of the patient."""
        return self._server.subjects(call)

    def _open(self, handler: Handler) -> Handler:
        async def handle(call: Call) -> Reply:
            if call.header("Authorization") is not None:
                self.tokens_received += 1
                raise Refusal(400, "The address is the authorization; no token must be sent here.")
            return await handler(call)

        return handle
