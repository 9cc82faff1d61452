"""An e-mail of any format: its header, its body as blocks, and its attachments."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from docpipe.convert.core.base import Content, Embedded, Facts, each_once
from docpipe.convert.core.blocks import Block, Heading, Paragraph, clean, tidy

ENCRYPTED: Final = "The e-mail is encrypted."
SIGNED: Final = "the e-mail is signed; the signature was not checked"
_LONGEST_NAME: Final = 255


@dataclass(slots=True)
class Letter:
    """A message taken apart."""

    header: list[tuple[str, str]] = field(default_factory=list)
    """What the reader of a message sees above it, such as ("From", "a@b")."""
    subject: str = ""
    date: str | None = None
    """ISO 8601."""
    blocks: tuple[Block, ...] = ()
    attachments: list[Embedded] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    language: str | None = None

    def content(self, *libraries: str) -> Content:
        """The message as a document."""
        author = next((value for name, value in self.header if name == "From"), None)
        names = [part.name for part in self.attachments]
        rows = [*self.header, *([("Attachments", ", ".join(names))] if names else [])]
        blocks: list[Block] = [Heading(1, " ".join(tidy(self.subject).split()))] if tidy(self.subject) else []
        if rows:
            blocks.append(Paragraph("\n".join(f"{name}: {' '.join(value.split())}" for name, value in rows)))
        return Content(
            blocks=(*blocks, *self.blocks),
            facts=Facts(
                title=tidy(self.subject) or None, date=self.date, author=author, language=self.language
            ),
            embedded=tuple(self.attachments),
            warnings=each_once(self.warnings),
            libraries=libraries,
        )


def iso_date(text: str) -> str | None:
    """The date of a message's header, None where it cannot be parsed."""
    try:
        when = parsedate_to_datetime(re.sub(r"\s+", " ", text).strip())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return when.isoformat()


def file_time(ticks: int) -> str | None:
    """The date of a FILETIME: tenths of microseconds since 1601, in UTC."""
    try:
        when = datetime.fromtimestamp(ticks / 10**7 - 11_644_473_600, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return when.replace(microsecond=0).isoformat() if ticks else None


def file_name(text: str, otherwise: str) -> str:
    """A name for people: one line, without folders."""
    name = " ".join(clean(text).replace("\\", "/").rpartition("/")[2].split())
    return name[:_LONGEST_NAME] or otherwise


def as_eml(
    header: Iterable[tuple[str, str]], body: bytes, body_type: str, attachments: Iterable[Embedded]
) -> bytes:
    """A message as a file (RFC 5322), for messages of other formats: the same bytes each time."""
    parts = [(body_type, "", body)]
    parts += [(part.declared or "application/octet-stream", part.name, part.data) for part in attachments]
    digest = hashlib.sha256(b"\0".join(data for _, _, data in parts)).hexdigest()[:32]
    lines = [f"{name}: {_encoded(' '.join(value.split()))}" for name, value in header]
    lines += ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{digest}"', ""]
    out = ["\r\n".join(lines).encode("ascii", "replace")]
    for kind, name, data in parts:
        safe = re.sub(r"[^\w.+-]", "", kind.partition(";")[0].strip().replace("/", "__"), flags=re.ASCII)
        charset = "; charset=utf-8" if kind.startswith("text/") and not name else ""
        # Base64 is not allowed for messages, but read by everything, and keeps the bytes as they are.
        fields = f"Content-Type: {safe.replace('__', '/')}{charset}\r\nContent-Transfer-Encoding: base64\r\n"
        if name:
            fields += f'Content-Disposition: attachment; filename="{_encoded(name)}"\r\n'
        out.append(f"--{digest}\r\n{fields}\r\n".encode("ascii", "replace") + base64.encodebytes(data))
    out.append(f"--{digest}--\r\n".encode("ascii"))
    return b"\r\n".join(out)


def _encoded(text: str) -> str:
    if re.fullmatch(r"[\x20-\x7e]*", text) and "=?" not in text and '"' not in text:
        return text
    return f"=?utf-8?b?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="
