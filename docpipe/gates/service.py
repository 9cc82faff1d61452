"""One service behind one gate: its health, its probes, and requests that fail for a reason of their own."""

import asyncio
import math
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from docpipe.gates.barrier import WaitingLine
from docpipe.gates.health import Health, Turn
from docpipe.gates.places import Grant
from docpipe.model import Clock, Ticket, Wait, WaitKind

log = structlog.get_logger(__name__)

POISONED_AFTER: Final = 5
"""A request has to fail this often, each time followed by others' success, before it counts as poisoned."""
POISONED_BY_OWN: Final = 2
"""Where a stranger answers, it has to fail so often after others' success in the same operation."""
_BAD_LUCK: Final = 1e-6  # and so many failures in a row have to be less likely than this, as others fare
_KEEP_OUTAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt without a usable answer."""

    reason: str
    """A few words without secrets or patient data."""
    sent: bool = True
    """Whether the request may have reached the service."""
    retry_after: float = 0.0
    status: int | None = None
    cure: str = ""
    """What to do about it, where that is known."""
    stranger: bool = False
    """Whether a proxy seems to have answered in place of the service, as proxies do at single paths."""
    ours: bool = False
    """Whether the configuration here seems to be at fault: then the waits name cause and cure."""

    @property
    def sentence(self) -> str:
        """Cause, and cure where that is to be applied here."""
        return f"{self.reason}; {self.cure}" if self.ours and self.cure else self.reason


@dataclass(slots=True, eq=False)
class Call:
    """One request of one run to one service, through all its attempts. `since` is of the loop's clock."""

    ticket: Ticket
    since: float
    operation: str = ""
    """What it asks for, such as `GET /v1/tasks`: only answers to the same show that the fault is its own."""
    failures: int = 0
    """Own attempts that failed, all in a row: the first answer ends a call."""
    suspicions: int = 0
    """How many of them were followed by others' success and then failed again."""
    mark: int = 0
    """What the service's count of answers was at the last failure."""
    own_mark: int = 0
    """Likewise, the operation's."""
    own_suspicions: int = 0
    """How many of the failures were followed by others' success in the operation and then failed again."""
    strange: bool = False
    """Whether a stranger was the latest to answer."""
    answers_before: int = 0
    failures_before: int = 0
    """What the service's counts were before the first failure."""
    own_answers_before: int = 0
    own_failures_before: int = 0
    """Likewise, the operation's."""


@dataclass(slots=True)
class _Tally:
    """How the calls for one operation fared."""

    answers: int = 0
    failures: int = 0
    latest: tuple[str | int, int] = ("", 0)
    """The latest answer: run, and count of answers then."""
    other: tuple[str | int, int] = ("", 0)
    """Likewise, to another run than that."""

    def note(self, run: str | int) -> None:
        """Count an answer to a run."""
        self.answers += 1
        if self.latest[0] != run:
            self.other = self.latest
        self.latest = run, self.answers

    def share(self, answers: int, failures: int) -> float:
        """An estimate of the share of calls that fail, by what came after these counts."""
        answered, failed = self.answers - answers, max(0, self.failures - failures)
        return (failed + 1) / (answered + failed + 2)

    def others_since(self, mark: int, run: str | int) -> bool:
        """Whether another run was answered since there were so many answers."""
        return (self.other if self.latest[0] == run else self.latest)[1] > mark


