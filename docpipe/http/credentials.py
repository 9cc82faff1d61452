"""Credentials: what a request shows to its service, and where another comes from when that is refused."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from docpipe.config.parsing import Secret
from docpipe.model import Ticket

log = structlog.get_logger(__name__)

SETTLED_S: Final = 1.0
"""A token that was read anew this short ago is not read again, however many callers it was refused to."""
_REFUSALS: Final = (401, 403)
"""The contracts let a service answer a token that it does not know with either."""


class Credentials(Protocol):
    """Whatever makes the header Authorization of one service. Asked before every attempt."""

    async def header(self, ticket: Ticket) -> str | None:
        """The value of the header, None to send none; may wait, and tells so on the ticket."""

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:
        """Tell that the service answered `header` with 401 or 403; whether there is another to try now."""


class NoCredentials:
    """For services that ask for none."""

    async def header(self, ticket: Ticket) -> str | None:  # noqa: ARG002 -- the protocol's
        """None is sent."""
        return None

    async def refused(self, header: str, ticket: Ticket, status: int) -> bool:  # noqa: ARG002 -- the protocol's
        """There is no other."""
        return False


NONE: Final = NoCredentials()


class BearerToken:
    """A token from the configuration; one that came from a file is read anew when it is refused.

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
        """Read the file anew, once for all who were refused at the same time."""
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
    """The credentials that a configured token makes; none where there is no token."""
    return NONE if secret is None else BearerToken(secret, name)


class Shown:
    """The credentials of one request, through all its attempts."""

    def __init__(self, credentials: Credentials, ticket: Ticket) -> None:
        self._credentials = credentials
        self._ticket = ticket
        self._header: str | None = None
        self._renewed = False

    async def ready(self) -> None:
        """Wait until there are some, before standing in line: who waits for a token takes no place there."""
        await self._credentials.header(self._ticket)

    async def on(self, headers: Mapping[str, str], *, home: bool = True) -> Mapping[str, str]:
        """The headers with what is shown now (the line may have been long); as they are away from home."""
        self._header = await self._credentials.header(self._ticket) if home else None
        return headers if self._header is None else {**headers, "Authorization": self._header}

    async def again(self, status: int) -> bool:
        """Whether an answer of this status is worth another attempt: once, where there are others."""
        if status not in _REFUSALS or self._header is None or self._renewed:
            return False
        self._renewed = True
        return await self._credentials.refused(self._header, self._ticket, status)

    def afresh(self) -> None:
        """Another request begins: again one 401 is not final."""
        self._renewed = False
