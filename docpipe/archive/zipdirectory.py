"""Reads the directory of a ZIP, and recovers members where it is damaged (APPNOTE.TXT 6.3.10).

The standard library's zipfile refuses an archive as a whole for one bad record, decodes names by guess, and
unpacks bzip2 and LZMA without a bound; hence this.
"""

import struct
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

from docpipe.archive.member import BLOCK, NotAnArchiveError

LOCAL: Final = b"PK\x03\x04"
_CENTRAL: Final = b"PK\x01\x02"
_END: Final = b"PK\x05\x06"
_DESCRIPTOR: Final = b"PK\x07\x08"
_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_CENTRAL_HEADER: Final = struct.Struct("<4s6H3L5H2L")
_END_RECORD: Final = struct.Struct("<4s4H2LH")
_END_RECORD_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_EMPTY_DEFLATED: Final = 2
"""Bytes of nothing, deflated; some packers deflate folders too."""
_FULL_32: Final = 0xFFFF_FFFF
_FARTHEST: Final = 2**42
"""An offset that no archive has; beyond their largest file, file systems refuse to seek."""
_HAS_DESCRIPTOR: Final = 0x8
LONGEST_NAME: Final = 4_096
"""Bytes of a name; of a longer one only the beginning is kept."""
_LARGEST_NAMES: Final = 2**24
"""Bytes of all names that are kept, with their Unicode forms."""
_LARGEST_DIRECTORY: Final = 2**26
"""Bytes of a directory that are read; 10,000 files with long names take a tenth."""
_ZIP64: Final = 1
UNICODE_PATH: Final = 0x7075


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the directory. Offsets are of the file, numbers as the archive claims them."""

    raw_name: bytes
    flags: int
    method: int
    crc: int | None
    packed: int
    size: int
    offset: int
    mode: int = 0
    """The file's mode under Unix, 0 where it was not packed there."""
    folder: bool = False
    """Marked as a folder under DOS."""
    stamp: int = 0
    """The day of its last change, as DOS writes it."""
    unicode_path: bytes = b""
    """The extra field with the name in UTF-8."""

    @property
    def name_is_too_long(self) -> bool:
        """Whether `raw_name` is only the beginning of a name."""
        return len(self.raw_name) > LONGEST_NAME

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which has no bytes; a "folder" with bytes is a file that hides."""
        named = self.raw_name.endswith((b"/", b"\\"))
        return not self.size and self.packed <= _EMPTY_DEFLATED and (self.folder or named)


@dataclass(slots=True)
class Directory:
    """All records, at most as many as were asked for."""

    entries: list[Entry] = field(default_factory=list)
    more: int = 0
    damaged: bool = False
    kept: int = 0
    """Bytes of names."""

    def add(self, entry: Entry, most: int) -> bool:
        """Keep an entry if there is room; return whether it was kept."""
        kept = self.kept + len(entry.raw_name) + len(entry.unicode_path)
        if len(self.entries) >= most or kept > _LARGEST_NAMES:
            return False
        self.entries.append(entry)
        self.kept = kept
        return True


def read(file: BinaryIO, most: int) -> Directory:
    """The directory of a ZIP, or its local headers where the directory is damaged.

    Raises: NotAnArchiveError when there is neither; OSError when the file cannot be read.
    """
    size = file.seek(0, 2)
    listed = _listed(file, size, most)
    if listed is not None and not listed.damaged and not _is_anothers(file, listed, most):
        _mend(file, size, listed, most)
        return listed
    recovered = _recovered(file, size, most)
    best = recovered if listed is None or len(recovered.entries) >= len(listed.entries) else listed
    if not best.entries:
        raise NotAnArchiveError
    best.damaged = True
    return best


def _is_anothers(file: BinaryIO, directory: Directory, most: int) -> bool:
    """Whether a directory belongs to an archive inside this one, whose own directory was cut off.

    It does when unlisted members precede the first that it lists.
    """
    first = min((entry.offset for entry in directory.entries), default=0)
    if not first or _local_header(file, 0) is None:
        return False
    known = {entry.raw_name for entry in directory.entries}
    return any(entry.raw_name not in known for entry in _recovered(file, first, most).entries)


def body_offset(file: BinaryIO, entry: Entry) -> int | None:
    """Where the bytes of an entry begin, None when there is no local header where the directory says."""
    header = _local_header(file, entry.offset)
    if header is None:
        return None
    return entry.offset + _LOCAL_HEADER.size + header[-2] + header[-1]


def _local_header(file: BinaryIO, offset: int) -> tuple[int, ...] | None:
    if offset > _FARTHEST:
        return None
    file.seek(offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(LOCAL):
        return None
    return _LOCAL_HEADER.unpack(header)


def _mend(file: BinaryIO, size: int, directory: Directory, most: int) -> None:
    """Where the directory points to the wrong place, use the local header of the same name.

    Some packers do not count the data descriptors they write, so all offsets after the first are wrong.
    """
    lost = [index for index, entry in enumerate(directory.entries) if not _has_body(file, size, entry)]
    if not lost:
        return
    by_name: dict[bytes, list[Entry]] = {}
    for local in reversed(_recovered(file, size, most).entries):
        by_name.setdefault(local.raw_name, []).append(local)
    for index in lost:
        entry = directory.entries[index]
        if same := by_name.get(entry.raw_name):
            local = same.pop()
            directory.entries[index] = replace(
                entry,
                method=local.method,
                crc=entry.crc if local.crc is None else local.crc,
                packed=local.packed,
                size=local.size or entry.size,
                offset=local.offset,
            )


def _has_body(file: BinaryIO, size: int, entry: Entry) -> bool:
    start = body_offset(file, entry)
    if start is None or start + entry.packed > size:
        return False
    file.seek(entry.offset + _LOCAL_HEADER.size)
    return file.read(len(entry.raw_name)) == entry.raw_name


@dataclass(frozen=True, slots=True)
class _End:
    position: int
    count: int
    size: int
    offset: int


def _listed(file: BinaryIO, size: int, most: int) -> Directory | None:
    end = _end(file, size)
    if end is None:
        return None
    before = end.position - end.size - end.offset  # bytes that somebody put before the archive
    for shift in dict.fromkeys((max(before, 0), 0)):
        directory, count = _records(file, end, shift, most)
        if directory.entries:
            break
    # A count of 16 bits wraps in archives of more than 65,535 files written without ZIP64.
    directory.damaged = count % 2**16 != end.count % 2**16 or (not count and end.position > 0)
    return directory


def _end(file: BinaryIO, size: int) -> _End | None:
    start = max(0, size - _END_RECORD.size - 2**16)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(_END, 0, max(0, len(tail) - _END_RECORD.size + len(_END)))
    if at < 0:
        return None
    _, _, _, _, count, length, offset, _ = _END_RECORD.unpack_from(tail, at)
    end = _End(start + at, count, length, offset)
    return _end_64(file, end) or end


def _end_64(file: BinaryIO, end: _End) -> _End | None:
    at = end.position - _LOCATOR_64.size
    if at < 0:
        return None
    file.seek(at)
    locator = file.read(_LOCATOR_64.size)
    if not locator.startswith(b"PK\x06\x07"):
        return None
    _, _, claimed, _ = _LOCATOR_64.unpack(locator)
    for position in (claimed, at - _END_RECORD_64.size):
        if 0 <= position < at:
            file.seek(position)
            record = file.read(_END_RECORD_64.size)
            if len(record) == _END_RECORD_64.size and record.startswith(b"PK\x06\x06"):
                *_, count, length, offset = _END_RECORD_64.unpack(record)
                return _End(position, count, length, offset)
    return None


def _records(file: BinaryIO, end: _End, shift: int, most: int) -> tuple[Directory, int]:
    """The records from where the directory should begin, and how many there are."""
    directory, count = Directory(), 0
    file.seek(min(end.offset + shift, end.position))
    last = min(end.position, end.offset + shift + _LARGEST_DIRECTORY)
    while file.tell() < last:
        header = file.read(_CENTRAL_HEADER.size)
        if len(header) < _CENTRAL_HEADER.size or not header.startswith(_CENTRAL):
            break
        fields = _CENTRAL_HEADER.unpack(header)
        rest = file.read(sum(fields[10:13]))
        if len(rest) < sum(fields[10:13]):
            break
        count += 1
        entry = _of_record(fields, rest, shift)
        if entry.is_folder:
            continue  # it takes no place among the files
        if not directory.add(entry, most):
            directory.more += 1
    if last <= file.tell() < end.position:
        directory.more += 1  # at least
        count = end.count  # it is too large, not damaged
    return directory, count


def _of_record(fields: tuple[int, ...], rest: bytes, shift: int) -> Entry:
    (_, made, _, flags, method, _, day, crc, packed, size, name, extra, _, _, _, attributes, offset) = fields
    raw_extra = rest[name : name + extra]
    size, packed, offset = _widened(raw_extra, (size, packed, offset))
    return Entry(
        raw_name=rest[: min(name, LONGEST_NAME + 1)],
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        offset=offset + shift,
        mode=attributes >> 16,
        folder=made >> 8 in (0, 10, 11) and bool(attributes & 0x10),
        stamp=day,
        unicode_path=_field(raw_extra, UNICODE_PATH)[: LONGEST_NAME + 5],
    )


def _field(extra: bytes, wanted: int) -> bytes:
    """The first of an entry's extra fields of one kind; a damaged tail is left out."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _widened(extra: bytes, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers that did not fit into 32 bits, from the ZIP64 field."""
    wide = _field(extra, _ZIP64)
    widened, at = [], 0
    for number in numbers:
        if number == _FULL_32 and at + 8 <= len(wide):
            widened.append(int.from_bytes(wide[at : at + 8], "little"))
            at += 8
        else:
            widened.append(number)
    return tuple(widened)


