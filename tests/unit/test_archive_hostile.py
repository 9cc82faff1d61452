"""One file made to do harm harms itself: its neighbours come out, and memory and disk stay within bounds."""

import io
import random
import struct
import tarfile
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image
from structlog.testing import capture_logs

from docpipe.archive import extract as extraction
from docpipe.archive import names, zipdirectory, zips
from docpipe.archive.extract import Limits, collect, extract
from docpipe.archive.member import BadMemberError, Member
from docpipe.archive.zipdirectory import Entry
from tests.unit.test_archive_extract import outcomes, reason, taken, tarred, zipped


def beside(tar):
    """An archive with a letter, a TAR and another letter."""
    return zipped(("a.txt", b"a"), ("x.tar", tar), ("b.txt", b"b"))


def header(name, kind=tarfile.REGTYPE, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data):
    return data + bytes(-len(data) % 512)


def pax(**values):
    lines = b"".join(  # with two digits of length, which is all that is needed here
        b"%d %s=%s\n" % (len(key) + len(value) + 5, key.encode(), value.encode())
        for key, value in values.items()
    )
    return header("pax", tarfile.XHDTYPE, len(lines)) + padded(lines)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_describe_headers_harm_their_tar_alone(tmp_path, kind):
    """Thousands of headers in a row before a member."""
    value = b"12 path=abc\n" if kind == tarfile.XHDTYPE else b"abc\0"
    one = header("x", kind, len(value)) + padded(value)
    tar = header("first.txt", size=1) + padded(b"1") + one * 900 + header("last.txt", size=1) + padded(b"2")
    entries, _ = taken(tmp_path, beside(tar + bytes(1024)))
    assert outcomes(entries) == {"a.txt": None, "x.tar": "failed", "x.tar/first.txt": None, "b.txt": None}


def test_a_size_beyond_all_files_harms_its_member_alone(tmp_path):
    """A size that no disk can seek to."""
    tar = pax(size="99999999999999") + header("victim", size=1) + padded(b"1") + bytes(1024)
    entries, _ = taken(tmp_path, beside(tar))
    assert outcomes(entries) == {"a.txt": None, "x.tar": "failed", "x.tar/victim": "failed", "b.txt": None}


def test_sparse_members_are_refused(tmp_path):
    """A map of holes makes gigabytes of zeros out of nothing; what follows in the TAR comes out."""
    sparse = b"1\n0\n1\n"  # one piece: a byte at 0
    info = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "900000000"}
    tar = pax(**info) + header("hole", size=513) + padded(sparse) + padded(b"x")
    tar += header("ok.txt", size=1) + padded(b"2") + bytes(1024)
    entries, files = taken(tmp_path, beside(tar))
    assert outcomes(entries)["x.tar/hole"] == "refused"
    assert "sparse" in reason(entries, "x.tar/hole")
    assert outcomes(entries)["x.tar/ok.txt"] is None
    assert sum(map(len, files.values())) < 10_000


def test_the_whole_is_judged_against_the_outermost_archive(tmp_path):
    """No way of packing passes the ratio: here a TAR whose members have no packed size of their own."""
    zeros = [(f"{number}.txt", bytes([number]) * 3_000_000) for number in range(9)]
    tar = tarred(("noise", random.Random(1).randbytes(20_000)), *zeros)
    data = zipped(("x.tar", tar), ("ok.txt", b"ok"), method=zipfile.ZIP_BZIP2)
    outer = 2 * len(tar) // len(data)
    entries, _ = taken(tmp_path, data, Limits(ratio=outer + 1, ratio_from=1_000_000))
    assert set(outcomes(entries).values()) == {None, "stored"}, "the TAR and its files are below the ratio"
    (tmp_path / "again").mkdir()
    ratio = len(tar) * 6 // (5 * len(data))  # enough for the TAR, but not for the files in it
    entries, _ = taken(tmp_path / "again", data, Limits(ratio=ratio, ratio_from=1_000_000))
    refused = [path for path, outcome in outcomes(entries).items() if outcome == "refused"]
    assert refused[0].startswith("x.tar/")
    assert "With it the archive unpacks to more than" in reason(entries, refused[0])
    assert outcomes(entries)["ok.txt"] is None


