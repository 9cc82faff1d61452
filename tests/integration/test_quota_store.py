"""The scripts that count quotas in a real Valkey or Redis, and what is said of one that cannot be used."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator

import pytest

from docpipe.check import Bench, Finding, Fit
from docpipe.check.parts import quota_store
from docpipe.config.config import Config, Docex, Fleet
from docpipe.errors import UnreachableError
from docpipe.gates import Gate, Quota
from docpipe.gates.places import Grant
from docpipe.gates.service import Failure
from docpipe.gates.shared import QuotaStore, RedisPlaces, SharedService
from docpipe.gates.shared.store import Keys
from docpipe.model import Rate, Ticket, WaitKind, describe_wait
from tests.quota_store import QuotaServer, running


@pytest.fixture(scope="module")
def server() -> Iterator[QuotaServer]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(server: QuotaServer) -> None:
    server.empty()


def age(server: QuotaServer, seconds: float) -> None:
    """Let the quota be so much older: all times that are kept of it move into the past.

    Nothing waits then for a clock that runs on while a busy machine does not.
    """
    step, quota = seconds * 1e6, "{test}:quota:exchange.ask"
    for name in ("closed", "next", "last"):
        if value := server.client.hget(quota, name):
            server.client.hset(quota, name, str(int(float(value) - step)))
    for key in ("places", "line", "expected"):
        for member, score in server.client.zrange(f"{quota}:{key}", 0, -1, withscores=True):
            server.client.zadd(f"{quota}:{key}", {member: score - step})


def close(server: QuotaServer, seconds: float) -> None:
    """Give no place for so long from now."""
    server.client.hset(
        "{test}:quota:exchange.ask", "closed", str(int((time.time() + seconds) * 1e6) if seconds else 0)
    )


class Process:
    """What one process has for one quota, without the line."""

    def __init__(self, store: QuotaStore, rate: Rate | None, name: str = "exchange.ask", **more) -> None:
        rng = random.Random(1)
        self.store = store
        self.service = SharedService("exchange", clock=time.time, rng=rng, store=store, quota=name)
        self.places = RedisPlaces(name, rate, store=store, service=self.service, clock=time.time, **more)

    async def take(self, *, waited: float = 0.0) -> Grant | None:
        """Ask Redis now, whatever it said of when to come again."""
        return await self.places.take(asyncio.get_running_loop().time() - waited)

    async def beat(self) -> None:
        """Renew what is under way, as each process does every few seconds."""
        self.places._renew()
        await self.delivered()

    async def delivered(self) -> None:
        """Until what was sent is answered: messages go in order, so one more is answered last."""
        last = asyncio.Event()
        self.store.send("settle", self.places._keys, [*self.places._times()], lambda _: last.set())
        async with asyncio.timeout(60):  # of a store that is away it would be dropped
            await last.wait()


@contextlib.asynccontextmanager
async def processes(server: QuotaServer, rate: Rate | None, number: int = 2, **more):
    """Several processes in one; the closure of a store that nobody knows is over."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            store = await stack.enter_async_context(QuotaStore(server.url, "test"))
            made.append(Process(store, rate, **more))
            await made[-1].delivered()
        close(server, 0.0)
        yield made


async def test_a_store_that_knows_nothing_is_closed(server):
    """For a lease and a window; why is shown."""
    async with processes(server, Rate(2, 5.0), number=1) as (one,):
        server.empty()
        assert await one.take() is None
        left, because = one.places.closed(asyncio.get_running_loop().time())
        assert 14.0 < left <= 15.1
        assert because == "store"


@pytest.mark.parametrize("what", ["server", "last"])
async def test_another_server_and_a_clock_set_back_close_it(server, what):
    """As after a failover: what is counted there is not what was spent."""
    async with processes(server, Rate(2, 5.0), number=1) as (one,):
        assert await one.take() is not None
        value = {"server": "another", "last": str(int((time.time() + 60) * 1e6))}[what]
        server.client.hset("{test}:quota:exchange.ask", what, value)
        assert await one.take() is None
        assert one.places.closed(asyncio.get_running_loop().time())[0] > 10.0


async def test_a_store_that_lost_its_places_is_closed(server):
    """As where it evicts keys because its memory is full."""
    async with processes(server, Rate(2, 5.0), number=1) as (one,):
        assert await one.take() is not None
        server.client.delete("{test}:quota:exchange.ask:places")
        assert await one.take() is None
        assert one.places.closed(asyncio.get_running_loop().time())[0] > 10.0


