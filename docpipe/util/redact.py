"""Removes signatures, tokens and passwords from the addresses in a text."""

import re
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"
_WORDS: Final = (
    "token",
    "secret",
    "sig",
    "assertion",
    "password",
    "credential",
    "key",
    "hmac",
    "jwt",
    "auth",
)
_OPEN: Final = frozenset({"idempotency-key", "token_type"})
_PAIR: Final = re.compile(
    r"""(?P<before>[?&;](?:amp;|\#38;)?)  # in HTML and XML the sign is escaped
    (?P<name>[^\s=&;?\#"'<>\\\x00-\x1f]{1,200})=(?P<value>[^\s&;?\#"'<>\\\x00-\x1f]+)""",
    re.VERBOSE,
)
_LOGIN: Final = re.compile(r"(?<=://)[^\s/?#@\"'<>\\]{1,1000}@")
_RANDOM: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=.~-]{32,}")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPED: Final = 5
"""The most levels of escaping of an address within an address."""


def is_secret(name: str) -> bool:
    """Whether the name of a header, parameter or member is that of a secret."""
    lower = name.lower()
    return lower not in _OPEN and any(word in lower for word in _WORDS)


def without_secrets(text: str) -> str:
    """Remove logins and secret query parameters from the addresses in a text.

    A parameter is hidden if its name is that of a secret, if its value is as long and random as a signature,
    or if its value is an address with secrets, at any level of escaping.
    """
    if "://" in text and "@" in text:
        text = _LOGIN.sub("", text)
    return _PAIR.sub(_hidden, text) if "=" in text else text


def _hidden(pair: re.Match[str]) -> str:
    name, value = _unescaped(pair["name"]), _unescaped(pair["value"])
    random = _RANDOM.fullmatch(value) and not _UUID.fullmatch(value)
    if is_secret(name) or random or ("=" in value and without_secrets(value) != value):
        return f"{pair['before']}{pair['name']}={HIDDEN}"
    return pair[0]


def _unescaped(text: str) -> str:
    for _ in range(_ESCAPED):
        if "%" not in text:
            break
        text = unquote(text)
    return text
