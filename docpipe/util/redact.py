"""Removes signatures, tokens and passwords from the addresses in a text, and from what a text quotes."""

import re
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"
_WORDS: Final = (
    *("token", "secret", "sig", "assertion", "passw", "passphrase", "pwd", "credential", "key", "hmac"),
    *("jwt", "auth", "bearer", "session", "cookie", "csrf", "xsrf", "saml", "nonce", "passcode"),
)
_JOINED: Final = (
    *("clientcert", "sslclient", "xssl", "xtls", "mtls", "clientdn", "clientsubject"),
    *("codeverifier", "codechallenge", "devicecode", "usercode", "onetime", "relaystate", "verificationcode"),
)
"""Of names without their hyphens: of certificates that a proxy passes on, and of codes for one use."""
_WHOLE: Final = frozenset({"otp", "totp", "hotp", "mfa", "2fa", "pin", "ticket", "samlart"})
"""Only as a word of a name: others contain these letters, such as `footprint` and `opinion`."""
_PART: Final = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+|[0-9]+[A-Za-z]+")
_PLAIN: Final = re.compile(r"[A-Za-z]{1,12}(?:[_,-][A-Za-z]{1,12}){0,9}")
"""A state such as `failed,completed_with_errors`, which protects no sign-in."""
_OPEN: Final = frozenset({"idempotency-key", "token_type"})
_PERCENT: Final = "%(?:25){0,5}"
"""The sign that escapes, itself escaped up to five times."""
_VALUE: Final = r"""(?:[^\s&;?\#"'<>\\\x00-\x1f]|'(?=[^\s&;?\#"'<>\\,)\]}\x00-\x1f]))+"""
_PAIR: Final = re.compile(
    rf"""(?P<before>[?&;\#](?:amp;|\#38;)?|\\u00(?i:3f|26|3b|23))  # escaped in HTML and XML, and in JSON
    (?P<name>[^\s=&;?\#"'<>\\\x00-\x1f]{{1,200}})(?P<equal>=|\\u003[dD])(?P<value>{_VALUE})""",
    re.VERBOSE,
)
_ESCAPED_PAIR: Final = re.compile(
    rf"""(?P<before>{_PERCENT}(?i:3f|26|3b|23))
    (?P<name>(?:(?!{_PERCENT}3[dD])[^\s=&"'<>\\]){{1,200}})(?P<equal>{_PERCENT}3[dD])
    (?P<value>(?:(?!{_PERCENT}(?:26|23))[^\s&\#"'<>\\])+)""",
    re.VERBOSE,
)
_NAME: Final = r"""(?:token|secret|signature|sig|passw(?:or)?d|passphrase|pwd|credentials?|jwt|hmac|assertion
    |csrf|xsrf|saml(?:response|request|art)|relaystate|(?<![a-z])[th]?otp|passcode|code[_-]?verifier
    |(?:device|user|verification|one[_-]?time)[_-]?(?:pass)?code|authorization|(?:api|access|private|shared)[_.-]?key|session(?:[_.-]?id)?|cookie)"""
