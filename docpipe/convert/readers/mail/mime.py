"""MIME (RFC 2045 to 2049, 2231, 3676), with headers and bodies that break the rules.

The standard library's parser takes a message apart, with the policy that never raises; what newer policies
do with headers fails on many real ones, so headers are read here.
"""

import base64
import binascii
import email
import email.message
import email.policy
import quopri
import re
from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.blocks import clean
from docpipe.convert.core.encoding import decode, known

Message = email.message.Message
_WORD: Final = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=", re.DOTALL)
_BETWEEN: Final = re.compile(r"(\?=)\s+(=\?)")
_UU: Final = re.compile(
    r"^begin(?:-base64)? [0-7]{3,4} ([^\n]{1,255})\n((?:[^\n]{1,80}\n)*?)(?:`?\n)?(?:end|====)[ \t]*$",
    re.MULTILINE,
)


def parsed(data: bytes) -> Message:
    """The parts of a message."""
    return email.message_from_bytes(data, policy=email.policy.compat32)


def header(message: Message, name: str) -> str:
    """The text of a header, empty where it is missing; repeated ones joined."""
    return ", ".join(text for key, text in headers(message) if key.lower() == name.lower() and text)


def headers(message: Message) -> Iterator[tuple[str, str]]:
    """All headers, decoded."""
    for name, value in message.raw_items():
        yield str(name), decoded(str(value))


def decoded(value: str) -> str:
    """A header's value: words encoded by RFC 2047, and raw bytes."""
    raw = value.encode("utf-8", "surrogateescape")
    text = decode(raw).text if any(byte > 0x7F for byte in raw) else value  # noqa: PLR2004 - beyond ASCII
    text = re.sub(r"\r?\n(?=[ \t])", "", text)
    return clean(_words(text)).strip()


def _words(text: str) -> str:
    out: list[str] = []
    at = 0
    pending: tuple[str, bytes] = ("", b"")  # a character may be cut between two words

    def flush() -> None:
        charset, data = pending
        if data:
            out.append(decode(data, charset).text if known(charset) is None else _lenient(data, charset))

    for match in _WORD.finditer(_BETWEEN.sub(r"\1\2", text)):
        string = match.string
        if between := string[at : match.start()]:
            flush()
            pending = ("", b"")
            out.append(between)
        data = _word(match[2].lower(), match[3])
        charset = match[1].lower()
        if charset != pending[0]:
            flush()
            pending = (charset, data)
        else:
            pending = (charset, pending[1] + data)
        at = match.end()
    flush()
    out.append(_BETWEEN.sub(r"\1\2", text)[at:])
    return "".join(out)


def _word(kind: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if kind == "q":
        return quopri.decodestring(raw, header=True)
    return from_base64(raw)


def from_base64(raw: bytes) -> bytes:
    """The bytes of Base64, whatever is between its characters."""
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return base64.b64decode(kept + b"=" * (-len(kept) % 4))


def _lenient(data: bytes, charset: str) -> str:
    codec = known(charset) or "utf-8"
    return data.decode(codec, "replace")


def payload(part: Message) -> bytes:
    """The bytes of a part that has no parts, as far as its encoding holds."""
    encoding = header(part, "content-transfer-encoding").lower()
    match = re.match(r"[\w-]+", encoding)
    try:
        done = part.get_payload(decode=True)
    except (ValueError, LookupError, UnicodeError, binascii.Error):
        done = None
    if not isinstance(done, bytes):
        return serialised(part) if part.is_multipart() else b""
    if match and match[0] != encoding:  # "quoted-printable;" and the like, which the library does not know
        if match[0] == "base64":
            return from_base64(done)
        return quopri.decodestring(done) if match[0] == "quoted-printable" else done
    return done


def serialised(message: Message) -> bytes:
    """The bytes of a message within a message, as they were where nothing was odd about them."""
    policy = email.policy.compat32.clone(max_line_length=None)
    try:
        return message.as_bytes(policy=policy)
    except (ValueError, LookupError, UnicodeError, AttributeError, TypeError, KeyError):
        return message.as_string(policy=policy).encode("utf-8", "surrogateescape")


def text(part: Message, data: bytes | None = None) -> tuple[str, tuple[str, ...]]:
    """The text of a part, and warnings of it."""
    result = decode(payload(part) if data is None else data, parameter(part, "content-type", "charset"))
    return clean(result.text), result.warnings


def media_type(part: Message) -> str:
    """The type and subtype of a part."""
    return part.get_content_type().lower()


def parameter(part: Message, name: str, key: str) -> str:
    """A parameter of a header, decoded, empty where it is missing."""
    raw = next((str(value) for header_name, value in part.raw_items() if header_name.lower() == name), "")
    try:
        value = part.get_param(key, "", header=name) if raw.isascii() else _bare(decoded(raw), key)
        if isinstance(value, tuple):  # RFC 2231
            charset, _, encoded = value
            return clean(decode(encoded.encode("latin-1", "replace"), charset or None).text)
        return decoded(str(value or ""))
    except (ValueError, LookupError, UnicodeError, TypeError, IndexError, AttributeError):
        return ""


def _bare(value: str, key: str) -> str:
    """A parameter with characters that are not allowed."""
    match = re.search(rf';\s*{key}\s*=\s*(?:"([^"]*)"?|([^;]*))', value, re.IGNORECASE)
    return (match[1] if match[1] is not None else match[2]).strip() if match else ""


def name_of(part: Message) -> str:
    """The name of a part's file, empty where it has none."""
    return parameter(part, "content-disposition", "filename") or parameter(part, "content-type", "name")


def disposition(part: Message) -> str:
    """The content disposition of a part: attachment, inline, or empty."""
    return header(part, "content-disposition").partition(";")[0].strip().lower()


def unflowed(lines: str, *, delete_space: bool) -> str:
    """Text of format=flowed (RFC 3676) with its paragraphs in one line each."""
    out: list[str] = []
    open_, depth = False, 0
    for line in lines.split("\n"):
        quoted = len(line) - len(line.lstrip(">"))
        body = line[quoted:].removeprefix(" ")
        flowing = body.endswith(" ") and body != "-- "
        if flowing and delete_space:
            body = body[:-1]
        if open_ and quoted == depth and body != "-- ":
            out[-1] += body
        else:
            out.append(">" * quoted + (" " if quoted else "") + body)
        open_, depth = flowing, quoted
    return "\n".join(out)


def uuencoded(body: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text without the files that old writers put into it, and those files."""
    files: list[tuple[str, bytes]] = []

    def take(match: re.Match[str]) -> str:
        data = bytearray()
        try:
            if match[0].startswith("begin-base64"):
                data += from_base64(match[2].encode("ascii", "ignore"))
            else:
                for line in match[2].split("\n"):
                    data += _uu_line(line)
        except (ValueError, binascii.Error):
            return match[0]
        if not data:
            return match[0]
        files.append((match[1].strip(), bytes(data)))
        return ""

    return (_UU.sub(take, body) if "\nend" in body or "\n====" in body else body), files


def _uu_line(line: str) -> bytes:
    raw = line.encode("ascii")
    if not raw:
        return b""
    length = ((raw[0] - 32) & 63) * 4 // 3 + 3
    return binascii.a2b_uu(raw[: 1 + (length + 3) // 4 * 4].rstrip())
