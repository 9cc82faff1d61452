"""The board of a fleet in Redis: which workers there are, and what is paused.

Nothing there is about a patient. Redis may lose it all: workers write of themselves again, and whoever knows
of a pause restores it, also from its state folder after a start.
"""

import asyncio
import importlib.resources
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from docpipe.errors import UnreachableError
from docpipe.util.fsync import replace_file
from docpipe.wiring.gates import Gates

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore

log = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
"""So often a worker writes of itself, and learns what is paused."""
_NAMES: Final = ("workers", "heard", "pauses")
_WHOLE: Final = "-"
"""A field of the pauses that is always there, unless Redis has lost them."""
_EVERYTHING: Final = "*"
_FILE: Final = "pauses.json"
_CHANGE: Final = "for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end return 1"
_END: Final = "redis.call('HSET', KEYS[1], ARGV[1], '0') redis.call('HDEL', KEYS[1], ARGV[2]) return 1"
_LEAVE: Final = "redis.call('HDEL', KEYS[1], ARGV[1]) redis.call('ZREM', KEYS[2], ARGV[1]) return 1"


class Converters(msgspec.Struct, frozen=True, kw_only=True):
    """The conversion workers of one machine."""

    size: int = 0
    busy: int = 0
    waiting: int = 0
    """Documents in line."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself. Times are seconds since the epoch."""

    name: str
    queues: list[str] = []
    since: float = 0.0
    version: str = ""
    doing: dict[str, int] = {}
    """Tries under way, by activity."""
    in_line: dict[str, int] = {}
    """Requests in line, by quota."""
    converters: Converters = Converters()
    stopping: bool = False


class Heard(msgspec.Struct, frozen=True):
    """A worker, and how many seconds ago it wrote."""

    presence: Presence
    age: float


class Board:
    """Reads and writes it. Methods raise UnreachableError where Redis does not answer.

    Args:
        store: the connection.
        gates: are paused as the board says.
        folder: of the state of this machine.
    """

    def __init__(self, store: "QuotaStore", gates: Gates, folder: Path) -> None:
        self.workers: list[Heard] = []
        """Those that were heard of lately, as of the last `read`."""
        self._store = store
        self._gates = gates
        self._pauses: dict[str, float] = {}
        self._path = folder / _FILE
        self._kept = _read(self._path)
        """What the file has. It may be of long ago, so that it counts only where Redis knows nothing."""
        self._script = (importlib.resources.files(__package__) / "board.lua").read_text("utf-8")

    async def post(self, presence: Presence) -> None:
        """Write of a worker, and obey the pauses."""
        text = msgspec.json.encode(presence).decode()
        answer = await self._store.evaluate(self._script, _NAMES, [presence.name, text, ""])
        await self._obey(answer[1])

    async def read(self) -> None:
        """Read all of it, and obey the pauses."""
        now, pauses, workers, heard = await self._store.evaluate(self._script, _NAMES, ["", "", "all"])
        await self._obey(pauses)
        ages = {name: (int(now) - float(at)) / 1000 for name, at in _pairs(heard)}
        self.workers = sorted(
            (_heard(text, ages.get(name, 0.0)) for name, text in _pairs(workers)),
            key=lambda one: one.presence.name,
        )

    async def leave(self, name: str) -> None:
        """Take away what was written of a worker that ends."""
        await self._store.evaluate(_LEAVE, _NAMES[:2], [name])

    async def pause(self, name: str, since: float) -> None:
        """Pause a service for all; with no name everything."""
        field = name or _EVERYTHING
        known = self._pauses.get(name, since)
        await self._store.evaluate(_CHANGE, _NAMES[2:], [_WHOLE, "0", field, repr(known)])
        await self._apply({**self._pauses, name: known})

    async def unpause(self, name: str) -> None:
        """Take that back."""
        await self._store.evaluate(_END, _NAMES[2:], [_WHOLE, name or _EVERYTHING])
        await self._apply({other: since for other, since in self._pauses.items() if other != name})

    async def _obey(self, fields: Sequence[bytes]) -> None:
        """Pause what is paused; where Redis has lost that, write it anew."""
        known = {field.decode(): float(since) for field, since in _pairs(fields)}
        if known:
            known.pop(_WHOLE, None)
            await self._apply(
                {"" if field == _EVERYTHING else field: since for field, since in known.items()}
            )
        elif lost := self._pauses or self._kept:
            log.warning("pauses_restored", services=[name or "everything" for name in lost])
            words = [word for name, since in lost.items() for word in (name or _EVERYTHING, repr(since))]
            await self._store.evaluate(_CHANGE, _NAMES[2:], [_WHOLE, "0", *words])
            await self._apply(lost)

    async def _apply(self, pauses: dict[str, float]) -> None:
        """Change the gates from what was paused to this, and keep it for the next start."""
        self._change(self._pauses, pauses)
        self._pauses = pauses
        if pauses == self._kept:
            return
        try:
            await asyncio.to_thread(replace_file, self._path, msgspec.json.encode(pauses))
        except OSError as error:
            log.warning("pauses_not_kept", reason=error.strerror)
        else:
            self._kept = pauses

    def _change(self, before: dict[str, float], pauses: dict[str, float]) -> None:
        gates = self._gates
        for name in before.keys() - pauses.keys():
            if not name:
                gates.unpause()
                continue
            gates.pauses.pop(name, None)
            if name in gates.services:
                gates.services[name].unpause()
        for name in pauses.keys() - before.keys():
            if not name:
                gates.pause(pauses[name])
                continue
            gates.pauses[name] = pauses[name]  # for a service that comes to be known later
            if name in gates.services:
                gates.services[name].pause(pauses[name])


async def attended(board: Board, presence: Presence) -> None:
    """Post, where nobody waits for it: while Redis is away what was last known holds."""
    try:
        await board.post(presence)
    except UnreachableError as error:
        log.debug("board_not_reached", reason=str(error))


def _read(path: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError):
        return {}


def _heard(text: bytes, age: float) -> Heard:
    return Heard(msgspec.json.decode(text, type=Presence), age)


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
