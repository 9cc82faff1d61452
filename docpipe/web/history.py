"""All documents of a patient in one list, from the runs that retrieved them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import asdict

from docpipe.api.shapes import Document, PatientDocument, moment
from docpipe.checkpoints import StoredRun
from docpipe.model import Outcome

_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The documents of one run."""

    run: StoredRun
    complete: bool
    """Whether the run has everything that the exchange had; False while it is under way, and if it failed."""
    documents: Sequence[Document]


def merged(deliveries: Iterable[Delivery]) -> list[PatientDocument]:
    """Each document once, as the latest run that has it describes it.

    Files that are not kept (duplicates, empty files, refused ones) and files that have no id are listed for
    the latest run only: an earlier run has nothing to show for them.

    A document is new if the latest complete run, or one after it, has it and no run before has. It is gone if
    an earlier run has it and the latest complete run does not. With one run nothing is new or gone.

    Args:
        deliveries: of the runs of one patient, the earliest first.
    """
    runs = list(deliveries)
    complete = [number for number, delivery in enumerate(runs) if delivery.complete]
    last = complete[-1] if complete else len(runs)
    latest, first = dict[str, tuple[int, Document]](), dict[str, int]()
    for number, delivery in enumerate(runs):
        for document in delivery.documents:
            key = _key(document)
            if key is not None:
                first.setdefault(key, number)
                latest[key] = number, document
    rest = [
        (len(runs) - 1, document) for document in (runs[-1].documents if runs else ()) if not _key(document)
    ]
    return [
        PatientDocument(
            **asdict(document),
            run_id=runs[number].run.run_id,
            retrieved_at=moment(runs[first[key] if (key := _key(document)) else number].run.created_at),
            new=key is not None and min(complete, default=len(runs)) < first[key] >= last,
            gone=key is not None and number < last < len(runs),
        )
        for number, document in (*latest.values(), *rest)
    ]


def _key(document: Document) -> str | None:
    """What tells a document from others, None where the file is not kept."""
    return None if document.outcome in _NOT_KEPT else document.document_id
