"""Waiting lines: order, fairness, cancellation."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from docpipe.gates.line import Line, Slots
from docpipe.model import PRIORITY_WORTH_S, Ticket, Wait, WaitKind


def ticket(name: str, priority: int = 0) -> Ticket:
    return Ticket(name, priority)


async def test_first_come_first_served_within_a_priority() -> None:
    """Higher priority first, then in order of arrival."""
    line = Line()
    for number, priority in enumerate([0, 5, 0, 5, 9]):
        line.join(ticket(str(number), priority), now=float(number))
    assert [line.let_go().run_id for _ in range(5)] == ["4", "1", "3", "0", "2"]
    assert line.let_go() is None


async def test_nobody_starves() -> None:
    """Who has waited an hour longer than a caller of the next higher priority goes first."""
    line = Line()
    line.join(ticket("patient"), now=0.0)
    line.join(ticket("early urgent", 1), now=PRIORITY_WORTH_S - 1)
    line.join(ticket("late urgent", 1), now=PRIORITY_WORTH_S + 1)
    assert [line.let_go().run_id for _ in range(3)] == ["early urgent", "patient", "late urgent"]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_order_and_places_agree(callers: list[tuple[int, bool]]) -> None:
    """The place told is the order in which callers go on; the cancelled are not counted."""

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
        told = sorted(staying, key=lambda t: line.place(t) or 0)
        assert [line.place(t) for t in told] == list(range(1, len(staying) + 1))
        assert [line.let_go() for _ in staying] == told
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


async def test_a_slot_given_to_a_cancelled_caller_goes_on() -> None:
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
