"""`docpipe convert`: files to readable forms, without any service or configuration."""

import json
import shutil
import stat
from pathlib import Path

from tests.acceptance.conftest import Box

READS_SCANS = True


async def test_files_archives_and_documents_in_documents(box: Box, samples: Path) -> None:
    """Each document gets a folder of its own, named after it, and the table has a row for every file."""
    (box.folder / "config.toml").unlink()
    given = (
        samples / "archives" / "data-descriptor.zip",
        samples / "unstructured-cda" / "embedded-pdf.xml",
        samples / "pdf",
    )
    ended = await box.run("convert", *map(str, given), "--to", "out", "--json")
    assert ended.status == 1, ended.err  # one PDF needs a password
    files = {file["path"]: file for file in ended.json["files"]}
    assert sum(ended.json["counts"].values()) == len(files)
    assert files["data-descriptor.zip"]["outcome"] == "stored"
    inner = [path for path in files if path.startswith("data-descriptor.zip/")]
    assert inner
    assert {files[path]["outcome"] for path in inner} == {"stored", "duplicate"}
    for path in ("embedded-pdf.xml", "embedded-pdf.xml/embedded-1.pdf", "pdf/multicolumn.pdf"):
        folder = box.folder / files[path]["folder"]
        metadata = json.loads((folder / "metadata.json").read_bytes())
        assert metadata["name"] == path
        assert metadata["outputs"] == ["document.pdf", "text.md", "thumbnail.png"]
        for name in metadata["outputs"]:
            assert (folder / name).stat().st_size
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    original = box.folder / files["embedded-pdf.xml/embedded-1.pdf"]["folder"] / "original.pdf"
    assert original.read_bytes().startswith(b"%PDF-")
    refused = files["pdf/libreoffice-writer-password.pdf"]
    assert (refused["outcome"], refused["folder"]) == ("failed", None)
    assert [path.name for path in (box.folder / "out").iterdir() if path.name.startswith(".")] == []


async def test_converting_twice_does_nothing(box: Box, samples: Path) -> None:
    """What is there stays as it is, unless it is asked for again, or something of it is missing."""
    shutil.copy(samples / "office" / "plain.rtf", box.folder / "letter.rtf")
    words = ("convert", "letter.rtf", "--to", "out", "--json")
    first = (await box.run(*words)).json["files"][0]
    thumbnail = box.folder / first["folder"] / "thumbnail.png"
    made = thumbnail.stat().st_ino
    second = (await box.run(*words)).json["files"][0]
    assert (first["unchanged"], second["unchanged"]) == (False, True)
    assert second["words"] == first["words"]
    assert thumbnail.stat().st_ino == made
    thumbnail.unlink()
    assert not (await box.run(*words)).json["files"][0]["unchanged"]
    assert thumbnail.exists()
    assert not (await box.run(*words, "--again")).json["files"][0]["unchanged"]


async def test_names_do_no_harm(box: Box) -> None:
    """Files of one name, with a stranger's folder in the way, each find a place; nothing is overwritten."""
    for folder in ("a", "b"):
        (box.folder / folder).mkdir()
        (box.folder / folder / "x\n\u202enote.txt").write_text(f"Note {folder}.", "utf-8")
    (box.folder / "out" / "x__note.txt").mkdir(parents=True)
    (box.folder / "out" / "x__note.txt" / "mine").write_text("keep", "utf-8")
    given = [str(box.folder / folder / "x\n\u202enote.txt") for folder in ("a", "b")]
    ended = await box.run("convert", *given, "--to", "out", "--json")
    assert ended.status == 0, ended.err
    places = [box.folder / file["folder"] for file in ended.json["files"]]
    assert len(set(places)) == 2
    assert all(place.parent == box.folder / "out" for place in places)
    assert {place.joinpath("text.md").read_text("utf-8").strip() for place in places} == {
        "Note a.",
        "Note b.",
    }
    assert (box.folder / "out" / "x__note.txt" / "mine").read_text("utf-8") == "keep"


async def test_bad_usage_is_reported(box: Box) -> None:
    """A file that is not there, and a folder that cannot be written."""
    ended = await box.run("convert", "nothing.pdf", "--to", "out")
    assert (ended.status, ended.err) == (2, "docpipe: There is no file nothing.pdf.\n")
    (box.folder / "file").write_text("x", "utf-8")
    ended = await box.run("convert", "file", "--to", "file")
    assert ended.status == 2
    assert "--to file cannot be written" in ended.err


async def test_the_table(box: Box, samples: Path) -> None:
    """People get a row a file, what is wrong with it below, and the sum."""
    ended = await box.run("convert", str(samples / "office" / "truncated.docx"), "--to", "out")
    assert ended.status == 1
    head, row, reason, _, total = ended.out.splitlines()
    assert head.split() == ["outcome", "time", "memory", "pages", "words", "file"]
    assert row.startswith("could not be read ")
    assert row.endswith("  truncated.docx")
    assert reason.strip()
    assert total == "1 document: 1 could not be read"
