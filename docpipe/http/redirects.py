"""Redirects: each hop passes a gate, and the token stays with its origin."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from docpipe.errors import ServiceError
from docpipe.gates import Failure

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
KEEP_METHOD: Final = frozenset({307, 308})
"""Only these may repeat a request that is not a GET (RFC 9110, 15.4)."""
_FOR_GOOD: Final = frozenset({301, 308})
_MAINTENANCE: Final = "ask the operators whether it is under maintenance; otherwise check the address"


def address(text: str) -> URL:
    """Parse an address without changing its escapes, which a signature may cover.

    Raises:
        ServiceError: if it cannot be used.
    """
    try:
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        usable = not url.absolute or (url.scheme in ("http", "https") and url.host)
        _ = url.port  # raises where it is not a number
        (url.raw_host or "").encode("idna")  # as the look-up does: raises where a part is empty or too long
    except (ValueError, TypeError) as error:
        raise ServiceError("The service gave an address that cannot be used.") from error
    if not usable or url.user is not None or url.password is not None:
        raise ServiceError("The service gave an address that cannot be used.")
    return url


def joined(base: str, text: str) -> str:
    """An address below another; one that cannot be used stays as it is, and `address` refuses it."""
    try:
        return urljoin(base, text)
    except ValueError:
        return text


def origin_of(url: str | URL) -> str:
    """The origin of an address, such as `https://exchange.example` or `http://127.0.0.1:8081`.

    Raises:
        ServiceError: if it has none.
    """
    url = address(url) if isinstance(url, str) else url
    if not url.absolute:
        raise ServiceError("The service gave an address that cannot be used.")
    return str(url.origin()).lower()


def operation_of(method: str, url: URL) -> str:
    """What a request asks for: the method, and how many parts the path has, whatever ids are in it.

    Proxies and firewalls judge by path, so that only requests of one kind can be compared.
    """
    return f"{method} {url.raw_path.count('/')}{'?' if url.raw_query_string else ''}"


def leads_away(
    response: aiohttp.ClientResponse, method: str, url: URL, allowed: Callable[[str], bool]
) -> Failure | None:
    """The failure of a redirect that is not followed: under maintenance, proxies redirect all requests.

    Args:
        response: the redirect.
        method: of the request.
        url: of the request.
        allowed: whether requests may go to an origin.

    Returns:
        None where it is followed, and where it leads permanently to https: base_url needs https then.
    """
    try:
        follow(response, method, url, allowed)
    except ServiceError:
        if response.status in _FOR_GOOD and url.scheme == "http":
            to = response.headers.get("Location", "")
            if to.lower().startswith(f"https://{url.host}"):
                return None
        why = f"a redirect to another address ({response.status})"
        return Failure(why, status=response.status, cure=_MAINTENANCE, stranger=True)
    return None


def follow(response: aiohttp.ClientResponse, method: str, url: URL, allowed: Callable[[str], bool]) -> URL:
    """Where a redirect leads.

    Args:
        response: the redirect.
        method: of the request.
        url: of the request.
        allowed: whether requests may go to an origin.

    Raises:
        ServiceError: if it leads to an address that is not allowed.
    """
    location = response.headers.get("Location", "")
    if not location:
        raise ServiceError(f"The service answered {response.status} without an address.", response.status)
    if method != "GET" and response.status not in KEEP_METHOD:
        raise ServiceError(f"The service redirects a {method} with {response.status}.", response.status)
    to = url.join(address(location)).with_fragment(None)
    if url.scheme == "https" and to.scheme != "https":
        raise ServiceError("The service redirects from https to http.", response.status)
    if not allowed(origin_of(to)):
        if (to.scheme, url.scheme, to.host) == ("https", "http", url.host):
            raise ServiceError(
                "The service redirects from http to https: write https:// in its address (base_url).",
                response.status,
            )
        raise ServiceError(
            f"The service redirects to another origin ({to.host}), which is not allowed.", response.status
        )
    return to
