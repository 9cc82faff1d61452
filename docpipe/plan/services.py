"""Both services as the real clients see them: requests pass the real gates, answers are made up."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from docpipe.gates import Call, Failure, Gate
from docpipe.http import Answer, Http
from docpipe.http.answers import Reading
from docpipe.http.client import Request
from docpipe.http.credentials import RequestAuth
from docpipe.model import Json
from docpipe.plan.setup import Case, Setup
from docpipe.plan.trace import Trace

DOCEX: Final = "http://docex"
TRACKER: Final = "http://tasktracker"
ARCHIVES: Final = "http://archives"
_NO_CONNECTION: Final = Failure("no connection", sent=False)


@dataclass(slots=True)
class Search:
    """A search at the exchange."""

    case: Case
    began: float
    noticed: bool = False

    @property
    def done(self) -> float:
        """When it is ready."""
        return self.began + self.case.search_s


class World:
    """Everything outside docpipe. Times are seconds from the start."""

    def __init__(self, setup: Setup, trace: Trace) -> None:
        self.setup = setup
        self.trace = trace
        self.searches: dict[str, Search] = {}
        self.cases: dict[str, Case] = {}
        """By patient."""
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._workers_at: float | None = None
        self._rounds: dict[int, list[Case]] = {}

    def now(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self._start

    async def workers(self) -> None:
        """Return when the workers are there, which start with the first job."""
        now = self.now()
        if self._workers_at is None:
            self._workers_at = now + self.setup.start_s
        if now < self._workers_at:
            await asyncio.sleep(self._workers_at - now)

    def case(self, patient_id: str) -> Case:
        """The simulated data of a patient: the same for the same seed, in any order of patients."""
        case = self.cases.get(patient_id)
        if case is None:
            rng = random.Random(f"{self.setup.seed} {patient_id}")
            case = self.cases[patient_id] = self.setup.mix.draw(rng, self._past(patient_id))
        return case

    def _past(self, patient_id: str) -> Case | None:
        """Patients of the history in rounds, each shuffled: all count the same, and chance adds little.

        Ids end with a number, from 0 on.
        """
        if not (history := self.setup.mix.history):
            return None
        round_number, place = divmod(int(patient_id.rpartition(" ")[2]), len(history))
        if round_number not in self._rounds:
            rng = random.Random(f"{self.setup.seed} round {round_number}")
            self._rounds[round_number] = rng.sample(history, len(history))
        return self._rounds[round_number][place]

    def down(self, service: str, now: float) -> bool:
        """Whether a service is out; archives come from the exchange."""
        if not self.setup.outages:
            return False
        name = "tasktracker" if service == "tasktracker" else "docex"
        return any(outage.service == name and outage.within(now) for outage in self.setup.outages)

    async def attempt(self, gate: Gate, call: Call) -> Failure | None:
        """One request on the wire, and its answer; what was wrong with it."""
        place = await gate.enter(call)
        arrives = self.now() + self.setup.latency_s / 2
        down = self.down(gate.service.name, arrives)
        try:
            await asyncio.sleep(self.setup.latency_s)
            if down:
                place.unspent()
                gate.report(call, _NO_CONNECTION)
                return _NO_CONNECTION
            self.trace.requests.setdefault(gate.quota.name, []).append(arrives)
            place.answered()
            gate.service.answered(call)
            return None
        finally:
            place.give_up()


class PlannedHttp(Http):
    """The client's retries and waits, over a wire that is made up."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def _send(
        self,
        request: Request,
        gate: Gate,
        call: Call,
        reading: Reading,  # noqa: ARG002 -- as in the base class
        auth: RequestAuth,  # noqa: ARG002 -- likewise
    ) -> Answer | Failure:
        failure = await self._world.attempt(gate, call)
        return failure or self._answer(request)

    def _answer(self, request: Request) -> Answer:
        path = request.url.path
        if request.url.host == "tasktracker":
            status = (request.json or {}).get("status", "in_progress")
            return Answer(200, {}, {"id": "task", "status": status, "reports": 0})
        if request.method == "POST":
            return self._begin(request.json["patient"]["id"])
        return self._status(path.rpartition("/")[2])

    def _begin(self, patient_id: str) -> Answer:
        world = self._world
        began = world.now() - world.setup.latency_s / 2
        world.searches[patient_id] = Search(world.case(patient_id), began)
        world.trace.searched.append(began)
        asked = world.setup.ask_after
        headers = {} if asked is None else {"Retry-After": f"{asked:g}"}
        return Answer(202, headers, {"id": patient_id, "state": "queued"})

    def _status(self, search_id: str) -> Answer:
        world, search = self._world, self._world.searches[search_id]
        when = world.now() - world.setup.latency_s / 2
        body: dict[str, Any] = {"id": search_id, "state": "running"}
        if when >= search.done:
            if not search.noticed:
                search.noticed = True
                world.trace.ready.append(search.done)
                world.trace.noticed.append(when)
            archive: Json = {"url": search_id} if search.case.convert_s else None
            body |= {"state": "ready", "archive": archive, "documents": []}
        elif world.setup.reports_progress:
            body["progress"] = (when - search.began) / search.case.search_s
        return Answer(200, {}, body)