async def test_a_clock_that_jumps_forwards_closes_it(server, monkeypatch):
    """What was granted by it is handed back, and every process waits for a window."""
    async with processes(server, Rate(2, 5.0)) as (one, other):
        monkeypatch.setattr(one.store._watch, "jumped", lambda *_: True)
        assert await one.take() is None
        assert one.places.closed(asyncio.get_running_loop().time())[1] == "clock"
        monkeypatch.undo()
        await one.delivered()
        assert await other.take() is None
        assert other.places.closed(asyncio.get_running_loop().time())[1] == "clock"


async def test_places_are_counted_over_all_processes(server):
    """n in all; one that is released is free at once, one that is settled after its window."""
    async with processes(server, Rate(2, 60.0)) as (one, other):
        first, second = await one.take(), await other.take()
        assert first is not None
        assert second is not None
        assert await one.take() is None
        assert one.places.used(0.0) == 2
        other.places.release(second)
        await other.delivered()
        assert await one.take() is not None
        assert await one.take() is None
        first.sent = asyncio.get_running_loop().time()
        one.places.settle(first, first.sent)
        await one.delivered()
        age(server, 50.0)
        await one.beat()  # the other one is still under way
        assert await one.take() is None
        age(server, 20.0)
        await one.beat()
        assert await one.take() is not None
        assert await one.take() is None


async def test_the_longest_wait_goes_first(server):
    """A process whose caller waits less stands behind, until the other comes or misses its turn."""
    async with processes(server, Rate(5, 60.0)) as (one, other):
        close(server, 60.0)
        assert await one.take(waited=100.0) is None  # in line, to come again in a minute
        close(server, 0.0)
        assert await other.take(waited=1.0) is None
        assert await one.take(waited=100.0) is not None
        assert await other.take(waited=1.0) is not None


async def test_a_process_that_does_not_come_is_passed(server):
    """It has ended, or stands still: half a second is lost."""
    async with processes(server, Rate(5, 60.0)) as (one, other):
        close(server, 60.0)
        assert await one.take(waited=100.0) is None
        age(server, 60.6)
        assert await other.take(waited=1.0) is not None


async def test_even_spacing_holds_over_all_processes(server):
    """Of 2 in 60 s one goes every 30 s."""
    async with processes(server, Rate(2, 60.0), even=True) as (one, other):
        assert await one.take() is not None
        assert await other.take() is None
        age(server, 25.0)
        assert await other.take() is None
        age(server, 6.0)
        assert await other.take() is not None


async def test_a_longer_window_is_waited_out(server):
    """Of it only a part is known, whichever process has the new rate first."""
    async with processes(server, Rate(2, 0.5)) as (one, other):
        assert await one.take() is not None
        other.places.use(Rate(2, 30.0))
        assert await other.take() is None
        assert other.places.closed(asyncio.get_running_loop().time())[1] == "new rate"
        assert await one.take() is None


async def test_a_429_closes_it_for_all(server):
    """Whichever process was answered so."""
    async with processes(server, Rate(5, 1.0)) as (one, other):
        assert one.places.close(20.0, "429")
        assert not one.places.close(5.0, "429")
        await one.delivered()
        assert await other.take() is None
        left, because = other.places.closed(asyncio.get_running_loop().time())
        assert because == "429"
        assert 19.0 < left <= 20.0


async def test_an_outage_is_shared_and_one_probes(server):
    """Failures count over all processes; the probe's failure doubles the pause, an answer ends it for all."""
    failure = Failure("status 503", status=503)
    async with processes(server, None) as (one, other):
        for process in (one, other, one):
            call = Gate(process.service, Quota("q", process.places, clock=time.time)).call(Ticket("r"))
            process.service.failed(call, failure)
            await process.delivered()
        assert await other.take() is None
        assert not other.service.up
        assert other.service.wait().kind is WaitKind.OUTAGE
        server.client.hset("{test}:service:exchange", "probe_at", "1")
        probe = await other.take()
        assert probe is not None
        assert probe.probe
        assert await one.take() is None  # it is under way
        call = Gate(other.service, Quota("q", other.places, clock=time.time)).call(Ticket("r"))
        assert other.service.admit(call, probe)
        assert not other.service.admit(call, Grant(0.0))  # granted before the outage
        other.service.failed(call, failure)
        await other.delivered()
        assert other.service.view().outage.probes == 1
        server.client.hset("{test}:service:exchange", "probe_at", "1")
        probe = await one.take()
        assert one.service.admit(call, probe)
        one.service.responding()
        await one.delivered()
        assert one.service.up
        assert await other.take() is not None
        assert other.service.up


async def test_a_grant_that_was_asked_for_long_ago_is_not_sent(server):
    """The process stood still meanwhile: its lease may have run out."""
    async with processes(server, Rate(5, 1.0), number=1) as (one,):
        grant = await one.take()
        assert await one.places.confirm(grant)
        grant.asked -= 7.0
        assert not await one.places.confirm(grant)


