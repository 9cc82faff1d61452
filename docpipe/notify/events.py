"""The body of a notification and its signature: Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from docpipe.api.shapes import Time, moment
from docpipe.checkpoints import RunEnd
from docpipe.config.notify import PREFIX
from docpipe.config.parsing import Secret
from docpipe.model import Clock, Outcome
from docpipe.util.json import to_json

_READ_EVERY_S: Final = 60.0


class _EndedRun(Struct, frozen=True, kw_only=True):
    """The run, without a name or id of the patient."""

    run_id: str
    state: str
    documents: dict[str, int]
    """How many files by outcome."""
    created_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    retries: int
    """How often the run was done again before."""
    patient: str | UnsetType = UNSET
    """A keyed hash of the patient's id, where that is configured."""


class _Event(Struct, frozen=True, kw_only=True):
    """The body of a request."""

    type: str
    timestamp: Time
    data: _EndedRun | dict[str, str]


def event_of(end: RunEnd, hashed: Callable[[str], str] | None) -> bytes:
    """The body for the end of a run: the same bytes at every attempt.

    Args:
        end: of the run.
        hashed: makes the keyed hash of a patient's id; None where patients are not named.
    """
    run = _EndedRun(
        run_id=end.run_id,
        state=end.state,
        documents={outcome.value: end.counts.get(outcome, 0) for outcome in Outcome},
        created_at=moment(end.created_at),
        started_at=moment(end.started_at),
        finished_at=moment(end.finished_at),
        retries=end.retries,
        patient=UNSET if hashed is None else hashed(end.patient_id),
    )
    return to_json(_Event(type="run.ended", timestamp=moment(end.finished_at), data=run)).encode()


def trial_event(now: float) -> bytes:
    """The body that `docpipe check --notify` sends."""
    event = _Event(type="docpipe.test", timestamp=moment(now), data={"from": "docpipe check"})
    return to_json(event).encode()


class Signer:
    """Signs requests; a secret from a file is read again once a minute, so that it can be replaced.

    Args:
        secret: as configured, `whsec_` and base64.
        clock: the wall clock.
    """

    def __init__(self, secret: Secret, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._read_at = clock()

    def headers(self, message: str, body: bytes) -> dict[str, str]:
        """The headers of one attempt.

        Args:
            message: its id, the same at every attempt.
            body: the bytes that are sent.
        """
        now = self._clock()
        if now >= self._read_at + _READ_EVERY_S:
            self._read_at = now
            with contextlib.suppress(OSError, ValueError):  # the old one stays
                self._secret = self._secret.again()
        key = base64.b64decode(self._secret.reveal().removeprefix(PREFIX))
        timestamp = str(int(now))
        digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
