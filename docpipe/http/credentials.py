"""Credentials of requests, and their renewal when the service refuses them."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from docpipe.config.parsing import Secret
from docpipe.model import Ticket

log = structlog.get_logger(__name__)

SETTLED_S: Final = 1.0
"""A token read less than this ago is not read again, however many requests were refused with it."""
_REFUSALS: Final = (401, 403)
"""The contracts allow either for a token that the service does not know."""


class Credentials(Protocol):
    """Makes the header Authorization for one service; called before every attempt."""

    async def header(self, ticket: Ticket) -> str | None:
        """The value of the header, None to send none; may wait, and sets the ticket's `wait` then."""

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:
        """Note that the service answered `header` with 401 or 403; return whether there is a new one."""


class NoCredentials:
    """For services without credentials."""

    async def header(self, ticket: Ticket) -> str | None:  # noqa: ARG002 -- the protocol's
        """None: no header is sent."""
        return None

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:  # noqa: ARG002 -- the protocol's
        """False: there is no other."""
        return False


NONE: Final = NoCredentials()


class BearerToken:
    """A token from the configuration; one from a file is read again when it is refused.

    Args:
        secret: the token.
        name: the key it is configured under, for the log.
    """

    def __init__(self, secret: Secret, name: str = "token") -> None:
        self._secret = secret
        self._name = name
        self._reading = asyncio.Lock()
        self._read_at: float | None = None

    async def header(self, ticket: Ticket) -> str | None:  # noqa: ARG002 -- the protocol's
        """The token as bearer token (RFC 6750)."""
        return self._header()

    def _header(self) -> str:
        return f"Bearer {self._secret.reveal()}"

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:  # noqa: ARG002 -- the protocol's
        """Read the file again, once for all requests refused at the same time."""
        async with self._reading:
            if header == self._header() and not self._just_read():
                await self._read()
        return header != self._header()

    def _just_read(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._read_at is not None and now < self._read_at + SETTLED_S

    async def _read(self) -> None:
        try:
            fresh = await asyncio.to_thread(self._secret.again)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it does not hold a token"
            log.warning("token_not_read", key=f"{self._name}_file", reason=why)
            return
        finally:
            self._read_at = asyncio.get_running_loop().time()
        if fresh.reveal() != self._secret.reveal():
            log.info("token_renewed", key=self._name)
        self._secret = fresh


def bearer(secret: Secret | None, name: str = "token") -> Credentials:
    """The credentials of a configured token; none where there is no token."""
    return NONE if secret is None else BearerToken(secret, name)


class RequestAuth:
    """The credentials of one request, through all its attempts."""

    def __init__(self, credentials: Credentials, ticket: Ticket) -> None:
        self._credentials = credentials
        self._ticket = ticket
        self._header: str | None = None
        self._renewed = False

    async def wait(self) -> None:
        """Wait until there are credentials, before joining the line: no place is taken meanwhile."""
        await self._credentials.header(self._ticket)

    async def headers(self, headers: Mapping[str, str], *, home: bool = True) -> Mapping[str, str]:
        """The headers with the current credentials (a line may be long); unchanged away from home."""
        self._header = await self._credentials.header(self._ticket) if home else None
        return headers if self._header is None else {**headers, "Authorization": self._header}

    async def renew(self, status: int) -> bool:
        """Renew the credentials after a refusal, once; return whether another attempt is worthwhile."""
        if status not in _REFUSALS or self._header is None or self._renewed:
            return False
        self._renewed = True
        return await self._credentials.refused(self._header, self._ticket, status)

    def reset(self) -> None:
        """Begin another request, for which the credentials may be renewed again."""
        self._renewed = False
