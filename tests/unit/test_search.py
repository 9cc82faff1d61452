"""The search index: what matches, what is shown of it, and that it is private and can be made anew."""

import asyncio
import itertools
import json
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from docpipe.results.report import Entry
from docpipe.search import Hits, QueryError, SearchIndex, SearchIndexError, Text, open_index, service
from docpipe.search.index import _SCHEMA, APPLICATION_ID, COUNTED, Index
from docpipe.search.query import terms_of
from docpipe.storage import FolderStorage

IDS = [f"{number:016x}" for number in range(200)]


def text(number: int, content: str, **facts: Any) -> Text:
    """A document with a content."""
    return Text(document_id=IDS[number], name=f"{number}.txt", text=content, **facts)


def filled(folder: Path, *contents: str, patient_id: str = "P1") -> Index:
    """An index with documents of one patient."""
    index = Index(folder / ".search.db")
    index.put(patient_id, [text(number, content) for number, content in enumerate(contents)])
    return index


def matching(index: Index, query: str, patient_id: str | None = None) -> set[str]:
    """The names of the documents that match."""
    hits = index.search(terms_of(query), patient_id, limit=100, offset=0)
    return {hit.name for hit in hits.hits}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("warfarin", {"0.txt"}),
        ("WARFARIN aspirin", {"0.txt"}),
        ("müller", {"0.txt", "1.txt"}),
        ("Muller", {"0.txt", "1.txt"}),
        ('"heart failure"', {"2.txt"}),
        ("heart failure", {"1.txt", "2.txt"}),
        ("cardio*", {"1.txt"}),
        ("cardio", set()),
        ('"acute card*', set()),
        ('"chronic cardio"*', {"1.txt"}),
        ("2.5", {"2.txt"}),
        ("P-101", set()),
        ('AND OR NOT NEAR( "', set()),
        ("text: {title} ^warfarin", set()),
        ("owner", set()),
    ],
)
def test_words_phrases_and_prefixes(tmp_path: Path, query: str, names: set[str]) -> None:
    """All words have to occur; case, accents and the syntax of FTS5 do not matter."""
    index = filled(
        tmp_path,
        "Dr. Müller prescribes Warfarin and aspirin.",
        "Muller: chronic cardiomyopathy.\nFailure of the right heart.",
        "Heart failure, 2.5 mg.",
    )
    assert matching(index, query) == names


@pytest.mark.parametrize("query", ["", "  ", "* - !", '""', "a*", " ".join("w" * n for n in range(1, 40))])
def test_queries_without_words(query: str) -> None:
    """What cannot be searched for is refused with a sentence."""
    with pytest.raises(QueryError):
        terms_of(query)


def test_one_patient_and_all(tmp_path: Path) -> None:
    """A patient's documents are found alone; ids that begin the same are two."""
    index = filled(tmp_path, "anaemia")
    index.put("P1/x", [text(1, "anaemia")])
    index.put("P\ud800", [text(2, "anaemia \ud800")])
    assert matching(index, "anaemia") == {"0.txt", "1.txt", "2.txt"}
    assert matching(index, "anaemia", "P1") == {"0.txt"}
    assert matching(index, "anaemia", "P1/x") == {"1.txt"}
    assert matching(index, "anaemia", "P2") == set()


def test_title_name_and_author_match(tmp_path: Path) -> None:
    """A document without text has its title, its name and its author."""
    index = Index(tmp_path / "index.db")
    index.put("P1", [text(0, "", title="Discharge letter", author="Dr. Núñez")])
    hits = index.search(terms_of("discharge nunez 0"), None, limit=1, offset=0)
    assert [(hit.title, hit.lines) for hit in hits.hits] == [("Discharge letter", [])]


def test_lines_around_the_matches(tmp_path: Path) -> None:
    """Each hit has the first lines that match, cut around the match, with its place."""
    long = "x" * 300 + " Warfarín\x1b 5 mg " + "y" * 300
    index = filled(tmp_path, f"first\n{long}\nnothing\nwarfarin again, and Aspirin\nwarfarin\nwarfarin")
    (hit,) = index.search(terms_of("warfarin aspirin"), None, limit=1, offset=0).hits
    assert [line.number for line in hit.lines] == [2, 4, 5]
    for line in hit.lines:
        assert len(line.text) <= 160
        assert line.text.isprintable()
    marked = [[line.text[begin:end] for begin, end in line.marks] for line in hit.lines]
    assert marked == [["Warfarín"], ["warfarin", "Aspirin"], ["warfarin"]]


