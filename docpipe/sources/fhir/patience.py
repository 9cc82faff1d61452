"""Bounds the wait for an origin that is not the server's own: a file there must not delay its patient."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from docpipe.gates import Gate
from docpipe.http import DownloadError, Fetch
from docpipe.model import Clock, WaitKind

PROBE_S = 60.0
"""An origin that has been down for long enough already gets a single attempt of this many seconds."""


class UnansweredError(Exception):
    """An origin did not answer in time; the message is the reason, for people."""


class OriginPatience:
    """The attempts at one file, bounded in time while another origin than the server's does not answer.

    An outage of the server itself, a pause, and a body that arrives are not bounded.

    Args:
        fetch: the download.
        home: the server's own origin.
        longest: seconds without an answer; None for no bound.
        clock: the wall clock.
    """

    def __init__(self, fetch: Fetch, home: str, longest: float | None, clock: Clock) -> None:
        self._fetch = fetch
        self._home = home
        self._longest = longest
        self._clock = clock
        self._until: float | None = None

    def begin(self, origin: str, gate_of: Callable[[str], Gate]) -> None:
        """Begin with the first attempt; an outage that began earlier counts.

        Raises:
            UnansweredError: if the origin is down for long enough already, and no probe is due.
        """
        if self._longest is None or origin == self._home:
            return
        outage = gate_of(origin).service.view().outage
        now = self._clock()
        if outage is None or outage.since > now:  # the clock may have been set back
            return
        left = outage.since + self._longest - now
        if left <= 0 and outage.next_probe is not None and outage.next_probe > now:
            raise self._error(origin)
        self._until = asyncio.get_running_loop().time() + max(left, PROBE_S)

    @contextlib.asynccontextmanager
    async def attempt(self) -> AsyncIterator[asyncio.Timeout]:
        """Make one attempt; reschedule what it yields to None once the body arrives.

        Raises:
            DownloadError: if it ended for the bound, which does not hold for where it was sent.
            UnansweredError: if the origin did not answer in time.
        """
        loop = asyncio.get_running_loop()
        if self._longest is not None and self._until is None:
            self._until = loop.time() + self._longest
        try:
            async with asyncio.timeout_at(self._until) as bound:
                yield bound
            self._until = None
        except TimeoutError as error:
            if not bound.expired():
                raise
            self._until = None
            origin = self._fetch.origin
            if origin is None or origin == self._home or self._paused():
                raise DownloadError from error
            raise self._error(origin) from error

    def _paused(self) -> bool:
        wait = self._fetch.service_wait
        return wait is not None and wait.kind is WaitKind.PAUSE

    def _error(self, origin: str) -> UnansweredError:
        minutes = max(1, round((self._longest or 0) / 60))
        time = "1 minute" if minutes == 1 else f"{minutes} minutes"
        host = urlsplit(origin).hostname
        return UnansweredError(f"The server that holds it ({host}) did not answer for {time}.")
