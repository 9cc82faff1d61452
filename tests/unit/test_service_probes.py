"""Which requests are sent while a service is down, and which one is the cause alone."""

import asyncio
import random

import pytest

from docpipe.errors import PoisonedError
from docpipe.gates import Failure, Gate, Quota, Service, Turn
from docpipe.gates.service import POISONED_AFTER
from docpipe.model import Rate, Ticket, WaitKind
from tests import virtual

pytestmark = pytest.mark.virtual
FAST = Rate(1000, 1.0)
DEAD = Failure("status 503", status=503)


def now() -> float:
    return asyncio.get_running_loop().time()


class World:
    """A service with two endpoints, `ask` and `tell`, and callers that try until they succeed."""

    def __init__(self, rate=FAST, seed=1, *, even=False):
        self.turns = []
        self.service = Service(
            "exchange",
            clock=virtual.wall_clock,
            rng=random.Random(seed),
            listener=lambda _name, turn, outage: self.turns.append((turn, outage)),
        )
        self.gates = {
            name: Gate(
                self.service, Quota.local(f"exchange.{name}", rate, clock=virtual.wall_clock, even=even)
            )
            for name in ("ask", "tell")
        }
        self.works = True
        self.latency = 0.01
        self.sent: list[tuple[float, str]] = []
        self.under_way = self.most_under_way = 0
        self.tasks: dict[str, asyncio.Task] = {}

    async def call(self, run, *, to="ask", poisoned=False, priority=0, ticket=None):
        """As Http.call does, without the HTTP."""
        gate = self.gates[to]
        call = gate.call(ticket or Ticket(run, priority))
        while True:
            place = await gate.enter(call)
            self.sent.append((now(), run))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                await asyncio.sleep(self.latency)
                place.answered()
                if self.works and not poisoned:
                    self.service.answered(call)
                    return
                self.service.failed(call, DEAD)
            except asyncio.CancelledError:
                self.service.abandoned(call)
                raise
            finally:
                self.under_way -= 1
                place.give_up()
            await gate.pause(call, DEAD)

    def start(self, run, **more):
        self.tasks[run] = asyncio.create_task(self.call(run, **more))
        return self.tasks[run]

    async def bring_down(self):
        """Three callers fail."""
        self.works = False
        for number in range(3):
            self.start(f"first{number}")
            await asyncio.sleep(0.001)
        while self.service.up:
            await asyncio.sleep(0.1)
        self.sent.clear()
        self.most_under_way = 0

    async def all(self):
        return await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_one_probes_and_all_others_wait():
    """While the service is down one request is under way at most, an interval apart; then all continue."""
    world = World()
    await world.bring_down()
    for number in range(200):
        world.start(f"run{number}", to="ask" if number % 2 else "tell")
    await asyncio.sleep(600)
    assert world.most_under_way == 1
    gaps = [later[0] - earlier[0] for earlier, later in zip(world.sent, world.sent[1:], strict=False)]
    assert all(
        gap >= 0.75 * longest - 0.02 for gap, longest in zip(gaps, [10, 20, 40, *[60] * 20], strict=False)
    )
    assert all(gap <= 60.1 for gap in gaps)
    world.works = True
    back = now()
    await world.all()
    assert now() - back <= 60 + 0.5
    assert [turn for turn, _ in world.turns] == [Turn.DOWN, *[Turn.STILL_DOWN] * len([*gaps, 0]), Turn.UP]


async def test_callers_in_line_when_it_goes_down_are_not_sent():
    """Callers in the quota's line before the outage stay there."""
    world = World(Rate(10, 10.0), even=True)
    world.works = False
    for number in range(100):
        world.start(f"run{number}")
    await asyncio.sleep(4.5)
    assert not world.service.up
    assert len(world.sent) == 3
    world.works = True
    await world.all()
    assert len(world.sent) == 103


async def test_place_granted_just_before_the_outage_is_handed_back():
    """A caller that holds a place, but has not been sent when the service goes down, waits again."""
    world = World(Rate(1000, 1.0))
    gate = world.gates["ask"]
    await world.bring_down()
    call = gate.call(Ticket("late"))
    place = gate.quota.place(call.ticket)
    place.grant = await gate.quota._places.take(0.0)  # as if granted before it went down
    assert not world.service.admit(call)
    used = gate.quota.view().used
    place.unspent()
    assert gate.quota.view().used == used - 1
    world.works = True
    await world.all()


