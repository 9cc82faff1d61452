"""The client: one class with blocking methods, fit for notebooks."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from httpx_sse import EventSource, SSEError

from docpipe.api.hits import Hits
from docpipe.api.schedules import Notifications, Schedule, Schedules
from docpipe.api.shapes import Accepted, Document, Documents, OneRun, Refused, Run, Runs, Services, Summary
from docpipe.client.downloads import BAD, Downloads
from docpipe.client.events import Event
from docpipe.client.patients import Patients
from docpipe.client.problems import NoServiceError, NotReachableError, refusal
from docpipe.config.parsing import parse_secret, read_stripped
from docpipe.errors import UsageError

TRIES: Final = 5
"""A request whose repetition does no harm is sent so often."""
AT_ONCE: Final = 10_000
"""As many patients go into one request."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_READ_S: Final = 30.0
_SILENCE_S: Final = 45.0  # the service sends at least a comment every 15 s
_UNAVAILABLE: Final = 503
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKEN: Final = "DOCPIPE_SERVICE__TOKEN"  # noqa: S105 -- the name of a variable
_TOKEN_FILE: Final = f"{_TOKEN}_FILE"

_T = TypeVar("_T")


class Client(Downloads, Patients):
    """A service, spoken to by HTTP. Use it as a context manager, or `close` it; not from several threads.

    Args:
        address: such as `http://127.0.0.1:8080`.
        token: what the service asks for; where it is not given, the environment's DOCPIPE_SERVICE__TOKEN, or
            what the file of DOCPIPE_SERVICE__TOKEN_FILE holds.
        insecure: whether the token may be sent unencrypted to another machine.
        sleep: waits between tries.
        transport: instead of the network.

    Raises:
        UsageError: if the address is none, the token's file cannot be used, or the token would be sent
            unencrypted to another machine.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8080",
        token: str | None = None,
        *,
        insecure: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"{address} is no address of a service: it has to be like http://127.0.0.1:8080."
            )
        token = token or _environments_token()
        if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK and not insecure:
            raise UsageError(
                f"The token would be sent unencrypted to {parts.hostname}: use https, or insecure=True."
            )
        self.address = address.rstrip("/")
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(_READ_S, connect=10.0),
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    # Runs

    def submit(self, patients: Iterable[str], priority: int = 0, *, key: str | None = None) -> list[Run]:
        """Submit patients; an unfinished run of a patient is returned instead of a new one.

        Args:
            patients: their ids; any number.
            priority: 0 to 9, higher goes first.
            key: a repeated submission with the same key gets the same answer, and starts nothing twice.
                Without one, it is made anew, and protects the tries of this call.

        Returns:
            Their runs, in this order.

        Raises:
            UsageError: if an id cannot be one; the others are accepted.
        """
        ids = list(dict.fromkeys(patients))
        key = key or secrets.token_hex(16)
        runs, refused = list[Run](), list[Refused]()
        for number, start in enumerate(range(0, len(ids), AT_ONCE)):
            body = {"patients": ids[start : start + AT_ONCE], "priority": priority}
            headers = {"Idempotency-Key": f"{key}-{number}"}
            accepted = self._decoded(Accepted, "POST", "/api/runs", body, headers, again=True)
            refused += accepted.refused
            runs += [
                Run(run_id=run.run_id, patient_id=run.patient_id, state=run.state) for run in accepted.runs
            ]
        if refused:
            raise UsageError(
                f"{len(refused)} of {len(ids)} patient ids were refused: {refused[0].reason} "
                "The others were accepted."
            )
        return runs

    def runs(
        self, states: Sequence[str] = (), prefix: str = "", *, order: str = "newest", page: int = 200
    ) -> Iterator[Run]:
        """All runs, loaded by the page as they are taken.

        Args:
            states: only runs in one of them.
            prefix: only runs whose id or whose patient's id begins so.
            order: `newest` first, or `urgent` first.
            page: how many are loaded at a time.
        """
        cursor = None
        while True:
            query = [("state", state) for state in states] + [("limit", str(page)), ("order", order)]
            query += [("q", prefix)] if prefix else []
            query += [("cursor", cursor)] if cursor else []
            page_of_runs = self._decoded(Runs, "GET", f"/api/runs?{urlencode(query)}")
            yield from page_of_runs.runs
            cursor = page_of_runs.next
            if cursor is None:
                return

    def run(self, run_id: str) -> OneRun:
        """A run as it stands, with its activities and its latest waits."""
        return self._decoded(OneRun, "GET", _path_of(run_id))

    def cancel(self, run_id: str) -> Run:
        """Give a run up."""
        return self._decoded(Run, "POST", f"{_path_of(run_id)}/cancel")

    def retry(self, run_id: str, first: str | None = None) -> Run:
        """Do a finished run again, from an activity on or from what failed."""
        return self._decoded(Run, "POST", f"{_path_of(run_id)}/retry", {"from": first})

    def wait(
        self,
        runs: Iterable[Run | str],
        timeout: float | None = None,
        *,
        each: Callable[[Run], None] = lambda _: None,
    ) -> list[Run]:
        """Wait until runs have ended.

        Args:
            runs: runs, or their ids.
            timeout: seconds.
            each: called with every change of one of them.

        Returns:
            The runs as they have ended, in this order.

        Raises:
            TimeoutError: if they have not ended by then; they continue.
        """
        ids = [run.run_id if isinstance(run, Run) else run for run in runs]
        until = None if timeout is None else time.monotonic() + timeout
        known: dict[str, Run] = {}

        def learn(run: Run) -> None:
            if known.get(run.run_id) != run:
                known[run.run_id] = run
                each(run)

        def left() -> list[str]:
            return [run_id for run_id in ids if run_id not in known or not known[run_id].finished]

        with contextlib.closing(self.events(timeout=timeout)) as events:
            for event in events:
                if event.name == "reset":
                    for run_id in left():
                        learn(self._decoded(Run, "GET", _path_of(run_id)))
                elif event.run is not None and event.run.run_id in ids:
                    learn(event.run)
                if not left():
                    break
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"{len(left())} of {len(ids)} runs have not ended within {timeout} s.")
        return [known[run_id] for run_id in ids]

    # Documents

    def documents(self, run_id: str) -> list[Document]:
        """Every file of a run's archive that is known so far."""
        return self._decoded(Documents, "GET", f"{_path_of(run_id)}/documents").documents

    def report(self, run_id: str, name: str = "report.json") -> bytes:
        """`report.json`, `report.html` or `manifest.json` of a run that has ended."""
        return self._answer("GET", f"{_path_of(run_id)}/files/{quote(name, safe='')}").content

    def search(self, words: str, patient: str | None = None, *, limit: int = 20, offset: int = 0) -> Hits:
        """Search in the texts of stored documents.

        Args:
            words: words, "phrases" and prefixes*, all of which have to occur.
            patient: only documents of this patient.
            limit: how many hits at most, up to 100.
            offset: how many to leave out before them.
        """
        query = {"q": words, "limit": str(limit), "offset": str(offset)}
        query |= {} if patient is None else {"patient": patient}
        return self._decoded(Hits, "GET", f"/api/search?{urlencode(query)}")

    # The service

    def services(self) -> Services:
        """How services, quotas, workers and disks stand."""
        return self._decoded(Services, "GET", "/api/services")

    def summary(self) -> Summary:
        """Counts of runs, throughput, and when all should be done."""
        return self._decoded(Summary, "GET", "/api/summary")

    def notifications(self) -> Notifications:
        """How the notifications of ended runs stand."""
        return self._decoded(Notifications, "GET", "/api/notifications")

    def schedules(self) -> list[Schedule]:
        """What the service retrieves again by plan."""
        return self._decoded(Schedules, "GET", "/api/schedules").schedules

    def pause_schedule(self, name: str) -> None:
        """Begin nothing more of a schedule until `unpause_schedule`; what has begun continues."""
        self._answer("POST", f"/api/schedules/{quote(name, safe='')}/pause")

    def unpause_schedule(self, name: str) -> None:
        """End a pause of a schedule; who was due meanwhile waits for the next round."""
        self._answer("POST", f"/api/schedules/{quote(name, safe='')}/resume")

    def pause(self, name: str | None = None) -> None:
        """Pause a service, or everything; it stays so until `unpause`."""
        self._answer("POST", _pausing(name, "pause"))

    def unpause(self, name: str | None = None) -> None:
        """End a pause of a service, or of everything."""
        self._answer("POST", _pausing(name, "resume"))

    go_on = unpause
    """The earlier name of `unpause`."""

    def events(self, timeout: float | None = None) -> Generator[Event]:
        """What changes, as it changes; connects anew for as long as it takes.

        The first event of each connection is `reset`.

        Args:
            timeout: the wait ends after this many seconds, with a last `reset`.

        Raises:
            RefusedError: if the service does not let it listen.
        """
        until = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE_S
        while until is None or time.monotonic() < until:
            silence = _SILENCE_S if until is None else max(0.05, min(_SILENCE_S, until - time.monotonic()))
            try:
                for event in self._listen(silence):
                    pause = _FIRST_PAUSE_S
                    yield event
            except NotReachableError:
                if until is None or time.monotonic() < until:
                    self._sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
        yield Event("reset", {})

    def _listen(self, silence: float) -> Iterator[Event]:
        timeout = httpx.Timeout(_READ_S, read=silence)
        with self._translated(), self._http.stream("GET", "/api/events", timeout=timeout) as response:
            if response.status_code == _UNAVAILABLE:
                raise NotReachableError("The service has no place for a listener just now.")
            if response.status_code >= BAD:
                response.read()
                raise refusal(response)
            try:
                for sent in EventSource(response).iter_sse():
                    if sent.data:
                        run = msgspec.json.decode(sent.data, type=Run) if sent.event == "run" else None
                        yield Event(sent.event, json.loads(sent.data), run)
            except (SSEError, ValueError, msgspec.MsgspecError) as error:
                raise NoServiceError(f"What answers at {self.address} is no docpipe.") from error

    # Requests

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
        try:
            return msgspec.json.decode(
                self._answer(method, path, body, headers, again=again).content, type=kind
            )
        except (ValueError, msgspec.MsgspecError) as error:
            raise NoServiceError(f"What answers at {self.address} is no docpipe.") from error

    def _answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> httpx.Response:
        """Send a request; one that may be repeated is sent again while the service is briefly away."""
        tries = TRIES if again or method == "GET" else 1
        for number in range(tries):
            last = number == tries - 1
            try:
                with self._translated():
                    response = self._http.request(method, path, json=body, headers=headers)
            except NotReachableError:
                if last:
                    raise
            else:
                if response.status_code < BAD:
                    return response
                if response.status_code != _UNAVAILABLE or last:
                    raise refusal(response)
            self._sleep(min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S))
        raise NotReachableError(f"{self.address} does not answer.")


def _pausing(name: str | None, what: str) -> str:
    return f"/api/{what}" if name is None else f"/api/services/{quote(name, safe='')}/{what}"


def _environments_token() -> str | None:
    """The token that the environment gives, by itself or by its file, as a configuration's keys."""
    token, path = os.environ.get(_TOKEN), os.environ.get(_TOKEN_FILE)
    if not path:
        return token or None
    if token:
        raise UsageError(f"{_TOKEN} and {_TOKEN_FILE} say the same thing: give one of them.")
    try:
        return parse_secret(read_stripped(Path(path))).reveal()
    except OSError as error:
        raise UsageError(f"{_TOKEN_FILE}: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{_TOKEN_FILE}: {path} is not a text in UTF-8.") from error
    except ValueError as error:
        raise UsageError(f"{_TOKEN_FILE}: {path} has to hold {error}.") from error


def _path_of(run_id: str) -> str:
    return f"/api/runs/{quote(run_id, safe='')}"
