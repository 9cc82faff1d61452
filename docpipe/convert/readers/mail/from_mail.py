"""E-mails (RFC 5322), mailboxes, and web pages saved as MHTML."""

import re
from dataclasses import replace
from typing import Final

from docpipe.convert.core.base import (
    Content,
    Embedded,
    Facts,
    NothingToReadError,
    Source,
    UnreadableError,
    each_once,
)
from docpipe.convert.core.blocks import Block, Heading, Paragraph, Table, placeholder, texts, tidy, words
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.core.letter import ENCRYPTED, SIGNED, Letter, file_name, iso_date
from docpipe.convert.core.marks import Mark, mark, plain
from docpipe.convert.readers.html.from_html import page
from docpipe.convert.readers.mail import apple, cms, mime
from docpipe.convert.readers.mail.mime import Message, disposition, header, media_type, name_of, payload
from docpipe.convert.readers.text.from_text import paragraphs

_HEADER: Final = (
    "From",
    "Sender",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Date",
    "Importance",
    "X-Priority",
    "Sensitivity",
)
_SIGNATURES: Final = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_ENVELOPES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_APPLE: Final = frozenset({"application/applefile"})
_APPLE_SINGLE: Final = b"\0\x05\x16\0"
_DEEPEST: Final = 50
_FROM: Final = re.compile(
    rb"^From [^\r\n]*(?:\d{1,2}:\d\d|\d{4})[^\r\n]*\r?\n(?=[!-9;-~]+:|>From )", re.MULTILINE
)
_PLAIN_SHARE: Final = 2
_SAME: Final = 0.5
"""The share of common words from which two alternatives are the same text."""
_LONGEST_STUB: Final = 80
_STUB: Final = re.compile(
    r"\b(?:x?html|browser|navigateur|navegador|webbrowser|rich text|mail (?:program|client|reader)"
    r"|e-?mail[- ](?:program|client|reader|programm)|mime)\b",
    re.IGNORECASE,
)
"""Words of a text that only refers to another alternative."""
_NO_TEXT: Final = "The e-mail has no text."


def read(source: Source) -> Content:
    """The message's header and text; what is attached to it, or forwarded in it, as embedded documents. Each
    message of a mailbox is an embedded document.

    Raises: UnreadableError for what is encrypted; NothingToReadError for a message without anything.
    """
    data = source.data().lstrip(b"\xef\xbb\xbf\r\n\t \0")
    if match := re.match(rb"[0-9]{1,10}[ \t]*\r?\n(?=[!-9;-~]+:)", data):  # Apple's emlx
        data = data[match.end() :]
    messages = _messages(data)
    if len(messages) > 1:
        return _mailbox(messages)
    return _message(mime.parsed(messages[0]), saved=source.media_type == "multipart/related")


def _messages(data: bytes) -> list[bytes]:
    """The messages of a mailbox (RFC 4155); any other file is one message."""
    if not data.startswith(b"From "):
        return [data.removeprefix(b">") if data.startswith(b">From ") else data]
    starts = list(_FROM.finditer(data))
    if not starts:
        return [data.partition(b"\n")[2]]
    ends = [match.start() for match in starts[1:]] + [len(data)]
    cut = (data[match.end() : end] for match, end in zip(starts, ends, strict=True))
    return [re.sub(rb"^>(>*From )", rb"\1", message, flags=re.MULTILINE) for message in cut]


def _mailbox(messages: list[bytes]) -> Content:
    rows = []
    embedded = []
    for number, data in enumerate(messages, 1):
        message = mime.parsed(data.partition(b"\n\n")[0] + b"\n\n" if b"\n\n" in data else data[:65_536])
        subject = tidy(header(message, "subject"))
        rows.append((str(number), header(message, "date"), tidy(header(message, "from")), subject))
        embedded.append(
            Embedded(
                file_name(f"{subject or f'message {number}'}.eml", "message.eml"), "message/rfc822", data
            )
        )
    return Content(
        blocks=(
            Heading(1, f"A mailbox of {len(messages)} messages"),
            Table((("No.", "Date", "From", "Subject"),), tuple(rows)),
        ),
        facts=Facts(title=f"Mailbox of {len(messages)} messages"),
        embedded=tuple(embedded),
        libraries=("chardet",),
    )


