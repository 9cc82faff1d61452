"""Results of activities are read from the checkpoints of every docpipe, older and newer."""

import msgspec

from docpipe.results.files import Archive, Converted, Member, Updated

ARCHIVE = {
    "state": "ready",
    "size": 7,
    "sha256": "0" * 64,
    "members": [
        {
            "path": "a.pdf",
            "file": "files/00001",
            "size": 7,
            "sha256": "1" * 64,
            "id": "1" * 16,
            "outcome": None,
            "reason": None,
            "duplicate_of": None,
            "parent": None,
            "modified": "2024-01-01",
            "told": {"media_type": "application/pdf", "title": "Letter", "language": "de"},
        },
        {"path": "evil", "outcome": "refused", "reason": "Unsafe.", "told": {}},
    ],
    "seconds": 0.5,
}
"""As the first release writes it, with a member that only a newer one would."""


def test_a_checkpoint_of_the_first_release_is_read() -> None:
    """Missing members have their defaults, unknown ones are left out, and `told` in JSON is `declared`."""
    archive = msgspec.convert(ARCHIVE, Archive)
    letter, evil = archive.members
    assert (letter.declared.title, letter.derived_from, letter.file) == ("Letter", None, "files/00001")
    assert (evil.id, evil.outcome, evil.declared.warnings) == (None, "refused", [])
    assert not archive.expired
    assert msgspec.convert({"state": "expired"}, Archive).expired


def test_a_checkpoint_is_written_under_the_same_names() -> None:
    """An older docpipe finds what it looks for."""
    member = msgspec.to_builtins(msgspec.convert(ARCHIVE, Archive).members[0])
    assert member["told"] == {"media_type": "application/pdf", "title": "Letter"}
    done = Converted(
        outcome="converted",
        reason=None,
        media_type="text/plain",
        extension=".txt",
        outputs=["text.md"],
        metadata={},
        embedded=[Member(path="a/b")],
    )
    assert msgspec.to_builtins(done).keys() >= {"outcome", "embedded", "reused", "seconds"}
    assert msgspec.to_builtins(Updated("completed", None)) == {"status": "completed", "problem": None}