@pytest.mark.parametrize("even", [False, True])
async def test_all_continue_in_the_order_of_the_line(even):
    """After the outage all go by priority and arrival, failed probers in their old place."""
    world = World(Rate(10, 1.0), even=even)
    await world.bring_down()
    for number in range(20):
        world.start(f"run{number:02}")
        await asyncio.sleep(0.001)
    world.start("urgent", priority=1)
    await asyncio.sleep(300)
    world.works = True
    world.sent.clear()
    await world.all()
    order = [run for _, run in world.sent[1:]]  # the first is the probe that succeeded
    expected = ["urgent", "first0", "first1", "first2", *(f"run{number:02}" for number in range(20))]
    assert order == [run for run in expected if run != world.sent[0][1]]


async def test_the_probe_goes_round():
    """The caller that failed least probes next, at all endpoints: none probes twice before all did once."""
    world = World()
    await world.bring_down()
    for number in range(4):
        world.start(f"run{number}", to="ask" if number % 2 else "tell")
    await asyncio.sleep(250)
    probers = [run for _, run in world.sent]
    assert set(probers[:4]) == {f"run{number}" for number in range(4)}
    world.works = True
    await world.all()


async def test_cancelled_prober_is_replaced_at_once():
    """When the prober is cancelled in the middle, another probes without waiting for an interval."""
    world = World()
    await world.bring_down()
    for number in range(5):
        world.start(f"run{number}")
    world.latency = 3.0
    while not world.sent:
        await asyncio.sleep(0.1)
    world.works = True
    gone = now()
    world.tasks.pop(world.sent[0][1]).cancel()
    await world.all()
    assert world.sent[1][0] - gone <= 0.1


async def test_cancelled_before_its_probe_is_replaced():
    """A waiter that is chosen to probe and leaves in that moment does not take the probe with it."""
    world = World()
    await world.bring_down()
    for number in range(5):
        world.start(f"run{number}")
    world.works, gone, admitted = True, [], world.service.admitted

    def passing_and_gone():
        admitted()
        if not gone:  # run0 has been let go, and is cancelled before it wakes
            gone.append(now())
            asyncio.get_running_loop().call_soon(world.tasks.pop("run0").cancel)

    world.service.admitted = passing_and_gone
    await asyncio.gather(*world.tasks.values(), return_exceptions=True)
    await world.all()
    assert world.sent[0][1] == "run1"
    assert world.sent[0][0] - gone[0] <= 0.1
    assert len(world.sent) == 7


async def test_a_probe_that_is_not_made_passes_to_another_line():
    """The only waiter of an endpoint is chosen to probe and leaves: a waiter of the other endpoint probes."""
    world = World()
    await world.bring_down()
    for task in world.tasks.values():
        task.cancel()
    await world.all()
    world.tasks.clear()
    leaving, other = world.start("leaving"), world.start("other", to="tell")
    world.works, gone, admitted = True, [], world.service.admitted

    def passing_and_gone():
        admitted()
        if not gone:
            gone.append(now())
            asyncio.get_running_loop().call_soon(leaving.cancel)

    world.service.admitted = passing_and_gone
    world.sent.clear()
    async with asyncio.timeout(1000):
        await asyncio.gather(leaving, other, return_exceptions=True)
    assert [run for _, run in world.sent] == ["other"]
    assert world.sent[0][0] - gone[0] <= 0.1


async def test_everybody_who_waits_leaves():
    """An outage without waiting callers ends with the next caller, which probes when it is time."""
    world = World()
    await world.bring_down()
    for task in world.tasks.values():
        task.cancel()
    await world.all()
    world.tasks.clear()
    await asyncio.sleep(1000)
    world.works = True
    came = now()
    await world.start("late")
    assert now() - came <= 0.1


