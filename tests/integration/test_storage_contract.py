"""What every storage promises, folder, memory and S3 alike."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from docpipe.storage import Storage

PATIENT, DOCUMENT, RUN = "P123", "0123456789abcdef", "01MCC5RM00V3RS3DTR98H6BCFN"


def sources(tmp_path: Path, **contents: bytes) -> dict[str, Path]:
    """Files in a spool, by the name they are to have; an underscore stands for the dot."""
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    files = {}
    for name, data in contents.items():
        path = spool / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        files[name.replace("_", ".")] = path
    return files


async def whole(storage: Storage, name: str, **words: object) -> bytes:
    return b"".join([piece async for piece in storage.read(PATIENT, name, document_id=DOCUMENT, **words)])


async def test_a_document_is_stored_found_and_read(storage: Storage, tmp_path: Path) -> None:
    """With names, sizes and metadata; its files stay in the spool for a retry."""
    assert await storage.find_document(PATIENT, DOCUMENT) is None
    files = sources(tmp_path, original_pdf=b"%PDF", text_md=b"# Text\n", thumbnail_png=b"")
    done = await storage.put_document(PATIENT, DOCUMENT, files, {"title": "Größe \ud800"})
    sizes = {"original.pdf": 4, "text.md": 7, "thumbnail.png": 0}
    assert done == {"key": f"{PATIENT}/{DOCUMENT}", "files": sizes}
    assert await storage.find_document(PATIENT, DOCUMENT) == {"title": "Größe \ud800", "files": sizes}
    assert await storage.find_document("P12", DOCUMENT) is None
    assert storage.key(PATIENT, DOCUMENT) == done["key"]
    assert storage.location(PATIENT, document_id=DOCUMENT).endswith(f"/{done['key']}")
    assert all(path.exists() for path in files.values())
    for name, path in files.items():
        assert await storage.get_document_file(PATIENT, DOCUMENT, name) == path.read_bytes()
        assert await storage.size(PATIENT, name, document_id=DOCUMENT) == sizes[name]
        assert await whole(storage, name) == path.read_bytes()
    assert "Größe" in (await storage.get_document_file(PATIENT, DOCUMENT, "metadata.json")).decode()


async def test_what_was_there_is_replaced(storage: Storage, tmp_path: Path) -> None:
    """A later conversion leaves nothing of the earlier one."""
    old = sources(tmp_path, original_pdf=b"%PDF", text_md=b"old", thumbnail_png=b"png")
    await storage.put_document(PATIENT, DOCUMENT, old, {"title": "old"})
    new = sources(tmp_path, original_pdf=b"%PDF", text_md=b"newer")
    await storage.put_document(PATIENT, DOCUMENT, new, {"title": "new"})
    assert (await storage.find_document(PATIENT, DOCUMENT))["title"] == "new"
    listing = storage.tree().listing(PATIENT)
    assert listing.within(DOCUMENT).keys() == {"original.pdf", "text.md", "metadata.json"}
    assert await whole(storage, "text.md") == b"newer"


async def test_what_is_not_there(storage: Storage) -> None:
    """Is None, or no file."""
    assert await storage.get_document_file(PATIENT, DOCUMENT, "text.md") is None
    assert await storage.get_run_file(PATIENT, RUN, "report.json") is None
    assert await storage.size(PATIENT, "text.md", document_id=DOCUMENT) is None
    with pytest.raises(FileNotFoundError):
        await whole(storage, "text.md")
    with pytest.raises(FileNotFoundError):
        await whole(storage, "text.md", start=2, end=5)


async def test_files_of_runs(storage: Storage) -> None:
    """Can be written again, and are read."""
    await storage.put_run_files(PATIENT, RUN, {"report.json": b"1"})
    await storage.put_run_files(PATIENT, RUN, {"report.json": b"22"})
    await storage.put_run_files(PATIENT, RUN, {"report.html": b"3"})
    assert await storage.get_run_file(PATIENT, RUN, "report.json") == b"22"
    assert await storage.size(PATIENT, "report.json", run_id=RUN) == 2
    assert storage.tree().listing(PATIENT).within(f"runs/{RUN}") == {"report.json": 2, "report.html": 1}


@pytest.mark.parametrize("text", [b"", b"short"])
async def test_a_part_that_ends_after_the_file(storage: Storage, tmp_path: Path, text: bytes) -> None:
    """Ends with the file, also with an empty one: whoever reads at most so much does not know its size."""
    await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, original_pdf=b"%PDF", text_md=text), {})
    assert await whole(storage, "text.md", start=0, end=100) == text


async def test_large_files_and_parts_of_them(storage: Storage, tmp_path: Path) -> None:
    """What is sent in parts comes back as it was, whole or from one byte to another."""
    data = os.urandom(11 * 2**20 + 17)
    files = sources(tmp_path, original_pdf=data, text_md=b"t")
    done = await storage.put_document(PATIENT, DOCUMENT, files, {})
    assert done["files"]["original.pdf"] == len(data)
    assert await storage.find_document(PATIENT, DOCUMENT) is not None
    assert await whole(storage, "original.pdf") == data
    assert await whole(storage, "original.pdf", start=5, end=6 * 2**20) == data[5 : 6 * 2**20]
    assert await whole(storage, "original.pdf", start=len(data) - 1) == data[-1:]
    assert await whole(storage, "original.pdf", start=7, end=7) == b""
    path = f"{PATIENT}/{DOCUMENT}/original.pdf"
    assert storage.tree().sha256(path) == hashlib.sha256(data).hexdigest()
    storage.tree().copy(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.parametrize("patient", ["a/b", "..", "é ü", "%2E", "x" * 300, "-rf", "a%2Fb"])
async def test_ids_that_are_no_names(storage: Storage, tmp_path: Path, patient: str) -> None:
    """Have a folder of their own, and everything finds it."""
    await storage.put_document(patient, DOCUMENT, sources(tmp_path, text_md=b"text"), {"title": patient})
    assert (await storage.find_document(patient, DOCUMENT))["title"] == patient
    tree = storage.tree()
    assert tree.patients() == [storage.folder_of(patient)]
    assert tree.listing(storage.folder_of(patient)).within(DOCUMENT)["text.md"] == 4
    assert tree.read(f"{storage.folder_of(patient)}/{DOCUMENT}/text.md") == b"text"


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a\\b", "metadata.json"])
async def test_names_that_are_no_names_are_a_mistake(storage: Storage, tmp_path: Path, name: str) -> None:
    """Names of files are docpipe's own; one that is unsafe is a mistake of the caller."""
    path = sources(tmp_path, text_md=b"t")["text.md"]
    with pytest.raises(ValueError, match=r"cannot be|written by"):
        await storage.put_document(PATIENT, DOCUMENT, {name: path}, {})
    if name != "metadata.json":
        with pytest.raises(ValueError, match="cannot be"):
            await storage.size(PATIENT, name, document_id=DOCUMENT)


