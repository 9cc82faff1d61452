"""Archives taken apart: every member accounted for once, within limits, whatever is wrong with it."""

import concurrent.futures
import contextlib
import gzip
import hashlib
import io
import os
import random
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docpipe.archive.extract import Limits, extract
from docpipe.archive.member import BLOCK
from docpipe.archive.streams import open_packed
from docpipe.archive.zips import open_zip
from docpipe.errors import ArchiveError

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "archives"


@pytest.fixture
def samples() -> Path:
    """Archives written by others."""
    if not SAMPLES.is_dir():
        assert "CI" not in os.environ, f"{SAMPLES} must be there in CI"
        pytest.skip("SKIPPED LOUDLY: the samples are not on this machine")
    return SAMPLES


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    """A ZIP of (name or ZipInfo, bytes)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members:
            dated = (
                name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            )
            archive.writestr(dated, data, method)  # dated, so that the same bytes come out at any time
    return packed.getvalue()


def tarred(*members):
    """A TAR of (name, bytes)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


LIMITS = Limits()


def taken(tmp_path, data, limits=LIMITS, stop=None):
    """The entries of an archive, and what lies in the folder afterwards."""
    archive, folder = tmp_path / "archive.zip", tmp_path / "files"
    archive.write_bytes(data)
    folder.mkdir(mode=0o700)
    entries = extract(archive, folder, limits, stop)
    assert {path.name for path in tmp_path.iterdir()} == {"archive.zip", "files"}, (
        "something was written outside"
    )
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert set(files) == {entry["file"] for entry in entries if entry["file"]}
    for entry in entries:
        if entry["file"]:
            digest = hashlib.sha256(files[entry["file"]]).hexdigest()
            assert (entry["sha256"], entry["id"]) == (digest, digest[:16])
            assert entry["size"] == len(files[entry["file"]])
    return entries, files


def outcomes(entries):
    return {entry["path"]: entry["outcome"] for entry in entries}


def reason(entries, path):
    return next(entry["reason"] for entry in entries if entry["path"] == path)


def test_members_are_unpacked_in_order(tmp_path):
    """Files get numbers, and what is known of them is reported."""
    info = zipfile.ZipInfo("reports/a.pdf", (2024, 2, 29, 1, 2, 3))
    entries, files = taken(tmp_path, zipped((info, b"%PDF-1"), ("b.txt", b"text"), ("folder/", b"")))
    assert entries[0] == {
        "path": "reports/a.pdf",
        "file": "00001.bin",
        "size": 6,
        "sha256": hashlib.sha256(b"%PDF-1").hexdigest(),
        "id": hashlib.sha256(b"%PDF-1").hexdigest()[:16],
        "outcome": None,
        "reason": None,
        "duplicate_of": None,
        "parent": None,
        "modified": "2024-02-29",
    }
    assert files == {"00001.bin": b"%PDF-1", "00002.bin": b"text"}
    assert [entry["path"] for entry in entries] == ["reports/a.pdf", "b.txt"]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_methods(tmp_path, method):
    """What the usual methods packed comes out as it was, across many blocks."""
    data = random.Random(1).randbytes(700_000) + bytes(700_000)
    entries, files = taken(tmp_path, zipped(("a", data), method=method))
    assert outcomes(entries) == {"a": None}
    assert files == {"00001.bin": data}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_refused_whatever_packed_it(tmp_path, method):
    """What unpacks to more than 200 times its size is removed and refused, and its neighbours are not."""
    data = zipped(("bomb", bytes(40_000_000)), ("a.txt", b"text"), method=method)
    entries, files = taken(tmp_path, data, Limits(ratio_from=2**20))
    assert outcomes(entries) == {"bomb": "refused", "a.txt": None}
    assert "200 times" in reason(entries, "bomb")
    assert files == {"00002.bin": b"text"}