async def test_poisoned_prober_does_not_keep_the_gate_closed():
    """A caller whose request alone fails probes at most once before others do."""
    world = World()
    world.works = False
    world.start("poisoned", poisoned=True, priority=5)
    world.start("other1", poisoned=True, to="tell", priority=5)
    await asyncio.sleep(10)
    assert not world.service.up
    world.works = True
    start = now()
    healthy = [world.start(f"run{number}") for number in range(3)]
    await asyncio.gather(*healthy)
    assert now() - start <= 60
    for task in world.tasks.values():
        task.cancel()
    await world.all()


async def test_poisoned_call_fails_and_others_do_not():
    """A request that alone keeps failing ends in PoisonedError, and the service never goes down for it."""
    world = World()
    poisoned = world.start("poisoned", poisoned=True)

    async def steady(run):
        for _ in range(100):
            await world.call(run)
            await asyncio.sleep(1.0)

    others = [asyncio.create_task(steady(f"run{number}")) for number in range(3)]
    with pytest.raises(PoisonedError, match=r"exchange.ask failed \d+ times for this request alone") as error:
        await poisoned
    assert error.value.status == 503
    failures = sum(run == "poisoned" for _, run in world.sent)
    assert 5 <= failures <= 8
    await asyncio.gather(*others)
    assert world.turns == []


async def test_the_fifth_failure_ends_a_poisoned_call_once_others_were_answered():
    """It is not sent for a sixth time: what others got in the pause after the fifth failure is enough."""
    world = World()
    poisoned = world.start("poisoned", poisoned=True)

    async def steady():
        while not poisoned.done():
            await world.call("steady")
            await asyncio.sleep(0.05)

    await asyncio.gather(poisoned, steady(), return_exceptions=True)
    assert isinstance(poisoned.exception(), PoisonedError)
    assert [run for _, run in world.sent].count("poisoned") == POISONED_AFTER


async def test_several_poisoned_calls_do_not_close_the_gate_together():
    """Failures of calls under suspicion, three in a row, say nothing about the service; of others they do."""
    world = World()
    gate, service = world.gates["ask"], world.service
    poisoned = [gate.call(Ticket(f"bad{number}")) for number in range(3)]
    for call in poisoned:
        service.failed(call, DEAD)
        service.answered(gate.call(Ticket("good")))
    for _ in range(3):
        for call in poisoned:
            service.failed(call, DEAD)
        assert service.up
        service.answered(gate.call(Ticket("good")))
    for number in range(3):
        service.failed(gate.call(Ticket(f"good{number}")), DEAD)
    assert not service.up


async def test_single_caller_alone_is_never_poisoned():
    """Where nobody else is there to compare with, a caller probes forever."""
    world = World()
    alone = world.start("alone", poisoned=True)
    await asyncio.sleep(86400)
    assert not alone.done()
    assert 86400 / 60 <= len(world.sent) <= 86400 / 45 + 10
    alone.cancel()
    await world.all()


async def test_own_lookups_are_no_evidence_against_a_call():
    """Answers to the same run's other requests do not show that a request alone is to blame."""
    world = World()
    alone = world.start("alone", poisoned=True)
    for _ in range(1000):
        await world.call("alone", to="tell")
        await asyncio.sleep(10)
    assert not alone.done()
    alone.cancel()
    await world.all()


@pytest.mark.parametrize("seed", range(3))
async def test_a_service_that_answers_every_second_request_ends_nobody(seed):
    """Where half of all requests fail, a caller with many failures in a row is still not poisoned."""
    world, rng = World(seed=seed), random.Random(seed)
    fair = world.service.answered

    def unfair(call):
        if rng.random() < 0.5:
            world.service.failed(call, DEAD)
            raise ConnectionError
        fair(call)

    world.service.answered = unfair

    async def patient(run):
        gate = world.gates["ask"]
        for _ in range(10):
            call = gate.call(Ticket(run))
            while True:
                async with gate.quota.place(call.ticket, since=call.since, rank=call.failures) as place:
                    if not world.service.admit(call):
                        place.unspent()
                        continue
                    place.answered()
                    try:
                        world.service.answered(call)
                        break
                    except ConnectionError:
                        pass
                await gate.pause(call, DEAD)

    await asyncio.gather(*(patient(f"run{number}") for number in range(100)))


