"""Fields of Word whose text is in their instruction (ECMA-376-1, 17.16.5), in DOCX and in RTF."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.symbols import in_font
from docpipe.convert.readers.office.formulas import held

_SYMBOL: Final = re.compile(
    r'\s*SYMBOL\s+(0x[0-9a-fA-F]{1,4}|[0-9]{1,5})(?:.*?\\f\s*"?([^"\\]+)"?)?', re.IGNORECASE | re.DOTALL
)
_EQUATION: Final = re.compile(r"\s*EQ\s+(.*)", re.IGNORECASE | re.DOTALL)
_BUTTON: Final = re.compile(r"\s*(?:MACROBUTTON|GOTOBUTTON)\s+\S+\s+(.+)", re.IGNORECASE | re.DOTALL)
_SWITCH: Final = re.compile(r"\\([a-zA-Z])(?:\s*\\(?:[a-zA-Z]{2}[0-9]*(?:\\.)?))*\s*\(")
_DEEPEST: Final = 20


def instruction_has_text(instruction: str) -> bool:
    """Whether the text of a field is in its instruction, so that a result would repeat it."""
    return any(form.match(instruction) for form in (_SYMBOL, _EQUATION, _BUTTON))


def button_or_symbol(instruction: str) -> bool:
    """Whether a field is a symbol or a button, both of which stand for a text in their instruction."""
    return any(form.match(instruction) for form in (_SYMBOL, _BUTTON))


def instruction_text(instruction: str) -> str:
    """The text of an instruction: a symbol, an equation on one line, or a button's prompt in brackets."""
    if symbol := _SYMBOL.match(instruction):
        code = int(symbol[1], 0) if symbol[1].lower().startswith("0x") else int(symbol[1])
        return in_font((symbol[2] or "").strip(), chr(code & 0xFFFF))
    if equation := _EQUATION.match(instruction):
        return tidy(_equation(equation[1]))
    if button := _BUTTON.match(instruction):
        prompt = tidy(button[1]).strip("[]<>")
        return f"[{prompt}]" if prompt else ""
    return ""


def _equation(text: str, depth: int = 0) -> str:
    r"""An equation on one line: `\f(1,2)` is 1/2."""
    out = ""
    at = 0
    while at < len(text):
        switch = _SWITCH.match(text, at)
        if switch is None or depth > _DEEPEST:
            skipped = text[at] == "\\" and at + 1 < len(text)
            out += text[at + skipped]
            at += 1 + skipped
            continue
        parts, at = _arguments(text, switch.end())
        written = [_equation(part, depth + 1).strip() for part in parts]
        out += _FORMS.get(switch[1].lower(), "".join)(written)
    return out


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """The arguments up to the closing bracket, and the position behind it."""
    parts = [""]
    depth = 1
    while at < len(text):
        sign = text[at]
        if sign == "\\" and at + 1 < len(text):
            parts[-1] += text[at : at + 2]
            at += 2
            continue
        depth += {"(": 1, ")": -1}.get(sign, 0)
        at += 1
        if not depth:
            break
        if sign in ",;" and depth == 1:
            parts.append("")
        else:
            parts[-1] += sign
    return parts, at


def _root(parts: list[str]) -> str:
    degree, of = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    return f"{degree}√{held(of)}"


_FORMS: Final[dict[str, Callable[[list[str]], str]]] = {
    "f": lambda parts: "/".join(map(held, parts)),
    "r": _root,
    "b": lambda parts: f"({''.join(parts)})",
    "a": ", ".join,
    "l": ", ".join,
}


@dataclass(slots=True)
class _Open:
    """A field that has begun."""

    instruction: str = ""
    result_at: int | None = None
    """How many runs there were before its result."""


@dataclass(slots=True)
class Fields:
    """The fields that a paragraph of DOCX is within, the innermost last."""

    _open: list[_Open] = field(default_factory=list)

    def add(self, text: str) -> None:
        """A part of an instruction."""
        if self._open:
            self._open[-1].instruction += text

    def mark(self, kind: str, runs: int) -> str:
        """A field begins, comes to its result, or ends; the text that its instruction gives at its end.

        `runs` is how many runs the paragraph has so far.
        """
        if kind == "begin":
            self._open.append(_Open())
        elif kind == "separate" and self._open:
            self._open[-1].result_at = runs
        elif kind == "end" and self._open:
            ended = self._open.pop()
            if ended.result_at is None or ended.result_at == runs:
                return instruction_text(ended.instruction)
        return ""
