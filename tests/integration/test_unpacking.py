"""Archives are taken apart in workers: as in this process, whatever an archive does to its worker."""

import asyncio
import gzip
import hashlib
import json
import random
import stat
import zipfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from docpipe.archive.delivered import DeliveredFile
from docpipe.archive.extract import NO_ZIP
from docpipe.archive.limits import Limits
from docpipe.errors import ArchiveError
from docpipe.model import Outcome, Ticket
from docpipe.workers import rooms, unpacked, unpacking
from docpipe.workers.rooms import MisfitError
from docpipe.workers.unpacked import read_unpacked
from docpipe.workers.unpacking import UnpackingHere, UnpackingWorkers, make_unpacker
from tests.unit.test_archive_extract import outcomes, tarred, zipped
from tests.worker_attacks import TRUE
from tests.worker_support import until


class Place:
    """A spool with an archive and a folder for its files."""

    def __init__(self, spool: Path) -> None:
        self.spool, self.folder, self.archive = spool, spool / "run" / "files", spool / "archive.zip"

    def emptied(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        rooms.empty(self.folder)
        return self.folder

    def files(self) -> dict[str, bytes]:
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in self.folder.iterdir())
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    async def unpack(self, unpacker, data: bytes, limits: Limits = Limits()):  # noqa: B008
        self.archive.write_bytes(data)
        return await unpacker.unpack(self.archive, self.emptied(), limits, Ticket("r"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do what the archive says."""
    monkeypatch.setattr(unpacking, "TARGET", "tests.worker_attacks:unpack")


def mixed() -> bytes:
    """Files, duplicates, archives in archives, one name twice, damage and what is refused."""
    inner = zipped(("in.txt", b"in"), ("a.txt", b"a"))
    deep = zipped(("1.zip", zipped(("2.zip", zipped(("3.zip", zipped(("4.txt", b"4"))))))))
    members = [("a.txt", b"a"), ("Q.QQQ", b"other"), ("b.txt", b"other"), ("../x", b"x"), ("empty", b"")]
    members += [("n.zip", inner), ("again.zip", inner), ("t.tar", tarred(("t.txt", b"t")))]
    members += [("g.txt.gz", gzip.compress(b"g", mtime=0)), ("d.zip", deep), ("cut.gz", b"\x1f\x8b\x08cut")]
    return zipped(*members).replace(b"Q.QQQ", b"a.txt")


@pytest.mark.parametrize("moved", [False, True])
async def test_workers_unpack_as_this_process_does(place, monkeypatch, moved):
    """The same entries and the same files, whether they are copied or moved out of the room."""
    monkeypatch.setattr(unpacked, "COPIED", 0 if moved else unpacked.COPIED)
    here = await place.unpack(UnpackingHere(), mixed())
    files = place.files()
    async with make_unpacker(place.spool / "rooms") as unpacker:
        for _ in range(2):
            there = await place.unpack(unpacker, mixed())
            assert place.files() == files
            for entry in here:
                if entry["file"] is None:  # of bytes that are not kept a hash would be hearsay
                    entry |= {"sha256": None, "id": None}
            assert there == here
        assert len(unpacker._pool._idle) == (0 if moved else 1)
    assert {"stored", "failed", "duplicate", "refused", "ignored", None} == set(outcomes(here).values())
    assert sorted(path.name for path in place.spool.iterdir()) == ["archive.zip", "run"], "no room is left"


async def test_larger_files_where_they_are_configured(place):
    """The bound of a file goes down to what the worker may write and to what is taken from it."""
    data = zipped(("large.bin", bytes(range(256)) * 8192), ("small.txt", b"small"))
    for most, outcome in ((2**20, Outcome.REFUSED), (2**22, None)):
        async with make_unpacker(place.spool / "rooms", file=most) as unpacker:
            got = await place.unpack(unpacker, data, Limits(member=most))
            assert outcomes(got) == {"large.bin": outcome, "small.txt": None}
    async with make_unpacker(place.spool / "rooms", file=2**20) as unpacker:
        with pytest.raises(ArchiveError):
            await place.unpack(unpacker, data, Limits(member=2**22))


async def test_files_in_no_archive_are_taken_as_here(place):
    """Verdicts of the source stay, archives are opened, and a file that is gone fails alone."""
    plain, packed = place.spool / "plain", place.spool / "packed"
    plain.write_bytes(b"plain")
    packed.write_bytes(zipped(("in.txt", b"in"), ("same", b"plain")))
    files = [
        DeliveredFile("plain.txt", plain),
        DeliveredFile("packed.zip", packed),
        DeliveredFile("lost", place.spool / "lost"),
        DeliveredFile("kept", plain, Outcome.STORED, "A list."),
        DeliveredFile("none", None, Outcome.FAILED, "It could not be fetched."),
    ]
    here = await UnpackingHere().gather(files, place.emptied(), Limits(), Ticket("r"), more=2)
    kept = place.files()
    async with make_unpacker(place.spool / "rooms") as unpacker:
        assert await unpacker.gather(files, place.emptied(), Limits(), Ticket("r"), more=2) == here
    assert place.files() == kept
    assert [entry["outcome"] for entry in here] == [None, "stored", None, "duplicate"] + ["failed"] * 0 + [
        "failed",
        "duplicate",
        "failed",
        "refused",
    ]


async def test_what_is_no_archive_is_reported_as_here(place):
    """And the worker is used again."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        with pytest.raises(ArchiveError) as caught:
            await place.unpack(unpacker, b"no archive")
        assert str(caught.value) == NO_ZIP
        assert len(unpacker._pool._idle) == 1


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "how",
    [
        b"answer 1",
        b"answer {}",
        b'answer [["a"]]',
        b"answer " + json.dumps([["", *TRUE[1:]]]).encode(),
        b"answer " + json.dumps([["a", 5, *TRUE[2:]]]).encode(),
        b"answer " + json.dumps([["a", -1, *TRUE[2:]]]).encode(),
        b"answer " + json.dumps([TRUE, TRUE]).encode(),
        b"answer " + json.dumps([["a" * 5_000, *TRUE[1:]]]).encode(),
        b"answer " + json.dumps([["a", 4, True, "converted", *TRUE[4:]]]).encode(),
        b"answer " + json.dumps([["a", 4, False, None, *TRUE[4:]]]).encode(),
        b"answer " + json.dumps([[*TRUE[:5], 0, None, None]]).encode(),
        b"answer " + json.dumps([[*TRUE[:6], 0, None]]).encode(),
        b"answer " + json.dumps([[*TRUE[:7], "../../x"]]).encode(),
        b"link /etc/passwd",
        b"folder",
        b"second_name",
    ],
)
async def test_a_lie_is_the_failure_of_one_archive(place, how):
    """No file comes out of it, the caller knows why, and the next archive is unpacked."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        with pytest.raises(ArchiveError, match=r"cannot be unpacked: its worker (returned|stopped)"):
            await place.unpack(unpacker, how)
        assert place.files() == {}
        (entry,) = await place.unpack(unpacker, b"answer " + json.dumps([TRUE]).encode())
        assert entry["sha256"] == hashlib.sha256(b"text").hexdigest()
        assert place.files() == {"00001.bin": b"text"}


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("what", ["start_program", "parent_memory", "memory_file", "large_file", "core"])
async def test_an_archive_reaches_nothing(place, what):
    """A worker that unpacks has the walls of a converter, and starts no other process or thread."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        (entry,) = await place.unpack(unpacker, b"attempt " + what.encode())
    assert entry["reason"].startswith("refused: ")


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    ("how", "why"),
    [(b"death", r"stopped unexpectedly \(signal 11\)"), (b"memory", "needs more than 160 MiB of memory")],
)
async def test_a_worker_that_dies_is_replaced_and_then_the_archive_fails(place, how, why):
    """Twice as it is, twice without nested archives; then the archive has failed, with the cause."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        with capture_logs() as logs, pytest.raises(ArchiveError, match=why):
            await place.unpack(unpacker, how)
    tries = [line["attempt"] for line in logs if line["event"] == "worker_failed"]
    assert tries == [1, 2, 1, 2]


@pytest.mark.usefixtures("hostile")
async def test_a_nested_archive_that_kills_its_worker_leaves_the_rest(place):
    """The files beside it come out, with what it itself is."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        entries = await place.unpack(unpacker, b"death_of_nested")
    assert outcomes(entries) == {"a": None}


