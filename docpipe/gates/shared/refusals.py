"""What to correct where something answers at the address of Redis, and docpipe cannot use it.

Time mends none of these, unlike a server that is away.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, ResponseError

from docpipe.errors import ConfigError

_PORT: Final = 6379
_AWAY: Final = {
    TimeoutError: "no answer in time",
    ConnectionRefusedError: "nothing listens there",
    socket.gaierror: "there is no machine of that name",
}


async def refusal_of(error: BaseException | None, url: str, prefix: str, wait: float) -> ConfigError | None:
    """Return what an error of the first request says, None where Redis may only be away.

    Args:
        error: of redis-py.
        url: of Redis.
        prefix: of the fleet's keys.
        wait: the longest wait for an answer, in seconds.
    """
    address = address_of(url)
    reason = _answered(error, address, prefix) or _of_tls(error, address)
    if reason is None and url.startswith("redis://") and await _expects_tls(url, wait):
        reason = f"{address} expects TLS: write rediss:// instead of redis:// in the address."
    return None if reason is None else ConfigError(f"fleet.redis: {reason}")


def address_of(url: str) -> str:
    """Host and port, without login and database."""
    return url.split("://", 1)[-1].rsplit("@", 1)[-1].split("/", 1)[0].split("?", 1)[0]


def _answered(error: BaseException | None, address: str, prefix: str) -> str | None:
    """Of one that answers, with an error."""
    if isinstance(error, AuthenticationError):
        return f"Redis at {address} does not accept the login: correct user and password in the address."
    if isinstance(error, NoPermissionError):
        return (
            f"the user at {address} lacks rights. docpipe needs EVALSHA, EVAL, INFO, "
            "TIME, PEXPIRE, and the commands of hashes, sorted sets and strings "
            f"on keys {{{prefix}}}:*."
        )
    if isinstance(error, InvalidResponse):
        return f"{address} is no Redis (it answers something else): correct host and port in the address."
    if isinstance(error, ResponseError):
        return (
            f"the server at {address} does not run docpipe's scripts ({error}). "
            "docpipe needs Redis 6.2, Valkey 7.2, or later, with Lua scripts."
        )
    return None


def _of_tls(error: BaseException | None, address: str) -> str | None:
    """Of one that is reached, without a common language."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {address} cannot be trusted ({cause.verify_message}): renew or correct "
                "it, or add ?ssl_ca_certs=PATH to the address, with the certificate of its authority."
            )
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return f"{address} does not speak TLS: write redis:// instead of rediss://, or correct the port."
        if isinstance(cause, FileNotFoundError):
            return "a file that the address names, such as by ssl_ca_certs, is not there: correct its path."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reason_of(error: BaseException) -> str:
    """Why Redis is away, in a few words."""
    if isinstance(error, ResponseError):
        return str(error)
    for cause in _causes(error):
        for kind, meaning in _AWAY.items():
            if isinstance(cause, kind):
                return meaning
    return "it closes the connection" if "closed by server" in str(error) else type(error).__name__


async def _expects_tls(url: str, wait: float) -> bool:
    """Whether a handshake of TLS succeeds, which none does with a Redis that is only slow or away."""
    parts = urlsplit(url)
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE  # nothing is sent
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(wait):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORT, ssl=anybody)
        writer.transport.abort()
        return True
    return False
