"""Small pieces of HTML; everything from outside goes through `text`."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final
from urllib.parse import quote

from docpipe.report.labels import one_line

_UNITS: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def text(value: Any, limit: int = 120, *, marked: bool = True) -> str:
    """Text from outside as one line: bounded, escaped, and isolated in its writing direction."""
    if value is None or value == "":
        return ""
    clean = escape(one_line(value, limit))
    return f"<bdi>{clean}</bdi>" if marked and not clean.isascii() else clean


Section = tuple[str, str, str | Iterable[str]]
"""A part of the page: heading, name within the page, and body, in pieces if it is long; "" for no section."""


def section(heading: str, name: str, body: str | Iterable[str]) -> Iterator[str]:
    """The pieces of a part of the page with its heading; nothing where there is no body."""
    if not body:
        return
    yield f'<section class="{name}" aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>\n'
    yield from (body,) if isinstance(body, str) else body
    yield "</section>\n"


def link(key: str, name: str, label: str) -> str:
    """A link to a file of a document, from the run's folder: they are beside each other."""
    return f'<a href="../../{quote(key.rsplit("/", 1)[-1])}/{quote(name)}">{label}</a>'


def moment(when: Any) -> str:
    """A time without its fractions and zone."""
    return escape(str(when or "")[:19].replace("T", " "))


def size(count: int) -> str:
    """A number of bytes with its unit."""
    for unit, word in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count} bytes"
