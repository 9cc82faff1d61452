"""The gates as the configuration asks for them: the quota, timeout and pause before each endpoint."""

import contextlib
import random
import time
from dataclasses import replace

import pytest

from docpipe.config.config import Config
from docpipe.model import Rate, WaitKind
from docpipe.wiring.gates import open_gates

CONFIG = Config()
CONFIG = replace(
    CONFIG,
    docex=replace(CONFIG.docex, timeout=11.0, max_retry_after=111.0, spacing="even"),
    tasktracker=replace(CONFIG.tasktracker, timeout=22.0, max_retry_after=222.0, rate=Rate(5, 1)),
)


@pytest.fixture
def opened(checkpoints):
    """Opens the gates of a configuration."""

    @contextlib.asynccontextmanager
    async def opened(config=CONFIG, **more):
        async with contextlib.AsyncExitStack() as stack:
            yield await open_gates(config, checkpoints, time.time, random.Random(1), stack, **more)

    return opened


async def test_each_endpoint_has_its_own_quota_and_its_services_limits(opened):
    """Searches and polls share a service, and neither quota; the tracker has its own limits."""
    async with opened() as gates:
        assert gates.searching.quota is gates.quotas["docex.search"]
        assert gates.polling.quota is gates.quotas["docex.status"]
        assert gates.tracker.quota is gates.quotas["tasktracker"]
        assert gates.searching.service is gates.polling.service is gates.services["docex"]
        limits = [(gate.timeout, gate._max_retry_after) for gate in (gates.polling, gates.tracker)]
        assert limits == [(11.0, 111.0), (22.0, 222.0)]
        assert gates.storage is None
        assert (gates.patients.quota.rate, gates.patients.timeout) == (None, 30.0)


async def test_origins_and_tokens_have_an_outage_state_each(opened):
    """The same origin has the same gate, with the exchange's timeout and without a quota."""
    async with opened(storage=True) as gates:
        first = gates.archives("https://files.example:8443")
        assert gates.archives("https://files.example:8443") is first
        assert gates.archives("https://other.example").service is not first.service
        assert (first.service.name, first.timeout, first.quota.rate) == (
            "archives of files.example:8443",
            11.0,
            None,
        )
        assert gates.tokens("docex").service.name == "tokens of docex"
        assert gates.storage is not None
        assert gates.storage.service is gates.services["storage"]


async def test_only_the_exchange_is_asked_evenly(opened):
    """`docex.spacing` is no rule for the tracker."""
    async with opened() as gates:
        even = {name: quota._places._even for name, quota in gates.quotas.items()}
    assert even == {"docex.search": True, "docex.status": True, "tasktracker": False}


async def test_a_pause_of_everything_holds_for_services_that_come_later(opened, checkpoints):
    """After a restart, too; a pause of one service holds for that one."""
    await checkpoints.pause("")
    await checkpoints.pause("tasktracker")
    async with opened() as gates:
        late = gates.archives("https://files.example")
        for gate in (gates.searching, gates.tracker, late):
            assert gate.service.wait().kind is WaitKind.PAUSE
        gates.unpause()
        assert [gate.service.wait() for gate in (gates.searching, late)] == [None, None]
        assert gates.tracker.service.paused_since is not None
        assert gates.archives("https://third.example").service.wait() is None
        gates.pause(3.0)
        assert late.service.wait().since == 3.0


async def test_a_clean_end_is_noted(opened, checkpoints):
    """While gates are open this process is alive; afterwards nobody waits for what it may have sent."""
    async with opened():
        assert await checkpoints.ledger.last_alive() is not None
    await checkpoints.commit_all()
    assert await checkpoints.ledger.last_alive() is None
