"""Places under a quota: windows, fairness, cancellation, cost."""

import asyncio
import sys
import tracemalloc

import pytest

from docpipe.gates import Quota
from docpipe.model import Rate, Ticket, WaitKind
from tests import virtual
from tests.gate_world import past_of, quota_of, worst_window

pytestmark = pytest.mark.virtual


def now() -> float:
    return asyncio.get_running_loop().time()


async def spend(quota: Quota, latency: float = 0.0, ticket: Ticket | None = None, into: list | None = None):
    """Make one request that takes so long; note when it was sent."""
    async with quota.place(ticket or Ticket()) as place:
        if into is not None:
            into.append(now())
        await asyncio.sleep(latency)
        place.answered()


@pytest.mark.parametrize(
    ("rate", "latency", "least"),
    [(Rate(10, 60.0), 0.1, 0.98), (Rate(10, 1.0), 0.02, 0.90), (Rate(1, 1.0), 0.0, 0.98)],
)
async def test_uses_nearly_all_of_its_rate(rate, latency, least):
    """Under saturation hardly anything of the quota is left unused."""
    sent, quota, windows = [], quota_of(rate), 60
    start = now()
    await asyncio.gather(*(spend(quota, latency, into=sent) for _ in range(rate.n * windows)))
    assert (len(sent) / ((now() - start) / rate.per)) / rate.n >= least
    assert worst_window(sent, rate.per) <= rate.n


async def test_a_place_is_held_until_a_window_after_its_answer():
    """A slow answer keeps its place taken: the server may have counted the request at the last moment."""
    quota, sent = quota_of(Rate(1, 1.0)), []
    await asyncio.gather(spend(quota, 5.0, into=sent), spend(quota, into=sent))
    assert sent[1] - sent[0] >= 6.0


async def test_a_fresh_quota_lets_as_many_go_at_once_as_it_has_places():
    """A whole window's places go at once, and then none for a window."""
    quota, sent = quota_of(Rate(5, 10.0)), []
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(12)))
    assert sent[4] == sent[0]
    assert worst_window(sent, 10.0) == 5


async def test_even_spacing_lets_one_go_at_a_time():
    """Of 10/min one goes every 6 s, after a pause, too, and from a change of the rate on at its new pace."""
    quota, sent, start = quota_of(Rate(10, 60.0), even=True), [], now()
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(4)))
    await asyncio.sleep(600)
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(2)))
    assert [round(moment - start) for moment in sent] == [0, 6, 12, 18, 618, 624]
    quota.set_rate(Rate(60, 60.0))
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(2)))
    assert [round(moment - start) for moment in sent[6:]] == [624, 625]


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("latency", [0.0, 0.2, 2.0])
@pytest.mark.parametrize("rate", [Rate(20, 3600.0), Rate(10, 60.0), Rate(10, 1.0)], ids=str)
async def test_the_time_that_everybody_is_promised_comes_true(rate, latency, even):
    """Whenever one looks, each in line has a time, and goes at it within 10% or 2 s; the first one, too."""
    quota, went = quota_of(rate, even=even), {}

    async def caller(ticket):
        async with quota.place(ticket) as place:
            went[ticket] = virtual.wall_clock()
            await asyncio.sleep(latency)
            place.answered()

    await asyncio.gather(*(caller(Ticket()) for _ in range(3)))  # it has been used a little before
    await asyncio.sleep(rate.per / 3)
    tasks = [asyncio.create_task(caller(Ticket())) for _ in range(4 * rate.n)]
    promises = []
    for _ in range(7):
        await asyncio.sleep(rate.per / 8 + 0.01)
        looked = virtual.wall_clock()
        waits = quota.waits()
        promises += [(looked, ticket, wait.until) for ticket, wait in waits.items()]
        last = quota.expected(len(waits))
        assert last == pytest.approx(max(wait.until for wait in waits.values()), abs=0.01)
    await asyncio.gather(*tasks)
    assert len(promises) > 10 * rate.n
    for looked, ticket, until in promises:
        assert until >= looked
        assert abs(went[ticket] - until) <= max(2.0, 0.1 * (went[ticket] - looked))