def test_small_archives_may_be_packed_as_tightly_as_they_like(tmp_path):
    """Below 100 MiB the whole is not judged, and each file brings room for itself."""
    tar = tarred(*((f"{number}.txt", bytes([number]) * 900_000) for number in range(9)))
    inner = zipped(("x.tar", tar), method=zipfile.ZIP_BZIP2)
    entries, _ = taken(tmp_path, inner, Limits(ratio=10**6, ratio_from=1))
    assert set(outcomes(entries).values()) == {None, "stored"}
    (tmp_path / "again").mkdir()
    entries, _ = taken(tmp_path / "again", zipped(("a", b"a")), Limits(ratio=1))
    assert outcomes(entries) == {"a": None}


def test_files_without_an_archive_are_their_own_measure(tmp_path):
    """Attachments that come one by one are not refused for having no archive around them."""
    members = [Member(f"{n}", 3_000_000, lambda n=n: iter([bytes([n]) * 3_000_000])) for n in range(4)]
    entries = collect(members, tmp_path, Limits(ratio=1, ratio_from=1))
    assert [entry["outcome"] for entry in entries] == [None] * 4


def test_what_nobody_foresaw_is_damage_of_one_member(tmp_path):
    """An error of any kind while bytes are read ends that member; the log has its kind, not its text."""

    def bad():
        yield b"x"
        raise KeyError("P. Name")

    members = [Member("bad", 1, bad), Member("good", 1, lambda: iter([b"1"]))]
    with capture_logs() as logs:
        entries = collect(members, tmp_path)
    assert outcomes(entries) == {"bad": "failed", "good": None}
    assert "KeyError at test_archive_hostile.py" in str(logs)
    assert "P. Name" not in str(logs)


@pytest.mark.parametrize("error", [RecursionError(), AssertionError(), OSError(22, "Invalid argument")])
@pytest.mark.parametrize("where", ["open", "members"])
def test_what_nobody_foresaw_is_damage_of_one_archive(tmp_path, monkeypatch, error, where):
    """Likewise while a nested archive is opened, or its members are listed."""

    def broken(file, most):
        if where == "open":
            raise error

        def members():
            yield Member("first", 1, lambda: iter([b"1"]))
            raise error

        return SimpleNamespace(members=members(), more=int, damaged=bool)

    monkeypatch.setattr(extraction, "open_tar", broken)
    entries, _ = taken(tmp_path, beside(tarred(("in.txt", b"in"))))
    first = {"x.tar/first": None} if where == "members" else {}
    assert outcomes(entries) == {"a.txt": None, "x.tar": "failed", **first, "b.txt": None}


def test_what_nobody_foresaw_while_a_file_is_judged(tmp_path, monkeypatch):
    """A file that breaks the judge of what is an archive is a document."""
    monkeypatch.setattr(extraction, "is_plain_zip", lambda file, head: 1 / 0)
    entries, _ = taken(tmp_path, zipped(("a.txt", b"a")))
    assert outcomes(entries) == {"a.txt": None}


def test_errors_of_the_disk_stay_errors_of_the_disk(tmp_path, monkeypatch):
    """They go to the caller, which waits; no member is blamed."""

    def full():
        yield b"x"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        collect([Member("a", 1, full)], tmp_path)