def _recovered(file: BinaryIO, size: int, most: int) -> Directory:
    """The members by their local headers. A member of unknown length ends at the next signature."""
    directory, at = Directory(), 0
    while (next_at := _find(file, at, LOCAL)) is not None:
        at = next_at
        header = _local_header(file, at)
        if header is None:  # cut short
            break
        _, _, flags, method, _, day, crc, packed, length, name, extra = header
        raw_name, raw_extra = file.read(name)[: LONGEST_NAME + 1], file.read(extra)
        length, packed = _widened(raw_extra, (length, packed))
        start = at + _LOCAL_HEADER.size + name + extra
        checksum: int | None = crc
        if flags & _HAS_DESCRIPTOR and not packed:
            packed, checksum, length = _until_signature(file, start, size)
        elif start + packed > size:
            packed, _, length = _until_signature(file, start, size)
        path = _field(raw_extra, UNICODE_PATH)[: LONGEST_NAME + 5]
        entry = Entry(raw_name, flags, method, checksum, packed, length, at, stamp=day, unicode_path=path)
        if not entry.is_folder and not directory.add(entry, most):
            directory.more = 1  # at least; counting on would take a hostile file's time
            break
        at = max(start + packed, at + len(LOCAL))
    return directory


def _until_signature(file: BinaryIO, start: int, size: int) -> tuple[int, int | None, int]:
    """Packed size, checksum and size of a member whose header lacks them."""
    end = _find(file, start, _DESCRIPTOR, LOCAL, _CENTRAL, _END)
    if end is None:
        return max(0, size - start), None, 0
    file.seek(end)
    descriptor = file.read(16)
    if descriptor.startswith(_DESCRIPTOR) and len(descriptor) == len(_DESCRIPTOR) + 12:
        crc, _, length = struct.unpack_from("<3L", descriptor, len(_DESCRIPTOR))
        return end - start, crc, length
    return end - start, None, 0


def _find(file: BinaryIO, start: int, *signatures: bytes) -> int | None:
    """Where the first of the signatures stands, at or after `start`."""
    keep, step = len(LOCAL) - 1, 1024
    file.seek(start)
    block, at = file.read(step), start
    while block:
        hits = [hit for signature in signatures if (hit := block.find(signature)) >= 0]
        if hits:
            return at + min(hits)
        step = min(2 * step, BLOCK)  # most are near, and each search begins anew
        more = file.read(step)
        if not more:
            return None
        at += max(0, len(block) - keep)
        block = block[-keep:] + more
    return None
