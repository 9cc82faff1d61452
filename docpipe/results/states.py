"""States that activities save for their later attempts, beside `sources.polling.Polls`.

Checkpoints hold these values as JSON under the same names, also those of older releases: a member that is
missing has its default, and an unknown one is ignored.
"""

from msgspec import Struct


class Intent(Struct, frozen=True, kw_only=True):
    """TaskTracker_Create: a request that a crash may have left at the server."""

    sent: float = 0.0
    """When it was first about to be sent, in seconds since the epoch."""


class SearchIntent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """DocEx_Search: the same of a search, with what its next attempt needs."""

    sent: float = 0.0
    key: str = ""
    """The idempotency key, where it is not that of the step."""
    patient: str = ""
    """The patient's logical id at a FHIR server."""


class StatusIntent(Struct, frozen=True, kw_only=True):
    """TaskTracker_UpdateStatus: the task as it was before the new status."""

    etag: str | None = None
    """Its tag, None where the tracker gives none that is strong."""
    status: str | None = None
    """Its status, None in checkpoints of older releases."""


class ReportIntent(Struct, frozen=True, kw_only=True):
    """TaskTracker_AppendReport: the same of a report."""

    sent: float = 0.0
    before: int = 0
    """How many reports the task had before this one."""


class PartialDownload(Struct, frozen=True, kw_only=True):
    """DocEx_DownloadAndExtract: which version of the archive the bytes in the spool belong to."""

    etag: str | None = None