async def test_tickets_tell_what_they_wait_for():
    """In an outage each ticket knows since when, and when the next probe is due."""
    world = World()
    await world.bring_down()
    ticket = Ticket("mine")
    gate = world.gates["tell"]
    world.start("mine", to="tell", ticket=ticket)
    await asyncio.sleep(0.1)
    assert ticket.wait.kind is WaitKind.OUTAGE
    assert ticket.wait.what == "exchange"
    assert ticket.wait.until == pytest.approx(world.service.view().outage.next_probe)
    assert gate.quota.waits()[ticket].place == 1
    await asyncio.sleep(300)
    assert ticket.wait.until >= virtual.wall_clock()  # follows the probes
    world.works = True
    await world.all()
    assert ticket.wait is None
    view = world.service.view()
    assert view.up
    assert len(view.past) == 1
    assert view.past[0].until is not None


async def test_retry_pause_is_shown():
    """While the service is up, the pause before a call's own next try shows on its ticket."""
    world = World()
    gate, ticket = world.gates["ask"], Ticket("mine")
    call = gate.call(ticket)
    world.service.failed(call, DEAD)
    task = asyncio.create_task(gate.pause(call, Failure("status 503", retry_after=20)))
    await asyncio.sleep(1)
    assert ticket.wait.kind is WaitKind.RETRY
    assert ticket.wait.until == pytest.approx(virtual.wall_clock() + 19, abs=0.1)
    await task
    assert ticket.wait is None


async def test_no_rate_waits_for_the_service_too():
    """Without a limiter callers still wait while the service is down, and go all at once after it."""
    world = World(rate=None)
    await world.bring_down()
    for number in range(50):
        world.start(f"run{number}")
    await asyncio.sleep(120)
    assert world.most_under_way == 1
    world.works = True
    await world.all()
    assert world.most_under_way >= 50


@pytest.mark.parametrize("everything", [False, True], ids=["service", "everything"])
async def test_a_pause_holds_a_call_that_was_admitted_before_it(everything):
    """A caller that waits after the gate, such as for a slot, is not sent once a pause has begun."""
    world = World()
    gate = world.gates["ask"]
    call = gate.call(Ticket("run"))
    place = await gate.enter(call)
    assert world.service.may_still(call)
    world.service.pause(everything=everything)
    assert not world.service.may_still(call)
    place.unspent()
    world.service.unpause(everything=everything)
    assert world.service.may_still(call)


async def test_a_probe_that_a_pause_held_back_is_made_by_somebody_else():
    """A prober that a pause keeps from sending is none any more: after the pause the next in line probes."""
    world = World()
    await world.bring_down()
    gate = world.gates["ask"]
    for task in world.tasks.values():
        task.cancel()
    call = gate.call(Ticket("held"))
    place = await gate.enter(call)
    world.service.pause(everything=True)
    assert not world.service.may_still(call)
    place.unspent()
    world.works = True
    world.start("next")
    await asyncio.sleep(300)
    assert world.sent == []
    world.service.unpause(everything=True)
    await asyncio.wait_for(world.tasks["next"], 120)
    assert world.service.up


async def test_pauses_of_a_service_and_of_everything_hold_beside_each_other():
    """Nothing is sent before both have ended, in whichever order; only one is the service's own."""
    world = World()
    world.service.pause(7.0)
    world.service.pause(8.0, everything=True)
    task = world.start("run")
    await asyncio.sleep(10)
    assert world.service.paused_since == 7.0
    assert world.service.wait().what == ""
    world.service.unpause(everything=True)
    await asyncio.sleep(10)
    assert world.sent == []
    assert world.service.wait().what == "exchange"
    world.service.unpause()
    await task
    assert world.service.paused_since is None


@pytest.mark.parametrize("same", [True, False])
async def test_a_stranger_at_one_path_blames_no_call(same):
    """Other runs' answers blame a call only if they are to the same operation: proxies judge by path."""
    world = World()
    service, gate = world.service, world.gates["ask"]
    call = gate.call(Ticket("bad"), "POST 3")
    for number in range(30):
        service.failed(call, Failure("a web page instead of an answer", status=403, stranger=True))
        service.answered(gate.call(Ticket(f"good{number}"), "POST 3" if same else "GET 4"))
    assert service.poisoned(call) is same
