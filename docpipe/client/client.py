"""The client itself: one class, blocking, as notebooks like it."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx

from docpipe.client.problems import ClientError, NoServiceError, NotReachableError, refusal
from docpipe.client.words import Document, Event, Json, Run
from docpipe.config.parsing import parse_secret, read_stripped
from docpipe.errors import UsageError

TRIES: Final = 5
"""A request whose repetition does no harm is sent so often."""
AT_ONCE: Final = 10_000
"""As many patients go into one request."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_READ_S: Final = 30.0
_SILENCE_S: Final = 45.0  # the service says something every 15 s
_UNAVAILABLE: Final = 503
_BAD: Final = 400
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKEN: Final = "DOCPIPE_SERVICE__TOKEN"  # noqa: S105 -- the name of a variable
_TOKEN_FILE: Final = f"{_TOKEN}_FILE"


class Client:
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
        """Submit patients; who has an unfinished run goes on with that.

        Args:
            patients: their ids; any number.
            priority: 0 to 9, higher goes first.
            key: whoever submits again with the same key gets the same answer, and nothing begins twice.
                Without one, it is made anew, and protects the tries of this call.

        Returns:
            Their runs, in this order.

        Raises:
            UsageError: if an id cannot be one; the others are accepted.
        """
        ids = list(dict.fromkeys(patients))
        key = key or secrets.token_hex(16)
        runs, refused = list[Run](), list[Json]()
        for number, start in enumerate(range(0, len(ids), AT_ONCE)):
            body = {"patients": ids[start : start + AT_ONCE], "priority": priority}
            told = self._json("POST", "/api/runs", body, {"Idempotency-Key": f"{key}-{number}"}, again=True)
            refused += told["refused"]
            runs += [Run.of(run) for run in told["runs"]]
        if refused:
            raise UsageError(
                f"{len(refused)} of {len(ids)} patient ids were refused: {refused[0]['reason']} "
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
            told = self._json("GET", f"/api/runs?{urlencode(query)}")
            yield from (Run.of(run) for run in told["runs"])
            cursor = told["next"]
            if cursor is None:
                return

    def run(self, run_id: str) -> Run:
        """A run as it stands."""
        return Run.of(self._json("GET", f"/api/runs/{quote(run_id, safe='')}"))

    def cancel(self, run_id: str) -> Run:
        """Give a run up."""
        return Run.of(self._json("POST", f"/api/runs/{quote(run_id, safe='')}/cancel"))

    def retry(self, run_id: str, first: str | None = None) -> Run:
        """Do a finished run again, from an activity on or from what failed."""
        return Run.of(self._json("POST", f"/api/runs/{quote(run_id, safe='')}/retry", {"from": first}))

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
            TimeoutError: if they have not ended by then; they go on.
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
                        learn(self.run(run_id))
                elif event.run is not None and event.run.run_id in ids:
                    learn(event.run)
                if not left():
                    break
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"{len(left())} of {len(ids)} runs have not ended within {timeout} s.")
        return [known[run_id] for run_id in ids]

    # Documents

    def documents(self, run_id: str) -> list[Document]:
        """Every file of a run's archive, as far as it is known."""
        told = self._json("GET", f"/api/runs/{quote(run_id, safe='')}/documents")
        return [Document.of(document) for document in told["documents"]]

    def report(self, run_id: str, name: str = "report.json") -> bytes:
        """`report.json`, `report.html` or `manifest.json` of a run that has ended."""
        return self._answer("GET", f"/api/runs/{quote(run_id, safe='')}/files/{quote(name, safe='')}").content

    def download(self, address: str, to: Path | str) -> Path:
        """Bring a file of a document to a path; it is there whole, or not at all.

        Args:
            address: one of `Document.files`.
            to: where it shall be; what is there is replaced.
        """
        target = Path(to)
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        if not address.startswith("/api/"):
            raise UsageError(f"{address} is no address of a document.")
        try:
            with self._translated(), self._http.stream("GET", address) as response:
                if response.status_code >= _BAD:
                    response.read()
                    raise refusal(response)
                with open(part, "xb", opener=_private) as file:
                    file.writelines(response.iter_bytes())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    # The service

    def services(self) -> Json:
        """How services, quotas, workers and disks stand, as JSON (see /api/openapi.json)."""
        return self._json("GET", "/api/services")

    def summary(self) -> Json:
        """Counts of runs, throughput, and when all should be done, as JSON (see /api/openapi.json)."""
        return self._json("GET", "/api/summary")

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
            timeout: after so many seconds no more is waited for, and a last `reset` ends it.

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
            if response.status_code >= _BAD:
                response.read()
                raise refusal(response)
            name, data = "message", list[str]()
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif not line and data:
                    told = json.loads("\n".join(data))
                    yield Event(name, told, Run.of(told) if name == "run" else None)
                    name, data = "message", []

    # Requests

    def _json(
        self,
        method: str,
        path: str,
        body: Json = None,
        headers: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> Json:
        try:
            return self._answer(method, path, body, headers, again=again).json()
        except ValueError as error:
            raise NoServiceError(f"What answers at {self.address} is no docpipe.") from error

    def _answer(
        self,
        method: str,
        path: str,
        body: Json = None,
        headers: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> httpx.Response:
        """Ask; what may be repeated is asked a few times where the service is away for a moment."""
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
                if response.status_code < _BAD:
                    return response
                if response.status_code != _UNAVAILABLE or last:
                    raise refusal(response)
            self._sleep(min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S))
        raise NotReachableError(f"{self.address} does not answer.")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise NotReachableError(
                f"There is no service at {self.address}: `docpipe serve` starts one."
            ) from error
        except httpx.TransportError as error:
            raise NotReachableError(f"The connection to {self.address} broke off.") from error
        except httpx.HTTPError as error:
            raise ClientError(f"The request to {self.address} cannot be made.") from error


def _pausing(name: str | None, what: str) -> str:
    return f"/api/{what}" if name is None else f"/api/services/{quote(name, safe='')}/{what}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
