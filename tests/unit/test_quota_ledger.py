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

    async def granted(self, _quota, at):
        await asyncio.sleep(1.0)
        if self.fails:
            raise OSError("the disk is gone")
        self.story.append(("written", at))
        return len(self.story)

    def answered(self, _quota, grant, at):
        self.story.append(("answered", grant, at))

    async def grants(self, _quota, since):
        self.asked_since = since
        return [Noted(virtual.wall_clock() - 1, None)]

    async def last_alive(self):
        return virtual.wall_clock() - 86400


def quota_with(ledger, rate=Rate(1, 60.0)):  # noqa: B008 -- frozen
    return Quota("exchange.ask", rate, clock=virtual.wall_clock, ledger=ledger)


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