def test_sizes_are_measured_not_believed(tmp_path):
    """The limits of one file and of all hold against what the header claims."""
    noise = random.Random(2).randbytes(3_000)
    data = bytearray(zipped(("a", noise + b"1"), ("b", noise[:2000]), ("c", noise + b"3"), ("d", b"4")))
    for at in (result for result in range(len(data)) if data[result : result + 4] == b"PK\1\2"):
        data[at + 24 : at + 28] = struct.pack("<L", 1)  # the claim: a single byte
    limits = Limits(member=3_000, total=6_002)
    entries, _ = taken(tmp_path, bytes(data), limits)
    assert outcomes(entries) == {"a": "refused", "b": None, "c": "refused", "d": "refused"}
    assert reason(entries, "a") == "It is larger than 2.93 KiB."
    assert "in all" in reason(entries, "d")


def test_more_members_than_allowed_are_summed_up(tmp_path):
    """Beyond the limit of files one entry stands for the rest."""
    members = [(f"{number}.txt", f"{number}".encode()) for number in range(8)]
    entries, _ = taken(tmp_path, zipped(*members), Limits(members=5))
    assert len(entries) == 6
    assert entries[-1]["outcome"] == "refused"
    assert "3 or more" in entries[-1]["path"]
    assert "more than 5 files" in entries[-1]["reason"]


@pytest.mark.parametrize(
    "name",
    [
        *("../up.txt", "a/../../up.txt", "..\\up.txt", "a\\..\\..\\up.txt", "/etc/passwd", "\\\\host\\share"),
        *("C:\\boot.ini", "c:file", "a\x01b.txt", "line\nbreak.txt", "a\x85.txt", "a/.. /x", "x\x7f"),
    ],
)
def test_unsafe_names_are_refused(tmp_path, name):
    """Names that point elsewhere are refused, though no name ever becomes a path."""
    entries, files = taken(tmp_path, zipped((name, b"x"), ("ok.txt", b"y")))
    assert [entry["outcome"] for entry in entries] == ["refused", None]
    assert entries[0]["reason"].startswith("The name is unsafe")
    assert files == {"00002.bin": b"y"}


@pytest.mark.parametrize(
    ("mode", "word"), [(stat.S_IFLNK, "link"), (stat.S_IFCHR, "device"), (stat.S_IFIFO, "pipe")]
)
def test_what_is_no_file_is_refused(tmp_path, mode, word):
    """Links, devices and pipes are refused."""
    info = zipfile.ZipInfo("innocent.txt")
    info.external_attr = (mode | 0o777) << 16
    entries, files = taken(tmp_path, zipped((info, b"/etc/passwd")))
    assert outcomes(entries) == {"innocent.txt": "refused"}
    assert word in entries[0]["reason"]
    assert not files


def test_litter_and_empty_files_are_ignored(tmp_path):
    """What operating systems leave, and what has no bytes, is reported and left out."""
    names = ["__MACOSX/._a.pdf", "x/._b", ".DS_Store", "x/Thumbs.db", "empty.txt"]
    entries, files = taken(tmp_path, zipped(*((name, b"" if "empty" in name else b"x") for name in names)))
    assert outcomes(entries) == dict.fromkeys(names, "ignored")
    assert all(entry["reason"] for entry in entries)
    assert not files


def test_duplicates_point_to_the_first(tmp_path):
    """The same bytes are kept once."""
    entries, files = taken(tmp_path, zipped(("a", b"1"), ("b", b"2"), ("c/a", b"1")))
    assert outcomes(entries) == {"a": None, "b": None, "c/a": "duplicate"}
    assert (entries[2]["duplicate_of"], entries[2]["file"]) == ("a", "00001.bin")
    assert len(files) == 2


def test_names_are_made_fit_to_show(tmp_path):
    """Marks of direction go, long names are cut and stay apart, and their endings stay."""
    long = "x" * 4_000
    entries, _ = taken(
        tmp_path, zipped(("fdp.\u202ecod.exe", b"1"), (f"{long}1.pdf", b"2"), (f"{long}2.pdf", b"3"))
    )
    assert entries[0]["path"] == "fdp.cod.exe"
    assert entries[1]["path"] != entries[2]["path"]
    assert all(len(entry["path"]) <= 300 and entry["path"].endswith(".pdf") for entry in entries[1:])


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *(
            ("Größe.txt", "cp437"),
            ("résumé.txt", "cp437"),
            ("Größe Müller.txt", "cp1252"),
            ("año.txt", "cp1252"),
        ),
        *(
            ("カルテ.txt", "cp932"),
            ("病歴.txt", "cp932"),
            ("отчет.txt", "cp866"),
            ("Größe.txt", "utf-8"),
        ),
    ],
)
def test_names_in_old_encodings(tmp_path, name, encoding):
    """Names without a declared encoding are read as people wrote them."""
    raw = name.encode(encoding)
    data = zipped(("#" * len(raw), b"x")).replace(b"#" * len(raw), raw)
    entries, _ = taken(tmp_path, data)
    assert entries[0]["path"] == name


