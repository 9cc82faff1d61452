"""Parses and checks `storage.url` and `storage.options`; nothing is opened here.

folder, file:///folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, memory://
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from docpipe.config.parsing import parse_duration, parse_switch, parse_text
from docpipe.errors import ConfigError

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._/=-]*")
ENDPOINTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"s3": ("endpoint",), "gs": ("base_url",), "az": ("endpoint",), "memory": ()}
)
ENDPOINTS_IN_ENV: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "gs": ("GOOGLE_BASE_URL",),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "memory": (),
    }
)
_SECRET: Final = re.compile(r"secret|password|_key$|key_id$|token$|sas")
_SECRETS_IN_ENV: Final[Mapping[str, str]] = MappingProxyType(
    {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the option credentials_file",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the option service_account, with the path of a file",
        "az": "AZURE_STORAGE_ACCOUNT_KEY, or the option federated_token_file",
        "memory": "nothing",
    }
)


def _endpoint(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ValueError('an address such as "https://s3.example"')
    return str(value).rstrip("/")


def _checksum(value: Any) -> str:
    if value not in ("SHA256", "CRC64NVME", "none"):
        raise ValueError('"SHA256", "CRC64NVME" or "none"')
    return str(value)


_COMMON: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {"timeout": parse_duration, "ca_file": parse_text, "allow_http": parse_switch}
)
_OPTIONS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = MappingProxyType(
    {
        "s3": {
            "endpoint": _endpoint,
            "region": parse_text,
            "virtual_hosted_style_request": parse_switch,
            "credentials_file": parse_text,
            "checksum_algorithm": _checksum,
            "server_side_encryption": parse_text,
            "sse_kms_key_id": parse_text,
            "sse_bucket_key_enabled": parse_switch,
            "disable_bulk_delete": parse_switch,
            **_COMMON,
        },
        "gs": {
            "base_url": _endpoint,
            "service_account": parse_text,
            "application_credentials": parse_text,
            **_COMMON,
        },
        "az": {
            "account_name": parse_text,
            "endpoint": _endpoint,
            "tenant_id": parse_text,
            "client_id": parse_text,
            "federated_token_file": parse_text,
            **_COMMON,
        },
        "memory": {},
    }
)
FILES: Final = (
    "ca_file",
    "credentials_file",
    "service_account",
    "application_credentials",
    "federated_token_file",
)
"""Options that name a file; relative ones start at the configuration's folder."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket or container with its options. `scheme` is s3, gs, az or memory."""

    scheme: str
    name: str
    prefix: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")


def folder_or_bucket(url: str, options: Mapping[str, Any], base: Path) -> Path | Bucket:
    """Where documents are kept.

    Raises:
        ConfigError: if it cannot be used, with what would be right. The URL itself is not repeated.
    """
    parts = urlsplit(url)
    if "://" not in url or (parts.scheme == "file" and not parts.netloc):
        if options:
            raise ConfigError("storage.options: a folder has no options; take them away.")
        return Path(parts.path) if "://" in url else (base / url).absolute()
    if parts.scheme not in _OPTIONS:
        raise ConfigError(
            f"storage.url: `{parts.scheme}://` cannot be used; give a folder, or one of "
            "file:///path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix."
        )
    bucket, prefix = parts.netloc, parts.path.strip("/")
    name = "" if parts.scheme == "memory" else bucket
    good = (parts.scheme == "memory" and not bucket) or _BUCKET.fullmatch(bucket)
    clean = _PREFIX.fullmatch(prefix) and not {"", ".", ".."} & set(prefix.split("/") if prefix else ())
    what = "container" if parts.scheme == "az" else "bucket"
    if not good or not clean or parts.query or parts.fragment:
        raise ConfigError(
            f"storage.url: it has to be {parts.scheme}://, the {what}'s name and, if you like, a prefix of "
            "letters, digits and . _ - = / after it; everything else goes into storage.options."
        )
    given = _checked(parts.scheme, options, base)
    _refuse_plain_http(parts.scheme, given)
    return Bucket(parts.scheme, name, prefix, given)


def _checked(scheme: str, options: Mapping[str, Any], base: Path) -> dict[str, Any]:
    known, given = _OPTIONS[scheme], {}
    for name, value in options.items():
        if name not in known:
            if _SECRET.search(name):
                raise ConfigError(
                    f"storage.options.{name}: secrets do not belong here; use {_SECRETS_IN_ENV[scheme]}."
                )
            has = f"has {', '.join(known)}" if known else "has none"
            raise ConfigError(f"storage.options.{name}: there is no such option; {scheme}:// {has}.")
        try:
            given[name] = known[name](value)
        except ValueError as error:
            raise ConfigError(
                f"storage.options.{name}: the given value cannot be used; it has to be {error}."
            ) from error
        if name in FILES:
            given[name] = str(base / given[name])
    return given


def _refuse_plain_http(scheme: str, options: Mapping[str, Any]) -> None:
    """Documents leave this machine under TLS only."""
    given = [(f"storage.options.{name}", options[name]) for name in ENDPOINTS[scheme] if name in options]
    given += [(name, os.environ[name]) for name in ENDPOINTS_IN_ENV[scheme] if os.environ.get(name)]
    for name, address in given:
        parts = urlsplit(address)
        if parts.scheme != "http":
            continue
        if not _is_loopback(parts.hostname or ""):
            raise ConfigError(f"{name}: documents travel under TLS only: it has to be an https:// address.")
        if not options.get("allow_http"):
            raise ConfigError(
                f"{name}: it has to be an https:// address; for a test on this machine set "
                "storage.options.allow_http = true."
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
