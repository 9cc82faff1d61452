"""The machines behind the service, as the API sends them; see shapes."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from docpipe.model import Activity

_COUNTS: Final[dict[str, Any]] = {
    "properties": {activity.value: {"type": "integer", "minimum": 0} for activity in Activity},
    "additionalProperties": False,
}
_Time = Annotated[datetime, Meta(tz=True)]
_Bytes = Annotated[int, Meta(extra_json_schema={"minimum": 0})]


class Disk(Struct, frozen=True, kw_only=True):
    """Free bytes; None if they are unknown or the storage is no folder."""

    state_free_bytes: _Bytes | None
    storage_free_bytes: _Bytes | None


class FleetWorker(Struct, frozen=True, kw_only=True):
    """A worker of a fleet."""

    name: str
    """Its host and process."""
    queues: list[str]
    """What it takes part in; empty where it says nothing of itself."""
    doing: Annotated[dict[str, int], Meta(extra_json_schema=_COUNTS)]
    """Activities under way, by name."""
    since: _Time | None
    heard: _Time
    """When it was last heard of, to five seconds."""
    version: str
    stopping: bool


class Fleet(Struct, frozen=True, kw_only=True):
    """The machines behind a service of a fleet."""

    workers: list[FleetWorker]
    ui: str | None
    """The address of Temporal's own page."""
    trouble: str | None
    """Why its runs cannot be read now; None while they can."""
