"""The connection to Temporal, for workers and for commands."""

import asyncio
import functools
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from docpipe.config.config import Config
from docpipe.errors import ConfigError, DocpipeError, UnreachableError

_CONNECT_S: Final = 20.0
_WRONG: Final = {
    "UnknownIssuer": "the certificate of {address} is not signed by an authority that docpipe trusts: set "
    "fleet.ca_file to the certificate of its authority",
    "NotValidForName": "the certificate of {address} is for another name: correct the address, or set "
    "fleet.server_name to the name in it",
    "InvalidCertificate(Expired": "the certificate of {address} has expired: renew it",
    "InvalidCertificate": "the certificate of {address} cannot be used: renew it, or correct fleet.ca_file",
    "handshake eof": "{address} does not speak TLS: set fleet.tls = false, or correct the port",
    "InvalidContentType": "{address} does not speak TLS: set fleet.tls = false, or correct the port",
}
"""What stays wrong until somebody mends it, by a word in the error."""
_AWAY: Final = {
    "ConnectionRefused": "nothing listens there",
    "dns error": "there is no machine of that name",
    "TimedOut": "no answer in time",
    "HostUnreachable": "there is no way to that machine",
    "NetworkUnreachable": "there is no way to that machine",
}
"""What may pass."""
_REFUSAL: Final = re.compile(r"code: (?:Unauthenticated|PermissionDenied), message: \"(.*?)\"")
"""In the error of the first call after a connection, which the SDK has no status for."""
NOT_ALLOWED: Final = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)


@functools.cache
def _runtime() -> Runtime:
    """One for the process. Its own default writes to standard output, where answers stand."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporal"))
    filters = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=filters, forwarding=forwarding)))


async def connect(config: Config, converter: DataConverter) -> Client:
    """Connect to Temporal.

    Raises:
        ConfigError: if a file of `fleet` cannot be read, or Temporal refuses the caller.
        UnreachableError: if it does not answer.
    """
    fleet = config.fleet
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await Client.connect(
                fleet.temporal,
                namespace=fleet.namespace,
                api_key=fleet.api_key.reveal() if fleet.api_key else None,
                tls=_tls(config) if fleet.tls else False,
                data_converter=converter,
                runtime=_runtime(),
            )
    except RPCError as error:
        if error.status in NOT_ALLOWED:
            raise _not_allowed(config, error.message) from error
        raise _unreachable(config, error) from error
    except RuntimeError as error:
        raise _refused_or_unreachable(config, str(error)) from error
    except TimeoutError as error:
        raise _unreachable(config, error) from error


def _not_allowed(config: Config, reason: str) -> ConfigError:
    return ConfigError(
        f"fleet.temporal: Temporal at {config.fleet.temporal} refuses docpipe ({reason}): set "
        "fleet.api_key_file or fleet.client_cert_file to what it expects."
    )


def _refused_or_unreachable(config: Config, text: str) -> DocpipeError:
    """What an error of the connection means, and its cure; its own text is for those who write Rust."""
    address = config.fleet.temporal
    if (refusal := _REFUSAL.search(text)) is not None:
        return _not_allowed(config, refusal[1])
    for sign, meaning in _WRONG.items():
        if sign in text:
            return ConfigError(f"fleet.temporal: {meaning.format(address=address)}.")
    reason = next(
        (meaning for sign, meaning in _AWAY.items() if sign in text), "it breaks the connection off"
    )
    hint = ""
    if "after connection" in text:
        client = "fleet.client_cert_file to a certificate, if it expects one"
        hint = f"; or set {client if config.fleet.tls else 'fleet.tls = true, if it expects TLS'}"
    return UnreachableError(
        f"Temporal at {address} does not answer ({reason}): start it, or set fleet.temporal to its "
        f"address{hint}."
    )


def _unreachable(config: Config, error: Exception) -> UnreachableError:
    reason = str(error).split("\n", 1)[0][:200] or "no answer in time"
    return UnreachableError(
        f"Temporal at {config.fleet.temporal} does not answer ({reason}): start it, or set fleet.temporal to "
        f"its address{'' if config.fleet.tls else ', and fleet.tls = true if it expects TLS'}."
    )


def _tls(config: Config) -> TLSConfig:
    certificate = _read(config, "client_cert_file", _certificate)
    key = _read(config, "client_key_file", _private_key)
    if certificate and key and _certificate(certificate) != _private_key(key):
        raise ConfigError(
            "fleet.client_key_file: the key is not that of the certificate in fleet.client_cert_file: "
            "set both to files that were made together."
        )
    return TLSConfig(
        server_root_ca_cert=_read(config, "ca_file", _certificate),
        domain=config.fleet.server_name or None,
        client_cert=certificate,
        client_private_key=key,
    )


def _certificate(data: bytes) -> bytes:
    """The public key of the first certificate."""
    return _public(x509.load_pem_x509_certificates(data)[0].public_key())


def _private_key(data: bytes) -> bytes:
    """The public key to a private one."""
    return _public(serialization.load_pem_private_key(data, None).public_key())


def _public(key: PublicKeyTypes) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, spki)


def _read(config: Config, key: str, parse: Callable[[bytes], bytes]) -> bytes | None:
    """The file that a key of the configuration names, once `parse` can use it."""
    name = getattr(config.fleet, key)
    if not name:
        return None
    path: Path = config.folder / name
    try:
        data = path.read_bytes()
        parse(data)
    except OSError as error:
        raise ConfigError(f"fleet.{key}: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # the second: a password is needed
        what = "a private key, without a password," if parse is _private_key else "a certificate"
        raise ConfigError(
            f"fleet.{key}: {path} does not have {what} as PEM (`-----BEGIN ...`): set it to such a file."
        ) from error
    return data
