"""A worker's room: what comes in and out of it, and that nothing in it harms the main process."""

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest

from docpipe.convert.document import MOST_EMBEDDED as CONVERTERS_MOST
from docpipe.workers import rooms
from docpipe.workers.answers import MOST_EMBEDDED, read_reply, take_converted
from docpipe.workers.rooms import MisfitError, Room, remove_tree
from docpipe.workers.wire import LENGTH, answer_frame

ANSWER = {
    "outcome": "converted",
    "reason": None,
    "media_type": "text/plain",
    "extension": ".txt",
    "outputs": ["text.md"],
    "metadata": {"media_type": "text/plain", "warnings": []},
    "embedded": [{"name": "../../x", "declared": None}],
    "warnings": [],
}


class Scene:
    """A room with a job's files, and the folder that outputs go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document, self.siblings = folder / "document", folder / "names.json"
        self.document.write_bytes(b"document")
        self.siblings.write_text("[]")
        self.target = folder / "target"
        self.target.mkdir()
        self.room = Room(folder, 7)
        self.room.make()
        given = {"path": str(self.document), "siblings": str(self.siblings), "folder": str(self.target)}
        self.job = self.room.put({**given, "name": "a.txt"})
        self.out = Path(self.job["folder"])

    def convert(self) -> None:
        (self.out / "text.md").write_bytes(b"text")
        (self.out / "embedded").mkdir()
        (self.out / "embedded" / "001").write_bytes(b"inner")

    def taken(self) -> dict[str, bytes]:
        result = (path for path in self.target.rglob("*") if path.is_file())
        return {str(path.relative_to(self.target)): path.read_bytes() for path in result}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_files_come_in_and_out(scene: Scene) -> None:
    """The document is linked, outputs are copied with mode 0600, embedded documents by their numbers."""
    assert Path(scene.job["path"]).stat().st_ino == scene.document.stat().st_ino
    assert Path(scene.job["siblings"]).read_text() == "[]"
    assert all(
        Path(scene.job[name]).is_relative_to(scene.room.path) for name in ("path", "siblings", "folder")
    )
    scene.convert()
    done, fit = take_converted(json.dumps(ANSWER).encode(), scene.room, scene.target)
    assert fit
    assert scene.taken() == {"text.md": b"text", "embedded/001": b"inner"}
    assert (scene.target / "text.md").stat().st_mode & 0o777 == 0o600
    digest = hashlib.sha256(b"inner").hexdigest()
    inner = {"file": "embedded/001", "size": 5, "sha256": digest}
    assert msgspec.to_builtins(done) == {**ANSWER, "embedded": [ANSWER["embedded"][0] | inner]}
    left = sorted(str(path.relative_to(scene.room.path)) for path in scene.room.path.rglob("*"))
    assert left == ["in", "own", "own/tmp"]
    assert scene.room.put({**scene.job, "path": str(scene.document), "siblings": None})["siblings"] is None


@pytest.mark.parametrize("owner", ["another disk", "somebody else"])
def test_what_cannot_be_linked_is_copied(scene: Scene, monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    """Whether the disk has no links, or the file belongs to another user, who may keep it from a worker."""
    scene.room.remove()
    scene.room.make()

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if owner == "another disk":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    else:
        monkeypatch.setattr(rooms.os, "geteuid", lambda: -1)
    job = scene.room.put({"path": str(scene.document), "folder": str(scene.target)})
    assert Path(job["path"]).stat().st_ino != scene.document.stat().st_ino
    assert Path(job["path"]).read_bytes() == b"document"


def link(scene: Scene, file: Path) -> None:
    file.unlink()
    file.symlink_to(scene.document)


def hard_link(scene: Scene, file: Path) -> None:
    file.unlink()
    file.hardlink_to(scene.document)


def fifo(_: Scene, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(_: Scene, file: Path) -> None:
    file.unlink()
    file.mkdir()


def missing(_: Scene, file: Path) -> None:
    file.unlink()


def test_larger_files_where_they_are_configured(scene: Scene) -> None:
    """What a worker may write, and what is taken from it, is one number."""
    made = scene.room.path / "own" / "out"
    (made / "document.pdf").write_bytes(b"%PDF-")
    os.truncate(made / "document.pdf", rooms.FILE_BYTES + 1)
    with pytest.raises(rooms.MisfitError):
        rooms.Room(scene.room.path.parent, 7).copy_numbered(
            {"document.pdf": rooms.FILE_BYTES + 1}, scene.folder
        )
    with rooms._opened(made) as out, rooms._plain(out, "document.pdf", 2 * rooms.FILE_BYTES) as (_, size):
        assert size == rooms.FILE_BYTES + 1


def large(_: Scene, file: Path) -> None:
    os.truncate(file, rooms.FILE_BYTES + 1)


@pytest.mark.parametrize("draft", ["places", "places.new"])
@pytest.mark.parametrize("kind", ["link", "hard link", "folder"])
def test_a_grant_changes_no_file_elsewhere(scene: Scene, draft: str, kind: str) -> None:
    """A worker that the kernel does not confine may have put something else under its name."""
    precious, place = scene.folder / "precious", scene.room.path / "in" / draft
    precious.write_text("precious")
    if kind == "link":
        place.symlink_to(precious)
    elif kind == "hard link":
        place.hardlink_to(precious)
    else:
        place.mkdir()
    scene.room.grant(3)
    assert precious.read_text() == "precious"
    if kind != "folder":
        assert Path(scene.job["places"]).read_text() == "3"
        assert not Path(scene.job["places"]).is_symlink()


def test_a_grant_replaces_the_one_before(scene: Scene) -> None:
    """The number is there as a whole, at any time."""
    for places in (3, 12, 1):
        scene.room.grant(places)
        assert Path(scene.job["places"]).read_text() == str(places)
    scene.room.remove()
    scene.room.grant(2)


@pytest.mark.parametrize("name", ["text.md", "embedded/001"])
@pytest.mark.parametrize("harm", [link, hard_link, fifo, folder, missing, large])
def test_files_that_are_none_are_misfits(scene: Scene, harm: object, name: str) -> None:
    """No link is followed, no FIFO waited for, and nothing that was copied before stays."""
    scene.convert()
    harm(scene, scene.out / name)
    with pytest.raises(MisfitError):
        take_converted(json.dumps(ANSWER).encode(), scene.room, scene.target)
    assert scene.taken() == {}


@pytest.mark.parametrize("name", ["out", "out/embedded"])
def test_folders_that_are_links_are_misfits(scene: Scene, name: str) -> None:
    """A folder of files with the right names, somewhere else."""
    scene.convert()
    moved, place = scene.folder / "moved", scene.out.parent / name
    place.rename(moved)
    place.symlink_to(moved)
    with pytest.raises(MisfitError):
        take_converted(json.dumps(ANSWER).encode(), scene.room, scene.target)
    assert scene.taken() == {}


def test_open_file_of_a_worker_changes_nothing_later(scene: Scene) -> None:
    """What was taken is another file than the one that a worker may still have open."""
    scene.convert()
    with (scene.out / "text.md").open("r+b") as kept:
        take_converted(json.dumps(ANSWER).encode(), scene.room, scene.target)
        kept.write(b"lies")
    assert scene.taken()["text.md"] == b"text"


@pytest.mark.parametrize("place", ["own/out/more", "own/tmp/more", "own/out/embedded/002"])
def test_room_with_more_in_it_is_not_fit(scene: Scene, place: str) -> None:
    """Whatever else is left, the worker is not used again."""
    scene.convert()
    (scene.room.path / place).touch()
    _, fit = take_converted(json.dumps(ANSWER).encode(), scene.room, scene.target)
    assert not fit
    assert sorted(scene.taken()) == ["embedded/001", "text.md"]


LIES = {
    "no object": [],
    "null": None,
    "missing key": {key: value for key, value in ANSWER.items() if key != "extension"},
    "unknown key": {**ANSWER, "path": "/etc/passwd"},
    "unknown outcome": {**ANSWER, "outcome": "duplicate"},
    "outcome of a wrong type": {**ANSWER, "outcome": ["converted"]},
    "reason of a wrong type": {**ANSWER, "reason": 7},
    "output elsewhere": {**ANSWER, "outputs": ["../../in/original"]},
    "output twice": {**ANSWER, "outputs": ["text.md", "text.md"]},
    "outputs of a wrong type": {**ANSWER, "outputs": "text.md"},
    "extension elsewhere": {**ANSWER, "extension": "/../../x"},
    "extension with a newline": {**ANSWER, "extension": ".txt\n"},
    "embedded by a path": {**ANSWER, "embedded": [{"name": "x", "declared": None, "path": "/etc/passwd"}]},
    "embedded without a name": {**ANSWER, "embedded": [{"declared": None}]},
    "too many embedded": {**ANSWER, "embedded": ANSWER["embedded"] * (MOST_EMBEDDED + 1)},
    "more embedded than there are": {**ANSWER, "embedded": ANSWER["embedded"] * 2},
    "metadata of a wrong type": {**ANSWER, "metadata": None},
    "metadata without a type": {**ANSWER, "metadata": {"warnings": []}},
    "metadata with an id": {**ANSWER, "metadata": {**ANSWER["metadata"], "document_id": "x"}},
    "warnings of a wrong type": {**ANSWER, "warnings": [None]},
    "a title of megabytes": {**ANSWER, "metadata": {**ANSWER["metadata"], "title": "T" * 2**20}},
    "a long reason": {**ANSWER, "reason": "r" * 5_000},
    "a long name": {**ANSWER, "embedded": [{"name": "n" * 5_000, "declared": None}]},
    "many warnings": {**ANSWER, "metadata": {**ANSWER["metadata"], "warnings": ["w"] * 201}},
    "long warnings": {**ANSWER, "metadata": {**ANSWER["metadata"], "warnings": ["w" * 4_000] * 20}},
    "many libraries": {
        **ANSWER,
        "metadata": {
            **ANSWER["metadata"],
            "converter": {"name": "x", "versions": {str(number): "1" for number in range(101)}},
        },
    },
    "negative pages": {**ANSWER, "metadata": {**ANSWER["metadata"], "pages": -1}},
    "huge pages": {**ANSWER, "metadata": {**ANSWER["metadata"], "pages": 10**30}},
    "not a number": {**ANSWER, "metadata": {**ANSWER["metadata"], "duration_s": float("nan")}},
    "infinite": {**ANSWER, "metadata": {**ANSWER["metadata"], "duration_s": float("inf")}},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_answers_that_are_none_are_misfits(scene: Scene, lie: object) -> None:
    """Missing keys, wrong types, names of one's own, numbers that are none."""
    scene.convert()
    with pytest.raises(MisfitError):
        take_converted(json.dumps(lie).encode(), scene.room, scene.target)
    assert scene.taken() == {}


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"outcome": "\xff"}', b"{", b""])
def test_json_that_is_none_is_a_misfit(scene: Scene, text: bytes) -> None:
    """Too deep, no UTF-8, cut short."""
    with pytest.raises(MisfitError):
        take_converted(text, scene.room, scene.target)


