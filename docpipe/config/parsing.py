"""Parsers of the configuration's values: from TOML, or the text of an environment variable, to a typed value.

Each raises ValueError with a description of valid values, which completes the sentence "it has to be …".
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from docpipe.model import Patient, Rate

FAKE: Final = "fake"
"""A base_url with this value starts a fake service inside docpipe."""

_UNITS_S: Final = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_UNITS_B: Final = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


class Secret:
    """A text that is hidden from prints, logs and tracebacks.

    Args:
        text: the secret.
        file: the file it was read from, if any.
        parse: parses the file's text when it is read again.
    """

    __slots__ = ("_parse", "_text", "file")

    def __init__(
        self, text: str, file: Path | None = None, parse: "Callable[[Any], Secret] | None" = None
    ) -> None:
        self._text = text
        self.file = file
        self._parse = parse or parse_secret

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """Return the text, for the code that sends it."""
        return self._text

    def again(self) -> "Secret":
        """Read the secret again from its file; without a file, return it unchanged.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if the file has no valid value.
        """
        if self.file is None:
            return self
        return Secret(self._parse(read_stripped(self.file)).reveal(), self.file, self._parse)


def read_stripped(file: Path) -> str:
    """Read the text of a file without surrounding white space: container secrets may end in a line break.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not UTF-8.
    """
    return file.read_text("utf-8").strip()


def parse_rate(value: Any) -> Rate | None:
    """Read "10/min" (also /sec, /hour) or "none"."""
    if value == "none":
        return None
    match = re.fullmatch(r"(\d{1,7})\s*/\s*(sec|min|hour)", str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError('a rate such as "10/sec", "10/min", "600/hour", or "none"')
    return Rate(int(match[1]), float(_UNITS_S[match[2]]))


def parse_duration(value: Any) -> float:
    """Read "30s", "5min", "2h", "90 days" or a number of seconds, as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    unit = match[2] or "s" if match else ""
    unit = unit if unit in _UNITS_S else unit.removesuffix("s")
    if match is None or unit not in _UNITS_S or float(match[1]) == 0:
        raise ValueError('a time such as "30s", "5min" or "2h"')
    return float(match[1]) * _UNITS_S[unit]


def parse_size(value: Any) -> int:
    """Read "1GiB", "512 MiB" or a number of bytes, as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    if match is None or (match[2] or "b") not in _UNITS_B:
        raise ValueError('a size such as "1GiB" or "512MiB"')
    return int(float(match[1]) * _UNITS_B[match[2] or "b"])


def parse_memory(value: Any) -> int:
    """Read the memory of a worker, as bytes."""
    size = parse_size(value)
    if size < 256 * 2**20:
        raise ValueError('at least "256MiB"')
    return size


def parse_largest(value: Any) -> int:
    """Read the bound of a file's size, as bytes."""
    size = parse_size(value)
    if not 2**20 <= size <= 16 * 2**30:
        raise ValueError('from "1MiB" to "16GiB"')
    return size


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Make a parser of whole numbers from `low` to `high`."""

    def parse(value: Any) -> int:
        if (
            isinstance(value, bool)
            or not re.fullmatch(r"\d{1,9}", str(value))
            or not low <= int(value) <= high
        ):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def parse_workers(value: Any) -> int | None:
    """Read a number of workers, or "auto"."""
    if value == "auto":
        return None
    try:
        return integer(1, 1024)(value)
    except ValueError as error:
        raise ValueError('"auto" or a whole number from 1 to 1024') from error


def parse_base_url(value: Any) -> str:
    """Read the address of a service, or "fake"."""
    if value == FAKE:
        return FAKE
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('an address such as "https://exchange.example", or "fake" for a first try')
    if parts.username or parts.password:
        raise ValueError("an address without a password in it: use the key `token`")
    return str(value).rstrip("/")


def parse_origins(value: Any) -> tuple[str, ...]:
    """Read a list of origins, or a text with commas between them."""
    items = value.split(",") if isinstance(value, str) else value
    good = isinstance(items, list) and all(
        isinstance(item, str) and re.fullmatch(r"https?://[^/\s]+", item.strip())
        for item in items
        if item != ""
    )
    if not good:
        raise ValueError('a list of origins such as ["https://files.exchange.example"]')
    return tuple(item.strip().lower() for item in items if item)


def parse_switch(value: Any) -> bool:
    """Read true or false."""
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise ValueError("true or false")
    return known[value]


def parse_languages(value: Any) -> tuple[str, ...]:
    """Read languages by tesseract's names."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]\w{1,40}(\+[A-Za-z]\w{1,40})*", value):
        raise ValueError('names as of tesseract --list-langs, such as "eng" or "eng+spa"')
    return tuple(dict.fromkeys(value.split("+")))


def parse_columns(value: Any) -> tuple[tuple[str, str], ...]:
    """Read a table of column names, or a text such as "given=first_name,family=last_name"."""
    if isinstance(value, str):
        value = {
            name.strip(): called.strip() for name, _, called in (i.partition("=") for i in value.split(","))
        }
    known = [field.name for field in fields(Patient)]
    good = isinstance(value, dict) and all(
        name in known and isinstance(called, str) for name, called in value.items()
    )
    if not good:
        raise ValueError(f'names such as {{given = "first_name"}}, of the columns {", ".join(known)}')
    return tuple(value.items())


