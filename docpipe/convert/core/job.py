"""The job of a converter: what a caller hands to a worker, as JSON."""

from typing import Any, TypedDict


class Options(TypedDict, total=False):
    """The members that do not depend on the document."""

    seconds: float
    """How long it may take."""
    languages: tuple[str, ...]
    """Of OCR, as tesseract names them; empty where scans are not to be read."""
    libreoffice: bool
    """Whether LibreOffice may be used where it is installed."""


class _Document(TypedDict):
    path: str
    folder: str
    """Where outputs go: there, and empty."""


class Job(_Document, Options, total=False):
    """One document; only `path` and `folder` are needed."""

    name: str
    """Its name in the archive."""
    declared: str | None
    """The declared media type."""
    siblings: str | None
    """A JSON file with a list of the names of the same archive."""
    facts: dict[str, Any]
    """`title`, `author`, `created`, `custodian` and `loinc` as the exchange says, where the document itself
    does not, and `patient`: the `name`, `birth_date` and `id` of the run's."""
    places: str | None
    """A file as of `Source`."""