_LEADING: Final = re.compile(
    r"""(?<![\w.%?&;=\#-])(?P<before>)(?P<name>(?i:code|state|ticket|pin))(?P<equal>=)
    (?P<value>[^\s&;?\#"'<>\\=]{1,4000})(?=&)""",
    re.VERBOSE,
)
"""The first of a form's parameters, which no sign precedes."""
_NAMED: Final = re.compile(
    rf"""(?P<before>(?<![\w.-])[\w.-]{{0,60}}{_NAME}
    (?:\\{{0,4}}["'])?\s{{0,3}}
    (?:[=:]\s{{0,3}}\\{{0,4}}["']|=))(?P<value>[^\s"'\\,;&<>]+)""",
    re.VERBOSE | re.IGNORECASE,
)
"""Of texts that quote JSON, settings or forms: `"access_token": "..."`, `signature=...`."""
_FIELD: Final = re.compile(
    rf"""(?P<before><[\w:.-]{{0,60}}{_NAME}[\w.-]{{0,20}}(?:\s[^<>]{{0,200}})?>  # <token>...</token>
    |\bname=\\{{0,4}}["'][\w.-]{{0,60}}{_NAME}[\w.-]{{0,20}}\\{{0,4}}["']  # of a form: as HTML, or in parts
    (?:[^<>\r\n]{{0,100}}?\bvalue=\\{{0,4}}["']|(?:\r?\n|(?:\\r)?\\n){{2}}))(?P<value>[^<>"'\r\n\\]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_PRIVATE_KEY: Final = re.compile(r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)
_SCHEME: Final = re.compile(r"(\b(?:bearer|basic)\s{1,3})(?=[\w.~+/-]*[0-9=])[\w.~+/=-]{8,}", re.IGNORECASE)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
_HINT: Final = re.compile(
    "token|secret|sig|passw|passphrase|pwd|credential|jwt|hmac|assert|auth|key|session|cookie|bearer|basic|eyJ"
    "|csrf|xsrf|saml|relaystate|otp|passcode|verifier|code",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(
    r"""(?:(?<=://)|(?<=:\\/\\/))[^\s/?#@"'<>\\]{1,1000}@|(?<=//)[^\s/?#@:"'<>\\]{1,200}:[^\s/?#@"'<>\\]{1,1000}@"""
)
_ESCAPED_LOGIN: Final = re.compile(
    rf"""({_PERCENT}3[aA](?:{_PERCENT}2[fF]){{2}})
    (?:(?!{_PERCENT}(?i:2f|40|3f|23))[^\s/?\#@"'<>]){{1,1000}}{_PERCENT}40""",
    re.VERBOSE,
)
_RANDOM: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=.~-]{32,}")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPED: Final = 5
"""The most levels of escaping of an address within an address."""


def is_secret(name: str) -> bool:
    """Whether the name of a header, parameter or member is that of a secret."""
    lower = name.lower()
    if lower in _OPEN:
        return False
    joined = lower.replace("-", "").replace("_", "").replace(".", "")
    return (
        any(word in lower for word in _WORDS)
        or any(word in joined for word in _JOINED)
        or any(part.lower() in _WHOLE for part in _PART.findall(name[:200]))
    )


def without_secrets(text: str) -> str:
    """Remove logins and secret query parameters from the addresses in a text.

    A parameter is hidden if its name is that of a secret, if its value is as long and random as a signature,
    or if its value is an address with secrets, at any level of escaping; `code` and `state`, too, but where
    they are those of a FHIR search (`system|code`) or plain words. So are the values of members,
    settings, elements and fields of forms with such names that a text quotes, private keys, the credentials
    of an Authorization header, and JWTs.
    """
    if "@" in text:
        text = _LOGIN.sub("", text)
    if "=" in text or "\\u003" in text:
        text = _LEADING.sub(_hidden, _PAIR.sub(_hidden, text))
    if "%" in text:
        text = _ESCAPED_PAIR.sub(_hidden, _ESCAPED_LOGIN.sub(r"\1", text))
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(rf"\1{HIDDEN}", text)
    if _HINT.search(text):
        text = _NAMED.sub(rf"\g<before>{HIDDEN}", _FIELD.sub(rf"\g<before>{HIDDEN}", text))
        text = _JWT.sub(HIDDEN, _SCHEME.sub(rf"\1{HIDDEN}", text))
    return text


def _hidden(pair: re.Match[str]) -> str:
    name, value = _unescaped(pair["name"]), _unescaped(pair["value"])
    random = _RANDOM.fullmatch(value) and not _UUID.fullmatch(value)
    if (
        is_secret(name)
        or _protects(name, value)
        or random
        or ("=" in value and without_secrets(value) != value)
    ):
        return f"{pair['before']}{pair['name']}{pair['equal']}{HIDDEN}"
    return pair[0]


def _protects(name: str, value: str) -> bool:
    """Whether a parameter is the code or the state of a sign-in, by its value."""
    match name.lower():
        case "code":
            return "|" not in value
        case "state":
            return not _PLAIN.fullmatch(value)
        case _:
            return False


def _unescaped(text: str) -> str:
    for _ in range(_ESCAPED):
        if "%" not in text:
            break
        text = unquote(text)
    return text