async def test_a_countdown_continues_while_nothing_happens():
    """The time to the next free place shrinks second by second, and does not start anew."""
    quota = quota_of(Rate(20, 3600.0), even=True)
    await spend(quota)
    ticket = Ticket()
    task = asyncio.create_task(spend(quota, ticket=ticket))
    left = []
    for _ in range(4):
        await asyncio.sleep(20)
        quota.refresh()
        left.append(round(ticket.wait.until - virtual.wall_clock()))
    assert left == [160, 140, 120, 100]
    await task


async def test_first_come_first_served():
    """Within a priority nobody passes anybody, newcomers at the moment of a grant included."""
    quota, order = quota_of(Rate(10, 1.0)), []

    async def caller(number):
        async with quota.place(Ticket()):
            order.append(number)
            if number < 5:  # comes again at once, while others wait
                newcomers.append(asyncio.create_task(caller(number + 1000)))

    newcomers: list = []
    await asyncio.gather(*(caller(number) for number in range(50)))
    await asyncio.gather(*newcomers)
    assert order == [*range(50), *range(1000, 1005)]


async def test_newcomer_does_not_take_a_place_that_somebody_waits_for():
    """A caller that arrives when a place has just come free is behind those that wait."""
    quota, order = quota_of(Rate(1, 1.0)), []

    async def caller(name):
        async with quota.place(Ticket()) as place:
            order.append(name)
            place.answered()

    await caller("first")
    waiting = asyncio.create_task(caller("waiting"))
    await asyncio.sleep(1.0021 + 1e-4)  # the place is free in this very moment
    await asyncio.gather(waiting, caller("newcomer"))
    assert order == ["first", "waiting", "newcomer"]


async def test_priority_goes_first_and_waiting_makes_up_for_it():
    """A higher priority jumps the line, but not over callers that have waited an hour for each level."""
    quota, order = quota_of(Rate(1, 3000.0)), []

    async def caller(name, priority, after):
        await asyncio.sleep(after)
        async with quota.place(Ticket("", priority)) as place:
            order.append(name)
            place.answered()

    await asyncio.gather(
        caller("first", 0, 0),
        caller("old", 0, 1),
        caller("new", 0, 2),
        caller("urgent", 1, 10),
        caller("late", 1, 5000),
    )
    assert order == ["first", "urgent", "old", "new", "late"]


async def test_cancelled_waiters_cost_nothing():
    """A caller that leaves the line leaves no gap in it, also in the moment of the grant."""
    quota, sent = quota_of(Rate(10, 1.0)), []
    leaving = [asyncio.create_task(spend(quota)) for _ in range(50)]
    staying = asyncio.create_task(spend(quota, into=sent))
    await asyncio.sleep(0)
    start = now()
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    await staying
    assert sent[0] - start <= 0.11
    assert quota.view().waiting == 0


async def test_cancelled_in_the_moment_of_the_grant_gives_the_place_back():
    """A place granted to a caller that is gone is not lost, and not spent."""
    quota = quota_of(Rate(1, 60.0))
    task = asyncio.create_task(spend(quota))
    while quota.view().used == 0:
        await asyncio.sleep(0)
        if quota.view().used:
            task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert quota.view().used == 0
    start = now()
    await spend(quota)
    assert now() - start <= 60.0  # the pace, but not the window


async def test_place_handed_back_unspent_is_free_at_once():
    """Where nothing was sent nothing is held."""
    quota = quota_of(Rate(2, 10.0))
    async with quota.place(Ticket()) as place:
        place.unspent()
    assert quota.view().used == 0


async def test_a_grant_that_is_confirmed_too_late_is_handed_back():
    """Its caller waits again, and its place does not stay taken."""
    quota = Quota.local("q", Rate(1, 10), clock=virtual.wall_clock)
    confirm, asked = quota._places.confirm, []

    async def late_at_first(grant):
        asked.append(grant)
        return await confirm(grant) and len(asked) > 1

    quota._places.confirm = late_at_first
    async with asyncio.timeout(5), quota.place(Ticket("R")) as place:
        assert [place.grant is grant for grant in asked] == [False, True]
        assert quota.view().used == 1
    assert quota.view().used == 1  # an answer may still come


