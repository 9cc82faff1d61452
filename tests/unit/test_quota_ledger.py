"""What a quota writes down: before it sends where the window is long, never where it is short."""

import asyncio

import pytest

from docpipe.gates import Quota
from docpipe.model import Rate, Ticket
from tests import virtual
from tests.gate_world import Noted

pytestmark = pytest.mark.virtual


class SlowLedger:
    """A ledger that takes a second to become durable, and tells in which order things happened."""

    def __init__(self, fails=False):
        self.story = []
        self.fails = fails
        self.asked_since = None

    now = staticmethod(virtual.wall_clock)

    async def granted(self, _quota, at):
        await asyncio.sleep(1.0)
        if self.fails:
            raise OSError("the disk is gone")
        self.story.append(("written", at))
        return len(self.story)

    def answered(self, _quota, grant, at):
        self.story.append(("answered", grant, at))

    def spent(self, _quota, at):
        self.story.append(("spent", at))

    def settled(self, _quota, at):
        self.story.append(("settled", at))

    async def grants(self, _quota, since):
        self.asked_since = since
        return [Noted(virtual.wall_clock() - 1, None)]

    async def last_alive(self):
        return virtual.wall_clock() - 86400


def quota_with(ledger, rate=Rate(1, 60.0)):  # noqa: B008 -- frozen
    return Quota.local("exchange.ask", rate, clock=virtual.wall_clock, ledger=ledger)


async def test_grant_is_durable_before_it_is_sent():
    """A crash right after sending finds the grant in the ledger."""
    ledger = SlowLedger()
    async with quota_with(ledger).place(Ticket()) as place:
        assert [entry[0] for entry in ledger.story] == ["written"]
        ledger.story.append(("sent",))
        place.answered()
    assert [entry[0] for entry in ledger.story] == ["written", "sent", "answered"]
    assert ledger.story[2][2] == virtual.wall_clock()


async def test_unspent_grant_is_taken_back():
    """A grant that was written down but not sent is noted as long over."""
    ledger = SlowLedger()
    async with quota_with(ledger).place(Ticket()) as place:
        place.unspent()
    assert ledger.story[1] == ("answered", 1, 0.0)


async def test_given_up_grant_is_noted_with_its_time_on_the_way():
    """What was given up right after sending is noted as over only when it can no longer arrive."""
    ledger = SlowLedger()
    async with quota_with(ledger).place(Ticket()):
        sent = virtual.wall_clock()
    assert ledger.story[1] == ("answered", 1, pytest.approx(sent + 3.0))


async def test_short_windows_write_nothing():
    """Ten a second would be ten commits a second for a wait of one."""
    ledger = SlowLedger()
    async with quota_with(ledger, Rate(10, 1.0)).place(Ticket()) as place:
        place.answered()
    assert ledger.story == []


async def test_nothing_is_sent_where_the_ledger_fails():
    """Where a grant cannot be written down it is not sent, and holds no place."""
    quota = quota_with(SlowLedger(fails=True))
    with pytest.raises(OSError, match="disk"):
        async with quota.place(Ticket()):
            raise AssertionError("sent")
    assert quota.view().used == 0


async def test_cancelled_while_it_is_written_down():
    """A caller that leaves while its grant is written down holds no place."""
    quota = quota_with(SlowLedger())

    async def spend():
        async with quota.place(Ticket()):
            raise AssertionError("sent")

    task = asyncio.create_task(spend())
    await asyncio.sleep(0.5)
    assert quota.view().used == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert quota.view().used == 0


async def test_restored_from_what_the_ledger_knows():
    """A restored quota asks the ledger far enough back, and holds what may have been spent."""
    ledger = SlowLedger()
    async with await Quota.restored("exchange.ask", Rate(1, 60.0), virtual.wall_clock, ledger) as quota:
        assert ledger.asked_since <= virtual.wall_clock() - 60 - 30
        assert quota.view().used == 1
        waiting = asyncio.create_task(quota.enter(quota.place(Ticket())))
        await asyncio.sleep(60)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("latency", [0.0, 0.4])
async def test_what_a_short_window_holds_is_written_at_a_clean_stop(latency):
    """Each place that is taken is noted with the time at which its window began, and nothing else is."""
    ledger = SlowLedger()
    async with quota_with(ledger, Rate(3, 2.0)) as quota:
        async with quota.place(Ticket()) as place:
            place.answered()
        await asyncio.sleep(2.1)  # that one is over
        began = virtual.wall_clock()
        async with quota.place(Ticket()) as place:
            await asyncio.sleep(latency)
            place.answered()
        await quota.enter(quota.place(Ticket()))  # has not ended, and may be on its way
    now = began + latency
    assert ledger.story == [("spent", pytest.approx(now)), ("spent", pytest.approx(now + 3.0))]


async def test_a_quota_that_is_closed_at_a_clean_stop_is_closed_afterwards():
    """A 429, or the kill of a process before, is not forgotten by one that lived for a moment only."""
    ledger = SlowLedger()
    async with quota_with(ledger, Rate(3, 2.0)) as quota:
        quota.close(3.0, "429")
        until = virtual.wall_clock() + 3.0
    assert ledger.story == [("spent", pytest.approx(until - 2.0, abs=0.01))] * 3


async def test_the_past_is_settled_once_it_is_known():
    """Grants of a killed process whose answers nobody knows are over when it can no longer have sent them."""
    ledger = SlowLedger()
    async with await Quota.restored("exchange.ask", Rate(1, 60.0), virtual.wall_clock, ledger):
        pass
    # Its grant, of a second ago, is later than the last sign of life.
    assert ledger.story == [("settled", pytest.approx(virtual.wall_clock() - 1 + 1 + 3))]


async def test_closed_quota_lets_nobody_go():
    """After its end a quota has no task left."""
    async with quota_with(SlowLedger()) as quota:
        waiting = [asyncio.create_task(quota.enter(quota.place(Ticket()))) for _ in range(3)]
        await asyncio.sleep(5)
        pump = quota._pump
    assert pump.done()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
