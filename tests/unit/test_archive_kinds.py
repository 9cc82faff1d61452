"""Archives in archives: TARs from before POSIX, which have no mark, and files that bzip2 and xz packed."""

import bz2
import lzma
import tarfile
import zipfile

import pytest

from docpipe.archive.extract import extract
from docpipe.archive.limits import Limits


def old_tar(name, data):
    """A TAR without a mark, as `tar --format=v7` writes it."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    head = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    head[257:512] = bytes(255)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data.ljust(512, b"\0") + bytes(1024)


def taken(folder, inner):
    """What is in a ZIP with this one file."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("inner", inner)
    (folder / "out").mkdir()
    return [entry["path"] for entry in extract(folder / "a.zip", folder / "out")]


def test_an_old_tar_is_opened(tmp_path):
    """Its files are listed on their own."""
    assert taken(tmp_path / "x", old_tar("note.txt", b"potassium 6.9")) == ["inner", "inner/note.txt"]


@pytest.mark.parametrize(
    "data", [b"x" * 600, bytes(600), old_tar("a", b"b").replace(b"a\0", b"c\0"), old_tar("", b"b")]
)
def test_what_has_another_sum_is_no_tar(data, tmp_path):
    """A text, a block of zeros, a header that was changed, and one that names nothing."""
    assert taken(tmp_path / "x", data) == ["inner"]


def packed(folder, name, data, **limits):
    """What is in a ZIP with this one file: the reasons by path, and the bytes that were unpacked."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(name, data)
    (folder / "out").mkdir()
    entries = extract(folder / "a.zip", folder / "out", Limits(**limits))
    inner = [entry for entry in entries if entry["parent"]]
    return [entry["path"] for entry in inner], [
        (folder / "out" / entry["file"]).read_bytes() for entry in inner if entry["file"]
    ]


TEXT = b"potassium 6.9\n" * 40_000
PACKED = {
    "xz": ("labs.txt.xz", lzma.compress(TEXT), "labs.txt.xz/labs.txt"),
    "bzip2": ("labs.txt.bz2", bz2.compress(TEXT), "labs.txt.bz2/labs.txt"),
    "another name": ("labs", bz2.compress(TEXT), "labs/unpacked"),
    "several streams": ("a.bz2", bz2.compress(TEXT[:70_000]) + bz2.compress(TEXT[70_000:]), "a.bz2/a"),
    "streams with padding": ("a.xz", lzma.compress(TEXT[:9]) + bytes(8) + lzma.compress(TEXT[9:]), "a.xz/a"),
    "rubbish behind": ("a.xz", lzma.compress(TEXT) + b"rubbish", "a.xz/a"),
}


@pytest.mark.parametrize(("name", "data", "path"), PACKED.values(), ids=PACKED)
def test_a_packed_file_is_unpacked(name, data, path, tmp_path):
    """The file within is listed on its own, under the name without its ending."""
    assert packed(tmp_path / "x", name, data) == ([path], [TEXT])


@pytest.mark.parametrize("name", ["t.tar.xz", "t.txz"])
def test_a_packed_tar_is_opened(name, tmp_path):
    """What a packed TAR holds is reached, too."""
    paths, _ = packed(tmp_path / "x", name, lzma.compress(old_tar("note.txt", b"potassium 6.9")))
    assert paths == [f"{name}/t.tar", f"{name}/t.tar/note.txt"]


@pytest.mark.parametrize(
    "data", [lzma.compress(TEXT)[:-20], bz2.compress(TEXT)[:-20], bz2.compress(TEXT)[:10] + b"x" * 99]
)
def test_a_damaged_packed_file_is_a_failure(data, tmp_path):
    """What is cut short or damaged is reported, and nothing of it is kept."""
    paths, files = packed(tmp_path / "x", "a", data)
    assert (paths, files) == (["a/unpacked"], [])


def test_a_packed_bomb_is_refused(tmp_path):
    """The limit on the ratio holds for these as for others."""
    paths, files = packed(tmp_path / "x", "a.xz", lzma.compress(bytes(2**24)), ratio_from=2**20)
    assert (paths, files) == (["a.xz/a"], [])


def test_prose_that_begins_like_bzip2_is_none(tmp_path):
    """Three letters make no archive."""
    assert packed(tmp_path / "x", "a.txt", b"BZhang, patient") == ([], [])