@dataclass(frozen=True, slots=True)
class Outage:
    """A time when a service was down. Times are of the wall clock; `until` is None while it lasts."""

    since: float
    reason: str
    probes: int
    next_probe: float | None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The state of a service."""

    name: str
    up: bool
    outage: Outage | None
    past: tuple[Outage, ...]
    paused_since: float | None = None
    outages: int = 0
    """How many are over, since the start of the process; `past` are the latest of them."""


class Service:
    """A service that can be down. Made and used inside one event loop.

    It waits for nothing itself: callers stand in the lines of its quotas, whose pumps check here who may go.

    Args:
        name: such as `docex`.
        clock: the wall clock, for views and waits.
        rng: spreads probes and retries.
        health: its thresholds and intervals.
        listener: called at every turn, after the state has changed.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        rng: random.Random,
        health: Health | None = None,
        listener: Callable[[str, Turn, Outage], None] | None = None,
    ) -> None:
        self.name = name
        self.rng = rng
        self._health = health or Health(rng)
        self.clock = clock
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._lines: list[WaitingLine] = []
        self._offered = False  # a caller was admitted to probe, and has not yet sent
        self._prober: Call | None = None
        self._probe_sent = 0.0
        self._wait: Wait | None = None
        self._ours = ""  # the last failure for which something here, such as the configuration, is at fault
        self._pauses: dict[str, Wait] = {}  # by what is paused: this service, or with no name everything
        self._all = _Tally()
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)  # by operation
        self._outages = 0
        self._past: deque[Outage] = deque(maxlen=_KEEP_OUTAGES)

    def attach(self, line: WaitingLine) -> None:
        """Guard a quota: while the service is down, only the probe gets a place under it."""
        self._lines.append(line)

    @property
    def up(self) -> bool:
        """Whether all callers may be sent."""
        return self._health.up

    # The barrier before the quotas

    def obstacle(self, line: WaitingLine, now: float) -> float:
        """Seconds for which no caller of this line may pass."""
        if self._pauses:
            return math.inf
        if self._health.up:
            return 0.0
        if self._offered or self._prober is not None:
            return math.inf
        if (left := self._health.probe_at - now) > 0:
            return left
        best = min(other.rank(now) for other in self._lines)
        return 0.0 if line.rank(now) <= best else math.inf

    def admitted(self) -> None:
        """A caller was admitted; while the service is down, to probe."""
        self._offered = not self._health.up

    def withdrawn(self) -> None:
        """An admitted caller does not send after all, or a waiting one left the line."""
        if not self._health.up:
            self._offered = False
            self._recheck_lines()

    def wait(self) -> Wait | None:
        """What callers wait for, None while the service is up."""
        return self._pauses.get("") or self._pauses.get(self.name) or self._wait

    # Pauses

    @property
    def paused_since(self) -> float | None:
        """Since when this service alone is paused, None while it is not."""
        wait = self._pauses.get(self.name)
        return None if wait is None else wait.since

    def pause(self, since: float | None = None, *, everything: bool = False) -> None:
        """Admit no caller, probes included, until `unpause`; requests in progress are answered.

        Args:
            since: when the pause began, where that was before this process.
            everything: the pause of all of docpipe, which holds beside that of the service alone.
        """
        what = "" if everything else self.name
        if what not in self._pauses:
            self._pauses[what] = Wait(WaitKind.PAUSE, what, self.clock() if since is None else since)
            self._barrier_changed()
            if not everything:  # the engine logs the other
                log.info("service_paused", service=self.name)

    def unpause(self, *, everything: bool = False) -> None:
        """End a pause."""
        if self._pauses.pop("" if everything else self.name, None) is not None:
            self._barrier_changed()
            if not everything:
                log.info("service_unpaused", service=self.name)

    # Attempts

    def admit(self, call: Call, grant: Grant | None = None) -> bool:  # noqa: ARG002 -- of shared services
        """Whether the call, which has a grant, may be sent now; while the service is down, as its probe."""
        if self._health.up:
            return not self._pauses
        self._offered = False
        if self._pauses:
            return False
        now = self._loop.time()
        if self._prober is not None or now < self._health.probe_at:
            return False
        self._prober, self._probe_sent = call, now
        return True

    def may_still(self, call: Call) -> bool:
        """Whether a call that was admitted a while ago may be sent: it is the probe, or the service is up.

        During a pause it may not, and is no probe any more.
        """
        if self._pauses:
            self.abandoned(call)
            return False
        return self._health.up or call is self._prober

    def answered(self, call: Call) -> None:
        """The call was answered, well or not: the service is up."""
        for tally in (self._all, self._tallies[call.operation]):
            tally.note(_run(call))
        self.responding()

    def responding(self) -> None:
        """An answer has begun, and may still break off: enough to admit all callers."""
        since = self._since()
        if (turn := self._health.answered()) is not None:
            self._offered, self._prober = False, None
            self._turned(turn, since)

    def failed(self, call: Call, failure: Failure) -> None:
        """An attempt of the call failed."""
        counts = self._weigh(call, failure)
        now, retry_after = self._loop.time(), failure.retry_after
        if call is self._prober:
            self._prober = None
            turn = self._health.probe_failed(self._probe_sent, now, failure.sentence, retry_after)
            self._turned(turn, self._since())
        elif counts and (tripped := self._health.failed(now, failure.sentence, retry_after)) is not None:
            self._turned(tripped, self._since())

    def abandoned(self, call: Call) -> None:
        """The call was cancelled in the middle: if it was the probe, another one probes."""
        if call is self._prober:
            self._prober = None
            self._recheck_lines()

    # Is one request at fault, or the service?

    def _weigh(self, call: Call, failure: Failure) -> bool:
        """Note a failure of the call; return whether it counts against the service.

        It does not if others were answered since the call failed before.
        """
        run, every, tally = _run(call), self._all, self._tallies[call.operation]
        call.strange = failure.stranger
        if failure.ours:
            self._ours = failure.sentence
        if not call.failures:
            call.answers_before, call.failures_before = every.answers, every.failures
            call.own_answers_before, call.own_failures_before = tally.answers, tally.failures
        alone = bool(call.failures) and every.others_since(call.mark, run)
        call.suspicions += alone
        call.own_suspicions += bool(call.failures) and tally.others_since(call.own_mark, run)
        call.failures += 1
        call.mark, call.own_mark = every.answers, tally.answers
        every.failures += 1
        tally.failures += 1
        return not alone

    def poisoned(self, call: Call) -> bool:
        """Whether the failures are the call's own, and not the service's.

        Where others fail too, now and then, it takes more failures to be sure: a service that answers every
        second request must not end anybody's run. Where a stranger answered in place of the service, only
        other runs' answers to the same operation count: firewalls and proxies judge by path.
        """
        if call.strange:
            if call.own_suspicions < POISONED_BY_OWN or call.failures < POISONED_AFTER:
                return False
            tally = self._tallies[call.operation]
            share = tally.share(call.own_answers_before, call.own_failures_before + call.failures)
            return share**call.failures < _BAD_LUCK
        others = call.failures > 0 and self._all.others_since(call.mark, _run(call))
        suspicions = call.suspicions + others
        share = self._all.share(call.answers_before, call.failures_before + call.failures)
        return suspicions >= POISONED_AFTER and share**suspicions < _BAD_LUCK

    # Views

    def _barrier_changed(self) -> None:
        for line in self._lines:
            line.barrier_changed()

    def _recheck_lines(self) -> None:
        for line in self._lines:
            line.recheck()

    def _since(self) -> float:
        since = self._health.down_since
        return self._wall(self._loop.time() if since is None else since)

    def _wall(self, moment: float) -> float:
        return self.clock() + moment - self._loop.time()

    def _turned(self, turn: Turn, since: float) -> None:
        health = self._health
        next_probe = None if health.up else self._wall(health.probe_at)
        until = self.clock() if health.up else None
        outage = Outage(since, health.reason, health.probes, next_probe, until)
        if health.up:
            self._wait = None
            self._past.append(outage)
            self._outages += 1
            log.info(
                "service_up", service=self.name, down_s=round(outage.until - since, 1) if outage.until else 0
            )
        else:
            self._wait = Wait(*self._waited_for(), since, next_probe)
            log.warning(
                "service_down" if turn is Turn.DOWN else "service_probe_failed",
                service=self.name,
                reason=health.reason,
                next_probe_s=round(health.probe_at - self._loop.time(), 1),
            )
        self._barrier_changed()
        if self._listener is not None:
            self._listener(self.name, turn, outage)

    def _waited_for(self) -> tuple[WaitKind, str]:
        """What calls wait for now; where something here is at fault, with its cure."""
        if self._health.reason == self._ours:
            return WaitKind.LOCAL, f"{self.name} cannot be used: {self._ours}"
        return WaitKind.OUTAGE, self.name

    def view(self) -> ServiceView:
        """The state of the service now."""
        outage = None
        if not self._health.up:
            next_probe = self._wall(self._health.probe_at)
            outage = Outage(self._since(), self._health.reason, self._health.probes, next_probe)
        return ServiceView(
            self.name, self._health.up, outage, tuple(self._past), self.paused_since, self._outages
        )


def _run(call: Call) -> str | int:
    """The run of a call; a call without a run stands for itself."""
    return call.ticket.run_id or id(call.ticket)
