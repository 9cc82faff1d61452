"""The messages between the three kinds of process.

Over the control socket: `Message`s of one size, so that a descriptor always arrives with the request it
belongs to. Over a worker's own socket: frames, four bytes of length (big-endian) and that much JSON.
"""

import errno
import json
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

FORK: Final = b"f"  # main to forkserver, with a socket: fork the worker `number`
KILL: Final = b"k"  # main to forkserver: kill it and whatever it started
READY: Final = (
    b"r"  # forkserver to main: imports are done; value is the number of threads (more than 1 is bad)
)
BORN: Final = b"b"  # forkserver to main: the worker lives; value is its process id
UNBORN: Final = b"u"  # forkserver to main: it could not be forked; value is the errno
GONE: Final = b"g"  # forkserver to main: it is dead and reaped; value is its exit code, -n for signal n

LENGTH: Final = struct.Struct("!I")
MAX_FRAME: Final = 16 * 2**20
"""Bytes of a frame. An answer is a small object; a longer one is invalid."""

_MESSAGE: Final = struct.Struct("!cIqQ")
MESSAGE_SIZE: Final = _MESSAGE.size


PASSING: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EAGAIN,
        errno.ENFILE,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.EROFS,
        errno.EIO,
    }
)
"""What keeps a worker from its work and is no fault of the document. Others can be: a worker has limits of
its own for memory (ENOMEM) and open files (EMFILE), and its sandbox refuses the network (EACCES)."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The settings of a forkserver; one JSON object on its command line."""

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
    rooms: str
    """The folder in which each worker has its room."""
    confined: bool
    """Whether workers are kept to their rooms, as far as the kernel can do it."""
    programs: bool
    """Whether workers may start processes and threads."""
    file: int
    """RLIMIT_FSIZE of a worker in bytes."""


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


GIVEN: Final = "in"
OWN: Final = "own"
TEMPORARY: Final = "tmp"


def room_name(number: int) -> str:
    """The folder of a worker, by its number; in it GIVEN, and OWN with TEMPORARY in it, as of `rooms`."""
    return f".worker-{number}"


def frame(value: Any) -> bytes:
    """A JSON value as a frame.

    Raises:
        TypeError, ValueError: it is not JSON, or longer than MAX_FRAME.
    """
    return _framed(json.dumps(value).encode())


def answer_frame(value: Any) -> bytes:
    """The same for an answer: what is no Unicode, as names in old mails, becomes question marks.

    Raises:
        TypeError, ValueError: as above.
    """
    return _framed(json.dumps(value, allow_nan=False, ensure_ascii=False).encode(errors="replace"))


def _framed(body: bytes) -> bytes:
    if len(body) > MAX_FRAME:
        raise ValueError(f"{len(body)} bytes are too many for one message")
    return LENGTH.pack(len(body)) + body
