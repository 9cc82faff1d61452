"""Answers of the DocumentExchange as Structs: optional members of the wrong type count as missing."""

import msgspec
import pytest

from docpipe.results.search import ArchiveLink, ListedDocument, Ready, Search
from docpipe.sources.docex.answers import search_status
from docpipe.sources.polling import Polls

BODY = {"id": "s1", "state": "ready", "archive": {"url": "/a"}}
DIGEST = "ab" * 32


@pytest.mark.parametrize(
    "change",
    [
        {"id": 7},
        {"state": None},
        {"archive": []},
        {"archive": {"url": 1}},
        {"documents": {"path": "a"}},
        {"documents": ["a"]},
        {"progress": "half"},
    ],
)
def test_what_docpipe_relies_on_has_to_have_its_type(change):
    """Any other answer breaks the contract."""
    assert search_status(BODY | change) is None
    assert search_status([BODY]) is None


@pytest.mark.parametrize(
    ("declared", "size", "sha256"),
    [
        ({"size": 12, "sha256": DIGEST}, 12, DIGEST),
        ({"size": "12", "sha256": f"sha256:{DIGEST.upper()}"}, 12, DIGEST),
        ({"size": True, "sha256": None}, None, None),
        ({"size": [1], "sha256": 5}, None, None),
    ],
)
def test_declarations_of_an_archive_are_optional(declared, size, sha256):
    """A size as text and a digest with its prefix are read as meant; other types count as missing."""
    status = search_status(BODY | {"archive": {"url": "/a", **declared}})
    assert status.archive == ArchiveLink(url="/a", size=size, sha256=sha256)


def test_declarations_of_documents_are_optional():
    """A path that is no text cannot be compared with the archive."""
    listed = [{"path": ["a"], "title": "T"}, {"path": "b", "author": 3, "created": "2024"}, {}]
    expected = [ListedDocument(title="T"), ListedDocument(path="b", created="2024"), ListedDocument()]
    assert search_status(BODY | {"documents": listed}).documents == expected


def test_checkpoints_of_older_releases_are_read():
    """As they were written before these values were Structs, with members that are gone."""
    docex = {"search_id": "s1", "path": "/v1/searches/s1", "at": 5.0, "ask_after": None}
    assert msgspec.convert(docex, Search) == Search(search_id="s1", path="/v1/searches/s1", at=5.0)
    fhir = {"search_id": "x", "status": "/st", "patient": "p", "way": "export", "at": 5.0, "ask_after": 2.0}
    assert msgspec.convert(fhir, Search).status == "/st"
    listed = [{"path": "a", "size": 3, "sha256": DIGEST}]
    archive = {"url": "/a", "size": 3, "sha256": DIGEST, "expires": "soon"}
    done = {"state": "ready", "archive": archive, "documents": listed, "polls": 2, "asked": [1.0, 2.0]}
    ready = msgspec.convert(done, Ready)
    assert (ready.archive, ready.poll_times) == (ArchiveLink(url="/a", size=3, sha256=DIGEST), [1.0, 2.0])
    assert msgspec.convert({"state": "ready", "archive": True, "documents": []}, Ready).archive is True
    assert msgspec.convert({"state": "expired", "polls": 1}, Ready).expired
    noted = {"polls": 3, "next": 9.0, "progress": 0.5, "first": [1.0, 0.1], "asked": [1.0], "doubts": 1}
    assert msgspec.convert(noted, Polls).first == (1.0, 0.1)
