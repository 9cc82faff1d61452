"""The section `[notify]` of the configuration: who is notified when a run ends."""

import base64
import ipaddress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from docpipe.config.key import key as _key
from docpipe.config.parsing import (
    Secret,
    choice,
    parse_address,
    parse_duration,
    parse_proxy,
    parse_rate,
    parse_secret,
    parse_switch,
    parse_text,
)
from docpipe.errors import ConfigError
from docpipe.model import Rate

PREFIX: Final = "whsec_"
"""What secrets of Standard Webhooks begin with."""


def parse_signing_secret(value: Any) -> Secret:
    """Read a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
    secret = parse_secret(value)
    try:
        size = len(base64.b64decode(secret.reveal().removeprefix(PREFIX), validate=True))
    except ValueError:
        size = 0
    if not 24 <= size <= 64:  # noqa: PLR2004 -- as the specification has it
        raise ValueError('"whsec_" and 24 to 64 bytes in base64, such as of `openssl rand -base64 32`')
    return secret


@dataclass(frozen=True, slots=True)
class Notify:
    """Webhooks."""

    url: str = _key(
        parse_address,
        "",
        about="receiver of a signed request whenever a run has ended (Standard Webhooks)",
        in_file=True,
        example='"https://hooks.example/docpipe"',
    )
    secret: Secret | None = _key(
        parse_signing_secret,
        about="secret that signs notifications: `whsec_` and base64",
        in_file=True,
        example='"..."',
    )
    patient: str = _key(
        choice("none", "hash"),
        "none",
        about="how they name the patient: `none`, or `hash` for the keyed hash of `storage.prefix_key`",
    )
    rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota of notifications")
    timeout: float = _key(parse_duration, 15.0, about="longest wait for one answer")
    ca_file: str = _key(
        parse_text,
        "",
        about="certificates (PEM) to trust besides the system's",
        example='"/etc/docpipe/hooks-ca.pem"',
    )
    proxy: str = _key(
        parse_proxy, "", about="HTTP proxy to the receiver", example='"http://proxy.example:3128"'
    )
    allow_http: bool = _key(
        parse_switch, default=False, about="notifications may go over plain http to another machine"
    )


def refuse_half_a_receiver(notify: Notify, *, hashed: bool) -> None:
    """Require what notifications need; `hashed`: whether `storage.prefix_key` is set.

    Raises:
        ConfigError: names the key, and what to set.
    """
    if not notify.url:
        if notify.secret is not None:
            raise ConfigError(
                "notify.url is missing: set it to the address of the receiver, or remove notify.secret."
            )
        return
    if notify.secret is None:
        raise ConfigError(
            "notify.secret is missing: the receiver verifies notifications with it. Make one by "
            '`echo "whsec_$(openssl rand -base64 32)" > notify.secret && chmod 600 notify.secret`, set '
            "notify.secret_file to its path, and give it to the receiver."
        )
    parts = urlsplit(notify.url)
    if parts.scheme == "http" and not notify.allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigError(
            "notify.url: it has to be an https:// address; without one, set notify.allow_http = true."
        )
    if notify.patient == "hash" and not hashed:
        raise ConfigError(
            'storage.prefix_key is missing: notify.patient = "hash" needs it, in the environment '
            "(DOCPIPE_STORAGE__PREFIX_KEY) or in a file (storage.prefix_key_file)."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