async def test_given_up_request_may_still_be_on_its_way():
    """A request cancelled right after it was sent holds its place for as long as it may still arrive."""
    quota, sent = quota_of(Rate(1, 1.0)), []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await spend(quota, 10.0, into=sent)
    await spend(quota, into=sent)
    assert sent[1] - sent[0] >= 2.0 + 1.0


async def test_close_holds_everybody():
    """A 429 closes the endpoint for all until then; a shorter one does not open it earlier."""
    quota, sent, start = quota_of(Rate(10, 1.0)), [], now()
    quota.close(30.0, "429")
    quota.close(3.0, "429")
    view = quota.view()
    assert view.closed_because == "429"
    assert view.closed_until == pytest.approx(virtual.wall_clock() + 30.0)
    await spend(quota, into=sent)
    assert sent[0] - start >= 30.0
    assert quota.view().closed_until is None


async def test_close_while_waiting_for_the_pace():
    """A 429 that comes while the next caller is about to go holds that caller too."""
    quota, sent = quota_of(Rate(2, 10.0), even=True), []
    tasks = [asyncio.create_task(spend(quota, into=sent)) for _ in range(2)]
    await asyncio.sleep(1.0)
    quota.close(100.0, "429")
    await asyncio.gather(*tasks)
    assert sent[1] - sent[0] >= 100.0


async def test_no_rate_lets_everybody_go_but_not_when_closed():
    """`rate = "none"` turns the limiter off; a 429 still closes it."""
    quota, sent, start = quota_of(None), [], now()
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(100)))
    assert now() == start
    quota.close(5.0, "429")
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(100)))
    assert sent[100] - start == pytest.approx(5.0, abs=0.001)


async def test_rate_can_change_while_people_wait():
    """A new rate holds from now on; of a longer window nothing is known, so it is waited out."""
    quota, sent = quota_of(Rate(10, 1.0)), []
    tasks = [asyncio.create_task(spend(quota, into=sent)) for _ in range(40)]
    await asyncio.sleep(1.0)
    quota.set_rate(Rate(10, 1.0))  # the same: nothing happens
    changed, before = now(), len(sent)
    quota.set_rate(Rate(20, 60.0))
    await asyncio.gather(*tasks)
    assert sent[before] - changed >= 60.0
    assert worst_window(sent[before:], 60.0) <= 20
    quota.set_rate(None)
    start = now()
    await asyncio.gather(*(spend(quota) for _ in range(100)))
    assert now() == start
    quota.set_rate(Rate(1, 1.0))
    await spend(quota, into=sent)
    assert sent[-1] - start >= 1.0


async def test_shorter_window_takes_effect_at_once():
    """Places held for the old, longer window come free by the new one."""
    quota, start = quota_of(Rate(1, 3600.0)), now()
    await spend(quota)
    waiting = asyncio.create_task(spend(quota))
    await asyncio.sleep(1)
    quota.set_rate(Rate(1, 10.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    quota.set_rate(None)
    await waiting
    assert now() - start <= 3600.0


async def test_tells_what_everybody_waits_for():
    """Each waiter's place in line and when its turn should come are known."""
    quota = quota_of(Rate(1, 10.0))
    await spend(quota)
    tickets = [Ticket(f"run{number}", priority) for number, priority in enumerate([0, 0, 1])]
    tasks = [asyncio.create_task(spend(quota, ticket=ticket)) for ticket in tickets]
    await asyncio.sleep(1)
    reported = quota.waits()
    assert [reported[ticket].place for ticket in tickets] == [2, 3, 1]
    assert reported[tickets[2]].until == pytest.approx(virtual.wall_clock() + 9.0, abs=0.1)
    assert reported[tickets[1]].until == pytest.approx(virtual.wall_clock() + 29.0, abs=0.1)
    assert tickets[0].wait.kind is WaitKind.QUOTA
    assert tickets[0].wait.what == "exchange.ask"
    assert tickets[0].wait.since == pytest.approx(virtual.wall_clock() - 1, abs=0.1)
    assert quota.view().waiting == 3
    await asyncio.gather(*tasks)
    assert [ticket.wait for ticket in tickets] == [None] * 3


@pytest.mark.parametrize("alive_ago", [0.5, 2.0, 60.0])
async def test_short_window_is_waited_out_after_a_kill(alive_ago):
    """However old its last sign of life is: while the database was locked it could not give another."""
    start, sent = now(), []
    quota = quota_of(Rate(10, 1.0), past=past_of(alive=virtual.wall_clock() - alive_ago))
    await spend(quota, into=sent)
    assert 4.0 <= sent[0] - start <= 4.1


async def test_long_window_knows_what_was_spent_before_a_restart():
    """Answered requests hold their places for the rest of their window, others for a whole one."""
    wall, start, sent = virtual.wall_clock(), now(), []
    past = past_of((wall - 59, wall - 58), (wall - 30, wall - 29), (wall - 100, wall - 99), (wall - 1, None))
    quota = quota_of(Rate(3, 60.0), past=past)
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(3)))
    assert [round(moment - start) for moment in sent] == [2, 31, 2 + 60]


