"""What an archive may hold, and how long it may take to unpack."""

from dataclasses import dataclass
from typing import Final

_SECONDS: Final = 120.0
"""For an archive of any size."""
_BYTES_A_SECOND: Final = 2**18
"""Of the archive: the pace of a slow disk, and of the slowest way of packing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold, everything nested in it included. Sizes are in bytes."""

    members: int = 10_000
    total: int = 4 * 2**30
    """Bytes unpacked in all, duplicates included: it bounds the time as well as the disk."""
    member: int = 2**30
    ratio: int = 200
    """Unpacked to packed."""
    depth: int = 3
    """Levels of archives within archives that are opened."""
    path: int = 2_000
    """Characters of a path as displayed; archives nested in archives add up."""
    paths: int = 4 * 2**20
    """Bytes of all paths, in UTF-8."""
    ratio_from: int = 100 * 2**20
    """Bytes. A smaller file may have any ratio, as blank scans have; from here on the files kept may have at
    most `ratio` times the archive's size, plus 1 MiB each."""
    seconds: float = 1_800
    """The longest time that unpacking an archive may take, however large it is."""
    nested: bool = True
    """Whether archives in it are opened; where they are not, each has the outcome `failed`."""

    def time(self, packed: int | None) -> float:
        """Seconds for an archive of this many bytes; None where files are in no archive."""
        if packed is None:
            return self.seconds
        return min(self.seconds, _SECONDS + packed / _BYTES_A_SECOND)


STANDARD: Final = Limits()


def size_in_words(size: int) -> str:
    """A limit as people write it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
