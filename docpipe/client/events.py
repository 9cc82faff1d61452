"""Events of the service."""

from dataclasses import dataclass
from typing import Any

from docpipe.api.shapes import Run


@dataclass(frozen=True, slots=True)
class Event:
    """Something has changed."""

    name: str
    """`run`, `service`, `summary`, or `reset`: changes may have been missed, so load anew."""
    data: Any
    """As JSON."""
    run: Run | None = None
    """Of `run`."""
