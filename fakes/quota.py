"""Quotas as the servers count them: sliding windows over every request that arrives."""

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

_PER_S: Final = {"sec": 1.0, "min": 60.0, "hour": 3600.0}
EPSILON_S: Final = 1e-6
"""What two sums of floats may differ in and still be the same moment: a request exactly T after another
is in the next window, as a client that counts properly expects."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `n` requests in any window of `per` seconds."""

    n: int
    per: float

    def __post_init__(self) -> None:
        if self.n < 1 or not self.per > 0:
            raise ValueError(
                f"a rate needs at least 1 request in more than 0 s, not {self.n} in {self.per} s"
            )


def parse_rate(text: str) -> Rate | None:
    """Read "10/min" (also /sec, /hour), or "none" for no limit; ValueError otherwise."""
    if text == "none":
        return None
    match = re.fullmatch(r"(\d{1,9})\s*/\s*(sec|min|hour)", text)
    if match is None:
        raise ValueError(f'{text!r} is no rate: write "10/sec", "10/min", "600/hour" or "none"')
    return Rate(int(match[1]), _PER_S[match[2]])


def matches(operation: str, pattern: str) -> bool:
    """Whether an operation fits a pattern: globs, "|" between alternatives ("docex.search|tracker.*")."""
    return any(fnmatchcase(operation, glob.strip()) for glob in pattern.split("|"))


def worst_window(times: Iterable[float], per: float) -> int:
    """The most of the times (rising) that lie within any half-open window of `per` seconds. O(n)."""
    window: deque[float] = deque()
    worst = 0
    for moment in times:
        window.append(moment)
        while len(window) > 1 and moment - window[0] >= per - EPSILON_S:
            window.popleft()
        worst = max(worst, len(window))
    return worst


class Quotas:
    """Sliding windows per endpoint and caller, over every request that arrives, refused ones included.

    With refused requests counted, a request is over a quota of n exactly when the n-th before it lies
    in the window; so n times are all that is ever kept.
    """

    def __init__(self, rates: Mapping[str, Rate | None]) -> None:
        self._rates = {pattern: rate for pattern, rate in rates.items() if rate is not None}
        self._endpoints: dict[str, str | None] = {}
        self._arrivals: dict[tuple[str, str], deque[float]] = {}

    def endpoint(self, operation: str) -> str | None:
        """The pattern whose quota an operation is charged to, None for none."""
        try:
            return self._endpoints[operation]
        except KeyError:
            result = next((pattern for pattern in self._rates if matches(operation, pattern)), None)
            return self._endpoints.setdefault(operation, result)

    def per(self, pattern: str) -> float:
        """The window of the endpoint whose quota has this pattern, in seconds."""
        if pattern not in self._rates:
            raise ValueError(f"no quota goes by {pattern!r}: say the window in seconds")
        return self._rates[pattern].per

    def charge(self, endpoint: str, caller: str, now: float) -> float:
        """Count an arrival; the seconds until there is room again when it is over quota, else 0."""
        rate = self._rates[endpoint]
        times = self._arrivals.get((endpoint, caller))
        if times is None:
            times = self._arrivals[endpoint, caller] = deque(maxlen=rate.n)
        over = len(times) == rate.n and now - times[0] < rate.per - EPSILON_S
        times.append(now)
        return max(times[0] + rate.per - now, EPSILON_S) if over else 0.0

    def arrivals(self, endpoint: str, caller: str) -> list[float]:
        """The last arrivals that count, as loop times."""
        return list(self._arrivals[endpoint, caller])

    def restore(self, endpoint: str, caller: str, times: list[float]) -> None:
        """Count arrivals of an earlier process."""
        if endpoint in self._rates:
            self._arrivals[endpoint, caller] = deque(times, maxlen=self._rates[endpoint].n)


def whole_seconds(seconds: float) -> str:
    """A Retry-After that is never too short."""
    return str(max(1, math.ceil(seconds)))
