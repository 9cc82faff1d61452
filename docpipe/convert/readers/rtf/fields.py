"""Fields of RTF whose text is not in the file: symbols, check boxes, drop-down lists."""

import re
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.symbols import in_font
from docpipe.convert.readers.office.wordfields import instruction_has_text, instruction_text

_FORM: Final = re.compile(r"\s*(FORMCHECKBOX|FORMDROPDOWN)\b")
_UNDEFINED: Final = 25
"""What \\ffres has where the default holds."""


@dataclass(slots=True)
class Field:
    """A field being read: its instruction, and what a control of a form holds."""

    instruction: str = ""
    choices: list[str] = field(default_factory=list)
    _result: int = _UNDEFINED
    _default: int = 0

    def take(self, word: str, number: int) -> None:
        """A control word of a form's field."""
        if word == "ffres":
            self._result = number
        elif word == "ffdefres":
            self._default = number

    def add(self, text: str, *, choice: bool) -> None:
        """Text of the instruction, or of the last choice of a drop-down list."""
        if not choice:
            self.instruction += text
        elif self.choices:
            self.choices[-1] += text

    @property
    def stands(self) -> bool:
        """Whether the instruction itself gives the text, so that the result would repeat it."""
        return instruction_has_text(self.instruction) or bool(_FORM.match(self.instruction))

    def sign(self) -> str:
        """What the field shows, empty where its result does."""
        form = _FORM.match(self.instruction)
        if form is None:
            return instruction_text(self.instruction)
        at = self._default if self._result == _UNDEFINED else self._result
        if form[1] == "FORMCHECKBOX":
            return " ☑ " if at else " ☐ "
        return self.choices[at].strip() if 0 <= at < len(self.choices) else ""


def sign_of(data: bytes, font: str | None) -> str:
    """Bytes in a font of signs, as it shows them; private characters where it is not known."""
    text = "".join(chr(0xF000 + byte) if byte > 0x20 else chr(byte) for byte in data)  # noqa: PLR2004 - blank
    return in_font(font, text)
