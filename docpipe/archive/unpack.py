"""Decompression in small pieces, for every method: a bomb never has more than a block in memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from docpipe.archive.member import BLOCK, BadMemberError

DAMAGED: Final = "The file is damaged in its archive and cannot be unpacked."
CUT_SHORT: Final = "The file is cut short in its archive."
STORED: Final = 0
_LARGEST_DICTIONARY: Final = 2**26
"""Bytes. What LZMA's own presets use at most; a header may ask for 4 GiB."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def unpack(raw: Iterator[bytes], method: int) -> Iterator[bytes]:
    """The bytes that a ZIP's `method` packed.

    Raises: BadMemberError for unknown methods and for what is damaged or cut short.
    """
    if method == STORED:
        return raw
    if method not in _METHODS:
        raise BadMemberError(f"The file is packed in a way that docpipe cannot read (method {method}).")
    return _METHODS[method](raw)


def inflate(raw: Iterator[bytes], wbits: int = -zlib.MAX_WBITS) -> Iterator[bytes]:
    """Decompress deflate; `wbits` as zlib has it."""
    machine = zlib.decompressobj(wbits)
    try:
        for block in raw:
            rest = block
            while rest and not machine.eof:
                yield machine.decompress(rest, BLOCK)
                rest = machine.unconsumed_tail
            if machine.eof:
                return
        yield machine.flush()  # less than a window: all input but what this holds has been asked for
    except zlib.error as error:
        raise BadMemberError(DAMAGED) from error
    if not machine.eof:
        raise BadMemberError(CUT_SHORT)


def gunzip(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip: one stream or several in a row; what follows them is ignored."""
    machine, fresh, any_yet = zlib.decompressobj(zlib.MAX_WBITS | 16), True, False
    try:
        for block in raw:
            rest = block
            while rest:
                if fresh and any_yet and not b"\x1f\x8b".startswith(rest[:2]):
                    return  # padding
                yield machine.decompress(rest, BLOCK)
                fresh, rest = False, machine.unconsumed_tail
                if machine.eof:
                    rest, any_yet, fresh = machine.unused_data, True, True
                    machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    except zlib.error as error:
        raise BadMemberError(DAMAGED) from error
    if not (fresh and any_yet):
        raise BadMemberError(CUT_SHORT)


def _feed(machine: _Decompressor, raw: Iterator[bytes]) -> Iterator[bytes]:
    for block in raw:
        rest = block
        while not machine.eof and (rest or not machine.needs_input):
            try:
                chunk = machine.decompress(rest, BLOCK)
            except (OSError, EOFError, ValueError, lzma.LZMAError) as error:  # bz2 says OSError for bad data
                raise BadMemberError(DAMAGED) from error
            yield chunk
            rest = b""
        if machine.eof:
            return


def bunzip2(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress bzip2: one stream or several in a row, as parallel packers write."""
    yield from _streams(bz2.BZ2Decompressor, b"BZh", raw)


def unxz(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress xz: one stream or several in a row, with padding between them."""
    yield from _streams(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * _LARGEST_DICTIONARY), b"\xfd7zXZ\0", raw
    )


def _streams(
    fresh: "Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]", magic: bytes, raw: Iterator[bytes]
) -> Iterator[bytes]:
    """Decompress the streams; what follows the last is ignored."""
    machine, any_yet, begun = fresh(), False, False
    for block in raw:
        rest = block
        while rest or (begun and not machine.needs_input):
            if any_yet and not begun:
                rest = rest.lstrip(b"\0")
                if not rest.startswith(magic[: len(rest)]):
                    return
            try:
                chunk = machine.decompress(rest, BLOCK)
            except (OSError, EOFError, ValueError, lzma.LZMAError) as error:  # bz2 says OSError for bad data
                raise BadMemberError(DAMAGED) from error
            begun, rest = bool(begun or rest), b""
            yield chunk
            if machine.eof:
                rest = machine.unused_data
                machine, any_yet, begun = fresh(), True, False
    if begun or not any_yet:
        raise BadMemberError(CUT_SHORT)


def _bunzip2(raw: Iterator[bytes]) -> Iterator[bytes]:
    machine = bz2.BZ2Decompressor()
    yield from _feed(machine, raw)
    if not machine.eof:
        raise BadMemberError(CUT_SHORT)


def _unxz(raw: Iterator[bytes]) -> Iterator[bytes]:
    machine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * _LARGEST_DICTIONARY)
    yield from _feed(machine, raw)
    if not machine.eof:
        raise BadMemberError(CUT_SHORT)


def _unlzma(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress LZMA as ZIP has it: a header of 4 bytes and its properties, and not always an end mark."""
    head = next(raw, b"")
    if len(head) < 9 or head[2:4] != b"\5\0" or head[4] >= 9 * 5 * 5:  # noqa: PLR2004 - APPNOTE 5.8
        raise BadMemberError(DAMAGED)
    rest, literal_context = divmod(head[4], 9)
    position, literal_position = divmod(rest, 5)
    dictionary = int.from_bytes(head[5:9], "little")
    if dictionary > _LARGEST_DICTIONARY:
        raise BadMemberError("The file needs more memory to be unpacked than docpipe gives.")
    settings = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(dictionary, 4096),
        "lc": literal_context,
        "lp": literal_position,
        "pb": position,
    }

    def body() -> Iterator[bytes]:
        yield head[9:]
        yield from raw

    yield from _feed(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings]), body())


_METHODS: Final[dict[int, Callable[[Iterator[bytes]], Iterator[bytes]]]] = {
    8: inflate,
    12: _bunzip2,
    14: _unlzma,
    95: _unxz,
}