REPLIES = {
    "no reply": b"[]",
    "unknown member": b'{"ok": true, "more": 1}',
    "number for a truth": b'{"ok": 1}',
    "negative peak": b'{"ok": true, "peak": -1}',
    "endless": b'{"ok": true, "seconds": 1e999}',
    "text in place of an error": b'{"ok": false, "error": "Ann Lee, 1957"}',
    "text in place of a line": b'{"ok": false, "error": "X", "where": "a\\nb"}',
    "deep": b'{"ok": true, "value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no UTF-8": b'{"ok": true, "error": "\xff"}',
}


@pytest.mark.parametrize("frame", REPLIES.values(), ids=REPLIES)
def test_replies_that_are_none(frame: bytes) -> None:
    """Around an answer, too, there is only what a worker writes."""
    assert read_reply(frame) is None


def test_names_that_are_no_unicode_get_through(scene: Scene) -> None:
    """Old mails have names of broken bytes: half a pair of UTF-16 becomes a question mark."""
    scene.convert()
    part = {"name": "r\ud800sum\udce9.pdf", "declared": None}
    frame = answer_frame({"ok": True, "value": {**ANSWER, "embedded": [part]}})
    reply = read_reply(frame[LENGTH.size :])
    done, _ = take_converted(reply.value, scene.room, scene.target)
    assert done.embedded[0].name == "r?sum?.pdf"