def _message(message: Message, *, saved: bool) -> Content:
    letter = Letter(
        header=[
            (name, text) for name in _HEADER if (text := header(message, name)) and text.lower() != "normal"
        ],
        subject=header(message, "subject"),
        date=iso_date(header(message, "date")),
    )
    body = _Body(letter)
    try:
        letter.blocks = body.part(message, 0)
    except RecursionError as error:
        raise UnreadableError("The e-mail is nested too deeply to be read.") from error
    if body.encrypted and not words(letter.blocks) and not letter.attachments:
        raise UnreadableError(ENCRYPTED)
    if saved and not letter.header[:1] + [each for each in letter.header if each[0] == "To"]:
        letter.header = []
    if not words(letter.blocks):
        if not letter.attachments and not letter.subject and not letter.header:
            raise NothingToReadError(_NO_TEXT)
        letter.blocks = (
            placeholder("The message has no text." + " See its attachments." * bool(letter.attachments)),
        )
    content = letter.content("selectolax", "chardet")
    if saved and body.page is not None:
        facts = body.page.facts
        completed = replace(
            facts, title=facts.title or content.facts.title, date=facts.date or content.facts.date
        )
        return replace(content, facts=completed, blocks=letter.blocks, warnings=each_once(letter.warnings))
    return content


def _fuller(before: tuple[Block, ...], after: tuple[Block, ...]) -> tuple[Block, ...]:
    """What to keep of two alternatives; senders put the richer one last."""
    first, second = _vocabulary(before), _vocabulary(after)
    if not first or not second:
        return after or before if second or not first else before
    if len(first & second) < _SAME * min(len(first), len(second)):  # two texts
        if _is_stub(before):
            return after
        return before if _is_stub(after) else (*after, *before)
    return after if words(after) * _PLAIN_SHARE >= words(before) else before


def _vocabulary(blocks: tuple[Block, ...]) -> set[str]:
    return {
        word.strip(".,;:!?()[]<>*_\"'").casefold()
        for text in texts(blocks)
        for word in plain(text).split()
        if "://" not in word
    } - {""}


def _is_stub(blocks: tuple[Block, ...]) -> bool:
    return words(blocks) < _LONGEST_STUB and any(_STUB.search(text) for text in texts(blocks))


