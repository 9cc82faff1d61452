"""Why a try at a job ended, for the pool: neither is for its callers."""

from docpipe.errors import WorkerError
from docpipe.gates.local_trouble import trouble_of


class LostError(Exception):
    """No worker is available, for a reason other than the document."""

    def __init__(self, reason: str, cause: OSError | None = None) -> None:
        """`cause` is the system's error; `trouble` is its meaning, if it passes by itself."""
        super().__init__(reason)
        self.trouble = None if cause is None else trouble_of(cause)


class FinalError(Exception):
    """What no other try would change."""

    def __init__(self, error: WorkerError) -> None:
        """`error` is for the caller."""
        super().__init__(str(error))
        self.error = error
