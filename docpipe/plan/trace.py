"""The record of a simulation. Times are seconds from its start."""

from dataclasses import dataclass, field

Job = tuple[float, float, float]
"""When it was queued, when it started, when it ended."""


@dataclass(slots=True, repr=False)
class Trace:
    """The record. It has no repr: asyncio prints the result of a main task."""

    requests: dict[str, list[float]] = field(default_factory=dict)
    """When each request arrived at its service, by the name of its quota."""
    submitted: int = 0
    searched: list[float] = field(default_factory=list)
    """When each search was accepted."""
    ready: list[float] = field(default_factory=list)
    """When each search was ready."""
    noticed: list[float] = field(default_factory=list)
    """When a poll noticed that, in the order of `ready`."""
    downloads: list[Job] = field(default_factory=list)
    conversions: list[Job] = field(default_factory=list)
    writes: list[Job] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    failed: int = 0
    spool: list[tuple[float, int]] = field(default_factory=list)
    """Bytes that came into the spool, or went."""
    stored_b: int = 0

    @property
    def done_s(self) -> float:
        """When the last run ended."""
        return max(self.ended, default=0.0)
