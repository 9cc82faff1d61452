"""Collects all errors of a configuration, each with its line in the file."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docpipe.errors import ConfigError

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*([\w.\"' -]+?)\s*=")


def line_of(text: str, section: str, key: str | None, number: int = 1) -> int | None:
    """The line of a key in a TOML file that can be read, None where it is not seen.

    Args:
        text: of the file.
        section: the name of its table.
        key: None for the table itself.
        number: which of the tables of this name, for those that stand several times.
    """
    table, seen = "", 0
    for line, content in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(content):
            table = _plain(header[2])
            seen += table == section
            if key is None and table == section and seen == number:
                return line
        elif (assigned := _KEY.match(content)) and key is not None:
            name = _plain(assigned[1])
            in_table = table == section and seen == number and name.split(".")[0] == key
            if in_table or (not table and name.split(".")[:2] == [section, key]):
                return line
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\"' ]", "", name)


@dataclass(slots=True)
class Problems:
    """Collects errors; `text` is the file's."""

    file: Path | None
    text: str
    keys: set[tuple[str, str]] = field(default_factory=set)
    """Sections and keys that have one."""
    _messages: list[tuple[int, str]] = field(default_factory=list)

    def add(self, error: ConfigError, section: str, key: str | None, number: int = 1) -> None:
        """Note an error of a key; a variable of the environment is named in its message."""
        self.keys.add((section, key or ""))
        variable = str(error).startswith("DOCPIPE_")
        line = None if variable else line_of(self.text, section, key, number)
        where = f"{self.file.name}, line {line}: " if self.file is not None and line else ""
        self._messages.append((line or 10**9, f"{where}{error}"))

    def refuse(self) -> None:
        """Raises ConfigError where there are any: a sentence, or a line for each in the order of the file."""
        lines = [message for _, message in sorted(self._messages, key=lambda one: one[0])]
        if len(lines) == 1:
            raise ConfigError(lines[0])
        if lines:
            raise ConfigError("\n  ".join([f"{len(lines)} errors in the configuration:", *lines]))
