"""The members of an archive of any kind: each with its bytes in chunks, or what is wrong with it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from docpipe.model import Outcome

BLOCK: Final = 2**18
"""Bytes read or unpacked at a time: enough that the interpreter's lock is free most of the time."""
EMPTY: Final = "The file is empty."
LINK: Final = "Not a file, but a link to another place on a computer."
DEVICE: Final = "Not a file, but a device or a pipe."


class BadMemberError(Exception):
    """One member cannot be unpacked; the message is the reason, for people."""


class NotAnArchiveError(Exception):
    """The file is no archive of this kind, or nothing of it can be recovered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a member that is known before it is unpacked."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive. Its name is for people; it never becomes a path."""

    name: str
    size: int
    """Bytes, as the archive claims."""
    chunks: Callable[[], Iterator[bytes]]
    """Unpacks it, at most `BLOCK` bytes at a time. Raises BadMemberError."""
    packed: int | None = None
    """Bytes that it takes in the archive, None where members are not packed one by one."""
    modified: str | None = None
    """ISO 8601 date, None where the archive does not know."""
    verdict: Verdict | None = None
    settled: Verdict | None = None
    """The outcome of a member whose bytes are kept."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive that could be opened."""

    members: Iterable[Member]
    more: Callable[[], int] = int
    """How many members were not listed, since there are too many. Call after `members` has ended."""
    damaged: Callable[[], bool] = bool
    """Whether files may be missing. Call after `members` has ended."""
