"""Answers to requests with an idempotency key, shared by all processes that serve a fleet."""

from typing import Final

import msgspec

from docpipe.checkpoints.answers import KEPT_S
from docpipe.fleet.keys import Keyring
from docpipe.model import Clock
from docpipe.storage.blobs import Blobs

REPLIES: Final = "replies"
"""The folder in the storage."""
_ABOUT: Final = b"docpipe fleet reply"


class _Reply(msgspec.Struct, frozen=True):
    at: float
    digest: str
    answer: str


class Replies:
    """Keeps them in the storage, encrypted, by a keyed hash of the key.

    Args:
        blobs: the storage.
        keys: of the fleet.
        prefix: of the fleet.
        clock: the wall clock.

    Methods raise OSError where the storage cannot be used.
    """

    def __init__(self, blobs: Blobs, keys: Keyring, prefix: str, clock: Clock) -> None:
        self._blobs = blobs
        self._keys = keys
        self._prefix = prefix
        self._clock = clock

    def _names(self, key: str) -> list[str]:
        return [f"{REPLIES}/{self._prefix}/{name}" for name in self._keys.hashed(f"reply {key}")]

    async def remembered(self, key: str) -> tuple[str, str] | None:
        """Return the digest of the request with that key and its answer, None if there is none."""
        for name in self._names(key):
            if (kept := await self._blobs.get(name)) is not None:
                data = self._keys.unseal(kept, [_ABOUT, key.encode()])
                reply = msgspec.json.decode(data, type=_Reply)
                if reply.at >= self._clock() - KEPT_S:
                    return reply.digest, reply.answer
        return None

    async def remember(self, key: str, digest: str, answer: str) -> None:
        """Store an answer unless the key has one; durable when this returns."""
        if await self.remembered(key) is None:
            data = msgspec.json.encode(_Reply(self._clock(), digest, answer))
            await self._blobs.put(self._names(key)[0], self._keys.seal(data, [_ABOUT, key.encode()]))
