"""Detects forward jumps of a server's clock."""

from typing import Final

_SLACK_S: Final = 0.25
_DRIFT: Final = 2e-4  # between two clocks that are kept by NTP


class ClockWatch:
    """Compares the clock of a server with this process's monotonic one. All times are in seconds.

    A reading of the server's clock was taken between sending a request and receiving its answer, so that the
    difference of both clocks is between two bounds; they are kept as tight as the readings allow.
    """

    def __init__(self) -> None:
        self._least = self._most = 0.0
        self._at: float | None = None

    def jumped(self, reading: float, sent: float, received: float) -> bool:
        """Take another reading; returns whether the server's clock went forwards faster than time does."""
        least, most = reading - received, reading - sent
        if self._at is None:
            self._least, self._most, self._at = least, most, received
            return False
        drift = _DRIFT * max(0.0, received - self._at)
        jumped = least > self._most + drift + _SLACK_S
        if jumped or most < self._least - drift - _SLACK_S:  # backwards is for the scripts to see
            self._least, self._most = least, most
        else:
            self._least = max(self._least - drift, least)
            self._most = max(self._least, min(self._most + drift, most))
        self._at = received
        return jumped
