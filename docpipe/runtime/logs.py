"""Logs on standard error: lines for people on a terminal, JSON otherwise.

The text of an exception may quote a patient's record: only its type and place are logged, unless debugging.
Addresses are logged without signatures, tokens and logins.
"""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final

import structlog

from docpipe.util.redact import without_secrets

_WORDS: Final = 200


def configure(*, debug: bool = False, quiet: bool = False, plain: bool = False) -> None:
    """Set up structlog, once at the start of a command.

    Args:
        debug: everything, with the texts of exceptions.
        quiet: warnings only, as on a terminal, which has progress instead.
        plain: lines for people also without a terminal.
    """
    terminal = sys.stderr.isatty()
    level = logging.DEBUG if debug else logging.WARNING if quiet or terminal else logging.INFO
    last: list[Any] = [structlog.processors.JSONRenderer()]
    if terminal or plain or debug:
        colors = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        # The usual formatter shows the values of local variables, and those are patients.
        plainly = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plainly)]
    if debug:  # messages of libraries; asyncio quotes whole tasks
        layout = "%(asctime)s [%(levelname)-8s] %(name)s: %(message).240s"
        logging.basicConfig(level=logging.WARNING, format=layout, datefmt="%H:%M:%S", stream=sys.stderr)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_Redacted(handler.formatter))
    else:  # without a handler Python would print them whole
        logging.getLogger().handlers[:] = [_Forwarded(logging.WARNING)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
            *([] if debug else [_without_texts]),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(_to_standard_error),
        cache_logger_on_first_use=False,
    )


class _Redacted(logging.Formatter):
    """Lines of libraries, without secrets in addresses."""

    def __init__(self, lines: logging.Formatter | None) -> None:
        super().__init__()
        self._lines = lines or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """As the formatter has it, but for the secrets."""
        return without_secrets(self._lines.format(record))


class _Forwarded(logging.Handler):
    """Warnings of libraries as lines of docpipe's own log: their first words, and nothing that is quoted."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one."""
        error = record.exc_info[1] if record.exc_info else None
        details = {"error": place_of(error)} if error is not None else {}
        words = str(record.msg).partition("\n")[0][:_WORDS]
        log = structlog.get_logger("docpipe")
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write("library_warned", library=record.name, words=words, **details)


class _Lines:
    """As much of a logger as the filtering logger uses."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        self._write(without_secrets(message))

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def _to_standard_error(message: str) -> None:
    """Write a line; a closed pipe or a full disk must not stop the work."""
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr, flush=True)  # noqa: T201 -- this is where logs go


@contextlib.contextmanager
def written_by(write: Callable[[str], None], without: frozenset[str] = frozenset()) -> Iterator[None]:
    """Send log lines to `write` meanwhile, such as to a live view; drop the events in `without`."""
    before = structlog.get_config()

    def kept(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event["event"] in without:
            raise structlog.DropEvent
        return event

    structlog.configure(
        **before | {"logger_factory": lambda *_: _Lines(write), "processors": [kept, *before["processors"]]}
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def place_of(error: BaseException) -> str:
    """The type of an error and where it arose, such as `KeyError at tracker.py:120`; nothing of its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _without_texts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info: Any = event.pop("exc_info", None)
    if info:
        error = info if isinstance(info, BaseException) else (sys.exc_info() if info is True else info)[1]
        if error is not None:
            event["error"] = place_of(error)
            event["frames"] = [
                f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)[-8:]
            ]
    return event
