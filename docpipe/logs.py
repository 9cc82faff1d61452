"""Logs: lines for people where a terminal looks on, JSON otherwise, on standard error.

The text of an exception may quote a patient's record: only its type and place are logged, unless debugging.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog


def configure(*, debug: bool = False, quiet: bool = False) -> None:
    """Set up structlog, once at the start of a command.

    Args:
        debug: everything, with the texts of exceptions.
        quiet: warnings only, as on a terminal, where progress is shown instead.
    """
    terminal = sys.stderr.isatty()
    level = logging.DEBUG if debug else logging.WARNING if quiet or terminal else logging.INFO
    last: list[Any] = [structlog.dev.ConsoleRenderer()] if terminal else [structlog.processors.JSONRenderer()]
    if debug and not terminal:
        last.insert(0, structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if debug else [_without_texts]),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


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