async def test_after_a_kill_no_more_is_waited_than_is_owed():
    """A request without an answer was sent while its process lived: 1 s after its last note at most."""
    wall, start, sent = virtual.wall_clock(), now(), []
    past = past_of((wall - 50, None), alive=wall - 45)
    await spend(quota_of(Rate(1, 60.0), past=past), into=sent)
    assert sent[0] - start == pytest.approx(-45 + 1 + 3 + 60, abs=0.1)


async def test_short_window_continues_where_a_clean_stop_left_it():
    """What was spent is known: nothing is closed, and only the places still taken are waited for."""
    wall, start, sent = virtual.wall_clock(), now(), []
    quota = quota_of(Rate(3, 2.0), past=past_of((wall - 1.5, wall - 1.5), (wall - 9, wall - 9)))
    await asyncio.gather(*(spend(quota, into=sent) for _ in range(3)))
    assert [round(moment - start, 1) for moment in sent] == [0.0, 0.0, 0.5]


async def test_wall_clock_set_back_holds_a_window_and_no_longer():
    """Grants that seem to lie in the future hold their places for a bounded time."""
    wall, start, sent = virtual.wall_clock(), now(), []
    quota = quota_of(Rate(1, 60.0), past=past_of((wall + 86400, wall + 86401)))
    await spend(quota, into=sent)
    assert 60.0 <= sent[0] - start <= 64.0


async def crowd(waiters: int) -> tuple[Quota, list[asyncio.Task]]:
    """A quota that is used up, and callers who stand in its line."""
    quota = Quota.local("exchange.ask", Rate(1, 3600.0), clock=virtual.wall_clock)
    await spend(quota)
    tasks = [asyncio.create_task(spend(quota)) for _ in range(waiters)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return quota, tasks


async def leave(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_hundred_thousand_waiters_are_small():
    """A waiter takes less than 2 KB, its task included."""
    tracemalloc.start()
    _, tasks = await crowd(100_000)
    each = tracemalloc.get_traced_memory()[0] / 100_000
    tracemalloc.stop()
    await leave(tasks)
    assert each < 2048


def calls_of(work):
    """The coroutine, and how many Python and C functions it called when it has ended."""
    number = 0

    def count(_frame, event, _arg):
        nonlocal number
        number += event in ("call", "c_call")

    async def counted():
        sys.setprofile(count)
        try:
            await work
        finally:
            sys.setprofile(None)

    return counted(), lambda: number


def test_a_grant_costs_the_same_however_long_the_line():
    """A hundred times as many in line do not make a grant dearer, counted in calls."""

    async def cost(waiters: int) -> int:
        quota, tasks = await crowd(waiters)
        quota.set_rate(Rate(100, 1.0))
        work, number = calls_of(asyncio.wait(tasks[:100]))
        await work
        await leave(tasks)
        return number()

    few, many = virtual.run(cost(200)), virtual.run(cost(20_000))
    assert many < 1.5 * few