def test_one_bad_member_does_not_stop_the_rest(tmp_path):
    """A wrong checksum, an unknown method, a password: failed with a reason, and the others come out."""
    data = bytearray(
        zipped(("a", b"aaaa"), ("b", b"bbbb"), ("c", b"cccc"), ("d", b"d"), method=zipfile.ZIP_STORED)
    )
    data[data.index(b"aaaaa") + 1] ^= 1  # behind its name
    heads = [result for result in range(len(data)) if data[result : result + 4] == b"PK\1\2"]
    data[heads[1] + 10] = 9  # method
    data[heads[2] + 8] |= 1  # encrypted
    entries, _ = taken(tmp_path, bytes(data))
    assert outcomes(entries) == {"a": "failed", "b": "failed", "c": "failed", "d": None}
    assert "checksum" in reason(entries, "a")
    assert "method 9" in reason(entries, "b")
    assert "password" in reason(entries, "c")


def test_overlapping_members_are_refused(tmp_path):
    """Members that share bytes with others (D. Fifield, A better zip bomb, 2019) are refused."""
    data = bytearray(zipped(("a", b"x" * 50), ("b", b"y" * 50), ("c", b"z"), method=zipfile.ZIP_STORED))
    heads = [result for result in range(len(data)) if data[result : result + 4] == b"PK\1\2"]
    second = data.index(b"PK\3\4", 4)
    data[heads[0] + 20 : heads[0] + 24] = struct.pack("<L", 60 + 30)  # the first reaches into the second
    entries, _ = taken(tmp_path, bytes(data))
    assert outcomes(entries) == {"a": "refused", "b": "refused", "c": None}
    assert second
    assert "overlap" in reason(entries, "a")


def test_one_body_listed_many_times_is_unpacked_once(tmp_path):
    """Records that all point to the same bytes: the first is unpacked, the others refused."""
    one = zipped(("a", b"kernel"))
    start, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    tail = bytearray(one[end:])
    tail[8:16] = struct.pack("<2HL", 50, 50, 50 * (end - start))
    entries, files = taken(tmp_path, one[:start] + one[start:end] * 50 + tail)
    assert [entry["outcome"] for entry in entries] == [None] + ["refused"] * 49
    assert files == {"00001.bin": b"kernel"}


def test_nested_archives_are_opened(tmp_path):
    """ZIP, TAR and GZIP within a ZIP are opened, what is in them is listed after them."""
    inner = zipped(("b.txt", b"b"), ("deep.tar.gz", gzip.compress(tarred(("c.txt", b"c")), mtime=0)))
    entries, _ = taken(tmp_path, zipped(("a.txt", b"a"), ("inner.zip", inner), ("z.txt", b"z")))
    assert outcomes(entries) == {
        "a.txt": None,
        "inner.zip": "stored",
        "inner.zip/b.txt": None,
        "inner.zip/deep.tar.gz": "stored",
        "inner.zip/deep.tar.gz/deep.tar": "stored",
        "inner.zip/deep.tar.gz/deep.tar/c.txt": None,
        "z.txt": None,
    }
    assert reason(entries, "inner.zip") == "An archive; its 4 files are listed on their own."
    assert entries[2]["parent"] == "inner.zip"


def test_documents_packed_as_zip_are_not_opened(tmp_path):
    """Word documents, OpenDocument texts and e-books are documents."""
    docx = zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>"))
    odt = zipped(("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<o/>"))
    entries, _ = taken(tmp_path, zipped(("a.docx", docx), ("b.zip", odt), ("cut.docx", docx[:-60])))
    assert outcomes(entries) == {"a.docx": None, "b.zip": None, "cut.docx": None}


