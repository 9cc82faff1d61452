"""Standard streams: closed ones, encodings that lack letters, and a terminal that is gone."""

import contextlib
import io
import os
import sys
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
