"""How a server is reached: which certificates are trusted and shown, and by which proxy."""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yarl import URL

from docpipe.http.redirects import origin_of


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """The way to some servers."""

    tls: ssl.SSLContext | None = None
    """None for what the system trusts, and nothing to show."""
    proxy: str = ""
    login: str = field(default="", repr=False)
    """For the proxy: `user:password`."""

    def words(self) -> dict[str, Any]:
        """As aiohttp's requests take it. Certificates are verified, always."""
        words: dict[str, Any] = {} if self.tls is None else {"ssl": self.tls}
        if self.proxy:
            words["proxy"] = self.proxy
        if self.proxy and self.login:
            basic = base64.b64encode(self.login.encode()).decode()
            words["proxy_headers"] = {"Authorization": f"Basic {basic}"}  # aiohttp makes Proxy-... of it
        return words


@dataclass(frozen=True, slots=True)
class TransportMap:
    """The ways to the services' own origins, and to all others."""

    own: Mapping[str, TransportSettings] = field(default_factory=dict)
    others: TransportSettings = field(default_factory=TransportSettings)

    def words(self, url: URL) -> dict[str, Any]:
        """How an address is reached, as aiohttp's requests take it."""
        return self.own.get(origin_of(url), self.others).words()


def tls(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """What is trusted and shown: TLS 1.2 or newer, with names and certificates verified.

    Args:
        ca: certificates that are trusted beside those of the system, as PEM.
        certificate: what docpipe shows, as PEM, with its chain.
        key: its private key, without a password; None where it stands in the same file.

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