def test_accents_of_several_characters_keep_their_place(tmp_path: Path) -> None:
    """A mark covers letters with combining accents, and what is folded to several letters."""
    index = filled(tmp_path, "Ve\u0301lo İzmir and more")
    (hit,) = index.search(terms_of("velo izmir"), None, limit=1, offset=0).hits
    (line,) = hit.lines
    assert [line.text[begin:end] for begin, end in line.marks] == ["Ve\u0301lo", "İzmir"]


def test_a_later_version_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    """A document that is stored again matches by its new text alone."""
    index = filled(tmp_path, "before")
    index.put("P1", [text(0, "after")])
    assert (matching(index, "before"), matching(index, "after")) == (set(), {"0.txt"})


def test_many_matches_are_counted_to_a_limit(tmp_path: Path) -> None:
    """Of very many the latest stored come first, in pages."""
    index = Index(tmp_path / "index.db")
    number = COUNTED + 5
    index.put("P1", [Text(document_id=f"{n:016x}", name=str(n), text="word") for n in range(number)])
    pages = [index.search(terms_of("word"), None, limit=3, offset=offset) for offset in (0, 3)]
    assert [(page.total, page.more) for page in pages] == [(COUNTED, True)] * 2
    names = [hit.name for page in pages for hit in page.hits]
    assert names == [str(number - 1 - n) for n in range(6)]


def test_forgotten_patients_leave_no_bytes(tmp_path: Path) -> None:
    """After the deletion no file of the index has a word of the patient; others stay."""
    index = filled(tmp_path, "Zyxwvut is confidential", "Zyxwvut again")
    index.put("P2", [text(2, "other")])
    assert index.forget("P1") == 2
    assert matching(index, "other") == {"2.txt"}
    index.close()
    for path in tmp_path.iterdir():
        data = path.read_bytes().lower()
        assert b"zyxwvut" not in data, path
        assert b"confidential" not in data, path


def test_files_are_private(tmp_path: Path) -> None:
    """Every file of the index can be read by its owner alone."""
    index = filled(tmp_path, "word")
    paths = list(tmp_path.iterdir())
    assert len(paths) > 1  # the log of SQLite, too
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    index.close()


@pytest.mark.parametrize("content", [b"no database at all, but a text" * 100, b"\0" * 8192])
def test_a_damaged_index_names_the_cure(tmp_path: Path, content: bytes) -> None:
    """What is no index is refused with what to type."""
    path = tmp_path / ".search.db"
    path.write_bytes(content)
    with pytest.raises(SearchIndexError, match="docpipe search --rebuild"):
        Index(path).documents("P1")
    assert path.read_bytes() == content


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Several processes may write to one index, from its first moment on."""
    path = tmp_path / "index.db"

    def write(first: int) -> None:
        index = Index(path)
        for number in range(first, first + 20):
            index.put("P1", [Text(document_id=f"{number:016x}", name=str(number), text="word")])

    threads = [threading.Thread(target=write, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Index(path).documents("P1")) == 80


# Beside a storage


async def stored(storage: FolderStorage, folder: Path, patient_id: str, number: int, content: str) -> Entry:
    """A document in the storage, as a run stores it."""
    source = folder / "text.md"
    source.write_text(content, "utf-8")
    facts = {"name": f"{number}.txt", "title": f"Title {number}", "outputs": ["text.md"]}
    key = (await storage.put_document(patient_id, IDS[number], {"text.md": source}, facts))["key"]
    source.unlink()
    return Entry(
        path=f"{number}.txt",
        id=IDS[number],
        size=1,
        sha256="",
        outcome="converted",
        reason=None,
        duplicate_of=None,
        parent=None,
        derived_from=None,
        key=key,
        outputs=["text.md"],
    )


async def names(index: SearchIndex, query: str) -> set[str]:
    """The documents that match."""
    result: Hits = await index.search(query)
    return {f"{hit.patient_id}/{hit.name}" for hit in result.hits}


async def test_the_rebuilt_index_is_that_of_the_storage(tmp_path: Path) -> None:
    """A rebuild adds what is missing, removes what is gone, and knows ids that are no folder names."""
    storage = FolderStorage(tmp_path / "storage")
    for number, patient_id in enumerate(("P1", "P/2", "x" * 300)):
        await stored(storage, tmp_path, patient_id, number, f"word {number}")
    manifest = {"m.json": b"", "manifest.json": json.dumps({"run": {"patient_id": "x" * 300}}).encode()}
    await storage.put_run_files("x" * 300, "01J00000000000000000000000", manifest)
    async with open_index(tmp_path / "storage" / ".search.db", storage) as index:
        await index.create()
        await index.add("P1", text(3, "word of a document that is gone"))
        await index.add("gone", text(0, "word"))
        await index.flush()
        assert not (await index.search("word")).complete
        seen: list[int] = []
        for alone in (False, True):
            assert await index.rebuild(seen.append, alone=alone) == 3
            assert await names(index, "word") == {"P1/0.txt", "P/2/1.txt", f"{'x' * 300}/2.txt"}
            assert (await index.search("word")).complete
        assert seen == [1, 2, 3] * 2


async def test_an_index_of_an_empty_storage_is_complete(tmp_path: Path) -> None:
    """An index that exists from the beginning needs no rebuild."""
    storage = FolderStorage(tmp_path / "storage")
    await storage.check()
    async with open_index(tmp_path / "storage" / ".search.db", storage) as index:
        await index.create()
        await index.add("P1", text(0, "word"))
        await index.flush()
        assert (await index.search("word")).complete
    assert storage.tree().patients() == []  # the index is none


async def test_the_end_of_a_run_makes_up_for_what_is_missing(tmp_path: Path) -> None:
    """Documents that were stored before the index was, or while it could not be written, are added."""
    storage = FolderStorage(tmp_path / "storage")
    entries = [await stored(storage, tmp_path, "P1", number, f"word {number}") for number in range(2)]
    path = tmp_path / "storage" / ".search.db"
    path.write_bytes(b"damaged " * 1000)
    async with open_index(path, storage) as index:
        with capture_logs() as logs:
            for number in range(2):
                await index.add("P1", text(number, "word"))
            await index.complete("P1", entries)
        assert [line["event"] for line in logs] == ["search_index_not_written"]  # once
        assert "word" not in str(logs)
        path.unlink()
        await index.complete("P1", entries)
        assert await names(index, "word") == {"P1/0.txt", "P1/1.txt"}
        assert await names(index, "title") == set()  # as the manifest has it: it names none
        assert await index.forget("P1") == 2
        assert await names(index, "word") == set()


@pytest.mark.parametrize("way", ["as it is stored", "at the end of its run", "rebuilt"])
async def test_of_a_long_text_the_beginning_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A text of a gigabyte would be held in memory whole."""
    for module in ("service", "rebuild"):
        monkeypatch.setattr(f"docpipe.search.{module}.INDEXED", 20)
    storage = FolderStorage(tmp_path / "storage")
    content = "first word " + "x " * 20 + "last"
    entries = [await stored(storage, tmp_path, "P1", 0, content)]
    async with open_index(tmp_path / "index.db", storage) as index:
        if way == "as it is stored":
            (tmp_path / "text.md").write_text(content)
            await index.add("P1", text(0, ""), tmp_path / "text.md")
            await index.complete("P1", [])
        elif way == "rebuilt":
            await index.rebuild(lambda _: None, alone=True)
        else:
            await index.complete("P1", entries)
        assert await names(index, "word") == {"P1/0.txt"}
        assert await names(index, "last") == set()