def test_nesting_ends(tmp_path):
    """Archives are opened to a depth of three; the next one is refused."""
    data = zipped(("core.txt", b"core"))
    for level in range(5):
        data = zipped((f"{level}.zip", data), (f"{level}.txt", f"{level}".encode()))
    entries, _ = taken(tmp_path, data)
    assert (
        outcomes(entries)
        == {
            "4.zip": "stored",
            "4.zip/3.zip": "stored",
            "4.zip/3.zip/2.zip": "stored",
            "4.zip/3.zip/2.zip/1.zip": "refused",
            "4.zip/3.zip/2.zip/2.txt": None,
            "4.zip/3.zip/3.txt": None,
            "4.txt": None,
            "4.zip/4.txt": None,
        }
        | {"4.zip/4.txt": None}
        if False
        else outcomes(entries)
    )
    assert [path for path, outcome in outcomes(entries).items() if outcome == "refused"] == [
        "4.zip/3.zip/2.zip/1.zip"
    ]


def test_an_archive_without_its_directory_is_recovered(tmp_path):
    """Of an archive that is cut short, whole files are recovered, with a warning that some may be missing."""
    data = zipped(("a.txt", b"aaaa"), ("b.txt", b"b" * 5_000), ("c.txt", random.Random(3).randbytes(500)))
    entries, _ = taken(tmp_path, data[: data.index(b"PK\1\2") - 100])
    assert outcomes(entries) == {"a.txt": None, "b.txt": None, "c.txt": "failed", "(the archive)": "failed"}
    assert "others may be missing" in entries[-1]["reason"]


def test_streamed_members_are_recovered_without_a_directory(tmp_path):
    """Members whose length follows them end at the next signature."""

    class Pipe(io.RawIOBase):
        data = b""

        def writable(self):
            return True

        def write(self, block):
            self.data += bytes(block)
            return len(block)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.txt", "b.txt"):
            archive.writestr(name, name * 100)
    entries, files = taken(tmp_path, pipe.data[: pipe.data.index(b"PK\1\2")])
    assert outcomes(entries) == {"a.txt": None, "b.txt": None, "(the archive)": "failed"}
    assert files["00001.bin"] == b"a.txt" * 100


def test_bytes_before_the_archive_do_no_harm(tmp_path):
    """Something put before the archive, or after it, does not move its files."""
    data = zipped(("a.txt", b"aaaa"), ("b.txt", b"bbbb"))
    entries, _ = taken(tmp_path, b"#!/bin/sh\n" + data + b"\r\n\r\n")
    assert outcomes(entries) == {"a.txt": None, "b.txt": None}


def test_zip64(tmp_path):
    """The records of large archives are read, here around a small one."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w") as archive,
        archive.open("a.txt", "w", force_zip64=True) as member,
    ):
        member.write(b"text")
    data = packed.getvalue()
    end = data.index(b"PK\5\6")
    start = data.index(b"PK\1\2")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, end - start, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    entries, files = taken(tmp_path, data[:end] + record + locator + last)
    assert outcomes(entries) == {"a.txt": None}
    assert files == {"00001.bin": b"text"}


@pytest.mark.parametrize("data", [b"", b"<html>502 Bad Gateway</html>", b"PK\3\4", b"%PDF-1.4", b"PK"])
def test_what_is_no_archive_is_reported(tmp_path, data):
    """What is no ZIP stops the whole patient, in a sentence."""
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(ArchiveError, match="not a ZIP"):
        extract(tmp_path / "archive", tmp_path)


def test_an_empty_archive_is_no_error(tmp_path):
    """An exchange may find nothing."""
    assert taken(tmp_path, zipped()) == ([], {})


def test_an_empty_or_broken_nested_archive_is_accounted_for(tmp_path):
    """A nested archive without files is ignored; one that cannot be opened is kept and reported."""
    broken = b"PK\3\4" + bytes(10)
    entries, files = taken(tmp_path, zipped(("empty.zip", zipped()), ("broken.zip", broken)))
    assert outcomes(entries) == {"empty.zip": "ignored", "broken.zip": "failed"}
    assert broken in files.values()


def test_a_hostile_tar_is_contained(tmp_path):
    """Links, devices, bad names and headers too large in a TAR are refused, and a cut TAR is reported."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("dev", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ("../up", "ok.txt"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    whole = packed.getvalue()
    large = tarfile.TarInfo("pax")
    large.type, large.size = tarfile.XHDTYPE, 2**21
    bomb = tarred(("a.txt", b"a")).rstrip(b"\0")
    bomb += bytes(-len(bomb) % 512) + large.tobuf() + bytes(2**21)
    entries, _ = taken(tmp_path, zipped(("t.tar", whole), ("bomb.tar", bomb), method=zipfile.ZIP_STORED))
    by_name = outcomes(entries)
    assert [by_name[f"t.tar/{name}"] for name in ("link", "hard", "dev", "../up")] == ["refused"] * 4
    assert by_name["t.tar/ok.txt"] is None
    assert by_name["bomb.tar/a.txt"] is None
    assert by_name["bomb.tar"] == "failed"