def wide(archive, **numbers):
    """The archive with numbers of 64 bits: of its last member, or where its directory begins."""
    data = bytearray(archive)
    end = data.rindex(b"PK\5\6")
    if "directory" in numbers:
        record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, 1, numbers["directory"])
        return bytes(data[:end] + record + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1) + data[end:])
    at = data.rindex(b"PK\1\2")
    extra = struct.pack("<2H3Q", 1, 24, *(numbers["entry"],) * 3)
    struct.pack_into("<2L", data, at + 20, 2**32 - 1, 2**32 - 1)
    struct.pack_into("<L", data, at + 42, 2**32 - 1)
    (name,) = struct.unpack_from("<H", data, at + 28)
    struct.pack_into("<H", data, at + 30, len(extra))
    data[at + 46 + name : at + 46 + name] = extra
    end += len(extra)
    (size,) = struct.unpack_from("<L", data, end + 12)
    struct.pack_into("<L", data, end + 12, size + len(extra))
    return bytes(data)


@pytest.mark.parametrize("what", ["entry", "directory"])
@pytest.mark.parametrize("number", [2**42 + 1, 2**62, 2**63, 2**64 - 1])
def test_numbers_that_no_disk_can_seek_to_harm_no_other_member(tmp_path, what, number):
    """The numbers of ZIP64 have 64 bits; a file system refuses some, Python others."""
    archive = wide(zipped(("a.txt", b"a"), ("b.txt", b"b")), **{what: number})
    entries, _ = taken(tmp_path, archive)
    assert {name: outcome for name, outcome in outcomes(entries).items() if name != "(the archive)"} == {
        "a.txt": None,
        "b.txt": None,
    }


def test_a_directory_is_read_within_bounds(tmp_path, monkeypatch):
    """Records beyond the bound are summed up; the archive is not damaged for that."""
    data = zipped(*((f"{number}.txt", b"%d" % number) for number in range(20)))
    monkeypatch.setattr(zipdirectory, "_LARGEST_DIRECTORY", 500)
    entries, _ = taken(tmp_path, data)
    by_name = outcomes(entries)
    assert by_name.pop("(more files, 1 or more)") == "refused"
    assert 5 < len(by_name) < 15
    assert set(by_name.values()) == {None}


def test_names_are_kept_within_bounds(tmp_path, monkeypatch):
    """All names together have a bound, with their second forms; in a damaged archive, too."""
    data = zipped(*((f"{number:0200d}.txt", b"%d" % number) for number in range(20)))
    monkeypatch.setattr(zipdirectory, "_LARGEST_NAMES", 2_500)
    entries, _ = taken(tmp_path, data)
    assert [entry["outcome"] for entry in entries] == [None] * 12 + ["refused"]
    assert "8 or more" in entries[-1]["path"]
    (tmp_path / "again").mkdir()
    entries, _ = taken(tmp_path / "again", data[: data.index(b"PK\1\2")])
    assert [entry["outcome"] for entry in entries] == [None] * 12 + ["refused", "failed"]


def test_what_is_kept_of_a_directory_is_small():
    """Names of 64 KB, comments and extra fields of all kinds are not kept."""
    extra = struct.pack("<2H", 0x9999, 30_000) + bytes(30_000)
    extra += struct.pack("<2H", zipdirectory.UNICODE_PATH, 20_000) + bytes(20_000)
    record = zipdirectory._CENTRAL_HEADER.pack(
        *(b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 1, 1, 60_000, len(extra), 60_000, 0, 0, 0, 0)
    )
    directory = record + b"n" * 60_000 + extra + b"c" * 60_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), 0, 0)
    entry = zipdirectory.read(io.BytesIO(directory + end), 10).entries[0]
    assert len(entry.raw_name) + len(entry.unicode_path) < 9_000
    assert entry.name_is_too_long


def test_a_name_of_kilobytes_is_refused(tmp_path):
    """And the file beside it is not."""
    entries, _ = taken(tmp_path, zipped(("n" * 4_097, b"1"), ("m" * 4_096, b"2")))
    assert [entry["outcome"] for entry in entries] == ["refused", None]
    assert "too long" in entries[0]["reason"]


