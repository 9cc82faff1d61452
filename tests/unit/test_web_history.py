"""All documents of a patient in one list: which are new, and which the exchange no longer has."""

from docpipe.api.shapes import Document, PatientDocument
from docpipe.checkpoints import StoredRun
from docpipe.model import RunState
from docpipe.web.history import Delivery, merged


def delivery(number: int, *ids: str, complete: bool = True, extra: tuple[Document, ...] = ()) -> Delivery:
    """A run that has these documents, submitted `number` seconds after the epoch."""
    run = StoredRun(
        f"R{number}", "P1", 0, RunState.COMPLETED, float(number), None, None, None, None, {}, None
    )
    known = [Document(path=f"{id_}.pdf", document_id=id_, outcome="converted") for id_ in ids]
    return Delivery(run, complete, [*known, *extra])


def marks(*deliveries: Delivery) -> dict[str, str]:
    """Of each document: the run that describes it, and whether it is new or gone."""
    return {document.path: mark(document) for document in merged(deliveries)}


def mark(document: PatientDocument) -> str:
    return document.run_id + " new" * document.new + " gone" * document.gone


def test_one_run_has_nothing_new() -> None:
    """Everything would be."""
    assert marks(delivery(1, "a", "b")) == {"a.pdf": "R1", "b.pdf": "R1"}
    assert merged([]) == []


def test_new_and_gone() -> None:
    """A document that only the latest run has is new; one that it lacks is gone, and stays in the list."""
    assert marks(delivery(1, "a", "b"), delivery(2, "b", "c")) == {
        "a.pdf": "R1 gone",
        "b.pdf": "R2",
        "c.pdf": "R2 new",
    }
    again = marks(delivery(1, "a", "b"), delivery(2, "b", "c"), delivery(3, "b", "c"))
    assert again == {"a.pdf": "R1 gone", "b.pdf": "R3", "c.pdf": "R3"}, "new since the last retrieval only"


def test_what_came_back_is_not_gone() -> None:
    """Nor is it new: it was retrieved before."""
    assert marks(delivery(1, "a"), delivery(2, "b"), delivery(3, "a"))["a.pdf"] == "R3"


def test_an_incomplete_run_takes_nothing_away() -> None:
    """A failed run, or one under way, may lack what the exchange has; what it brings is new."""
    assert marks(delivery(1, "a"), delivery(2, "b", complete=False)) == {"a.pdf": "R1", "b.pdf": "R2 new"}
    assert marks(delivery(1, "a", complete=False)) == {"a.pdf": "R1"}


def test_files_that_are_not_kept_are_of_the_latest_run() -> None:
    """Duplicates and empty files of earlier runs would only repeat."""
    twice = Document(path="copy.pdf", document_id="a", outcome="duplicate")
    empty = Document(path="empty.txt", outcome="ignored")
    first = delivery(1, "a", extra=(twice, empty))
    assert marks(first, delivery(2, "a", extra=(twice,))) == {"a.pdf": "R2", "copy.pdf": "R2"}


def test_when_it_was_retrieved() -> None:
    """The time of the first run that had it, by whose clock people look for it."""
    (document,) = merged([delivery(1, "a"), delivery(2, "a")])
    assert document.retrieved_at.timestamp() == 1
