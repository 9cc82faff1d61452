"""The connection of one process to the Redis that counts quotas."""

import asyncio
import contextlib
import importlib.resources
import os
import random
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from docpipe.errors import ConfigError, UnreachableError
from docpipe.gates.shared.clock import ClockWatch
from docpipe.gates.shared.refusals import address_of, reason_of, refusal_of
from docpipe.model import Clock

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
LEASE_S: Final = 10.0
"""A grant is renewed in a third of this; not renewed for so long, its process is taken to be dead."""
BEAT_S: Final = LEASE_S / 3
ANSWER_S: Final = 2.0
"""Longest wait for an answer of Redis."""
_CONNECTIONS: Final = 8
_KEEPS: Final = "noeviction"
_END_S: Final = 2.0
_SCRIPTS: Final = ("take", "settle", "close", "health", "view")
STORE_FAILURES: Final = (RedisError, OSError, TimeoutError)


def microseconds(seconds: float) -> int:
    """As the scripts have times."""
    return int(seconds * 1e6)


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a quota and the health of its service stand. All keys of a fleet are in one slot of a cluster."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, prefix: str, quota: str, service: str) -> "Keys":
        """Those of one quota."""
        stem = f"{{{prefix}}}:quota:{quota}"
        return cls(
            (stem, f"{stem}:places", f"{stem}:line", f"{stem}:expected", f"{{{prefix}}}:service:{service}")
        )


@dataclass(frozen=True, slots=True)
class _Message:
    """A script whose answer no request waits for."""

    script: str
    keys: Keys
    arguments: Sequence[str | int]
    answered: Callable[[list[Any]], None] | None


