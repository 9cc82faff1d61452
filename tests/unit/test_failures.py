"""Failures on the way to a service are distinguished in words, with a cure, and quote nothing."""

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from docpipe.gates import failure_of

KEY = ConnectionKey(
    "canary.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


def certificate(code: int) -> aiohttp.ClientConnectorCertificateError:
    error = ssl.SSLCertVerificationError(1, "canary")
    error.verify_code = code
    return aiohttp.ClientConnectorCertificateError(KEY, error)


@pytest.mark.parametrize(
    ("error", "expected", "sent"),
    [
        (certificate(10), "it has expired", False),
        (certificate(62), "it is for another host name", False),
        (certificate(18), "it is signed by itself alone", False),
        (certificate(4711), "it is not accepted", False),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "canary")), "does not speak TLS", False),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "canary")), "its name is not known", False),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "canary")), "it was refused", False),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "canary")), "no way to it", False),
        (aiohttp.ConnectionTimeoutError(), "no connection in time", False),
        (TimeoutError(), "no answer in time", True),
        (aiohttp.ServerDisconnectedError(), "broke off", True),
        (aiohttp.ClientPayloadError("canary"), "broke off", True),
        (aiohttp.ClientError("canary"), "not HTTP", True),
    ],
)
def test_distinguished(error: BaseException, expected: str, sent: bool) -> None:
    """Whether it was sent decides on quotas and repetitions; words and cures are for people."""
    failure = failure_of(error)
    assert expected in failure.reason
    assert failure.sent is sent
    assert failure.cure
    assert "canary" not in f"{failure.reason} {failure.cure}"
