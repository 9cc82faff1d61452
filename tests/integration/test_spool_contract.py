"""What every spool promises, of one machine and of a fleet alike; then what only the latter does."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from docpipe.activities.spool import FolderSpool
from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError, SpoolLostError
from docpipe.fleet.keys import Keyring
from docpipe.fleet.spool import PIECE, SPOOL, BucketSpool
from docpipe.gates.line import Slots
from docpipe.model import Spool
from docpipe.storage import FolderStorage, Storage
from docpipe.storage.attempts import Attempts
from docpipe.storage.blobs import Blobs, FolderBlobs
from docpipe.storage.bucketblobs import BucketBlobs
from docpipe.storage.objects import ObjectStorage
from tests.object_stores import KINDS

ONE, TWO = "0a" * 64, "1b" * 64
RUN, OTHER = "01MCC5RM00V3RS3DTR98H6BCFN", "01MCC5RM00V3RS3DTR98H6BCFP"
NAMES = ["files/00001", "siblings.json", "out/00001/parts/001"]

Machine = Callable[..., BucketSpool]


@pytest.fixture
def blobs(storage: Storage, tmp_path: Path) -> Blobs:
    """In a storage of each kind."""
    if isinstance(storage, FolderStorage):
        return FolderBlobs(tmp_path / "storage")
    assert isinstance(storage, ObjectStorage)
    return BucketBlobs(storage.store, Attempts(None, Slots(8, lambda: 0.0)), str(storage.bucket))


@pytest.fixture
def machine(blobs: Blobs, tmp_path: Path) -> Machine:
    """Makes the spool of one machine more, with the same keys unless others are given."""
    numbers = itertools.count(1)

    def made(*keys: str) -> BucketSpool:
        folder = tmp_path / f"machine-{next(numbers)}"
        return BucketSpool(folder, blobs, Keyring(Secret("\n".join(keys or (ONE,)))))

    return made


def write(spool: Spool, run: str = RUN, **contents: bytes) -> list[str]:
    """Files of a run, of the names above or others; an underscore stands for the slash."""
    names = []
    for name, data in contents.items():
        path = spool.path(run) / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        names.append(name.replace("_", "/"))
    return names


@pytest.fixture(params=["folder", *(f"fleet {kind}" for kind in KINDS)])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    """A spool of each kind."""
    if request.param == "folder":
        return FolderSpool(tmp_path / "spool")
    kind = request.param.removeprefix("fleet ")
    folder = tmp_path / "spool"
    if kind == "folder":
        return BucketSpool(folder, FolderBlobs(tmp_path / "storage"), Keyring(Secret(ONE)))
    from tests.object_stores import objects  # noqa: PLC0415 -- as its fixture makes it

    if kind == "memory":
        made = objects("memory://")
    else:
        bucket = request.getfixturevalue(kind)
        made = objects(bucket.url, bucket.options)
    attempts = Attempts(None, Slots(8, lambda: 0.0))
    return BucketSpool(folder, BucketBlobs(made.store, attempts, str(made.bucket)), Keyring(Secret(ONE)))


async def test_what_is_kept_is_there(spool: Spool) -> None:
    """As it was written, whatever is needed how often; another run has its own."""
    names = write(spool, files_00001=b"one", siblings=b"[]", out_1_parts_001=b"")
    write(spool, OTHER, files_00001=b"other")
    await spool.keep(RUN, names)
    await spool.keep(OTHER, ["files/00001"])
    await spool.need(RUN, [*names, names[0]])
    assert [(spool.path(RUN) / name).read_bytes() for name in names] == [b"one", b"[]", b""]
    await spool.drop(RUN)
    await spool.drop(RUN)
    assert not spool.path(RUN).exists()
    await spool.need(OTHER, ["files/00001"])
    assert (spool.path(OTHER) / "files" / "00001").read_bytes() == b"other"


async def test_nothing_is_asked_for(spool: Spool) -> None:
    """An archive without documents keeps nothing, and needs nothing; a run without files is dropped."""
    await spool.keep(RUN, [])
    await spool.need(RUN, [])
    await spool.drop(RUN)


async def test_another_machine_takes_the_files(machine: Machine, blobs: Blobs) -> None:
    """Small, empty, and of several pieces; nothing of them can be read in the storage."""
    one, two = machine(), machine()
    large = os.urandom(PIECE) + b"CANARY" + os.urandom(PIECE)
    names = write(one, files_00001=b"CANARY", files_00002=large, siblings=b"")
    await one.keep(RUN, names)
    await two.need(RUN, names)
    assert [(two.path(RUN) / name).read_bytes() for name in names] == [b"CANARY", large, b""]
    kept = await blobs.names(f"{SPOOL}/{RUN}")
    assert len(kept) == 5
    assert not [name for name in kept if b"CANARY" in (await blobs.get(name) or b"")]
    await two.drop(RUN)
    assert await blobs.names(f"{SPOOL}/{RUN}") == []
    assert await blobs.folders(SPOOL) == []


async def test_what_is_here_is_not_fetched_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it was written nor where it was fetched."""
    one, two = machine(), machine()
    names = write(one, files_00001=b"1", siblings=b"[]")
    await one.keep(RUN, names)
    await two.need(RUN, names)
    fetched: list[str] = []

    async def fetch(self: BucketSpool, file: object, run_id: str, name: str) -> int:
        fetched.append(name)
        return 1

    monkeypatch.setattr(BucketSpool, "_fetch", fetch)
    await one.need(RUN, names)
    await two.need(RUN, names)
    assert fetched == []


