"""The keys of a fleet: they encrypt everything that leaves a machine for Temporal or the spool.

AES-SIV: bytes that were changed, or put in another's place, are refused, and there is no nonce that two
machines could use twice. The same bytes about the same thing are encrypted to the same, so that what is
written twice is one object.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError

ID_BYTES: Final = 8
"""Of a key's id, which stands beside what it encrypted."""
_MARK: Final = b"dps1"
_HEAD: Final = len(_MARK) + ID_BYTES


class _Key:
    """One key with its id, which shows nothing of it."""

    __slots__ = ("cipher", "id", "secret")

    def __init__(self, text: str) -> None:
        self.secret = bytes.fromhex(text)
        self.cipher = AESSIV(self.secret)
        self.id = hashlib.sha256(b"docpipe fleet key " + self.secret).digest()[:ID_BYTES]


class Keyring:
    """Encrypts with the first key, and decrypts with any.

    Args:
        secret: the keys, as of `fleet.key`. One from a file is read again where an unknown key turns up, so
            that a new key needs no restart of those that only read what it encrypted.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._keys = self._read(secret)

    @classmethod
    def of(cls, secret: Secret | None) -> Self:
        """The ring of a configuration.

        Raises:
            ConfigError: if there is none.
        """
        if secret is None:
            raise ConfigError("fleet.key is missing: set fleet.key_file to the path of a file with keys.")
        return cls(secret)

    @staticmethod
    def _read(secret: Secret) -> dict[bytes, _Key]:
        keys = map(_Key, secret.reveal().split())
        return {key.id: key for key in keys}

    @property
    def first(self) -> bytes:
        """The id of the key that encrypts."""
        return next(iter(self._keys))

    @property
    def ids(self) -> list[str]:
        """The ids of all keys in hex digits, the first first, for people."""
        return [key.hex() for key in self._keys]

    def encrypt(self, data: bytes, about: Sequence[bytes]) -> bytes:
        """Encrypt with the first key.

        Args:
            data: what is hidden; not empty.
            about: what it is; the same has to be given to decrypt it.
        """
        return self._keys[self.first].cipher.encrypt(data, list(about))

    def decrypt(self, data: bytes, about: Sequence[bytes], key_id: bytes) -> bytes:
        """Decrypt what the key with this id has encrypted.

        Raises:
            ConfigError: if the key is missing, or the bytes are not what it made of anything.
        """
        key = self._keys.get(key_id) or self._read_again().get(key_id)
        if key is None:
            raise ConfigError(
                f"fleet.key: something was encrypted with a key (id {key_id.hex()}) that is not among those "
                f"here ({', '.join(self.ids)}): all machines of a fleet need the same keys. Put it into "
                "fleet.key_file as a further line."
            )
        try:
            return key.cipher.decrypt(data, list(about))
        except (InvalidTag, ValueError) as error:  # the latter: too short
            raise ConfigError(
                f"fleet.key: what was encrypted with the key {key_id.hex()} has been changed since, or is "
                "in another's place: see who else writes to Temporal's namespace and the storage."
            ) from error

    def _read_again(self) -> dict[bytes, _Key]:
        try:
            self._keys = self._read(self._secret.again())
        except (OSError, ValueError):  # those that are known stay
            return self._keys
        return self._keys

    def seal(self, data: bytes, about: Sequence[bytes]) -> bytes:
        """Encrypt, with the key's id before it: for files."""
        return _MARK + self.first + self.encrypt(data, about)

    def unseal(self, data: bytes, about: Sequence[bytes]) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            ConfigError: as `decrypt`, or if it is nothing of `seal`.
        """
        if not data.startswith(_MARK):
            raise ConfigError(
                "storage.url: a file in .fleet/ is none of docpipe's: see who else writes to the storage."
            )
        return self.decrypt(data[_HEAD:], about, data[len(_MARK) : _HEAD])

    def hashed(self, text: str) -> list[str]:
        """Keyed hashes of a text, one of each key, the first first: to find what must not be named."""
        data = text.encode(errors="surrogatepass")
        return [
            hmac.new(key.secret, b"docpipe " + data, hashlib.sha256).hexdigest()[:32]
            for key in self._keys.values()
        ]
