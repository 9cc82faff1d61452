"""Sends one notification: signed, through the gate of the receiver."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from docpipe.checkpoints import RunEnd
from docpipe.gates import Gate
from docpipe.http import Answer, Http, Reach, Signed
from docpipe.model import Ticket
from docpipe.notify.events import Signer, event_of


class Delivery:
    """What sends them.

    Args:
        http: the client.
        gate: to the receiver.
        url: of the receiver.
        signer: signs each attempt.
        hashed: makes the keyed hash of a patient's id; None where patients are not named.
    """

    def __init__(
        self, http: Http, gate: Gate, url: str, signer: Signer, hashed: Callable[[str], str] | None
    ) -> None:
        self.gate = gate
        self._http = http
        self._url = url
        self._signer = signer
        self._hashed = hashed
        self._reach = Reach(url)

    async def send(self, end: RunEnd) -> Answer:
        """Send the end of a run; returns what the receiver answers: it has it, or takes no more (410).

        Raises:
            PoisonedError: if the receiver refuses this one, and takes others.
            ServiceError: if it cannot be sent now.
        """
        body = event_of(end, self._hashed)
        return await self._http.call(
            "POST",
            self._url,
            gate=self.gate,
            ticket=Ticket(end.run_id),
            signed=Signed(body, lambda: self._signer.headers(end.id, body)),
            own=_is_final,
            reach=self._reach,
        )


def _is_final(status: int, headers: Mapping[str, str], body: bytes) -> bool:  # noqa: ARG001 -- as of http.Own
    """Only 410 Gone ends the delivery; every other refusal may pass, such as a 404 during a deployment."""
    return status == HTTPStatus.GONE
