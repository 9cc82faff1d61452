"""Standard streams: closed ones, encodings that lack letters, and a terminal that is gone."""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


def usable_streams() -> None:
    """Open what is closed, and let no text fail for its letters.

    A file that is opened later would get the number of a closed stream, and what other code prints there
    would be written into it: https://www.sqlite.org/howtocorrupt.html, 1.1.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 -- for all of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        _name_errors(sys.stdout)


class OutputError(OSError):
    """Standard output cannot be written: a full disk, or one that does not work."""


def _name_errors(out: io.TextIOWrapper) -> None:
    """Let errors of a stream be recognized: an OSError of `print` names no file."""

    def named(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def named_call(*args: Any) -> Any:
            try:
                return call(*args)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(error.errno, error.strerror) from error

        return named_call

    out.write = named(out.write)  # type: ignore[method-assign]
    out.flush = named(out.flush)  # type: ignore[method-assign]


def drop_output() -> None:
    """Write nothing more to standard output, so that the end of the interpreter does not fail at it."""
    sys.stdout = _nowhere()


def drop_errors() -> None:
    """Write nothing more to standard error, likewise."""
    sys.stderr = _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 -- for the rest of the process


class Lasting:
    """A terminal whose end does not end the work: what is written after that is dropped.

    Args:
        out: the terminal.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write as much as can be written; returns the length of the text."""
        with contextlib.suppress(OSError):
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits to be written."""
        with contextlib.suppress(OSError):
            self._out.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)
