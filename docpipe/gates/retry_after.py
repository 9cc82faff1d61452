"""Retry-After (RFC 9110, 10.2.3): seconds or a date, and what real servers have sent in its place."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_SECONDS: Final = re.compile(r"[+-]?\d{1,20}(\.\d*)?", re.ASCII)


def retry_after(headers: Mapping[str, str], now: float, cap: float) -> float | None:
    """The seconds that a service asks to wait.

    Args:
        headers: of the answer, case-insensitive.
        now: seconds since the epoch, against which a date is read where the answer has no `Date`.
        cap: the most that is obeyed, in seconds; servers have sent an epoch, in seconds and in milliseconds.

    Returns:
        0 to `cap`, or None where there is no such header or it cannot be read.
    """
    text = headers.get("Retry-After")
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        asked = float(text)
    elif (moment := _date(text)) is not None:
        sent = _date(headers.get("Date", ""))
        asked = max(0.0, moment - (now if sent is None else sent))  # a date just gone by is not absurd
    else:
        log.warning("retry_after_unreadable", length=len(text))
        return None
    obeyed = min(max(asked, 0.0), cap)
    if obeyed != asked:
        log.warning("retry_after_capped", asked_s=asked, obeyed_s=obeyed)
    return obeyed


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
