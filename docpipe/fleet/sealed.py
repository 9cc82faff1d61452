"""Small encrypted files in the storage, found by a keyed hash of what they are about."""

from docpipe.fleet.keys import Keyring
from docpipe.storage.blobs import Blobs


class SealedFiles:
    """Reads and writes those of one kind.

    Args:
        blobs: the storage.
        keys: of the fleet.
        folder: in the storage.
        kind: what they are, in a word.

    Methods raise OSError where the storage cannot be used, and ConfigError where a key is missing.
    """

    def __init__(self, blobs: Blobs, keys: Keyring, folder: str, kind: str) -> None:
        self._blobs = blobs
        self._keys = keys
        self._folder = folder
        self._kind = kind

    def _names(self, about: str) -> list[str]:
        return [f"{self._folder}/{name}" for name in self._keys.hashed(f"{self._kind} {about}")]

    def _about(self, about: str) -> list[bytes]:
        return [f"docpipe fleet {self._kind}".encode(), about.encode(errors="surrogatepass")]

    async def get(self, about: str) -> bytes | None:
        """What the file holds, None where there is none."""
        for name in self._names(about):
            if (kept := await self._blobs.get(name)) is not None:
                return self._keys.unseal(kept, self._about(about))
        return None

    async def put(self, about: str, data: bytes) -> None:
        """Write a file, in place of an earlier one; durable when this returns."""
        await self._blobs.put(self._names(about)[0], self._keys.seal(data, self._about(about)))
