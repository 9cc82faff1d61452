"""Authentication: the token, the sessions of the page, and a limit on guessing."""

import hashlib
import hmac
import ipaddress
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from docpipe.config.parsing import Secret

SESSION_S: Final = 12 * 3600.0
"""A session ends this long after its login."""
CODE_S: Final = 900.0
"""A sign-in link works for this long."""
GUESSES: Final = 10
"""As many bad tokens may come from an address within `WITHIN_S`."""
WITHIN_S: Final = 60.0
_MOST_SESSIONS: Final = 1000
_MOST_ADDRESSES: Final = 4096
_IPV6: Final = 6


class Token:
    """The token that requests have to present."""

    def __init__(self, token: Secret) -> None:
        self._digest = _digest(token.reveal())

    def same(self, token: str) -> bool:
        """Whether it is this; takes as long for every wrong one."""
        return hmac.compare_digest(self._digest, _digest(token))


class Sessions:
    """Sessions that began with the token; they end with the process at the latest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[bytes, float] = {}  # by digest, in the order of their beginning

    def begin(self) -> str:
        """Begin a session; returns its cookie, which is random and independent of the token."""
        now = self._clock()
        self._ends = {key: end for key, end in self._ends.items() if end > now}
        while len(self._ends) >= _MOST_SESSIONS:
            del self._ends[next(iter(self._ends))]
        cookie = secrets.token_urlsafe(32)
        self._ends[_digest(cookie)] = now + SESSION_S
        return cookie

    def good(self, cookie: str) -> bool:
        """Whether the session has begun and not ended."""
        return self._ends.get(_digest(cookie), 0.0) > self._clock()

    def end(self, cookie: str) -> None:
        """End a session."""
        self._ends.pop(_digest(cookie), None)


class OneTimeCodes:
    """Codes of printed sign-in links: each works once, for `CODE_S` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[bytes, float] = {}

    def issue(self) -> str:
        """A new code."""
        code = secrets.token_urlsafe(16)
        self._ends[_digest(code)] = self._clock() + CODE_S
        return code

    def redeem(self, code: str) -> bool:
        """Whether the code was good until now."""
        return self._ends.pop(_digest(code), 0.0) > self._clock()


class Guesses:
    """Counts bad tokens by the address that they came from."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bad: dict[str, deque[float]] = {}

    def pause(self, address: str | None) -> float:
        """For how many seconds no token is taken from the address, zero for at once."""
        times = self._bad.get(_network(address))
        if times is None or len(times) < GUESSES:
            return 0.0
        return max(0.0, times[0] + WITHIN_S - self._clock())

    def bad(self, address: str | None) -> None:
        """A bad token came from there."""
        now, network = self._clock(), _network(address)
        if network not in self._bad and len(self._bad) >= _MOST_ADDRESSES:
            self._bad = {key: times for key, times in self._bad.items() if times[-1] + WITHIN_S > now}
            if len(self._bad) >= _MOST_ADDRESSES:
                del self._bad[next(iter(self._bad))]
        self._bad.setdefault(network, deque(maxlen=GUESSES)).append(now)


def _network(address: str | None) -> str:
    """The address; of IPv6 its /64 network, which usually belongs to one client."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if parsed.version == _IPV6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
