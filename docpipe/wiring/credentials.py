"""Transports and credentials that the configuration names."""

from dataclasses import dataclass

from docpipe.config.config import Config, Remote
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError
from docpipe.http import (
    ClientSecret,
    Credentials,
    Grant,
    Http,
    OAuth2,
    Proof,
    SignedAssertion,
    TlsFiles,
    TransportMap,
    TransportSettings,
    bearer,
    loaded,
    origin_of,
)
from docpipe.model import Clock
from docpipe.wiring.gates import Gates


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials of both services."""

    docex: Credentials
    tracker: Credentials


def open_access(config: Config, http: Http, gates: Gates, clock: Clock) -> Access:
    """The credentials that the configuration names; no token is requested yet.

    Raises:
        ConfigError: if they make no sense together, or a key cannot be used.
    """

    def credentials(section: str, remote: Remote) -> Credentials:
        grant = grant_of(section, remote, clock)
        if grant is None:
            return bearer(remote.token, f"{section}.token")
        return OAuth2(http, gates.tokens(section), grant)

    return Access(
        docex=credentials("docex", config.docex), tracker=credentials("tasktracker", config.tasktracker)
    )


def open_transports(config: Config) -> TransportMap:
    """How servers are reached.

    The certificate that docpipe shows goes to the service's own origin only; where archives and tokens come
    from, and nothing is said of it, is reached as the service is, without it.

    Raises:
        ConfigError: if a file cannot be used.
    """
    own: dict[str, TransportSettings] = {}
    if config.notify.url:
        own[origin_of(config.notify.url)] = _to_receiver(config)
    remotes = (("tasktracker", config.tasktracker), ("docex", config.docex))
    for section, remote in remotes:
        if remote.token_url:
            own[origin_of(remote.token_url)] = _transport(config, section, remote, with_certificate=False)
    for section, remote in remotes:
        if remote.base_url != FAKE:
            own[origin_of(remote.base_url)] = _transport(config, section, remote, with_certificate=True)
    return TransportMap(own, _transport(config, "docex", config.docex, with_certificate=False))


def _to_receiver(config: Config) -> TransportSettings:
    """The way to the receiver of notifications."""
    notify = config.notify
    try:
        tls = TlsFiles(config.folder / notify.ca_file, None, None) if notify.ca_file else None
    except OSError as error:
        raise ConfigError(f"notify: {error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"notify: {error}.") from error
    return TransportSettings(tls, notify.proxy, "")


def _transport(config: Config, section: str, remote: Remote, *, with_certificate: bool) -> TransportSettings:
    if remote.client_key_file and not remote.client_cert_file:
        raise ConfigError(f"{section}.client_cert_file is missing, where client_key_file is given.")
    login = remote.proxy_login.reveal() if remote.proxy_login else ""
    if login and not remote.proxy:
        raise ConfigError(f"{section}.proxy is missing, where proxy_login is given.")
    names = (remote.ca_file, remote.client_cert_file, remote.client_key_file)
    ca, certificate, key = (config.folder / name if name else None for name in names)
    if not with_certificate:
        certificate = key = None
    if ca is None and certificate is None:
        return TransportSettings(None, remote.proxy, login)
    try:
        return TransportSettings(TlsFiles(ca, certificate, key), remote.proxy, login)
    except OSError as error:
        raise ConfigError(f"{section}: {error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{section}: {error}.") from error


def grant_of(section: str, remote: Remote, clock: Clock) -> Grant | None:
    """The OAuth 2.0 grant of a section; None if it names no token server.

    Raises:
        ConfigError: as above.
    """
    keys = [key for key in ("client_id", "client_secret", "client_assertion_key") if getattr(remote, key)]
    if not remote.token_url:
        if keys:
            raise ConfigError(f"{section}.token_url is missing, where {section}.{keys[0]} is set.")
        return None
    if remote.token is not None:
        raise ConfigError(f"{section}.token and {section}.token_url: give one of them.")
    if not remote.client_id:
        raise ConfigError(f"{section}.client_id is missing: {section}.token_url needs to know who asks.")
    return Grant(section, remote.token_url, remote.client_id, remote.scope, _proof(section, remote, clock))


def _proof(section: str, remote: Remote, clock: Clock) -> Proof:
    secret, key = remote.client_secret, remote.client_assertion_key
    if secret is not None and key is None:
        return ClientSecret(secret, remote.client_auth)
    if remote.client_auth and key is not None:
        raise ConfigError(f"{section}.client_auth is for client_secret: an assertion is always in the form.")
    if key is None or secret is not None:
        raise ConfigError(f"{section}: give either client_secret or client_assertion_key (or their files).")
    try:
        loaded(key.reveal(), remote.key_id)
    except ImportError as error:
        raise ConfigError(
            f"{section}.client_assertion_key needs a package that signs: pip install 'docpipe[oauth2]'."
        ) from error
    except ValueError as error:
        raise ConfigError(f"{section}.client_assertion_key has to hold {error}.") from error
    return SignedAssertion(key, remote.key_id, clock)