async def test_documents_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a run with its end, in one transaction; others within a second, or once they are many."""
    storage = FolderStorage(tmp_path / "storage")
    written: list[int] = []
    real = Index.put_all

    def counting(self: Index, texts: Any, **more: Any) -> None:
        given = list(texts)
        written.append(len(given))
        real(self, given, **more)

    monkeypatch.setattr(Index, "put_all", counting)
    entries = [await stored(storage, tmp_path, "P1", number, f"word {number}") for number in range(2)]
    async with open_index(tmp_path / "index.db", storage) as index:
        for number in range(2):
            await index.add("P1", text(number, "word"))
        assert written == []
        await index.complete("P1", entries)
        assert written == [2]
        lost = tmp_path / "lost.md"
        await index.add("P1", text(0, ""), lost)
        await index.add("P1", text(1, "late"))
        async with asyncio.timeout(60):
            while not await names(index, "late"):
                await asyncio.sleep(0.05)
        assert written == [2, 1], "what has lost its file holds up no other"
        for number in range(service._MOST_PENDING):
            await index.add("P2", text(number, "many"))
        assert written == [2, 1, service._MOST_PENDING]
        await index.add("P1", text(0, "last"))
    assert matching(Index(tmp_path / "index.db"), "last") == {"0.txt"}, "the end writes what is left"


async def test_a_run_that_ends_writes_the_texts_of_its_own_folder_alone(tmp_path: Path) -> None:
    """Files of its spool are read before they are removed; those of other runs go on waiting together."""
    files = {}
    for run in ("R1", "R2"):
        files[run] = tmp_path / run / "out" / "00001" / "text.md"
        files[run].parent.mkdir(parents=True)
        files[run].write_text(f"word {run}")
    async with open_index(tmp_path / "index.db", FolderStorage(tmp_path / "storage")) as index:
        await index.add("P1", text(1, ""), files["R1"])
        await index.add("P2", text(2, ""), files["R2"])
        await index.complete("P1", [])
        await index.add("P2", text(3, ""), files["R2"])
        await index.release(tmp_path / "R1")
        assert {one.document.name for one in index._pending} == {"3.txt"}
        await index.release(tmp_path / "R2")
        assert not index._pending
        assert await names(index, "word") == {"P1/1.txt", "P2/2.txt", "P2/3.txt"}


@pytest.mark.parametrize("taker", ["complete", "flush"])
async def test_a_run_that_ends_waits_for_whoever_has_taken_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taker: str
) -> None:
    """The end of another run, or a full line, writes them: until that has read them, the files stay."""
    file = tmp_path / "R1" / "text.md"
    file.parent.mkdir()
    file.write_text("word")
    began, going_on, read = threading.Event(), threading.Event(), service._beginning

    def slowly(path: Path) -> str:
        began.set()
        going_on.wait(60)
        return read(path)

    monkeypatch.setattr(service, "_beginning", slowly)
    async with open_index(tmp_path / "index.db", FolderStorage(tmp_path / "storage")) as index:
        await index.add("P1", text(1, ""), file)
        taken = asyncio.create_task(index.complete("P2", []) if taker == "complete" else index.flush())
        await asyncio.to_thread(began.wait, 60)
        released = asyncio.create_task(index.release(file.parent))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not released.done()
        going_on.set()
        await released
        file.unlink()
        await taken
        assert await names(index, "word") == {"P1/1.txt"}


async def test_a_search_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """While documents are indexed a search is answered."""
    storage = FolderStorage(tmp_path / "storage")
    async with open_index(tmp_path / "index.db", storage) as index:
        await index.add("P1", text(0, "word"))
        await index.flush()
        entered, leave = threading.Event(), threading.Event()

        def held() -> Any:
            entered.set()
            leave.wait()
            return iter([text(1, "word")])

        class Slow:
            def __iter__(self) -> Any:
                return held()

        writing = asyncio.create_task(index._in(index._writing, lambda: index._writer.put("P1", Slow())))
        await asyncio.to_thread(entered.wait)
        try:
            assert await names(index, "word") == {"P1/0.txt"}
        finally:
            leave.set()
            await writing
        assert await names(index, "word") == {"P1/0.txt", "P1/1.txt"}


def test_an_index_of_the_first_version_stays_in_use(tmp_path: Path) -> None:
    """It is read and written as it is."""
    db = sqlite3.connect(tmp_path / ".search.db")
    for statement in _SCHEMA.replace(', prefix = "2 3 4"', "").split(";\n"):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.close()
    index = filled(tmp_path, "warfarin", "aspirin")
    assert matching(index, "wa*") == {"0.txt"}


def test_order_of_hits(tmp_path: Path) -> None:
    """What is called so comes first, then the newest; what has no date comes last."""
    index = Index(tmp_path / "index.db")
    index.put(
        "P1",
        [
            text(0, "insulin", date="2020-01-01"),
            text(1, "insulin insulin insulin"),
            text(2, "insulin", date="2024-01-01"),
            text(3, "other insulin", title="Insulin plan", date="2019-01-01"),
        ],
    )
    hits = index.search(terms_of("insulin"), None, limit=9, offset=0).hits
    assert [hit.name for hit in hits] == ["3.txt", "2.txt", "0.txt", "1.txt"]
    assert [hit.name for hit in index.search(terms_of("ins*"), None, limit=2, offset=1).hits] == [
        "2.txt",
        "0.txt",
    ]


def test_an_interrupted_transaction_leaves_nothing(tmp_path: Path) -> None:
    """Documents of one transaction are all there, or none."""
    index = filled(tmp_path)
    broken = itertools.chain([text(0, "word")], (1 / 0 for _ in range(1)))
    with pytest.raises(ZeroDivisionError):
        index.put("P1", broken)  # type: ignore[arg-type]
    assert matching(index, "word") == set()


async def test_runs_that_end_together_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction that waits for the disk serves all of them; who is stopped meanwhile stops no other."""
    begun: list[bool] = []
    real = Index.put_all

    def put_all(self: Index, texts: Any, *, durably: bool = False) -> None:
        begun.append(durably)
        real(self, texts, durably=durably)

    monkeypatch.setattr(Index, "put_all", put_all)
    storage = FolderStorage(tmp_path / "storage")
    async with open_index(tmp_path / ".search.db", storage) as index:
        for number in range(50):
            await index.add(f"P{number}", text(number, "warfarin"))
        await asyncio.gather(*(index.complete(f"P{number}", []) for number in range(50)))
        assert begun == [True]
        assert (await index.search("warfarin", limit=100)).total == 50
        stopped = asyncio.create_task(index.complete("P1", []))
        await asyncio.sleep(0)
        stopped.cancel()
        await index.complete("P2", [])
    assert not index._settling
