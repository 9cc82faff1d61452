"""A caller's place under a quota, and the state of a quota."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docpipe.gates.places import Grant
from docpipe.model import Rate, Ticket

if TYPE_CHECKING:
    from docpipe.gates.quota import Quota


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The state of a quota. Times are of the wall clock."""

    name: str
    rate: Rate | None
    used: int
    """Places that are taken: under way, or answered less than a window ago."""
    waiting: int
    closed_until: float | None
    closed_because: str


class Place:
    """A caller's place under a quota, from joining the line to the end of the attempt."""

    __slots__ = ("_quota", "grant", "over", "rank", "since", "ticket", "waiting_since")

    def __init__(self, quota: "Quota", ticket: Ticket, since: float, rank: int) -> None:
        self._quota = quota
        self.ticket = ticket
        self.since = since
        self.rank = rank
        self.waiting_since = 0.0
        self.grant: Grant | None = None
        self.over = False

    def __aenter__(self) -> Awaitable["Place"]:
        return self._quota.enter(self)  # no coroutine of its own: a hundred thousand may wait here

    async def __aexit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """The attempt is over. If there was no answer, the request may be on its way still."""
        self._quota.leave(self, answered=False)

    def answered(self) -> None:
        """The server has answered, so it has counted the request."""
        self._quota.leave(self, answered=True)

    def unspent(self) -> None:
        """Hand the place back: nothing was sent."""
        self._quota.give_back(self)
