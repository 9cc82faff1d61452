"""The position of a run: its current activity and wait, and its wait history; stored every second."""

from typing import Final

import msgspec
from msgspec import Struct

from docpipe.model import Transfer, Wait


class Span(Struct, kw_only=True):
    """A wait of an activity. Times are seconds since the epoch."""

    activity: str
    kind: str
    what: str
    since: float
    until: float | None = None
    """None while it lasts."""


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The current step of a run and its wait, stored for other processes and for `resume`."""

    activity: str
    since: float
    """When the step started, in seconds since the epoch."""
    wait: Wait | None
    waited: list[Span] = []
    """The wait history so far."""
    progress: float | None = None
    """The exchange's own report of the progress of a search, from 0 to 1."""
    transfer: Transfer | None = None
    """How far the download is."""


_NONE: Final = "{}"
_decode: Final = msgspec.json.Decoder(Position).decode


def position_of(text: str) -> Position | None:
    """Decode a stored position; None between steps.

    None too for one that does not fit: it is for display, and no run depends on it.
    """
    if text == _NONE:
        return None
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None
