"""The kinds of failure on the way to a service: each in a few words, with its cure."""

import errno
import ssl
from typing import Final

import aiohttp

from docpipe.gates.service import Failure

TROUBLE: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What an attempt raises when the service or the way to it is at fault."""
_UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_NETWORK: Final = "see whether this machine has a way there: network, firewall, a proxy that is needed"
PROXY_LOGIN: Final = 407
_WANTS_CERTIFICATE: Final = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
WANTS_CERTIFICATE: Final = Failure(
    "no secure connection: it requires a client certificate",
    sent=False,
    cure="set `client_cert_file` and `client_key_file` to what those who run it have given you",
    ours=True,
)
_TRUST: Final = "name its issuer's certificate by the key `ca_file`, or have this machine trust it"
_ADDRESS: Final = "check the address, and what listens there"


def failure_of(error: BaseException) -> Failure:
    """What an exception of an attempt means, in a few words that quote nothing."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _no_trust(error.certificate_error)
        case aiohttp.ClientHttpProxyError():
            return no_proxy(error.status)
        case aiohttp.ClientProxyConnectionError():
            cure = "check the key `proxy`, and that the proxy is up"
            return Failure("no connection to the proxy", sent=False, cure=cure, ours=True)
        case OSError() if _wants_certificate(error):
            return WANTS_CERTIFICATE
        case aiohttp.ClientConnectorError() if type(error) is aiohttp.ClientConnectorError:
            return _no_connection(error.os_error)
    return next((failure for kinds, failure in _KNOWN if isinstance(error, kinds)), _NO_HTTP)


def no_proxy(status: int) -> Failure:
    """A proxy answered instead of the service; nothing came to the service."""
    if status == PROXY_LOGIN:
        cure = "check the key `proxy_login`"
        return Failure("the proxy requires a login (407)", sent=False, cure=cure, ours=True)
    cure = "ask those who run the proxy whether it lets docpipe through"
    return Failure(f"the proxy gives no connection ({status})", sent=False, cure=cure, ours=True)


def _wants_certificate(error: BaseException | None) -> bool:
    """Whether the other side ended TLS for lack of a certificate, or for one that it does not accept."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _WANTS_CERTIFICATE:
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_connection(error: OSError) -> Failure:
    if error.errno == errno.ECONNREFUSED:
        cure = "start the service, or check the port in the address"
        return Failure("no connection: it was refused", sent=False, cure=cure)
    if error.errno in _UNREACHABLE:
        return Failure("no connection: there is no way to it", sent=False, cure=_NETWORK)
    return Failure("no connection", sent=False, cure=_NETWORK)


def _no_trust(error: Exception) -> Failure:
    """The certificate's own fault is of a list that OpenSSL has; nothing of the certificate is quoted."""
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    why, cure = _CERTIFICATES.get(code, ("it is not accepted", "have those who run it look into it"))
    return Failure(f"no secure connection: its certificate: {why}", sent=False, cure=cure, ours=True)


_NO_HTTP: Final = Failure("an answer that is not HTTP", cure=_ADDRESS)
_KNOWN: Final = (
    (
        aiohttp.ClientSSLError,
        Failure(
            "no secure connection: what listens there does not speak TLS as it should",
            sent=False,
            cure=f"{_ADDRESS}; perhaps it is http:// instead of https://",
        ),
    ),
    (
        aiohttp.ClientConnectorDNSError,
        Failure(
            "its name is not known",
            sent=False,
            cure="check the spelling of the address, and the name service (DNS) of this machine",
        ),
    ),
    (aiohttp.ClientConnectorError, Failure("no connection", sent=False, cure=_NETWORK)),
    (aiohttp.ConnectionTimeoutError, Failure("no connection in time", sent=False, cure=_NETWORK)),
    (TimeoutError, Failure("no answer in time", cure="ask those who run it; docpipe waits until it answers")),
    (
        (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError),
        Failure("the connection broke off", cure=f"{_ADDRESS}; with TLS it may require a client certificate"),
    ),
)
_CERTIFICATES: Final = {  # by the codes of x509_vfy.h
    9: ("it is not valid yet", "check the clock of this machine"),
    10: ("it has expired", "have those who run it renew it, and check the clock of this machine"),
    18: ("it is signed by itself alone", "name it by the key `ca_file`, or have it signed by a known issuer"),
    19: ("its issuer is not trusted here", _TRUST),
    20: ("its issuer is not known here", _TRUST),
    21: ("its issuer is not known here", "have the service send the whole chain of certificates"),
    62: ("it is for another host name", "give the address by the name that the certificate has"),
    64: ("it is for another address", "give the address by the name that the certificate has"),
}
