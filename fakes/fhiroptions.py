"""How the FHIR server behaves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

CONTENTS: Final = ("absolute", "relative", "data", "contained")
_LISTS: Final = (tuple, frozenset)
KNOWS: Final = frozenset({"search", "export", "patient-export", "everything"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirOptions:
    """What is not given is as servers do it most."""

    port: int = 0
    knows: frozenset[str] = KNOWS
    """Requests that it takes: `search` (DocumentReference), `export` (Patient/$export), `patient-export`,
    `everything`."""
    at_once: bool = False
    """Whether it answers with a Bundle at once, whatever Prefer says."""
    result: str = "manifest"
    """What asynchronous requests end in: a `manifest`, or a `bundle` (batch-response)."""
    location: str = "Content-Location"
    """The header that says where to ask."""
    content: str = "absolute"
    """Where documents are: at an `absolute` or `relative` address, as `data`, or `contained`."""
    binaries: str = "raw"
    """How a Binary is handed out: `raw`, as `json` alone, as `xml` where that is accepted, or without data as
    `external`, for $binary-access-read (HAPI FHIR 8.8 above 10 MiB)."""
    elsewhere: bool = False
    """Whether files lie at another origin, which wants no token."""
    page: int = 0
    """Resources on a page, or in a file; 0 for no limit."""
    manifest_pages: bool = False
    """Whether a manifest has one file a page."""
    problems: int = 0
    """Lines of errors that the manifest tells of."""
    problem_key: str = "error"
    """What the manifest calls them: `error`, or `outcome`."""
    miscounted: int = 0
    """So many more resources than there are are claimed for each file."""
    bad_lines: tuple[str, ...] = ()
    """Put behind the first line of each file."""
    packed: bool = False
    """Whether files are sent as gzip to clients that accept it."""
    verified: bool = True
    """Whether size and hash of documents are reported."""
    broken: tuple[str, ...] = ()
    """Numbers of the documents that are answered with a bare 500."""
    nowhere: tuple[str, ...] = ()
    """Numbers of the documents whose address is at an origin that does not answer."""
    statuses: tuple[str, ...] = ()
    """Of the first documents, in place of `current`."""
    dates: bool = False
    """Whether Retry-After is an HTTP date."""
    by_identifier: bool = False
    """Whether patients have other logical ids than docpipe's, which are identifiers."""
    xml: bool = False
    """Whether it has resources in XML alone."""
    urns: bool = False
    """Whether a Bundle holds the documents as Binaries, to which their references lead by `urn:uuid`."""
    total: int = 0
    """What searchsets say is there, instead of what is."""
    incomplete: bool = False
    """Whether searchsets warn that sources did not answer."""
    merged: tuple[tuple[str, str], ...] = ()
    """Patients that are replaced by others."""
    strangers: frozenset[str] = frozenset()
    """Patients that it does not know."""

    def __post_init__(self) -> None:
        if self.content not in CONTENTS:
            raise ValueError(f"content must be one of {', '.join(CONTENTS)}, not {self.content!r}")
        if not self.knows <= KNOWS:
            raise ValueError(f"knows must be of {', '.join(sorted(KNOWS))}")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "FhirOptions":
        """Read "content=data", "page=3", "knows=search,export", "elsewhere"; ValueError where it is wrong."""
        kinds: dict[str, Callable[[Any], Any]] = {field.name: type(field.default) for field in fields(cls)}
        given: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in kinds:
                raise ValueError(f"the FHIR server has no {name!r}: it has {', '.join(kinds)}")
            kind = kinds[name]
            words = [word for word in value.split(",") if word]
            given[name] = value in ("", "yes") if kind is bool else kind(words if kind in _LISTS else value)
        return cls(**given)