async def test_callers_see_that_the_store_is_down(server):
    """Nothing is granted; waiting tickets give the cause and the cure, and nothing else."""
    with running() as mortal:
        async with QuotaStore(mortal.url, "test") as store:
            process = Process(store, Rate(5, 1.0))
            mortal.kill()
            async with Quota("exchange.ask", process.places, clock=time.time) as quota:
                ticket = Ticket("run")
                waiting = asyncio.create_task(quota.enter(quota.place(ticket)))
                while ticket.wait is None or ticket.wait.kind is not WaitKind.QUOTA_STORE:
                    await asyncio.sleep(0.01)
                sentence = describe_wait(ticket.wait.kind, ticket.wait.what)
                assert (
                    sentence == f"the quota store at {store.address} is down: start it, and docpipe continues"
                )
                waiting.cancel()
                await asyncio.wait({waiting})
        mortal.start()


async def test_a_store_that_refuses_says_why(server):
    """Such as a replica: it answers, and starting it is no cure."""
    with running("--replicaof", "127.0.0.1", str(server.port)) as replica:
        async with QuotaStore(replica.url, "test") as store:
            process = Process(store, Rate(5, 1.0))
            assert await process.take() is None
            assert process.places.trouble().kind is WaitKind.QUOTA_STORE
            assert "read only replica" in process.places.trouble().what
            assert store.down_since is not None
            write = "return redis.call('SET', KEYS[1], '1')"
            for request in (store.agree("value", "1"), store.evaluate(write, ["value"], [])):
                with pytest.raises(UnreachableError, match="read only replica"):
                    await request


@pytest.mark.parametrize("ask", ["check", "agree", "evaluate", "run"])
async def test_a_cancellation_is_kept_wherever_it_comes(server, ask):
    """At each await of a request; redis-py takes some for a failure of the connection, and swallows some."""
    async with QuotaStore(server.url, "test") as store:
        requests = {
            "check": store.check,
            "agree": lambda: store.agree("value", "1"),
            "evaluate": lambda: store.evaluate("return 1", ["value"], []),
            "run": lambda: store.run("view", Keys.of("test", "docex.search", "docex"), [0, 0]),
        }
        ended, rounds = False, 0
        while not ended:
            request = asyncio.create_task(requests[ask]())
            for _ in range(rounds):
                await asyncio.sleep(0)
            ended = not request.cancel()
            await asyncio.wait({request})
            assert ended or request.cancelled(), f"after {rounds} rounds of the loop"
            rounds += 1


async def checked(
    url: str, prefix: str = "docpipe", docex: str = "https://exchange.example"
) -> Fit | Finding:
    config = Config(docex=Docex(base_url=docex), fleet=Fleet(redis=url, prefix=prefix))
    (result,) = [result async for result in quota_store(Bench(config, workers=lambda _: None))]
    return result


async def test_check_names_what_keeps_a_store_from_being_used(server):
    """Down, another's prefix, a wrong password, no right to run scripts: each a sentence with its cure."""
    assert isinstance(await checked(server.url), Fit)
    other = await checked(server.url, docex="https://elsewhere.example")
    assert "belongs to a fleet with another docex or tasktracker" in other.problem
    assert isinstance(await checked(server.url, "mine", docex="https://elsewhere.example"), Fit)
    down = await checked("redis://127.0.0.1:1/0")
    assert "is down" in down.problem
    assert "start it" in down.cure
    client = server.client
    client.acl_setuser("weak", enabled=True, passwords=["+secret"], keys=["*"], commands=["+info", "+get"])
    address = server.url.removeprefix("redis://")
    assert "does not accept the login" in (await checked(f"redis://weak:wrong@{address}")).problem
    assert "lacks rights" in (await checked(f"redis://weak:secret@{address}")).problem
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert "Set its maxmemory-policy to noeviction" in (await checked(server.url)).problem
    client.config_set("maxmemory", "0")
    assert "secret" not in str(await checked(f"redis://weak:secret@{address}"))


async def test_a_store_without_scripts():
    """It answers all else; the sentence says what docpipe needs."""
    with running("--rename-command", "EVALSHA", "") as bare:
        result = await checked(bare.url)
        assert "does not run docpipe's scripts" in result.problem
        assert (
            "docpipe needs Redis 6.2, Valkey 7.2, or later, with Lua scripts"
            in f"{result.problem} {result.cure}"
        )


async def test_a_store_that_is_away_at_the_start_is_no_error_of_the_configuration():
    """Time may mend it."""
    async with QuotaStore("redis://127.0.0.1:1/0", "test") as store:
        with pytest.raises(UnreachableError, match="is down"):
            await store.check()
