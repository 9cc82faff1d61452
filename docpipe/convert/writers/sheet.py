"""The head of each page of a typeset PDF, so that a single sheet names its patient.

Nothing of it goes into logs, names of files or metadata.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph, clean
from docpipe.convert.core.marks import plain

_PATIENT: Final = "Patient: "
_FIRST: Final = 6
"""Blocks at the beginning of a document among which is the list of its facts."""
_LONGEST: Final = 110
_MOST: Final = 2
"""Patients that are named; a document of more belongs to none."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The line at the head of each page: whose document it is, and what it is called."""

    patient: str = ""
    title: str = ""


def sheet(blocks: Iterable[Block], title: str | None, run: Mapping[str, Any] | None) -> Sheet:
    """The line for a document.

    Args:
        blocks: the document, whose own patient comes first.
        title: what it is called.
        run: {"name", "birth_date" in ISO 8601, "id"} of the patient whose document was asked for.
    """
    named = list(dict.fromkeys(_named(islice(blocks, _FIRST))))
    patient = "; ".join(named) if len(named) <= _MOST else f"{len(named)} patients"
    return Sheet(_line(patient or _of_run(run or {})), _line(title or ""))


def _named(blocks: Iterable[Block]) -> Iterable[str]:
    """The patients in the list of facts that readers of clinical documents put first."""
    for block in blocks:
        match block:
            case Listing(items):
                for item in items:
                    if item and isinstance(item[0], Paragraph) and item[0].text.startswith(_PATIENT):
                        yield item[0].text.removeprefix(_PATIENT)
            case Paragraph(text):
                yield from (
                    each.removeprefix(_PATIENT) for each in text.split("\n") if each.startswith(_PATIENT)
                )


def _of_run(patient: Mapping[str, Any]) -> str:
    name, born, number = (str(patient.get(key) or "").strip() for key in ("name", "birth_date", "id"))
    parts = (name, f"born {born}" if born else "", f"id {number}" if number else "")
    return ", ".join(part for part in parts if part)


def _line(text: str) -> str:
    """The text on one line, cut where it would not fit."""
    line = " ".join(clean(plain(text)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1].rstrip()}…"
