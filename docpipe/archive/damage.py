"""Turns unforeseen errors of archive readers into damage of one member, whose reading ends."""

import errno
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final, TypeVar

import structlog

from docpipe.archive.member import BadMemberError, NotAnArchiveError
from docpipe.archive.unpack import DAMAGED

log = structlog.get_logger(__name__)
T = TypeVar("T")
_OF_THE_BYTES: Final = frozenset({None, errno.EINVAL, errno.EOVERFLOW, errno.ESPIPE})
"""Errors of seek and read that numbers in the archive cause; all others are the disk's."""


def is_damage(error: Exception) -> bool:
    """Whether an unforeseen error is the archive's fault, rather than the disk's or the caller's."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_BYTES
    return not isinstance(error, CancelledError)


def contained(parts: Iterable[T]) -> Iterator[T]:
    """Yield members or bytes; any error but the disk's ends them as damage.

    Raises:
        BadMemberError: for the bytes of a member, or for all further members.
        NotAnArchiveError: as `parts` raises it.
        OSError: if the disk fails or is full.
        CancelledError: of concurrent.futures, if stopped.
    """
    try:
        yield from parts
    except (BadMemberError, NotAnArchiveError):
        raise
    except Exception as error:
        if not is_damage(error):
            raise
        note(error)
        raise BadMemberError(DAMAGED) from error


def note(error: Exception) -> None:
    """Log the type and place of an error, without its message, which may hold names."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    log.warning("archive_reader_failed", error=f"{type(error).__name__} at {place}")