async def test_links_are_not_followed(storage: Storage, tmp_path: Path) -> None:
    """A link in place of a converter's output does not bring another file into the storage."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="not a regular file"):
        await storage.put_document(PATIENT, DOCUMENT, {"text.md": tmp_path / "link"}, {})
    assert await storage.find_document(PATIENT, DOCUMENT) is None


async def test_what_is_damaged_is_not_found(storage: Storage, tmp_path: Path) -> None:
    """A document that lost a file is as good as none, and can be stored again."""
    tree = storage.tree()
    for gone in ("text.md", "metadata.json"):
        await storage.put_document(PATIENT, DOCUMENT, sources(tmp_path, text_md=b"text"), {})
        assert await storage.find_document(PATIENT, DOCUMENT) is not None
        tree.remove(f"{PATIENT}/{DOCUMENT}/{gone}")
        assert await storage.find_document(PATIENT, DOCUMENT) is None
    tree.remove(f"{PATIENT}/{DOCUMENT}")
    assert not tree.listing(PATIENT).files
    with pytest.raises(FileNotFoundError):
        tree.read(f"{PATIENT}/{DOCUMENT}/text.md")


async def test_two_at_once(storage: Storage, tmp_path: Path) -> None:
    """Two runs of one patient that hold the same document leave it whole."""
    files = sources(tmp_path, original_pdf=b"%PDF" * 1000, text_md=b"text")
    await asyncio.gather(*(storage.put_document(PATIENT, DOCUMENT, files, {"n": n}) for n in range(4)))
    assert (await storage.find_document(PATIENT, DOCUMENT))["n"] in range(4)


async def test_the_check_leaves_nothing(storage: Storage) -> None:
    """A storage that can be written is left as it was."""
    await storage.check()
    assert storage.tree().patients() == []
    assert storage.tree().orphans() == []
