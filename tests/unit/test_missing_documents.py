"""Documents that the exchange lists and its archive does not hold: by which names they count as there."""

import time
import unicodedata
import zipfile
from types import SimpleNamespace

import pytest

from docpipe.archive.limits import Limits
from docpipe.archive.names import display_name
from docpipe.cli.live import _files
from docpipe.model import Activity, Ticket
from docpipe.results.files import MISSING, Declared
from docpipe.results.search import ArchiveLink, ListedDocument, Ready, Search
from docpipe.sources.docex.download import Verified
from docpipe.sources.docex.listed import compare, members_of
from docpipe.sources.docex.retrieve import ArchiveExchange
from docpipe.workers.unpacking import UnpackingHere


def missing(listed, paths):
    return compare([ListedDocument(path=path) for path in listed], paths)[1]


def test_what_is_not_in_the_archive_is_missing():
    """Each by its path, once, in the order of the list; what has no path cannot be compared."""
    assert missing(["b", "a", "c/d", "b"], ["a", "x"]) == ["b", "c/d"]
    assert compare([ListedDocument(path=" "), ListedDocument(title="a")], ["a"]) == ([ListedDocument()], [])
    assert compare([], []) == ([], [])


@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("Bef\u00fcnde/M\u00fcller.pdf", unicodedata.normalize("NFD", "Bef\u00fcnde/M\u00fcller.pdf")),
        (unicodedata.normalize("NFD", "M\u00fcller.pdf"), "M\u00fcller.pdf"),
        ("./Labs//One.pdf", "Labs/One.pdf"),
        ("/Labs/One.pdf", "Labs/One.pdf"),
        ("Labs\\One.pdf", "Labs/One.pdf"),
        ("labs/ONE.PDF", "Labs/One.pdf"),
        ("One\u200b.pdf", "One.pdf"),
        ("a\nb.pdf", "a b.pdf"),
        ("M\u00fcller.pdf", "M\u00fcller.pdf".encode("cp1252").decode("cp437")),
        ("M\u00fcller.pdf", "M\u00fcller.pdf".encode().decode("cp437")),
        ("M\u00e4ller.pdf", "M\u00e4ller.pdf".encode("cp437").decode("cp1252")),
        ("n" * 400 + ".pdf", display_name("n" * 400 + ".pdf")),
    ],
)
def test_a_name_that_is_written_otherwise_is_there(listed, stored):
    """And what is listed of it is that of the file, which is one document's only."""
    item = ListedDocument(path=listed, title="T")
    assert compare([item], ["x", stored]) == ([ListedDocument(), item], [])
    assert missing([listed, "x"], [stored]) == ["x"]
    assert missing([listed], ["x"]) == [listed]


def test_a_file_is_one_document_only():
    """Names that are alike do not hide that one of two files is missing; the very name comes first."""
    assert missing(["a.txt", "A.txt"], ["A.txt"]) == ["a.txt"]
    assert missing(["a.txt", "A.txt"], ["A.txt", "a.TXT"]) == []
    assert missing(["a.txt", "a.txt "], ["a.txt"]) == ["a.txt "]
    twice = ListedDocument(path="a", title="T")
    assert compare([twice], ["a", "a"]) == ([twice, twice], [])


def test_folders_are_no_documents():
    """Neither one with files in it nor an empty one is missing; a file of a folder is."""
    assert missing(["Labs", "Labs/", "labs/2024", "Empty/", "Labs/Two.pdf"], ["Labs/2024/One.pdf"]) == [
        "Labs/Two.pdf"
    ]


def test_members_of_what_is_missing():
    """Their names are for people; a list without end becomes one member at its end."""
    members = members_of(["a\x00", "b", "c", "d"], 2)
    assert [member["path"] for member in members] == ["a", "b", "(more documents, 2)"]
    assert {(member["outcome"], member["reason"]) for member in members} == {("failed", MISSING)}
    assert members_of([], 2) == []


@pytest.mark.parametrize(
    ("most", "further"), [(3, ["c", "(more documents, 1)"]), (2, ["(more documents, 2)"])]
)
async def test_missing_documents_come_after_the_files(tmp_path, most, further):
    """With what is listed of each file; all together are no more than an archive may hold, and one."""
    members = await downloaded(tmp_path, ["a", "b"], most)
    assert [member.path for member in members] == ["a", "b", *further]
    assert [member.declared for member in members[:2]] == [Declared(title="A"), Declared()]


async def test_what_was_not_unpacked_is_not_missing(tmp_path):
    """Of an archive with more files than docpipe unpacks nobody knows which of those listed it lacks."""
    members = await downloaded(tmp_path, ["a", "b", "c"], 2)
    assert [member.outcome for member in members] == [None, None, "refused"]


async def downloaded(folder, names, most):
    """The members of an archive of which A, c and d are listed."""
    with zipfile.ZipFile(folder / "archive.zip", "w") as file:
        for name in names:
            file.writestr(name, name)

    async def fetch(*_args):
        return Verified(1, "")

    exchange = SimpleNamespace(owners=SimpleNamespace(disputed=lambda _search: False))
    source = ArchiveExchange(
        exchange, SimpleNamespace(fetch=fetch), UnpackingHere(), Limits(members=most), time.time
    )
    listed = [ListedDocument(path="A", title="A"), ListedDocument(path="c"), ListedDocument(path="d")]
    ready = Ready(state="ready", archive=ArchiveLink(url="/a.zip"), documents=listed)
    step = SimpleNamespace(ticket=Ticket("r"))
    done = await source.download(step, Search(search_id="s"), ready, folder)
    return done.members


def test_the_view_counts_what_is_to_be_stored():
    """Files that are only accounted for are not waited for; nor is an archive that has expired."""
    one = {"file": "files/1", "outcome": None}
    members = [one, one, {"file": None, "outcome": "failed"}, {"file": "files/1", "outcome": "duplicate"}]
    members += [{"file": None, "outcome": "ignored"}, {"file": "files/2", "outcome": "stored"}]
    done = {
        Activity.DOWNLOAD: {
            "": {"state": "expired", "members": []},
            "2": {"state": "ready", "members": members},
        },
        Activity.STORE: {"00001": {"key": "k"}},
    }
    assert _files(SimpleNamespace(results=done.get)) == (1, 3)
    done[Activity.DOWNLOAD].pop("2")
    assert _files(SimpleNamespace(results=done.get)) is None
