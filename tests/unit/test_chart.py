"""The chart of a patient: one PDF that leads to every document, and one ZIP with all of it."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pikepdf
import pytest

from docpipe.chart import TARGET, contents_of, names_of, package, write_chart
from docpipe.errors import UsageError
from docpipe.report import build
from docpipe.results.report import Facts
from docpipe.storage import FolderStorage
from docpipe.workers.inline import InlineWorkers
from tests.report_support import document, facts

RUNS = ("01J00000000000000000000000", "01J00000000000000000000001")


def pdf(pages: int, rotate: int = 0, size: tuple[int, int] = (612, 792)) -> bytes:
    """A PDF with a line from its lower left corner on each page."""
    out = io.BytesIO()
    with pikepdf.new() as made:
        for _ in range(pages):
            page = made.add_blank_page(page_size=size)
            page.obj.Rotate = rotate
            page.Contents = made.make_stream(b"2 0 0 2 0 0 cm 0 0 m 100 100 l S")
        made.save(out)
    return out.getvalue()


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A document of a manifest."""
    document_id = f"{number:016x}"
    known = {"id": document_id, "key": f"P1/{document_id}", "outputs": ["document.pdf", "text.md"]}
    return document(f"{number}.docx", **{**known, "original": "original.docx", **more})


class Kept:
    """A storage with documents of one patient."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = FolderStorage(folder / "storage")

    async def put(self, number: int, data: bytes) -> None:
        """Store a document with this PDF."""
        files = {}
        for name, content in (("document.pdf", data), ("text.md", b"text"), ("original.docx", b"original")):
            files[name] = self.folder / f"{number}-{name}"
            files[name].write_bytes(content)
        await self.storage.put_document("P1", f"{number:016x}", files, {})

    async def report(self, entries: list[dict[str, Any]], run: str = RUNS[0]) -> None:
        """Store the report of a run."""
        known = msgspec.convert(facts(entries, run_id=run, patient_id="P1"), Facts)
        files = {"report.json": msgspec.json.encode(build(known))}
        await self.storage.put_run_files("P1", run, files)

    async def chart(self, **more: Any) -> tuple[Any, pikepdf.Pdf]:
        """The chart, and what was noted of it."""
        target = self.folder / "chart.pdf"
        contents = contents_of(self.storage, "P1", **more)
        async with InlineWorkers(TARGET, clock=time.time) as workers:
            made = await write_chart(self.storage, contents, target, workers, clock=lambda: 1e9)
        assert target.stat().st_mode & 0o077 == 0
        return made, pikepdf.open(target)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def words(page: pikepdf.Page) -> str:
    """The text of a page as a reader sees it."""
    import pypdfium2  # noqa: PLC0415 -- of the checks only

    out = io.BytesIO()
    with pikepdf.new() as one:
        one.pages.append(page)
        one.save(out)
    return str(pypdfium2.PdfDocument(out.getvalue())[0].get_textpage().get_text_bounded())


async def test_every_document_in_order_of_date(kept: Kept) -> None:
    """Cover, contents, then the documents: bookmarks, links and titles lead to the right pages."""
    for number in (1, 2, 3):
        await kept.put(number, pdf(number))
    await kept.report(
        [
            entry(1, title="Zoë's letter", date="2024-05-01"),
            entry(2, title="Older", date="2023-01-02"),
            entry(3, title="Undated", date=None),
            document("scan.tif", "failed", reason="The file is cut short."),
        ]
    )
    made, chart = await kept.chart()
    assert (made.documents, made.pages, len(chart.pages)) == (3, 8, 8)
    assert [title for title, _ in made.missing] == ["scan.tif"]
    cover = words(chart.pages[0])
    assert "scan.tif" in cover
    assert "P1" in cover
    assert "2001-09-09 01:46 UTC" in cover
    with chart.open_outline() as outline:
        assert [item.title for item in outline.root] == ["Older", "Zoë's letter", "Undated"]
        targets = [item.destination[0] for item in outline.root]
    first = [chart.pages[number].obj for number in (2, 4, 5)]
    assert [target.objgen for target in targets] == [page.objgen for page in first]
    links = [link.Dest[0].objgen for link in chart.pages[1].obj.Annots]
    assert links == [page.objgen for page in first for _ in range(2)]
    assert "Older" in words(chart.pages[3])
    assert "page 4 of 8" in words(chart.pages[3])
    assert "page 6 of 8" in words(chart.pages[5])


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
async def test_titles_stand_at_the_lower_edge_as_it_is_seen(kept: Kept, rotate: int) -> None:
    """On turned and on large pages, and whatever the page itself does to its coordinates."""
    import pypdfium2  # noqa: PLC0415 -- as above

    await kept.put(1, pdf(1, rotate, (2000, 3000)))
    await kept.report([entry(1, title="Letter")])
    await kept.chart()
    page = pypdfium2.PdfDocument(kept.folder / "chart.pdf")[2]
    picture = page.render(scale=0.5).to_pil().convert("L")
    width, height = picture.size
    edge = picture.crop((0, round(height * 0.97), width, height))
    assert edge.crop((round(width * 0.8), 0, width, edge.height)).getextrema()[0] < 150  # its number
    assert edge.crop((20, 0, round(width * 0.2), edge.height)).getextrema()[0] < 150  # its title


async def test_of_several_runs_the_last_one_counts(kept: Kept) -> None:
    """A document that failed in one run and was read in a later one is there once."""
    await kept.put(1, pdf(1))
    await kept.put(2, pdf(1))
    await kept.report([entry(1), entry(2, outcome="failed", reason="Damaged.", outputs=[], key=None)])
    copy = document("copy.docx", "duplicate", id=f"{2:016x}", duplicate_of="2.docx")
    await kept.report([entry(2), copy], RUNS[1])
    contents = contents_of(kept.storage, "P1")
    assert (len(contents.readable), contents.missing) == (2, [])
    assert len(contents_of(kept.storage, "P1", [RUNS[0]]).missing) == 1
    assert len((await kept.chart(run_ids=[RUNS[1]]))[1].pages) == 3
    with pytest.raises(UsageError, match="docpipe run"):
        contents_of(kept.storage, "P2")


async def test_a_damaged_pdf_is_named_on_the_cover(kept: Kept) -> None:
    """What cannot be opened costs no more than itself."""
    await kept.put(1, b"no PDF at all")
    await kept.put(2, pdf(1))
    await kept.report([entry(1, title="Spoiled"), entry(2)])
    made, chart = await kept.chart()
    assert (made.documents, [title for title, _ in made.missing]) == (1, ["Spoiled"])
    assert "Spoiled" in words(chart.pages[0])


async def test_a_patient_without_readable_documents(kept: Kept) -> None:
    """The chart is a cover that says so."""
    await kept.report(
        [document(f"{number}.bin", "failed", id=f"{number:016x}", reason="Damaged.") for number in range(600)]
    )
    made, chart = await kept.chart()
    assert (made.documents, len(made.missing)) == (0, 600)
    assert "599.bin" in "".join(map(words, chart.pages))


async def test_everything_as_one_zip(kept: Kept) -> None:
    """Names say what a file is, are fit for every system, and no two are the same."""
    evil = "../..\\CON: <a>?*\x1b\n" + "x" * 300
    for number in (1, 2, 3):
        await kept.put(number, pdf(1))
    await kept.report(
        [
            entry(1, title="Letter", date="2024-05-01T10:00:00"),
            entry(2, title="letter", date="2024-05-01"),
            entry(3, title=evil, date="soon"),
        ]
    )
    contents = contents_of(kept.storage, "P1")
    pieces = [piece async for piece in package(kept.storage, [contents])]
    assert len(pieces) > 9  # streamed
    whole = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert whole.testzip() is None
    names = whole.namelist()
    assert len({name.lower() for name in names}) == 9
    assert names[:3] == [f"2024-05-01 letter{end}" for end in (".docx", ".pdf", " (text).md")]
    assert names[3] == "2024-05-01 Letter (2).docx"
    assert all(len(name) < 130 and name.isprintable() and not set(name) & set('\\/:*?"<>|') for name in names)
    assert whole.read("2024-05-01 letter.docx") == b"original"
    assert len(list(names_of(contents))) == 9


async def test_no_two_files_have_one_name(kept: Kept) -> None:
    """Also where the title of one document ends as the text of another is named."""
    bare = {"original": "original.md", "outputs": []}
    titled = [entry(1, title="x", date=None), entry(2, title="x (text)", date=None, **bare)]
    await kept.report(titled)
    names = [name for name, _, _ in names_of(contents_of(kept.storage, "P1"))]
    assert names == ["x.docx", "x.pdf", "x (text).md", "x (text) (2).md"]
