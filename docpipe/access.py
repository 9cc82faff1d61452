"""What is shown to the services, as the configuration says."""

from dataclasses import dataclass

from docpipe.config import Config
from docpipe.http import Credentials, bearer


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials of both services."""

    docex: Credentials
    tracker: Credentials


def open_access(config: Config) -> Access:
    """The credentials that the configuration names."""
    return Access(
        docex=bearer(config.docex.token, "docex.token"),
        tracker=bearer(config.tasktracker.token, "tasktracker.token"),
    )