class QuotaStore:
    """Runs the scripts of `gates.shared`. Use as an async context manager, inside one event loop.

    Args:
        url: of Redis, such as `redis://user:password@host:6379/0`; `rediss://` for TLS.
        prefix: of all keys: the name of the fleet.
        clock: the wall clock, for `down_since`.
    """

    def __init__(self, url: str, prefix: str, *, clock: Clock = time.time) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=ANSWER_S,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # a take that is sent twice would take two places
        )
        self.address = address_of(url)
        self._url = url
        self.prefix = prefix
        self.process = f"{socket.gethostname()}.{os.getpid()}.{random.SystemRandom().getrandbits(32):x}"
        self.down_since: float | None = None
        """Since when it does not answer, None while it does."""
        self.beats: list[Callable[[], None]] = []
        """Called every `BEAT_S`: by quotas, to renew what is under way."""
        self.looks: list[Callable[[], None]] = []
        """Each asks how a quota stands: for a process that shows it, and takes no places."""
        self.jumped: list[Callable[[], None]] = []
        """Called when the clock of Redis has jumped forwards."""
        self._redis: Redis = Redis.from_pool(pool)
        self._watch = ClockWatch()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._messages: deque[_Message] = deque()
        self._waiting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._scripts = {name: self._redis.register_script(_script(name)) for name in _SCRIPTS}

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._deliver(), name="quota store"),
            asyncio.create_task(self._beat(), name="quota store beat"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Deliver what waits, unless Redis is away: then leases run out by themselves."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        with contextlib.suppress(*STORE_FAILURES):
            async with asyncio.timeout(_END_S):
                while self._messages:
                    await self._send(self._messages.popleft())
        await self._redis.aclose()

    async def _request(self, request: Awaitable[_T]) -> _T:
        try:
            with _keep_cancellation():
                return await request
        except STORE_FAILURES as error:
            why = reason_of(error)
            raise UnreachableError(f"The quota store at {self.address} is down ({why}).") from error

    async def check(self) -> str:
        """Whether Redis runs the scripts; returns its name and version.

        Raises:
            ConfigError: if it answers, and cannot be used.
            UnreachableError: if it does not answer.
        """
        keys = Keys.of(self.prefix, "check", "check")
        try:
            await self._request(self.run("settle", keys, [0, microseconds(LEASE_S)]))
            info = await self._request(self._redis.info("server"))
            memory = await self._request(self._redis.info("memory"))
        except UnreachableError as error:
            refusal = await refusal_of(error.__cause__, self._url, self.prefix, ANSWER_S)
            raise (refusal or error) from error.__cause__
        policy = memory.get("maxmemory_policy", _KEEPS)
        if memory.get("maxmemory") and policy != _KEEPS:
            raise ConfigError(
                f"fleet.redis: the server at {self.address} evicts keys where its memory is full ({policy}), "
                f"and would forget what is spent. Set its maxmemory-policy to {_KEEPS}."
            )
        name = info.get("server_name") or "redis"
        return f"{name} {info.get(f'{name}_version') or info.get('redis_version')}"

    async def claim(self, identity: str) -> None:
        """Make the prefix that of the fleet with this identity.

        Raises:
            ConfigError: if another fleet has it.
            UnreachableError: if Redis does not answer.
        """
        if await self.agree("fleet", identity) != identity:
            raise ConfigError(
                f"fleet.prefix: {self.prefix!r} at {self.address} belongs to a fleet with another docex or "
                "tasktracker. Give this one a prefix of its own; if the services have moved, stop all "
                f"processes and delete the key {self.key('fleet')}."
            )

    def key(self, name: str) -> str:
        """Where the fleet keeps a value of this name."""
        return f"{{{self.prefix}}}:{name}"

    async def agree(self, name: str, value: str) -> str:
        """Set a value of the fleet where there is none; returns that which all have.

        Raises:
            UnreachableError: if Redis does not answer.
        """
        await self._request(self._redis.setnx(self.key(name), value))
        holder = await self._request(self._redis.get(self.key(name)))
        if holder is None:
            return value
        return holder if isinstance(holder, str) else holder.decode()

    async def evaluate(self, script: str, names: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a script of somebody else's on values of the fleet; returns its answer.

        Args:
            script: its text.
            names: of the values.
            arguments: of the script.

        Raises:
            UnreachableError: if Redis does not answer.
        """
        keys = [self.key(name) for name in names]
        return await self._request(self._redis.eval(script, len(keys), *keys, *arguments))

    async def run(self, script: str, keys: Keys, arguments: Sequence[str | int]) -> list[Any]:
        """Run a script, and watch Redis' clock.

        Raises:
            RedisError, OSError, TimeoutError: if Redis cannot be reached.
        """
        sent = self._loop.time()
        try:
            with _keep_cancellation():
                async with asyncio.timeout(2 * ANSWER_S):
                    answer: list[Any] = await self._scripts[script](keys=keys.names, args=arguments)
        except STORE_FAILURES as error:
            if self.down_since is None:
                self.down_since = self._clock()
                log.warning("quota_store_down", address=self.address, error=type(error).__name__)
            raise
        if self.down_since is not None:
            down_s = round(self._clock() - self.down_since, 1)
            log.info("quota_store_up", address=self.address, down_s=down_s)
            self.down_since = None
        reading = int(answer[5 if script == "take" else 0]) / 1e6
        if self._watch.jumped(reading, sent, self._loop.time()):
            log.warning("quota_store_clock_jumped", address=self.address)
            for close in self.jumped:
                close()
        return answer

    def send(
        self,
        script: str,
        keys: Keys,
        arguments: Sequence[str | int],
        answered: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """Run a script soon, in order. Where Redis is away it is dropped: leases run out instead, later."""
        self._messages.append(_Message(script, keys, arguments, answered))
        self._waiting.set()

    async def _deliver(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            try:
                while self._messages:
                    await self._send(self._messages.popleft())
            except STORE_FAILURES:
                self._messages.clear()

    async def _send(self, message: _Message) -> None:
        answer = await self.run(message.script, message.keys, message.arguments)
        if message.answered is not None:
            message.answered(answer)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            for beat in self.beats:
                beat()


@contextlib.contextmanager
def _keep_cancellation() -> Iterator[None]:
    """Raise a cancellation of the present task that redis-py swallows, or takes for a failure."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    except STORE_FAILURES as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def _script(name: str) -> str:
    folder = importlib.resources.files(__package__)
    return "".join((folder / f"{part}.lua").read_text("utf-8") for part in ("head", name))