class _Body:
    """Reads the parts of a message: displayed parts as blocks, others as attachments."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._has_text = False
        self.encrypted = False
        self.page: Content | None = None

    def part(self, part: Message, depth: int) -> tuple[Block, ...]:  # noqa: PLR0911 - one kind, one return
        """The blocks of a part."""
        if depth > _DEEPEST:
            self._letter.warnings.append("parts of the e-mail are nested too deeply to be read")
            return ()
        kind = media_type(part)
        if kind.startswith("multipart/"):
            if part.is_multipart():
                return self._parts(part, kind, depth)
            kind = "text/plain"  # without its boundary: the text stays as it is
        if kind in {"message/delivery-status", "message/disposition-notification"}:
            return self._report(part)
        if kind.startswith("message/") and part.is_multipart():
            self._forwarded(part)
            return ()
        data = payload(part)
        if kind in _SIGNATURES:
            self._letter.warnings.append(SIGNED)
            return ()
        if kind in _ENVELOPES:
            return self._envelope(part, data, depth)
        if kind in {"text/plain", "text/html", "text/enriched", "text/richtext"} and self._is_body(part):
            return self._text(part, kind, data)
        self._attach(part, kind, data)
        return ()

    def _parts(self, part: Message, kind: str, depth: int) -> tuple[Block, ...]:
        parts = [inner for inner in part.get_payload() if isinstance(inner, Message)]
        if kind == "multipart/alternative":
            return self._alternatives(parts, depth)
        if kind == "multipart/related":
            return self._related(part, parts, depth)
        if kind == "multipart/encrypted":
            self.encrypted = True
            self._letter.warnings.append("a part of the e-mail is encrypted")
            return ()
        return tuple(block for inner in parts for block in self.part(inner, depth + 1))

    def _alternatives(self, parts: list[Message], depth: int) -> tuple[Block, ...]:
        """The richest form of the same text; another one where the richest lost most of it, and both where
        they are two texts, but for one that only asks for another program.
        """
        before = self._has_text
        forms = []
        has_text = False
        for part in parts:
            self._has_text = before
            forms.append(self.part(part, depth + 1))
            has_text = has_text or self._has_text
        self._has_text = has_text
        best: tuple[Block, ...] = ()
        for blocks in forms:
            best = _fuller(best, blocks)
        return best

    def _related(self, part: Message, parts: list[Message], depth: int) -> tuple[Block, ...]:
        start = mime.parameter(part, "content-type", "start").strip("<> ")
        named = (inner for inner in parts if start and header(inner, "content-id").strip("<> ") == start)
        html = (inner for inner in parts if media_type(inner).startswith(("text/html", "multipart/")))
        root = next(named, None) or next(html, None) or (parts[0] if parts else None)
        blocks = self.part(root, depth + 1) if root is not None else ()
        for inner in parts:
            if inner is not root and not media_type(inner).startswith(("text/css", "text/javascript")):
                blocks += self.part(inner, depth + 1)
        return blocks

    def _is_body(self, part: Message) -> bool:
        placement = disposition(part)
        if placement == "attachment" or (
            name_of(part) and (self._has_text or (placement != "inline" and "." in name_of(part)))
        ):
            return False
        return not header(part, "content-location") or not self._has_text

    def _text(self, part: Message, kind: str, data: bytes) -> tuple[Block, ...]:
        if kind == "text/html":
            content = page(data, mime.parameter(part, "content-type", "charset"), outside=True)
            self._has_text = self._has_text or bool(words(content.blocks))
            self.page = self.page or content
            self._letter.language = self._letter.language or content.facts.language
            self._letter.warnings += content.warnings
            return content.blocks
        text, warnings = mime.text(part, data)
        self._letter.warnings += warnings
        if kind != "text/plain":
            text = _enriched(text)
        if mime.parameter(part, "content-type", "format").lower() == "flowed":
            deletes = mime.parameter(part, "content-type", "delsp").lower() == "yes"
            text = mime.unflowed(text, delete_space=deletes)
        text, files = mime.uuencoded(text)
        for name, inner in files:
            self._letter.attachments.append(Embedded(file_name(name, "attachment"), None, inner))
        self._has_text = self._has_text or bool(text.strip())
        return tuple(paragraphs(text))

    def _report(self, part: Message) -> tuple[Block, ...]:
        """The report of a server on a delivery."""
        inner = part.get_payload()
        statuses = [each for each in inner if isinstance(each, Message)] if isinstance(inner, list) else []
        lines = [
            "\n".join(f"{name}: {' '.join(value.split())}" for name, value in mime.headers(each))
            for each in statuses
        ]
        return tuple(Paragraph(line) for line in lines if line.strip())

    def _forwarded(self, part: Message) -> None:
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        if not isinstance(first, Message):
            return
        data = mime.serialised(first)
        if header(part, "content-transfer-encoding").lower() == "base64" and not list(first.raw_items()):
            data = mime.from_base64(data)
            first = mime.parsed(data)
        subject = tidy(header(first, "subject")) or "message"
        name = name_of(part) or f"{subject}.eml"
        self._letter.attachments.append(Embedded(file_name(name, "message.eml"), "message/rfc822", data))

    def _envelope(self, part: Message, data: bytes, depth: int) -> tuple[Block, ...]:
        if cms.is_encrypted(data) or "enveloped" in mime.parameter(part, "content-type", "smime-type"):
            self.encrypted = True
            self._letter.warnings.append("a part of the e-mail is encrypted")
            return ()
        if (content := cms.signed_content(data)) is not None:
            self._letter.warnings.append(SIGNED)
            return self.part(mime.parsed(content), depth + 1)
        self._attach(part, media_type(part), data)
        return ()

    def _attach(self, part: Message, kind: str, data: bytes) -> None:
        if kind in _APPLE or data.startswith(_APPLE_SINGLE):
            data = apple.content(data)
        if not data:
            return
        number = len(self._letter.attachments) + 1
        extension = kind_of(detect(data, "", kind)).extension.removesuffix(".bin")
        name = name_of(part) or header(part, "content-location").partition("?")[0].rpartition("/")[2]
        charset = mime.parameter(part, "content-type", "charset") if kind.startswith("text/") else ""
        declared = f"{kind}; charset={charset}" if charset else kind
        self._letter.attachments.append(
            Embedded(file_name(name, f"attachment {number}{extension}"), declared, data)
        )


_COMMAND: Final = re.compile(r"<<|<(/?)([a-zA-Z-]+)>")
_ENRICHED: Final = {"bold": Mark.BOLD, "italic": Mark.ITALIC}


def _enriched(text: str) -> str:
    """Enriched text (RFC 1896) with its marks: `<<` is a sign, parameters are left out."""
    text = re.sub(r"(?is)<param>.*?</param>", "", text)
    marks, at, out = Mark.NONE, 0, []
    for match in _COMMAND.finditer(text):
        out.append(mark(text[at : match.start()], marks))
        at = match.end()
        if match[0] == "<<":
            out.append("<")
            continue
        one = _ENRICHED.get(match[2].lower(), Mark.NONE)
        marks = marks & ~one if match[1] else marks | one
    return "".join([*out, mark(text[at:], marks)])
