"""Answers to requests with an idempotency key, shared by all processes that serve a fleet."""

from typing import Final

import msgspec

from docpipe.checkpoints.answers import KEPT_S
from docpipe.fleet.keys import Keyring
from docpipe.fleet.sealed import SealedFiles
from docpipe.model import Clock
from docpipe.storage.blobs import Blobs

REPLIES: Final = "replies"
"""The folder in the storage."""


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
        self._files = SealedFiles(blobs, keys, f"{REPLIES}/{prefix}", "reply")
        self._clock = clock

    async def remembered(self, key: str) -> tuple[str, str] | None:
        """Return the digest of the request with that key and its answer, None if there is none."""
        if (kept := await self._files.get(key)) is None:
            return None
        reply = msgspec.json.decode(kept, type=_Reply)
        return (reply.digest, reply.answer) if reply.at >= self._clock() - KEPT_S else None

    async def remember(self, key: str, digest: str, answer: str) -> None:
        """Store an answer unless the key has one; durable when this returns."""
        if await self.remembered(key) is None:
            await self._files.put(key, msgspec.json.encode(_Reply(self._clock(), digest, answer)))