def test_the_guesser_is_asked_about_few_names(monkeypatch):
    """Of names in an unknown encoding the first megabyte decides."""
    asked = []
    monkeypatch.setattr(names, "_guessed", lambda data: asked.append(len(data)) or "cp437")
    entries = [Entry(b"\xff" * 4_000, 0, 0, 0, 0, 0, 0) for _ in range(600)]
    assert len(list(names.decoded(entries))) == 600
    assert len(asked) == 1
    assert 2**20 - 10_000 < asked[0] <= 2**20 + 600


def test_extraction_ends_by_its_deadline(tmp_path):
    """What is not unpacked by then is refused, one by one, with the reason."""
    now = iter(range(10_000))
    archive, folder = tmp_path / "a.zip", tmp_path / "files"
    archive.write_bytes(zipped(*((f"{number}", b"%d" % number) for number in range(9))))
    folder.mkdir()
    entries = extract(archive, folder, Limits(seconds=4), clock=lambda: next(now))
    assert [entry["outcome"] for entry in entries] == [None] * 4 + ["refused"] * 5
    assert "takes too long" in entries[-1]["reason"]


def test_members_that_cannot_be_read_end_the_list(tmp_path):
    """A list of members that ends in damage is reported at the archive."""

    def members():
        yield Member("a", 1, lambda: iter([b"1"]))
        raise BadMemberError("x")

    opened = SimpleNamespace(members=members(), more=int, damaged=bool)
    work = extraction._Extraction(tmp_path, Limits(), lambda: False, float)
    assert work.take(lambda: opened, "", None, depth=0) is True


def test_open_zip_gives_names_one_by_one(monkeypatch):
    """Names are decoded as members are asked for: 10,000 long ones are never in memory at once."""
    decoded = []
    real = names._declared
    monkeypatch.setattr(names, "_declared", lambda entry: decoded.append(1) or real(entry))
    file = io.BytesIO(zipped(*((f"{number}", b"%d" % number) for number in range(50))))
    next(iter(zips.open_zip(file, 50).members))
    assert len(decoded) == 51


def test_paths_are_bounded_in_all(tmp_path):
    """Long names, again and again in nested archives, would fill the memory of whoever lists them."""
    inner = zipped(*((f"{number}{'n' * 200}.txt", b"%d" % number) for number in range(20)))
    data = zipped(("x.zip", inner), ("last.txt", b"last"))
    entries, _ = taken(tmp_path, data, Limits(paths=2_000))
    assert [entry["outcome"] for entry in entries][:10] == ["stored"] + [None] * 9
    more = [entry for entry in entries if "more files" in entry["path"]]
    assert [entry["outcome"] for entry in more] == ["refused", "refused"], "of the inner and of the outer one"
    assert "names of more than 1.953 KiB" in more[0]["reason"]
    assert "last.txt" not in outcomes(entries)


@pytest.mark.parametrize(
    ("packed", "seconds"), [(0, 120), (1_000, 120), (100 * 2**20, 520), (2**40, 1_800), (None, 1_800)]
)
def test_time_is_given_by_size(packed, seconds):
    """A small archive holds up others for two minutes at most, a large one has the time that it takes."""
    assert round(Limits().time(packed)) == seconds
    assert Limits(seconds=4).time(packed) == 4


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "CSV"])
def test_blank_scans_are_kept(tmp_path, kind):
    """An empty page packs a thousand times smaller, and is no bomb."""
    page = io.BytesIO()
    if kind == "CSV":
        page.write(b"0,0,0,0\n" * 500_000)
    else:
        Image.new("L", (2480, 3508), 255).save(page, kind)
    data = zipped(("blank", page.getvalue()))
    assert len(page.getvalue()) > 500 * len(data)
    entries, files = taken(tmp_path, data)
    assert outcomes(entries) == {"blank": None}
    assert list(files.values()) == [page.getvalue()]
