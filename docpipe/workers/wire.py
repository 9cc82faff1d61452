"""What the three kinds of process say to each other.

Over the control socket: `Message`s of one size, so that a descriptor always arrives with the request it
belongs to. Over a worker's own socket: frames, four bytes of length (big-endian) and that much JSON.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

FORK: Final = b"f"  # main to nursery, with a socket: fork the worker `number`
KILL: Final = b"k"  # main to nursery: kill it and whatever it started
READY: Final = b"r"  # nursery to main: imports are done; value is the number of threads (more than 1 is bad)
BORN: Final = b"b"  # nursery to main: the worker lives; value is its process id
UNBORN: Final = b"u"  # nursery to main: it could not be forked; value is the errno
GONE: Final = b"g"  # nursery to main: it is dead and reaped; value is its exit code, -n for signal n

LENGTH: Final = struct.Struct("!I")
MAX_FRAME: Final = 64 * 2**20
"""Bytes. An answer is a small object; a longer one comes from a worker that lost its mind."""

_MESSAGE: Final = struct.Struct("!cIqQ")
MESSAGE_SIZE: Final = _MESSAGE.size


@dataclass(frozen=True, slots=True)
class Orders:
    """What the main process wants of a nursery; one JSON object on the command line."""

    parent: int
    """Process id of the main process."""
    control: int
    """Descriptor of the control socket."""
    target: str
    """`module:function`, called with each job in a worker."""
    preload: str | None
    """A module to import first, for what it imports."""
    memory: int
    """RLIMIT_DATA of a worker in bytes."""
    timeout: float
    """Seconds for one job."""


class Message(NamedTuple):
    """One message over the control socket."""

    op: bytes
    number: int = 0
    """The worker it is about, as the main process counts them; never used twice."""
    value: int = 0
    peak: int = 0
    """Bytes: the most memory the worker and what it waited for ever held, with GONE."""

    def pack(self) -> bytes:
        """The message's bytes, always MESSAGE_SIZE."""
        return _MESSAGE.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> "Message":
        """Read MESSAGE_SIZE bytes."""
        return cls(*_MESSAGE.unpack(data))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answers to a job. Sizes are bytes."""

    ok: bool
    value: Any = None
    """What the target returned."""
    error: str = ""
    """The type of the exception it raised. Not its text, which may quote the document."""
    where: str = ""
    errno: int = 0
    """Of an OSError: a full disk is not the document's fault."""
    resident: int = 0
    """What the worker holds after the job."""
    peak: int = 0
    """What it held at most during the job."""
    seconds: float = 0.0
    """How long the job took in the worker."""
    left: int = 0
    """How many programs that it started still run."""


def frame(value: Any) -> bytes:
    """A JSON value as a frame.

    Raises:
        TypeError, ValueError: it is not JSON, or longer than MAX_FRAME.
    """
    body = json.dumps(value).encode()
    if len(body) > MAX_FRAME:
        raise ValueError(f"{len(body)} bytes are too many for one message")
    return LENGTH.pack(len(body)) + body
