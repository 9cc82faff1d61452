"""The errors of docpipe. Each message is one sentence for a person: the cause and, if there is one, the cure.

    DocpipeError                  exit status 1
    ├── UsageError                2: the command line, a file given on it
    │   └── ConfigError           2: config.toml or the environment
    ├── StateError                2: the state folder cannot be used (permissions, lock, corrupt database)
    │   └── UnreachableError      2: what is needed does not answer now, and may do so later
    ├── RunError                  what stops one patient; the run ends as failed, the others go on
    │   ├── PatientError          no such patient, or a row that cannot be used
    │   ├── ServiceError          the service answered, and the answer is final
    │   │   └── PoisonedError     this request alone keeps failing while others succeed
    │   └── ArchiveError          the archive cannot be had or opened as a whole
    ├── DatabaseDownError         the patients database cannot be reached; runs wait, commands say so
    ├── UnfitError                `check` found that a part cannot be used as it is
    ├── SearchExpiredError        the exchange forgot the search: a new one is needed (never reaches a person)
    └── WorkerError               one document: the worker process did not survive it
        ├── WorkerCrashedError
        ├── WorkerTimeoutError
        └── WorkerMemoryError

No message bears a patient's name or birth date.
"""

from typing import ClassVar


class DocpipeError(Exception):
    """Something docpipe knows how to tell; `str(error)` is the sentence to print."""

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
    """Something does not answer; time may mend that."""


class RunError(DocpipeError):
    """What stops a whole patient."""


class PatientError(RunError):
    """The patient is not in the database, or the row cannot be used."""


class DatabaseDownError(DocpipeError):
    """Nobody can be looked up at the moment; `reason` says in a few words why."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ServiceError(RunError):
    """A service answered, and trying again will not help."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PoisonedError(ServiceError):
    """One request keeps failing while the service answers others."""


class ArchiveError(RunError):
    """The archive cannot be downloaded or opened as a whole."""


class UnfitError(DocpipeError):
    """A part that docpipe needs cannot be used as it is; `cure` says what to do, in a few words."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


class SearchExpiredError(DocpipeError):
    """The exchange no longer knows the search, or its archive."""


class WorkerError(DocpipeError):
    """A worker process did not survive a document."""


class WorkerCrashedError(WorkerError):
    """The worker process died while it converted the document."""


class WorkerTimeoutError(WorkerError):
    """The document took longer than the limit, and its worker was stopped."""


class WorkerMemoryError(WorkerError):
    """The document needed more memory than the limit, and its worker was stopped."""
