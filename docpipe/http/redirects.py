"""Redirects, followed by hand: each hop passes a gate, and the token stays with its origin."""

from collections.abc import Callable
from typing import Final

import aiohttp
from yarl import URL

from docpipe.errors import ServiceError

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
KEEP_METHOD: Final = frozenset({307, 308})
"""Only these may repeat a request that is not a GET (RFC 9110, 15.4)."""
_VISIBLE: Final = range(0x21, 0x7F)


def address(text: str) -> URL:
    """Read an address without touching its escapes, which a signature may cover.

    Raises:
        ServiceError: if it is none that docpipe can use.
    """
    try:
        url = URL(text, encoded=all(ord(letter) in _VISIBLE for letter in text))
        usable = not url.absolute or (url.scheme in ("http", "https") and url.host)
        _ = url.port  # raises where it is no number
    except (ValueError, TypeError) as error:
        raise ServiceError("The service gave an address that cannot be used.") from error
    if not usable or url.user is not None or url.password is not None:
        raise ServiceError("The service gave an address that cannot be used.")
    return url


def origin_of(url: str | URL) -> str:
    """The origin of an address, such as `https://exchange.example` or `http://127.0.0.1:8081`.

    Raises:
        ServiceError: if it has none.
    """
    url = address(url) if isinstance(url, str) else url
    if not url.absolute:
        raise ServiceError("The service gave an address that cannot be used.")
    return str(url.origin()).lower()


def follow(response: aiohttp.ClientResponse, method: str, url: URL, allowed: Callable[[str], bool]) -> URL:
    """Where a redirect leads.

    Args:
        response: the redirect.
        method: of the request.
        url: of the request.
        allowed: whether an origin may be gone to.

    Raises:
        ServiceError: if it leads where docpipe does not go.
    """
    location = response.headers.get("Location", "")
    if not location:
        raise ServiceError(
            f"The service answered {response.status} without saying where to.", response.status
        )
    if method != "GET" and response.status not in KEEP_METHOD:
        raise ServiceError(f"The service redirects a {method} with {response.status}.", response.status)
    to = url.join(address(location)).with_fragment(None)
    if url.scheme == "https" and to.scheme != "https":
        raise ServiceError("The service redirects from https to http.", response.status)
    if not allowed(origin_of(to)):
        raise ServiceError(
            f"The service redirects to another origin ({to.host}), which is not allowed.", response.status
        )
    return to