async def test_archives_that_are_not_opened_are_kept_and_failed(place):
    """The message names which of them may be at fault."""
    entries = await place.unpack(UnpackingHere(), mixed(), Limits(nested=False))
    by_name = outcomes(entries)
    assert {by_name["n.zip"], by_name["t.tar"], by_name["g.txt.gz"]} == {"failed"}
    assert by_name["b.txt"] == "duplicate"
    assert all(entry["file"] for entry in entries if entry["path"] == "n.zip")


@pytest.mark.usefixtures("hostile")
async def test_a_worker_that_does_not_end_is_stopped(place, monkeypatch):
    """Its time is that of the longest archive and a little more; here it is short."""
    monkeypatch.setattr(unpacking, "_SPARE_S", 0.5 - Limits().seconds)
    async with make_unpacker(place.spool / "rooms") as unpacker:
        with pytest.raises(ArchiveError, match="cannot be unpacked: it took longer than"):
            await place.unpack(unpacker, b"time")


@pytest.mark.usefixtures("hostile")
async def test_full_disk_is_waited_for_by_the_caller(place, monkeypatch):
    """Whether the worker meets it or the process that copies its files."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        with pytest.raises(OSError, match="No space"):
            await place.unpack(unpacker, b"disk")
        monkeypatch.setattr(rooms, "_copy_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(OSError, match="No space"):
            await place.unpack(unpacker, b"answer " + json.dumps([TRUE]).encode())


@pytest.mark.usefixtures("hostile")
async def test_who_gives_up_ends_the_worker(place):
    """A cancelled run leaves neither process nor room."""
    async with UnpackingWorkers(place.spool / "rooms", lambda: 0.0) as unpacker:
        task = asyncio.create_task(place.unpack(unpacker, b"time"))
        await until(lambda: list(place.spool.glob("rooms/.worker-*/own/out/00001.bin")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(place.spool.glob("rooms/*")) == []


@pytest.mark.usefixtures("hostile")
async def test_a_room_with_more_in_it_is_not_used_again(place):
    """The archive is as good as any."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        assert outcomes(await place.unpack(unpacker, b"late")) == {"a": None}
        assert unpacker._pool._idle == []


