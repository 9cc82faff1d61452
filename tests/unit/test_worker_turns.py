"""Places in a pool of workers: a run keeps its place for a stretch, and others are not held up for long."""

import asyncio
from collections.abc import Iterable

from docpipe.engine.pipeline import CONCURRENT_DOCUMENTS
from docpipe.model import Ticket
from docpipe.workers.turns import STRETCH_S, Turns


async def served(places: Turns, tickets: Iterable[Ticket], holder: Ticket, spent: list[float]) -> list[str]:
    """The order in which tickets are served after one that holds the only place; each takes a second."""
    order = []

    async def one(ticket: Ticket) -> None:
        async with places.hold(ticket):
            order.append(ticket.run_id)
            spent[0] += 1.0

    async with places.hold(holder):
        tasks = [asyncio.create_task(one(ticket)) for ticket in tickets]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return order


def turns(spent: list[float], stretch: float = 3.0) -> Turns:
    return Turns(1, lambda: 0.0, stretch, lambda: spent[0])


async def test_a_run_keeps_its_place_for_a_stretch() -> None:
    """Documents of one run follow each other for three seconds; then the next run has its turn."""
    spent = [0.0]
    tickets = [Ticket(name) for name in "aaaaabbbbc"]
    order = await served(turns(spent), tickets, Ticket("holder"), spent)
    assert "".join(order) == "aaabbbcaab"


async def test_without_a_stretch_runs_alternate() -> None:
    """Each document has a turn of its own."""
    spent = [0.0]
    order = await served(turns(spent, 0.0), [Ticket(name) for name in "aaabb"], Ticket("holder"), spent)
    assert "".join(order) == "ababa"


async def test_the_urgent_do_not_wait_for_a_stretch() -> None:
    """A place goes to a higher priority as soon as a document has ended."""
    spent = [0.0]
    tickets = [*(Ticket("a") for _ in range(3)), Ticket("urgent", 1)]
    assert await served(turns(spent), tickets, Ticket("a"), spent) == ["urgent", "a", "a", "a"]


async def test_a_slow_document_ends_the_stretch() -> None:
    """A run whose documents take minutes hands nothing on: others do not wait for a second one."""
    spent = [0.0]
    places = turns(spent, STRETCH_S)
    async with places.hold(Ticket("a")):
        tasks = [asyncio.create_task(served(places, [], Ticket("a"), spent)) for _ in range(2)]
        other = asyncio.create_task(served(places, [], Ticket("b"), spent))
        await asyncio.sleep(0)
        spent[0] += 300.0
    await other
    assert not all(task.done() for task in tasks)
    await asyncio.gather(*tasks)


async def test_leaving_leaves_nothing() -> None:
    """Who is cancelled in line, or as the place is handed over, leaves no trace and loses no place."""
    spent = [0.0]
    places = turns(spent)
    ticket = Ticket("a")
    async with places.hold(ticket):
        waiters = [asyncio.create_task(served(places, [], Ticket("a"), spent)) for _ in range(3)]
        other = asyncio.create_task(served(places, [], Ticket("b"), spent))
        await asyncio.sleep(0)
        waiters[1].cancel()
        await asyncio.sleep(0)
    waiters[0].cancel()  # the place is its own by now
    results = await asyncio.gather(*waiters, other, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        asyncio.CancelledError,
        list,
        list,
    ]
    assert (places.held, len(places.line), places._of_run, places._next) == (0, 0, {}, {})


async def test_spinning_files_hold_up_nobody() -> None:
    """Others begin as soon as a place is free, however many files of one patient run to their time limit."""
    now, order = [0.0], []
    places = Turns(2, lambda: now[0], STRETCH_S, lambda: now[0])
    at_once = asyncio.Semaphore(CONCURRENT_DOCUMENTS)

    async def convert(run: str, seconds: float) -> None:
        async with places.hold(Ticket(run)):
            order.append(run)
            ends = now[0] + seconds
            while now[0] < ends:
                await asyncio.sleep(0)

    async def spin() -> None:
        async with at_once:
            await convert("spinning", 300.0)

    async def pass_time() -> None:
        while True:
            now[0] += 30.0
            await asyncio.sleep(0)

    time = asyncio.create_task(pass_time())
    spinning = [asyncio.create_task(spin()) for _ in range(1_000)]
    for come_after in (1, 5, 40, 200):
        while order.count("spinning") < come_after:
            await asyncio.sleep(0)
        before = len(order)
        await asyncio.gather(*(convert(f"other{number}", 1.0) for number in range(20)))
        assert order[before:].count("spinning") <= 2, "one for each place"
    for task in (time, *spinning):
        task.cancel()
    await asyncio.gather(time, *spinning, return_exceptions=True)
    assert (places.held, len(places.line)) == (0, 0)
