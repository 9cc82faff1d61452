"""Tokens of an OAuth2 server, by client credentials: cached, renewed in time, asked for one at a time.

Sources: RFC 6749, 4.4 and 5; SMART App Launch 2.2, "Backend Services".
"""

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from docpipe.errors import ServiceError, UnfitError
from docpipe.gates import Failure, Gate
from docpipe.gates.line import Slots
from docpipe.http.answers import Answer
from docpipe.http.client import Http
from docpipe.http.credentials import SETTLED_S
from docpipe.http.grants import Proof
from docpipe.model import Json, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

UNTOLD_S: Final = 300.0
"""How long a token is taken to be good whose server does not say: what SMART recommends."""
SHORTEST_S: Final = 5.0
LONGEST_S: Final = 86_400.0
MARGIN: Final = 0.1
"""In the last part of its time, and at most in the last minute, a token is renewed."""
LONGEST_MARGIN_S: Final = 60.0
REFUSED_S: Final = 5.0
"""A server that refused is not asked again for so long, however many callers there are."""
_UNAUTHORIZED: Final = 401
_CLIENT: Final = ("invalid_client", "unauthorized_client", "invalid_grant")
_KNOWN: Final = (*_CLIENT, "invalid_scope", "invalid_request", "unsupported_grant_type")


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks which server for which tokens."""

    section: str
    """Of the configuration, for sentences."""
    token_url: str
    client_id: str
    scope: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    got: float
    renew: float
    until: float


class OAuth2:
    """Credentials that come from an OAuth2 server.

    Args:
        http: the client.
        gate: to the server, whose outages are waited out as any service's.
        grant: who asks.
    """

    def __init__(self, http: Http, gate: Gate, grant: Grant) -> None:
        self._http = http
        self._gate = gate
        self._grant = grant
        self._token: _Token | None = None
        self._refusal: tuple[float, str, int | None] | None = None
        self._one = Slots(1, gate.service.clock)

    async def header(self, ticket: Ticket) -> str:
        """The token as bearer token, a fresh one where the last is about to expire.

        Raises:
            ServiceError: if the server refuses to give one.
        """
        now = _now()
        if (token := self._token) is not None and (
            now < token.renew or (self._one.held and now < token.until)
        ):
            return token.header
        return (await self._renewed(ticket)).header

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:
        """Get another, once for all who were refused; a 403 speaks of rights, not of the token.

        Raises:
            ServiceError: if the server refuses to give one.
        """
        if status != _UNAUTHORIZED:
            return False
        token = self._token
        if token is not None and token.header == header:
            # A service that refuses whatever it is shown must not cost a token a request.
            await asyncio.sleep(token.got + SETTLED_S - _now())
            if self._token is token:
                self._token = None
        return await self.header(ticket) != header

    async def _renewed(self, ticket: Ticket) -> _Token:
        service = self._gate.service
        async with self._one.hold(ticket, Wait(WaitKind.TOKEN, service.name, service.clock())):
            token = self._token
            if token is None or _now() >= token.renew:  # else somebody before us in this line has got it
                self._raise_refusal()
                token = self._token = await self._ask(ticket)
                log.info("token_renewed", service=service.name, good_s=round(token.until - token.got, 1))
            return token

    def _raise_refusal(self) -> None:
        if self._refusal is not None and _now() < self._refusal[0] + REFUSED_S:
            _, sentence, status = self._refusal
            raise ServiceError(sentence, status)

    async def probe(self, ticket: Ticket) -> None:
        """Ask once, and keep the token.

        Raises:
            UnfitError: if the server does not answer as it should, now.
            ServiceError: if it refuses to give one.
        """
        headers, form = await self._form()
        answer = await self._http.once(
            self._grant.token_url,
            gate=self._gate,
            ticket=ticket,
            form=form,
            headers=headers,
            check=_is_token,
        )
        match answer:
            case None:
                raise UnfitError("it gives no token now: its quota is used up (429)", "check again later")
            case Failure():
                cure = answer.cure or "ask those who run that server; docpipe waits until it is up again"
                raise UnfitError(f"no token can be had there: {answer.reason}", cure)
        self._token = self._token_of(answer)

    async def _ask(self, ticket: Ticket) -> _Token:
        headers, form = await self._form()
        answer = await self._http.call(
            "POST",
            self._grant.token_url,
            gate=self._gate,
            ticket=ticket,
            form=form,
            headers=headers,
            check=_is_token,
        )
        return self._token_of(answer)

    def _token_of(self, answer: Answer) -> _Token:
        if not answer.ok:
            raise self._refusal_of(answer)
        if str(answer.body.get("token_type") or "bearer").lower() != "bearer":
            raise self._refused("its tokens are no bearer tokens", "ask those who run it", answer.status)
        self._refusal = None
        good = lifetime(answer.body.get("expires_in"))
        got = _now()  # not when it was asked for: an outage may lie between
        renew = got + good - min(LONGEST_MARGIN_S, good * MARGIN)
        return _Token(f"Bearer {answer.body['access_token']}", got, renew, got + good)

    async def _form(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Headers and fields of the request."""
        headers, fields = await self._proof()
        form = {"grant_type": "client_credentials", **fields}
        return headers, form | ({"scope": self._grant.scope} if self._grant.scope else {})

    async def _proof(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        grant, cure = self._grant, "mend the file"
        try:
            return await asyncio.to_thread(grant.proof.shown, grant.token_url, grant.client_id)
        except OSError as error:
            raise self._refused(f"its secret cannot be read ({error.strerror})", cure, None) from error
        except ValueError as error:
            raise self._refused(f"its file has to hold {error}", cure, None) from error

    def _refusal_of(self, answer: Answer) -> ServiceError:
        told = answer.body.get("error") if isinstance(answer.body, dict) else None
        told = told if told in _KNOWN else None
        section = self._grant.section
        if told in _CLIENT or answer.status == _UNAUTHORIZED:
            cure = f"check {section}.client_id and the secret or key that goes with it"
        elif told == "invalid_scope":
            cure = f"check {section}.scope"
        else:
            cure = f"check {section}.token_url, and ask those who run it"
        why = f"{answer.status} {told}" if told else str(answer.status)
        return self._refused(f"it answered {why}", cure, answer.status)

    def _refused(self, why: str, cure: str, status: int | None) -> ServiceError:
        sentence = f"No token could be had for {self._grant.section}: {why}; {cure}."
        self._refusal = (_now(), sentence, status)
        log.warning("token_refused", service=self._gate.service.name, reason=why, cure=cure)
        return ServiceError(sentence, status)


def lifetime(told: Any) -> float:
    """For how many seconds a token is good, of what its server says: a number, a text, nothing, nonsense."""
    try:
        seconds = float(told)
    except (TypeError, ValueError, OverflowError):
        return UNTOLD_S
    if isinstance(told, bool) or not math.isfinite(seconds):
        return UNTOLD_S
    return min(LONGEST_S, max(SHORTEST_S, seconds))


def _is_token(body: Json) -> bool:
    return re.fullmatch(r"[\x21-\x7e]+", body["access_token"]) is not None


def _now() -> float:
    return asyncio.get_running_loop().time()
