"""Damaged documents made of sound ones: what a broken disk, a bad transfer or a hostile hand does to them."""

import random
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 2_000_000
"""Bytes. Larger seeds cost time and find nothing more."""


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 5, 20, 100))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _overwrite(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    filling = rng.choice((b"\0", b"\xff", b"<", b"(", b"{", b"9", b"\n", rng.randbytes(1)))
    length = min(rng.choice((1, 4, 64, 4096)), len(data) - at)
    data[at : at + length] = filling * length
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(1, len(data) + 1)]


def _remove(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 7, 512, 5000))]
    return data


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    piece = bytes(data[at : at + rng.choice((1, 16, 1000))])
    data[at:at] = piece * rng.choice((2, 50, 2000))
    return data


def _number(data: bytearray, rng: random.Random) -> bytearray:
    """Another value where a length or an offset may stand."""
    at = rng.randrange(len(data))
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63)) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
    return data


def _digits(data: bytearray, rng: random.Random) -> bytearray:
    """Another number where digits stand."""
    places = [at for at in rng.sample(range(len(data)), min(200, len(data))) if 48 <= data[at] <= 57]
    for at in places[:5]:
        data[at : at + 1] = rng.choice((b"-1", b"0", b"99999999999", b"4294967296", b"1e309"))
    return data


def _splice(data: bytearray, rng: random.Random, other: bytes) -> bytearray:
    at, start = rng.randrange(len(data)), rng.randrange(len(other))
    data[at:at] = other[start : start + rng.choice((10, 1000, 20_000))]
    return data


_WAYS = (_flip, _flip, _overwrite, _cut, _remove, _repeat, _number, _digits)


def mutants(seeds: list[Path], number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged documents with their names, the same for the same seed."""
    rng = random.Random(seed)
    originals = [(path, data) for path in seeds if 0 < len(data := path.read_bytes()) <= _LARGEST]
    for index in range(number):
        path, original = originals[index % len(originals)]
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 2, 4))):
            if rng.random() < 0.1:  # a tenth is made of two documents
                data = _splice(data, rng, rng.choice(originals)[1])
            else:
                data = rng.choice(_WAYS)(data, rng)
            data = data or bytearray(b"\0")
        yield f"{index:06d}-{path.name}", bytes(data)
