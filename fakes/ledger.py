"""What reached a server, and when."""

from dataclasses import dataclass

from fakes.quota import matches, worst_window


@dataclass(slots=True, eq=False)
class Seen:
    """A request that reached a server."""

    at: float
    """The loop's time of its arrival."""
    operation: str
    """Such as `docex.search`; faults and quotas go by it."""
    method: str
    path: str
    key: str | None
    """Its Idempotency-Key."""
    caller: str
    """A digest of its Authorization header, "" without one."""
    body: str = ""
    """A digest of its body, "" without one."""
    status: int | None = None
    """What was answered, None while nothing is, and for good when the connection was dropped."""
    fault: str | None = None
    """The answer of the fault that it met."""


class Ledger:
    """The requests of one server, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []

    def of(self, pattern: str = "*") -> list[Seen]:
        """The requests whose operation matches."""
        return [seen for seen in self.requests if matches(seen.operation, pattern)]

    def count(self, status: int, pattern: str = "*") -> int:
        """How many were answered with a status."""
        return sum(1 for seen in self.of(pattern) if seen.status == status)

    def worst_window(self, pattern: str, per: float) -> int:
        """The most requests of one caller that arrived within any `per` seconds."""
        callers: dict[str, list[float]] = {}
        for seen in self.of(pattern):
            callers.setdefault(seen.caller, []).append(seen.at)
        return max((worst_window(times, per) for times in callers.values()), default=0)