def test_limits_are_the_converters() -> None:
    """As many embedded documents are taken as a converter takes out."""
    assert MOST_EMBEDDED == CONVERTERS_MOST


def test_deep_trees_are_removed(tmp_path: Path) -> None:
    """Deeper than recursion and descriptors go, some without any mode; links are not followed."""
    top, kept = tmp_path / "top", tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    top.mkdir()
    (top / "link").symlink_to(kept)
    here = os.open(top, os.O_RDONLY)
    for level in range(3000):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=here))
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        if level % 7 == 0:
            os.chmod("d", 0, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    remove_tree(top)
    assert not top.exists()
    assert (kept / "file").exists()
    remove_tree(top)


def test_what_the_main_process_holds_whole_is_small(scene: Scene) -> None:
    """The picture of a document comes into the report: a worker cannot make it a gigabyte."""
    picture = scene.out / "thumbnail.png"
    picture.write_bytes(bytes(4 * 2**20))
    scene.room.take(["thumbnail.png"], 0, scene.target)
    picture.write_bytes(bytes(4 * 2**20 + 1))
    with pytest.raises(MisfitError, match="no plain file"):
        scene.room.take(["thumbnail.png"], 0, scene.target)


def test_files_are_moved_once_they_are_on_the_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes, then the name: what a power loss leaves under its new name is whole."""
    order: list[str] = []
    real_sync, real_rename = os.fsync, Path.rename
    monkeypatch.setattr(rooms.os, "fsync", lambda file: order.append("fsync") or real_sync(file))
    monkeypatch.setattr(
        Path, "rename", lambda path, to: order.append(f"rename {path.name}") or real_rename(path, to)
    )
    for name in ("00001.bin", "00003.bin"):
        (scene.out / name).write_bytes(name.encode())
        (scene.out / name).chmod(0o755)
    moved = scene.room.move_numbered({"00001.bin": 9, "00003.bin": 9}, scene.target)
    assert order == ["fsync", "rename 00001.bin", "fsync", "rename 00003.bin", "fsync"]
    assert moved == {name: hashlib.sha256(name.encode()).hexdigest() for name in ("00001.bin", "00003.bin")}
    assert (scene.target / "00001.bin").stat().st_mode & 0o777 == 0o600
