"""Payloads in Temporal: compressed and encrypted JSON; large ones are in the storage.

Inputs, results, heartbeats, failures, queries and summaries all pass here; search attributes, ids of runs and
names of activities do not, and so bear nothing of a patient.
"""

import dataclasses
import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from docpipe.errors import ConfigError, SpoolLostError
from docpipe.fleet.keys import Keyring
from docpipe.storage.blobs import Blobs
from docpipe.util.json import to_json

LARGE: Final = 16 * 1024
"""Bytes from which on a payload is in the storage."""
PAYLOADS: Final = "payloads"
"""The folder of large payloads, in it one of each run."""
_ENCRYPTED: Final = b"binary/encrypted"
_KEY: Final = "docpipe-key"
_OF_SERVER: Final = b'"ACTIVITY_ID_NOT_STARTED"'
"""What Temporal itself puts into a history: an activity was cancelled before a worker had it."""
_ABOUT: Final = (b"docpipe payload",)
_PLAIN, _PACKED = b"\0", b"\1"
_PACK_FROM: Final = 512
"""Bytes from which on packing saves more than it costs."""
SHARED: Final = "shared"
"""In place of a workflow, for what belongs to none."""
AGAIN_S: Final = 1800.0
"""After so long a payload is written again, though it is there: so its time says that it is in use."""


class StructConverter(EncodingPayloadConverter):
    """Values as JSON, Structs and dataclasses among them; decoded to the type that is hinted."""

    @property
    def encoding(self) -> str:
        """See EncodingPayloadConverter."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        """See EncodingPayloadConverter."""
        return Payload(metadata={"encoding": self.encoding.encode()}, data=to_json(value).encode())

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """See EncodingPayloadConverter.

        Raises:
            msgspec.ValidationError: if it is of another type.
        """
        hint: Any = Any if type_hint is None else type_hint
        try:
            return msgspec.json.decode(payload.data, type=hint)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # half a surrogate pair, as names of files may have
            return msgspec.convert(json.loads(payload.data), hint)


class Converter(CompositePayloadConverter):
    """Nothing, bytes, and all else as JSON."""

    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), BinaryPlainPayloadConverter(), StructConverter())


class Encrypted(PayloadCodec):
    """Packs and encrypts each payload, with the id of the key beside it."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See PayloadCodec."""
        return [self._encode(payload) for payload in payloads]

    def _encode(self, payload: Payload) -> Payload:
        data = payload.SerializeToString(deterministic=True)
        data = _PACKED + zlib.compress(data, 1) if len(data) >= _PACK_FROM else _PLAIN + data
        metadata = {"encoding": _ENCRYPTED, _KEY: self._keys.first}
        return Payload(metadata=metadata, data=self._keys.encrypt(data, _ABOUT))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See PayloadCodec.

        Raises:
            ConfigError: if a key is missing, or a payload is none of this fleet's.
        """
        return [self._decode(payload) for payload in payloads]

    def _decode(self, payload: Payload) -> Payload:
        if payload.data == _OF_SERVER:
            return payload
        if payload.metadata.get("encoding") != _ENCRYPTED:
            raise ConfigError(
                "fleet.namespace: something there is not encrypted, and so is none of docpipe's: see who "
                "else writes to it, or give this fleet a namespace of its own."
            )
        data = self._keys.decrypt(payload.data, _ABOUT, payload.metadata.get(_KEY, b""))
        return Payload.FromString(zlib.decompress(data[1:]) if data.startswith(_PACKED) else data[1:])


class InStorage(StorageDriver):
    """Large payloads, encrypted before, by the hash of their bytes, below the workflow that they belong to.

    Temporal remembers of each no more than that name. They stay until it forgets the workflow (`tidying`).
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: dict[str, float] = {}
        """When each of the latest was written, by the monotonic clock."""

    def name(self) -> str:
        """See StorageDriver."""
        return "docpipe-storage"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """See StorageDriver."""
        target = context.target
        run = target.id if isinstance(target, StorageDriverWorkflowInfo) else None
        return [
            StorageDriverClaim({"name": await self._store(run or SHARED, payload)}) for payload in payloads
        ]

    async def _store(self, run: str, payload: Payload) -> str:
        data = payload.SerializeToString(deterministic=True)
        name = f"{PAYLOADS}/{run}/{hashlib.sha256(data).hexdigest()[:32]}"
        now = time.monotonic()
        if now >= self._known.get(name, float("-inf")) + AGAIN_S:
            await self._blobs.put(name, data)
            self._known[name] = now
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return name

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """See StorageDriver.

        Raises:
            SpoolLostError: if one is gone.
        """
        del context
        return [await self._retrieve(claim.claim_data) for claim in claims]

    async def _retrieve(self, claim: Mapping[str, str]) -> Payload:
        data = await self._blobs.get(claim["name"])
        if data is None:
            raise SpoolLostError(
                f"{claim['name']} is not in {self._blobs.where}: either the machines of this fleet do not "
                "share one storage, or something other than docpipe has deleted it there."
            )
        return Payload.FromString(data)


_REMEMBERED: Final = 10_000


def data_converter(keys: Keyring, blobs: Blobs) -> DataConverter:
    """How a client and its workers convert what they send to Temporal."""
    return dataclasses.replace(
        DataConverter.default,
        payload_converter_class=Converter,
        payload_codec=Encrypted(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        external_storage=ExternalStorage(drivers=[InStorage(blobs)], payload_size_threshold=LARGE),
    )
