"""Tokens of an OAuth2 server, by client credentials: cached, renewed in time, requested one at a time.

Sources: RFC 6749, 4.4 and 5; SMART App Launch 2.2, "Backend Services" and "Using Well-Known"; RFC 8414.
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
from docpipe.model import Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

DEFAULT_LIFETIME_S: Final = 300.0
"""The lifetime of a token whose server states none: what SMART recommends."""
SHORTEST_S: Final = 5.0
LONGEST_S: Final = 86_400.0
MARGIN: Final = 0.1
"""A token is renewed in this last part of its lifetime, at most in the last minute."""
LONGEST_MARGIN_S: Final = 60.0
REFUSED_S: Final = 5.0
"""A server that refused gets no request for this long, however many callers there are."""
_UNAUTHORIZED: Final = 401
_WELL_KNOWN: Final = "/.well-known/"
"""In the address of a document that names the token endpoint."""
_CLIENT: Final = ("invalid_client", "unauthorized_client", "invalid_grant")
_KNOWN: Final = (*_CLIENT, "invalid_scope", "invalid_request", "unsupported_grant_type")


@dataclass(frozen=True, slots=True)
class Grant:
    """The client, the server and the scope of the tokens."""

    section: str
    """Of the configuration, for sentences."""
    token_url: str
    """The token endpoint, or a `.well-known` document that names it."""
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
        gate: to the server, whose outages are waited out as those of any service.
        grant: the client.
    """

    def __init__(self, http: Http, gate: Gate, grant: Grant) -> None:
        self._http = http
        self._gate = gate
        self._grant = grant
        self._endpoint = "" if _WELL_KNOWN in grant.token_url else grant.token_url
        self._methods: tuple[str, ...] = ()
        """Of authentication, as the document names them."""
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
        """Get another, once for all refused requests; a 403 is about rights, not about the token.

        Raises:
            ServiceError: if the server refuses to give one.
        """
        if status != _UNAUTHORIZED:
            return False
        token = self._token
        if token is not None and token.header == header:
            # A service that refuses every token must not cost a token for each request.
            await asyncio.sleep(token.got + SETTLED_S - _now())
            if self._token is token:
                self._token = None
        return await self.header(ticket) != header

    async def _renewed(self, ticket: Ticket) -> _Token:
        service = self._gate.service
        async with self._one.hold(ticket, Wait(WaitKind.TOKEN, service.name, service.clock())):
            token = self._token
            if token is None or _now() >= token.renew:  # else a caller before this one has got it
                self._raise_refusal()
                token = self._token = await self._request_token(ticket)
                log.info("token_renewed", service=service.name, good_s=round(token.until - token.got, 1))
            return token

    def _raise_refusal(self) -> None:
        if self._refusal is not None and _now() < self._refusal[0] + REFUSED_S:
            _, sentence, status = self._refusal
            raise ServiceError(sentence, status)

    async def probe(self, ticket: Ticket) -> None:
        """Request a token once, and keep it.

        Raises:
            UnfitError: if the server is down or its answer breaks the contract.
            ServiceError: if it refuses to give one.
        """
        if not self._endpoint:
            document = await self._http.once(
                self._grant.token_url, gate=self._gate, ticket=ticket, check=_names_endpoint
            )
            if not isinstance(document, Answer):
                reason = document.reason if isinstance(document, Failure) else "its quota is used up (429)"
                raise UnfitError(f"its .well-known document cannot be read: {reason}", "check again later")
            self._endpoint = self._endpoint_in(document)
        headers, form = await self._form()
        answer = await self._http.once(
            self._endpoint,
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

    async def _request_token(self, ticket: Ticket) -> _Token:
        if not self._endpoint:
            document = await self._http.call(
                "GET", self._grant.token_url, gate=self._gate, ticket=ticket, check=_names_endpoint
            )
            self._endpoint = self._endpoint_in(document)
        headers, form = await self._form()
        answer = await self._http.call(
            "POST",
            self._endpoint,
            gate=self._gate,
            ticket=ticket,
            form=form,
            headers=headers,
            check=_is_token,
        )
        return self._token_of(answer)

    def _endpoint_in(self, document: Answer) -> str:
        """The token endpoint that a `.well-known` document names.

        Raises:
            ServiceError: if there is no such document, or its endpoint would get the secret without TLS.
        """
        cure = f"check {self._grant.section}.token_url"
        if not document.ok:
            raise self._refused(f"its .well-known document answers {document.status}", cure, document.status)
        endpoint = str(document.body["token_endpoint"])
        if not endpoint.startswith("https://") and self._grant.token_url.startswith("https://"):
            raise self._refused("its .well-known document names an endpoint without https", cure, None)
        methods = document.body.get("token_endpoint_auth_methods_supported")
        self._methods = tuple(map(str, methods)) if isinstance(methods, list) else ()
        return endpoint

    def _token_of(self, answer: Answer) -> _Token:
        if not answer.ok or "access_token" not in answer.body:
            raise self._refusal_of(answer)
        if str(answer.body.get("token_type") or "bearer").lower() != "bearer":
            raise self._refused("its tokens are no bearer tokens", "ask those who run it", answer.status)
        self._refusal = None
        good = lifetime(answer.body.get("expires_in"))
        got = _now()  # not when it was asked for: an outage may be between
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
            return await asyncio.to_thread(
                grant.proof.authenticate, self._endpoint, grant.client_id, self._methods
            )
        except OSError as error:
            raise self._refused(f"its secret cannot be read ({error.strerror})", cure, None) from error
        except ValueError as error:
            raise self._refused(f"its file has to hold {error}", cure, None) from error

    def _refusal_of(self, answer: Answer) -> ServiceError:
        code = answer.body.get("error") if isinstance(answer.body, dict) else None
        code = code if code in _KNOWN else None
        section = self._grant.section
        if code in _CLIENT or answer.status == _UNAUTHORIZED:
            cure = f"check {section}.client_id, its secret or key, and {section}.client_auth"
        elif code == "invalid_scope":
            cure = f"check {section}.scope"
        else:
            cure = f"check {section}.token_url, and ask those who run it"
        why = f"{answer.status} {code}" if code else str(answer.status)
        return self._refused(f"it answered {why}", cure, answer.status)

    def _refused(self, why: str, cure: str, status: int | None) -> ServiceError:
        sentence = f"No token could be had for {self._grant.section}: {why}; {cure}."
        self._refusal = (_now(), sentence, status)
        log.warning("token_refused", service=self._gate.service.name, reason=why, cure=cure)
        return ServiceError(sentence, status)


def lifetime(expires_in: Any) -> float:
    """The lifetime of a token in seconds, from `expires_in`: a number, a text, nothing, or nonsense."""
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_LIFETIME_S
    if isinstance(expires_in, bool) or not math.isfinite(seconds):
        return DEFAULT_LIFETIME_S
    return min(LONGEST_S, max(SHORTEST_S, seconds))


def _names_endpoint(body: Any) -> bool:
    return re.match(r"https?://[^\s/]", body["token_endpoint"]) is not None


def _is_token(body: Any) -> bool:
    """Whether it is a token, or a refusal, which some servers send with 200."""
    if body.get("error") in _KNOWN and "access_token" not in body:
        return True
    return re.fullmatch(r"[\x21-\x7e]+", body["access_token"]) is not None


def _now() -> float:
    return asyncio.get_running_loop().time()
