"""What enters Temporal: typed values go in and out, nothing can be read, the large lies in the storage."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, StorageDriverStoreContext, StorageDriverWorkflowInfo
from temporalio.exceptions import ApplicationError

from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError, SpoolLostError
from docpipe.fleet.keys import Keyring
from docpipe.fleet.payloads import LARGE, PAYLOADS, data_converter
from docpipe.model import Patient, RunState
from docpipe.results.files import Archive, Member
from docpipe.storage.blobs import FolderBlobs

ONE, TWO = "0a" * 64, "1b" * 64
PATIENT = Patient("P123", "Ada", "Canary", "1815-12-10")


class Colour(StrEnum):
    """A value of which only the text is sent."""

    RED = "red"


def made(folder: Path, *keys: str) -> DataConverter:
    """A converter that stores for run R1."""
    converter = data_converter(Keyring(Secret("\n".join(keys or (ONE,)))), FolderBlobs(folder))
    target = StorageDriverWorkflowInfo(namespace="default", id="R1")
    return converter._with_store_context(StorageDriverStoreContext(target=target))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (PATIENT, Patient),
        (Archive(state="ready", members=[Member(path="ä/b.pdf", file="files/1")]), Archive),
        ([PATIENT, PATIENT], list[Patient]),
        (RunState.FAILED, RunState),
        ({"a": [1, 2.5, None, True], "b": {"c": "d"}}, Any),
        ("half a pair: \ud800", None),
        (None, None),
        (b"bytes", bytes),
        (b"x" * LARGE, bytes),
        ("long" * LARGE, str),
    ],
)
async def test_values_come_back_as_their_types(tmp_path: Path, value: Any, hint: Any) -> None:
    """Structs, dataclasses, enumerations, plain JSON, bytes, and half a surrogate in a file's name."""
    converter = made(tmp_path)
    assert await converter.decode(await converter.encode([value]), [hint] if hint else None) == [value]


async def test_nothing_can_be_read(tmp_path: Path) -> None:
    """Neither in the payload, short or packed, nor in a failure with its message, trace and details."""
    converter = made(tmp_path)
    for value in (PATIENT, [PATIENT] * 100, [f"{PATIENT} {n}" for n in range(5000)]):
        (payload,) = await converter.encode([value])
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        for canary in (b"Canary", b"P123", b"1815"):
            assert canary not in payload.SerializeToString() + kept
    failure = Failure()
    error = ApplicationError("Canary was born in 1815", {"patient": "P123"}, type="RunError")
    await converter.encode_failure(error, failure)
    for canary in (b"Canary", b"P123", b"1815"):
        assert canary not in failure.SerializeToString()
    back = await converter.decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert (back.message, back.type, back.details) == (error.message, "RunError", ({"patient": "P123"},))


async def test_large_ones_lie_in_the_storage_once(tmp_path: Path) -> None:
    """Below their run, by the hash of what is encrypted; Temporal has a name of them."""
    converter = made(tmp_path)
    digits = [str(n) for n in range(20_000)]
    first, again = await converter.encode([digits, digits])
    assert first.data == again.data
    assert len(first.data) < 500
    (name,) = await FolderBlobs(tmp_path).names(f"{PAYLOADS}/R1")
    assert name.encode() in first.data
    assert await made(tmp_path).decode([first], [list[str]]) == [digits]
    await FolderBlobs(tmp_path).remove(f"{PAYLOADS}/R1")
    with pytest.raises(SpoolLostError, match=r"do not share one storage"):
        await converter.decode([first])


async def test_short_and_equal_values_are_small(tmp_path: Path) -> None:
    """JSON packs well: a history of a run with many documents is a fifth."""
    converter = made(tmp_path)
    members = [Member(path=f"letters/{n}.pdf", file=f"files/{n:05d}", size=n) for n in range(100)]
    (payload,) = await converter.encode([members])
    assert payload.ByteSize() < len(msgspec.json.encode(members)) / 5


async def test_keys_are_rotated(tmp_path: Path) -> None:
    """What the old key wrote is read beside the new one; without it the sentence names its id."""
    (payload,) = await made(tmp_path).encode([PATIENT])
    assert await made(tmp_path, TWO, ONE).decode([payload], [Patient]) == [PATIENT]
    with pytest.raises(ConfigError, match=r"fleet\.key.*all machines of a fleet need the same keys"):
        await made(tmp_path, TWO).decode([payload])


async def test_what_is_not_encrypted_is_refused(tmp_path: Path) -> None:
    """Write access to the namespace is not enough to make docpipe act on forged payloads."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"P1"')
    with pytest.raises(ConfigError, match=r"fleet\.namespace: something there is not encrypted"):
        await made(tmp_path).decode([plain])


async def test_another_type_is_refused(tmp_path: Path) -> None:
    """A value that does not fit its type is an error here, and not somewhere later."""
    converter = made(tmp_path)
    with pytest.raises(msgspec.ValidationError):
        await converter.decode(await converter.encode([{"id": 7}]), [Patient])


async def test_many_at_once(tmp_path: Path) -> None:
    """Concurrent activities store the same large value without harm."""
    converter = made(tmp_path)
    value = ["x" * 40_000, *map(str, range(9_000))]
    encoded = await asyncio.gather(*(converter.encode([value]) for _ in range(8)))
    assert len({payloads[0].data for payloads in encoded}) == 1
    assert not list(tmp_path.rglob(".tmp-*"))