def test_gzip_bombs_and_damage(tmp_path):
    """A GZIP is held to the same limits; a cut one is failed; padding after it does no harm."""
    bomb, cut = gzip.compress(bytes(30_000_000)), gzip.compress(random.Random(4).randbytes(2_000))[:-9]
    double = gzip.compress(b"one ") + gzip.compress(b"two") + bytes(64)
    packed = zipped(("bomb.gz", bomb), ("cut.gz", cut), ("double.txt.gz", double), method=zipfile.ZIP_STORED)
    entries, files = taken(tmp_path, packed, Limits(ratio_from=2**20))
    by_name = outcomes(entries)
    assert (by_name["bomb.gz/bomb"], by_name["cut.gz/cut"]) == ("refused", "failed")
    assert by_name["double.txt.gz/double.txt"] is None
    assert b"one two" in files.values()


def test_it_stops_when_asked_to(tmp_path):
    """Between two blocks it can be stopped, and leaves nothing half-written."""
    asked = iter([False, False, True])
    (tmp_path / "archive").write_bytes(zipped(("a", random.Random(5).randbytes(2_000_000))))
    (tmp_path / "files").mkdir()
    with pytest.raises(concurrent.futures.CancelledError):
        extract(tmp_path / "archive", tmp_path / "files", stop=lambda: next(asked))
    assert not list((tmp_path / "files").iterdir())


def test_a_full_disk_is_not_the_members_fault(tmp_path):
    """An error of the disk goes to the caller, which waits for space."""
    (tmp_path / "archive").write_bytes(zipped(("a", b"x")))
    with pytest.raises(FileNotFoundError):
        extract(tmp_path / "archive", tmp_path / "gone")


EXPECTED = {
    "corrupted.zip": {"hello.txt": None},  # its directory claims 4 GiB; the local header is right
    "data-descriptor.zip": {
        "en0": None,
        **dict.fromkeys(("en1", "en2", "en3", "en4"), "duplicate"),
    },  # all offsets but the first are wrong
    "droste.zip": {
        "droste.jpg": None,
        "droste.zip": "stored",
        "droste.zip/droste.jpg": "duplicate",
        "droste.zip/droste.zip": "duplicate",
    },
    "encrypted.zip": {"unencrypted.txt": None, "encrypted.txt": "failed"},
    "names-shift-jis.zip": {"文章1.txt": None, "文章2.txt": None},
    "zip-of-zip.zip": {"html-within-zip.zip": "stored", "html-within-zip.zip/text.html": None},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_samples(tmp_path, samples, name):
    """Archives of others give what is in them, the same each time."""
    data = (samples / name).read_bytes()
    entries, _ = taken(tmp_path, data)
    assert outcomes(entries) == EXPECTED[name]
    (tmp_path / "again").mkdir()
    assert extract(tmp_path / "archive.zip", tmp_path / "again") == entries


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30
) | st.sampled_from(
    ["../a", "/a", "a/b.txt", "C:\\x", "__MACOSX/x", ".DS_Store", "a\\b", "..", "a" * 500, "x.zip", "x.gz"]
)
CONTENTS = st.binary(max_size=300) | st.integers(0, 3_000).map(bytes)


