"""Downloads of the client: documents, charts and ZIPs."""

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import httpx

from docpipe.client.problems import ClientError, NotReachableError, refusal
from docpipe.errors import UsageError

BAD: Final = 400
_MADE_S: Final = 300.0  # a chart is made before its first byte comes


class Downloads:
    """A part of `Client`."""

    _http: httpx.Client
    address: str

    def chart(self, to: Path | str, *, patient: str | None = None, run: str | None = None) -> Path:
        """All readable documents of a patient, or of a run, as one PDF; it is there whole, or not at all.

        Args:
            to: where it shall be; what is there is replaced.
            patient: the id of a patient, or else
            run: the id of a run.
        """
        return self.download(f"{_of(patient, run)}/chart.pdf", to)

    def package(self, to: Path | str, *, patient: str | None = None, runs: Sequence[str] = ()) -> Path:
        """All documents of a patient, or of up to 100 runs, as one ZIP; it is there whole, or not at all.

        Args:
            to: where it shall be; what is there is replaced.
            patient: the id of a patient, or else
            runs: the ids of runs.
        """
        if patient is not None or len(runs) <= 1:
            return self.download(f"{_of(patient, *runs)}/documents.zip", to)
        return self.download(f"/api/documents.zip?{urlencode([('run', run) for run in runs])}", to)

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
            with (
                self._translated(),
                self._http.stream("GET", address, timeout=httpx.Timeout(_MADE_S, connect=10.0)) as response,
            ):
                if response.status_code >= BAD:
                    response.read()
                    raise refusal(response)
                with open(part, "xb", opener=_private) as file:
                    file.writelines(response.iter_bytes())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

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


def _of(patient: str | None, run: str | None = None) -> str:
    """The address of what belongs to one of them."""
    if (patient is None) is (run is None):
        raise UsageError("Name a patient or a run: one of them.")
    kind, name = ("runs", run) if patient is None else ("patients", patient)
    return f"/api/{kind}/{quote(str(name), safe='')}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
