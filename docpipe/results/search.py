"""Results of activities on a search at the exchange.

Checkpoints hold these values as JSON under the same names, beside those of older releases: a member that is
missing has its default, and an unknown one is ignored.
"""

from msgspec import Struct, field

READY = "ready"
EXPIRED = "expired"


class Search(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """DocEx_Search: an accepted search."""

    search_id: str
    """The id at the exchange; for display, not as an address."""
    at: float = 0.0
    """When it was accepted, in seconds since the epoch."""
    ask_after: float | None = None
    """Seconds until the first poll, as the exchange asks for; None where it does not."""
    path: str = ""
    """Where a DocumentExchange answers polls, below its base URL."""
    status: str | None = None
    """Where a FHIR server answers polls; None where it answered the search itself."""
    patient: str = ""
    """The patient's logical id at a FHIR server."""
    way: str = ""
    """The name of the request that the FHIR server accepted."""


class ArchiveLink(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an archive is, and what the exchange declares of it."""

    url: str
    size: int | None = None
    """Bytes."""
    sha256: str | None = None


class ListedDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document of an archive, as the status of its search lists it."""

    path: str | None = None
    media_type: str | None = None
    title: str | None = None
    author: str | None = None
    created: str | None = None


class Ready(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """DocEx_CheckStatus: the search is over, with documents or without, or has expired."""

    state: str
    """`ready` or `expired`."""
    archive: ArchiveLink | bool | None = None
    """None where there are no documents; True at a FHIR server, whose answer is in the spool."""
    documents: list[ListedDocument] = []
    polls: int = 0
    poll_times: list[float] = field(name="asked", default_factory=list)
    """The latest polls, in seconds since the search was accepted."""

    @property
    def expired(self) -> bool:
        """Whether a new search is needed."""
        return self.state == EXPIRED