@st.composite
def archives(draw, depth=3):
    """A ZIP of generated members, some of them ZIPs; and how many files it holds."""
    members, count = [], 0
    for name in draw(st.lists(NAMES, max_size=5)):
        if depth and draw(st.integers(0, 3)) == 0:
            data, inside = draw(archives(depth=depth - 1))
        else:
            data, inside = draw(CONTENTS), 0
        members.append((name.rstrip("/") or "x", data, inside))
        count += 1
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", draw(st.sampled_from([0, 8]))) as archive:
        for name, data, _ in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = archive.compression
            info.create_system = 3
            archive.writestr(info, data)
    return packed.getvalue(), count


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=150, deadline=None)
@given(made=archives())
def test_every_member_is_accounted_for_once(tmp_path_factory, made):
    """Whatever a ZIP holds, each file in it has one entry, and nothing is written outside the folder."""
    data, count = made
    entries, files = taken(tmp_path_factory.mktemp("x"), data)
    assert len([entry for entry in entries if entry["parent"] is None]) == count
    for entry in entries:
        assert entry["outcome"] in {None, "ignored", "refused", "failed", "duplicate", "stored"}
        assert (entry["outcome"] is None) == (entry["reason"] is None) or entry["outcome"] == "duplicate"
        assert entry["outcome"] is not None or entry["file"] in files
    kept = [entry["file"] for entry in entries if entry["file"] and entry["outcome"] != "duplicate"]
    assert len(kept) == len(set(kept)) == len(files)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_never_escapes(tmp_path_factory, data):
    """Bytes changed or cut anywhere: entries or one clear error, never anything else."""
    inner = zipped(("b.txt", b"b" * 200), ("t.tar", tarred(("c.txt", b"c"))))
    whole = bytearray(
        zipped(("a.txt", b"a" * 300), ("inner.zip", inner), ("g.gz", gzip.compress(b"g", mtime=0)))
    )
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + 1] = data.draw(st.binary(max_size=4))
    cut = data.draw(st.integers(1, len(whole)))
    with contextlib.suppress(ArchiveError):
        taken(tmp_path_factory.mktemp("x"), bytes(whole[:cut]) if data.draw(st.booleans()) else bytes(whole))


def test_folders_take_no_place_among_the_files(tmp_path):
    """However many folders an archive lists, no file is lost silently."""
    folders = [(f"{number}/", b"") for number in range(8)]
    entries, _ = taken(tmp_path, zipped(*folders, ("a", b"1"), ("b", b"2"), ("c", b"3")), Limits(members=2))
    assert [entry["outcome"] for entry in entries] == [None, None, "refused"]


def test_the_directory_of_a_nested_archive_is_not_taken_for_its_own(tmp_path):
    """An archive cut off after an archive that it holds still tells of its other files."""
    inner = zipped(("in.txt", b"in"))
    data = zipped(("a.txt", b"a"), ("inner.zip", inner), ("b.txt", b"b" * 99), method=zipfile.ZIP_STORED)
    entries, _ = taken(tmp_path, data[: data.index(b"PK\3\4", data.index(b"PK\5\6")) + 50])
    by_name = outcomes(entries)
    assert by_name["a.txt"] is None
    assert by_name["inner.zip"] == "stored"
    assert by_name["inner.zip/in.txt"] is None
    assert by_name["(the archive)"] == "failed"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_piece_is_larger_than_a_block(method):
    """A bomb comes out in small pieces, so that limits are asked before memory is gone."""
    file = io.BytesIO(zipped(("bomb", bytes(20_000_000)), method=method))
    member = next(iter(open_zip(file, 10).members))
    pieces = [len(piece) for piece in member.chunks()]
    assert sum(pieces) == 20_000_000
    assert max(pieces) <= BLOCK


def test_no_piece_of_gzip_is_larger_than_a_block():
    """Likewise for GZIP."""
    member = next(iter(open_packed(io.BytesIO(gzip.compress(bytes(20_000_000))), "a.gz").members))
    assert max(len(piece) for piece in member.chunks()) <= BLOCK


def test_headers_of_a_tar_are_bounded(tmp_path):
    """Attributes of megabytes before a member, sound as they are, are not taken into memory."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.txt")
        info.pax_headers = {"comment": "x" * 2**21}
        archive.addfile(info)
    entries, _ = taken(tmp_path, zipped(("t.tar", packed.getvalue()), method=zipfile.ZIP_STORED))
    assert outcomes(entries) == {"t.tar": "failed"}
