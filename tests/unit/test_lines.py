"""Waiting lines: order, fairness, cancellation."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from docpipe.engine.pipeline import CONCURRENT_DOCUMENTS
from docpipe.gates.line import Line, Slots
from docpipe.model import PRIORITY_WORTH_S, Ticket, Wait, WaitKind
from docpipe.workers.turns import TURN_S, Turns


def ticket(name: str, priority: int = 0) -> Ticket:
    return Ticket(name, priority)


async def test_first_come_first_served_within_a_priority() -> None:
    """Higher priority first, then in order of arrival."""
    line = Line()
    for number, priority in enumerate([0, 5, 0, 5, 9]):
        line.join(ticket(str(number), priority), now=float(number))
    assert [line.let_go(None).run_id for _ in range(5)] == ["4", "1", "3", "0", "2"]
    assert line.let_go(None) is None


async def test_nobody_starves() -> None:
    """A caller that has waited an hour longer than one of the next higher priority goes first."""
    line = Line()
    line.join(ticket("patient"), now=0.0)
    line.join(ticket("early urgent", 1), now=PRIORITY_WORTH_S - 1)
    line.join(ticket("late urgent", 1), now=PRIORITY_WORTH_S + 1)
    assert [line.let_go(None).run_id for _ in range(3)] == ["early urgent", "patient", "late urgent"]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_order_and_places_agree(callers: list[tuple[int, bool]]) -> None:
    """The place is the order in which callers continue; cancelled ones are not counted."""

    async def check() -> None:
        line = Line()
        tickets = [ticket(str(number), priority) for number, (priority, _) in enumerate(callers)]
        turns = [line.join(t, now=float(number)) for number, t in enumerate(tickets)]
        for turn, (_, gone) in zip(turns, callers, strict=True):
            if gone:
                turn.cancel()
        await asyncio.sleep(0)
        staying = [t for t, (_, gone) in zip(tickets, callers, strict=True) if not gone]
        assert len(line) == len(staying)
        reported = sorted(staying, key=lambda t: line.place(t) or 0)
        assert [line.place(t) for t in reported] == list(range(1, len(staying) + 1))
        assert [line.let_go(None) for _ in staying] == reported
        assert line.place(ticket("stranger")) is None

    asyncio.run(check())


async def test_slots_are_bounded_and_given_in_turn() -> None:
    """As many holders as slots; the next one shows what it waits for."""
    clock = asyncio.get_running_loop().time
    slots, held, wait = Slots(2, clock), [], Wait(WaitKind.DOWNLOAD, "", 0)
    leave = asyncio.Event()

    async def hold(who: Ticket) -> None:
        async with slots.hold(who, wait):
            held.append(who.run_id)
            await leave.wait()

    tickets = [ticket("a"), ticket("b"), ticket("c"), ticket("urgent", 3)]
    tasks = [asyncio.create_task(hold(who)) for who in tickets]
    await asyncio.sleep(0)
    assert (held, slots.held) == (["a", "b"], 2)
    assert [who.wait for who in tickets] == [None, None, wait, wait]
    leave.set()
    await asyncio.gather(*tasks)
    assert held == ["a", "b", "urgent", "c"]
    assert slots.held == 0


async def test_a_slot_given_to_a_cancelled_caller_is_passed_on() -> None:
    """No slot is lost when its receiver is cancelled between the gift and its waking."""
    slots = Slots(1, asyncio.get_running_loop().time)
    await slots.acquire(ticket("holder"))
    waiting = asyncio.create_task(slots.acquire(ticket("waiter")))
    await asyncio.sleep(0)
    slots.release()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await asyncio.wait_for(slots.acquire(ticket("next")), 5)


async def served(slots: Slots, tickets: list[Ticket], first: Ticket) -> list[str]:
    """The holders of the slot in their order, when all came at once while `first` held it."""
    order: list[str] = []

    async def one(mine: Ticket) -> None:
        async with slots.hold(mine):
            order.append(mine.run_id)
            await asyncio.sleep(0)

    async with slots.hold(first):
        tasks = [asyncio.create_task(one(mine)) for mine in tickets]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return order


async def test_runs_share_slots() -> None:
    """Runs take turns: many documents of one, that came before, do not hold up the few of another."""
    many, few = [ticket("many") for _ in range(5)], [ticket("few") for _ in range(2)]
    shared = await served(Turns(1, lambda: 0.0, stretch=0.0), [*many, *few], ticket("many"))
    assert shared == ["few", "many", "few", "many", "many", "many", "many"]
    assert await served(Slots(1, lambda: 0.0), [*many, *few], ticket("many")) == ["many"] * 5 + ["few"] * 2


async def test_sharing_keeps_priorities_and_starves_nobody() -> None:
    """The urgent go first, and a run's last document waits a bounded time longer than it would alone."""
    urgent = [ticket("urgent", 1) for _ in range(3)]
    shared = await served(Turns(1, lambda: 0.0, stretch=0.0), [ticket("other"), *urgent], ticket("x"))
    assert shared == ["urgent"] * 3 + ["other"]
    assert CONCURRENT_DOCUMENTS * TURN_S < PRIORITY_WORTH_S


async def test_leaving_shared_slots_leaves_nothing() -> None:
    """Neither those who were served nor those who were cancelled are remembered."""
    slots = Turns(1, lambda: 0.0, stretch=0.0)
    async with slots.hold(ticket("a")):
        leaver = asyncio.create_task(slots.acquire(ticket("b")))
        waiter = asyncio.create_task(served(slots, [], ticket("c")))
        await asyncio.sleep(0)
        leaver.cancel()
        waiter.cancel()
        await asyncio.gather(leaver, waiter, return_exceptions=True)
    assert (slots._of_run, slots.held, len(slots.line)) == ({}, 0, 0)
