"""The errors of docpipe. Each message is one sentence for a person: the cause and, if there is one, the cure.

    DocpipeError                  exit status 1
    ├── UsageError                2: the command line, a file given on it
    │   └── ConfigError           2: config.toml or the environment
    ├── StateError                2: the state folder cannot be used (permissions, lock, corrupt database)
    │   └── UnreachableError      2: something needed does not answer now, and may answer later
    ├── RunError                  what stops one patient: the run ends as failed, others continue
    │   ├── PatientError          no such patient, or an unusable row
    │   ├── ServiceError          the service answered, and the answer is final
    │   │   └── PoisonedError     this request keeps failing while others succeed
    │   └── ArchiveError          the archive cannot be downloaded or opened
    ├── DatabaseDownError         the patients database cannot be reached; runs wait, commands say so
    │   └── DatabaseUnusableError its file, a table, a column or a right is missing; runs wait, too
    ├── SpoolLostError            files of a run are no longer in the spool; they are downloaded again
    ├── UnfitError                `check` found that a part cannot be used as it is
    └── WorkerError               one document: the worker process did not survive it
        ├── WorkerCrashedError
        ├── WorkerTimeoutError
        └── WorkerMemoryError

No message contains a patient's name or birth date.
"""

from typing import ClassVar


class DocpipeError(Exception):
    """An expected error; `str(error)` is the sentence to print."""

    exit_status: ClassVar[int] = 1


class UsageError(DocpipeError):
    """The command was given something it cannot use."""

    exit_status = 2


class ConfigError(UsageError):
    """A key of the configuration is unknown, missing or has a bad value."""


class StateError(DocpipeError):
    """The state folder cannot be used; nothing in it was changed."""

    exit_status = 2


class UnreachableError(StateError):
    """Something does not answer; it may answer later."""


class RunError(DocpipeError):
    """What stops a whole patient."""


class PatientError(RunError):
    """The patient is not in the database, or the row cannot be used."""


class DatabaseDownError(DocpipeError):
    """No patient can be looked up now; `reason` is the cause in a few words."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DatabaseUnusableError(DatabaseDownError):
    """The database lacks its file, a table, a column or a right, until somebody mends that."""

    exit_status = 2


class ServiceError(RunError):
    """A service answered, and a retry would not help."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PoisonedError(ServiceError):
    """One request keeps failing while the service answers others."""


class ArchiveError(RunError):
    """The archive cannot be downloaded or opened as a whole."""


class SpoolLostError(DocpipeError):
    """Files that a run needs are no longer in the spool."""


class UnfitError(DocpipeError):
    """A part that docpipe needs cannot be used as it is; `cure` is what to do, in a few words."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


class WorkerError(DocpipeError):
    """A worker process did not survive a document."""


class WorkerCrashedError(WorkerError):
    """The worker process died while it converted the document."""


class WorkerTimeoutError(WorkerError):
    """The document took longer than the limit, and its worker was stopped."""


class WorkerMemoryError(WorkerError):
    """The document needed more memory than the limit, and its worker was stopped."""