async def test_another_disk_is_copied_to(place, monkeypatch):
    """Where a file cannot be moved out of the room, it is copied."""
    monkeypatch.setattr(unpacked, "COPIED", 0)
    real = Path.rename

    def refuse(path, target):
        if "out" in path.parts:
            raise OSError(18, "Invalid cross-device link")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    async with make_unpacker(place.spool / "rooms") as unpacker:
        await place.unpack(unpacker, zipped(("a.txt", b"text")))
    assert place.files() == {"00001.bin": b"text"}


async def test_busy_slots_are_those_of_archives(place):
    """Archives have workers of their own: no more at once than there is memory for beside conversions."""
    async with make_unpacker(place.spool / "rooms") as unpacker:
        pool = unpacker._pool
        assert (pool.snapshot().size, pool._memory) == (unpacking.AT_ONCE, unpacking.MEMORY)
    from docpipe.workers.machine import OWN_MEMORY  # noqa: PLC0415

    assert unpacking.AT_ONCE * unpacking.MEMORY + 150 * 2**20 <= OWN_MEMORY


async def test_an_archive_in_its_directory_is_no_burden_of_this_process(place):
    """A directory of many megabytes, packed within an archive, is read where memory is bounded."""
    inner = place.spool / "inner.zip"
    noise = random.Random(1)
    with zipfile.ZipFile(inner, "w") as file:
        for number in range(600):
            info = zipfile.ZipInfo(f"{number:05d}{noise.randbytes(10_000).hex()}" + "n" * 40_000)
            info.comment = b"c" * 60_000
            file.writestr(info, b"x")
    data = zipped(("inner.zip", inner.read_bytes()), ("a.txt", b"a"))
    async with make_unpacker(place.spool / "rooms") as unpacker:
        await place.unpack(unpacker, zipped(("a", b"a")))
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        before = held()
        entries = await place.unpack(unpacker, data)
        assert held() - before < 30 * 2**20
    assert outcomes(entries)["a.txt"] is None
    assert {entry["outcome"] for entry in entries if entry["parent"]} == {"refused"}


def held() -> int:
    """The most memory that this process held since it was reset."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def test_answers_about_others_are_read():
    """Indexes point back, and only to what there is."""
    row = ["b", 4, False, "duplicate", None, 0, None, None]
    assert read_unpacked(json.dumps([TRUE, row]).encode()) is not None
    for bad in ([*row[:5], 1, None, None], [*row[:5], None, None, None], ["b", 4, True, *row[3:]]):
        with pytest.raises(MisfitError):
            read_unpacked(json.dumps([TRUE, bad]).encode())
