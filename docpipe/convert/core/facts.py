"""What a document states of itself, cut to a length that the report, the index and a person can bear.

A title of megabytes costs a document nothing, and the main process keeps it for each of 10,000.
"""

from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 500
"""Characters of a text."""
_WARNINGS: Final = 8_000
"""Characters of all warnings."""
MOST_WARNINGS: Final = 200
_MOST_PAGES: Final = 5_000


def cut(text: str | None) -> str | None:
    """A text of at most LONGEST characters."""
    return text if text is None or len(text) <= LONGEST else f"{text[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def few(warnings: list[str]) -> list[str]:
    """Each warning once, cut, and as many as somebody may read."""
    kept: list[str] = []
    left = _WARNINGS
    for warning in dict.fromkeys(str(cut(warning)) for warning in warnings):
        left -= len(warning)
        if left < 0 or len(kept) == MOST_WARNINGS:
            break
        kept.append(warning)
    return kept


def bounded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata whose texts are cut."""
    made: dict[str, Any] = {
        name: cut(value) if isinstance(value, str) else value for name, value in metadata.items()
    }
    if loinc := made.get("loinc"):
        made["loinc"] = {name: cut(loinc.get(name)) for name in ("code", "display") if name in loinc}
    made["ocr_pages"] = made["ocr_pages"][:_MOST_PAGES]
    return made
