"""Times as text."""

import functools
from datetime import UTC, datetime


@functools.lru_cache(4096)  # the same times are formatted again and again
def iso(when: float | None) -> str | None:
    """A POSIX time as ISO 8601 in UTC with milliseconds, None as None."""
    if when is None:
        return None
    return f"{datetime.fromtimestamp(when, UTC).isoformat(timespec='milliseconds')[:-6]}Z"