def parse_hosts(value: Any) -> tuple[str, ...]:
    """Read a list of host names, or a text with commas between them."""
    items = value.split(",") if isinstance(value, str) else value
    good = isinstance(items, list) and all(
        isinstance(item, str) and re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]", item.strip())
        for item in items
    )
    if not good:
        raise ValueError('a list of host names such as ["docpipe.example"]')
    return tuple(item.strip().lower() for item in items)


def parse_networks(value: Any) -> tuple[str, ...]:
    """Read a list of IP addresses and networks, or a text with commas between them."""
    items = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(str(ipaddress.ip_network(item.strip(), strict=False)) for item in items)
    except (AttributeError, TypeError, ValueError):
        raise ValueError('a list of addresses or networks such as ["10.0.0.5", "10.1.0.0/16"]') from None


def parse_keep(value: Any) -> float | None:
    """Read a time, or "forever"."""
    return None if value == "forever" else parse_duration(value)


def parse_options(value: Any) -> tuple[tuple[str, Any], ...]:
    """Read a table of options, or a text such as "endpoint=https://s3.example,region=eu-central-1"."""
    if isinstance(value, dict) and all(isinstance(item, str | bool | int | float) for item in value.values()):
        return tuple(value.items())
    items = [item.partition("=") for item in value.split(",")] if isinstance(value, str) else []
    if not items or not all(name.strip() and sign and text.strip() for name, sign, text in items):
        raise ValueError('a table such as {region = "eu-central-1"}, or a text "region=eu-central-1"')
    return tuple((name.strip(), text.strip()) for name, _, text in items)


def choice(*words: str) -> Callable[[Any], str]:
    """Make a parser that accepts one of a few words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(" or ".join(f'"{word}"' for word in words))
        return str(value)

    return parse


def parse_prefix_key(value: Any) -> Secret:
    """Read the key of a keyed hash."""
    secret = parse_secret(value)
    if len(secret.reveal()) < 32:  # noqa: PLR2004 -- the length of the hash
        raise ValueError("at least 32 characters, such as of `openssl rand -hex 32`")
    return secret


def parse_text(value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def parse_secret(value: Any) -> Secret:
    """Read a token."""
    text = parse_text(value)
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("a token without spaces or control characters")
    return Secret(text)


def parse_address(value: Any) -> str:
    """Read the address of a server other than a service, such as a token endpoint."""
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError('an address such as "https://login.example/token"')
    if parts.username or parts.password:
        raise ValueError("an address without a password in it")
    return str(value)


def parse_redis(value: Any) -> str:
    """Read the address of a Redis or Valkey."""
    parts = urlsplit(str(value))
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.fragment:
        raise ValueError('an address such as "redis://redis.example:6379/0", or rediss:// for TLS')
    return str(value)


def parse_host_port(value: Any) -> str:
    """Read the address of a server as host and port."""
    match = re.fullmatch(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})", str(value))
    if match is None or not 0 < int(match[1]) < 2**16:
        raise ValueError('a host and a port, such as "temporal.example:7233"')
    return str(value)


def parse_web_address(value: Any) -> str:
    """Read the address of a web page."""
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('an address such as "https://temporal.example"')
    return str(value).rstrip("/")


def parse_task_url(value: Any) -> str:
    """Read the address of the pages of tasks."""
    parts = urlsplit(str(value))
    good = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if not good or "{" in parts.netloc or str(value).count("{id}") != 1:
        raise ValueError('an address with {id} in its path, such as "https://tracker.example/tasks/{id}"')
    return str(value)


def parse_keys(value: Any) -> Secret:
    """Read keys of AES-SIV, with white space between them."""
    keys = parse_text(value).split()
    if not keys or not all(re.fullmatch(r"[0-9A-Fa-f]{128}", key) for key in keys):
        raise ValueError("keys of 128 hex digits, one a line, such as of `openssl rand -hex 64`")
    if len({key.lower() for key in keys}) < len(keys):
        raise ValueError("each key once")
    return Secret("\n".join(keys), parse=parse_keys)


def parse_prefix(value: Any) -> str:
    """Read the name of a fleet, with which its keys begin."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", str(value)):
        raise ValueError("1 to 64 letters, digits, dots, hyphens or underscores")
    return str(value)


def parse_private_key(value: Any) -> Secret:
    """Read a private key; its form is checked when it is used."""
    return Secret(parse_text(value))


def parse_proxy(value: Any) -> str:
    """Read the address of an HTTP proxy."""
    parts = urlsplit(str(value))
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError(
            'an address such as "http://proxy.example:3128", without a password: that is `proxy_login`'
        )
    return str(value)


def parse_login(value: Any) -> Secret:
    """Read a name and a password."""
    secret = parse_secret(value)
    if ":" not in secret.reveal():
        raise ValueError('"user:password"')
    return secret