async def test_what_was_written_anew_is_fetched(machine: Machine) -> None:
    """A retry downloads another archive on another machine, whose files have the same names."""
    one, two = machine(), machine()
    await one.keep(RUN, write(one, files_00001=b"first archive"))
    await two.need(RUN, ["files/00001"])
    await two.keep(RUN, write(two, files_00001=b"second"))
    await one.need(RUN, ["files/00001"])
    assert (one.path(RUN) / "files" / "00001").read_bytes() == b"second"


async def test_a_file_that_nobody_kept_is_not_trusted(machine: Machine) -> None:
    """A try that was broken off has left a part of it; so has a process that was killed."""
    one, two = machine(), machine()
    await two.keep(RUN, write(two, files_00001=b"whole"))
    write(one, files_00001=b"who")
    await one.need(RUN, ["files/00001"])
    assert (one.path(RUN) / "files" / "00001").read_bytes() == b"whole"
    await two.clear()
    assert not two.path(RUN).exists()
    await two.need(RUN, ["files/00001"])
    assert (two.path(RUN) / "files" / "00001").read_bytes() == b"whole"


async def test_what_is_lost_is_named(machine: Machine, blobs: Blobs) -> None:
    """Also where only a piece of a file is lost; nothing is left half-written."""
    one, two = machine(), machine()
    with pytest.raises(
        SpoolLostError, match=rf"{SPOOL}/{RUN}/files/00001 is no longer in .*downloads it again"
    ):
        await two.need(RUN, ["files/00001"])
    names = write(one, files_00001=os.urandom(PIECE + 1), files_00002=b"2")
    await one.keep(RUN, names)
    await blobs.remove(f"{SPOOL}/{RUN}")
    with pytest.raises(SpoolLostError):
        await one.need(RUN, names)
    with pytest.raises(SpoolLostError):
        await two.need(RUN, names)
    assert not [path for path in two.folder.rglob("*") if path.is_file()]


async def test_another_key_is_refused(machine: Machine) -> None:
    """And one that is rotated reads what the old one wrote."""
    one = machine(ONE)
    await one.keep(RUN, write(one, files_00001=b"1"))
    with pytest.raises(ConfigError, match=r"fleet\.key"):
        await machine(TWO).need(RUN, ["files/00001"])
    newer = machine(TWO, ONE)
    await newer.need(RUN, ["files/00001"])
    assert (newer.path(RUN) / "files" / "00001").read_bytes() == b"1"


async def test_a_file_in_anothers_place_is_refused(machine: Machine, blobs: Blobs) -> None:
    """Write access to the storage is not enough to give a patient another's document."""
    one = machine()
    await one.keep(RUN, write(one, files_00001=b"1"))
    await one.keep(OTHER, write(one, OTHER, files_00001=b"2"))
    stolen = await blobs.get(f"{SPOOL}/{OTHER}/files/00001.0")
    assert stolen is not None
    await blobs.put(f"{SPOOL}/{RUN}/files/00001.0", stolen)
    with pytest.raises(ConfigError, match="another's place"):
        await machine().need(RUN, ["files/00001"])


async def test_files_of_runs_that_another_machine_ended_are_removed(machine: Machine) -> None:
    """But for those of runs that continue, here or in the storage."""
    one, two = machine(), machine()
    await one.keep(RUN, write(one, files_00001=b"1"))
    await one.keep(OTHER, write(one, OTHER, files_00001=b"2"))
    write(one, "busy", files_00001=b"3")
    await two.drop(RUN)
    await one.tidy(busy={"busy"})
    assert {path.name for path in one.folder.iterdir()} == {OTHER, "busy"}
    await machine().tidy(busy=())


async def test_many_tries_need_the_same_at_once(machine: Machine) -> None:
    """Conversions on one machine all ask for the names of siblings, and get them."""
    one, two = machine(), machine()
    await one.keep(RUN, write(one, siblings=b"x" * 100_000))
    await asyncio.gather(*(two.need(RUN, ["siblings"]) for _ in range(8)))
    assert (two.path(RUN) / "siblings").read_bytes() == b"x" * 100_000
    assert [path.name for path in two.path(RUN).iterdir()] == ["siblings"]


async def test_no_patient_is_named_like_what_a_fleet_keeps(machine: Machine, storage: Storage) -> None:
    """What lists patients leaves the spool out."""
    one = machine()
    await one.keep(RUN, write(one, files_00001=b"1"))
    await storage.put_run_files("P1", RUN, {"report.json": b"{}"})
    assert storage.tree().patients() == ["P1"]
    assert storage.tree().orphans() == []
    assert not storage.folder_of(".fleet").startswith(".")


async def test_files_say_when_they_were_written(blobs: Blobs) -> None:
    """By name; some are removed, and one that is gone is no error."""
    began = time.time()
    for name in ("payloads/a/1", "payloads/a/2", "payloads/b/1"):
        await blobs.put(name, b"x")
    times = await blobs.written("payloads/a")
    assert set(times) == {"payloads/a/1", "payloads/a/2"}
    assert all(began - 5 < when < time.time() + 5 for when in times.values())
    await blobs.delete(["payloads/a/1", "payloads/a/2"])
    await blobs.delete(["payloads/a/1"])
    await blobs.delete([])
    assert await blobs.folders("payloads") == ["b"]
    assert await blobs.written("payloads/nothing") == {}
