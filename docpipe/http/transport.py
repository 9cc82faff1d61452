"""Transport settings: trusted certificates, the client certificate, and the proxy."""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from yarl import URL

from docpipe.http.redirects import origin_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """The transport to some servers."""

    tls: "ssl.SSLContext | TlsFiles | None" = None
    """None for the system's trusted certificates and no client certificate."""
    proxy: str = ""
    login: str = field(default="", repr=False)
    """For the proxy: `user:password`."""

    def request_options(self) -> dict[str, Any]:
        """As keyword arguments of aiohttp's requests. Certificates are always verified."""
        context = self.tls.context() if isinstance(self.tls, TlsFiles) else self.tls
        options: dict[str, Any] = {} if context is None else {"ssl": context}
        if self.proxy:
            options["proxy"] = self.proxy
        if self.proxy and self.login:
            basic = base64.b64encode(self.login.encode()).decode()
            options["proxy_headers"] = {"Authorization": f"Basic {basic}"}  # aiohttp makes Proxy-... of it
        return options


@dataclass(frozen=True, slots=True)
class TransportMap:
    """The transports to the services' own origins, and to all others."""

    own: Mapping[str, TransportSettings] = field(default_factory=dict)
    others: TransportSettings = field(default_factory=TransportSettings)

    def request_options(self, url: URL) -> dict[str, Any]:
        """The transport to an address, as keyword arguments of aiohttp's requests."""
        return self.own.get(origin_of(url), self.others).request_options()


class TlsFiles:
    """TLS settings from files, which may be renewed while docpipe runs.

    Open connections keep their settings. While the new files cannot be used, such as a certificate whose key
    is not there yet, the last usable ones are kept.

    Args:
        ca: as of `tls`, likewise the others.
        certificate: of docpipe.
        key: its private key.

    Raises:
        OSError: if a file cannot be read.
        ValueError: with what is wrong with which file.
    """

    def __init__(self, ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> None:
        self._files = (ca, certificate, key)
        self._versions = self._look()
        self._context = tls(*self._files)

    def context(self) -> ssl.SSLContext:
        """The context for the next request."""
        versions = self._look()
        if versions != self._versions:
            self._versions = versions  # unusable files are read again after their next change
            try:
                self._context = tls(*self._files)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                log.warning(
                    "certificates_not_renewed", reason=reason, cure="mend the files; the last ones stay"
                )
            else:
                log.info("certificates_renewed")
        return self._context

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        """The version of each file, None for a missing one."""
        return tuple(_version(path) for path in self._files if path is not None)


def _version(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def tls(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A TLS context: TLS 1.2 or newer, with names and certificates verified.

    Args:
        ca: certificates that are trusted beside those of the system, as PEM.
        certificate: of docpipe, as PEM, with its chain.
        key: its private key, without a password; None where it is in the same file.

    Raises:
        OSError: if a file cannot be read.
        ValueError: with what is wrong with which file.
    """
    for path in filter(None, (ca, certificate, key)):
        path.open("rb").close()  # OpenSSL does not say which one it cannot read
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError as error:
            raise ValueError(f"{ca} has to hold certificates as PEM") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")  # or OpenSSL asks the terminal
        except ssl.SSLError as error:
            both = f"{certificate} and {key}" if key else str(certificate)
            why = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "as PEM"
            raise ValueError(
                f"{both} have to hold a certificate and its private key without a password ({why})"
            ) from error
    return context
