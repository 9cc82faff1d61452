"""Observations of FHIR as a table."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from docpipe.convert.core.blocks import Table
from docpipe.convert.core.marks import struck
from docpipe.convert.readers.fhir import values as fhir

_WITHDRAWN: Final = frozenset({"entered-in-error", "cancelled"})
_COLUMNS: Final = ("Date", "Observation", "Value", "Range", "Flag", "Status", "More")
_OWN: Final = (
    "code", "component", "status", "interpretation", "referenceRange", "category", "subject", "identifier",
    "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued", "dataAbsentReason",
)  # fmt: skip


def observations(resources: Iterable[Mapping[str, Any]], resolve: fhir.Resolve) -> Table:
    """Observations as a table, their components below them; empty columns are left out."""
    rows = []
    for one in resources:
        rows.append(_row(one, resolve))
        parts = (part for part in fhir.listed(one.get("component")) if isinstance(part, Mapping))
        rows += [_row(part, resolve, "↳ ") for part in parts]
    used = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    return Table((tuple(_COLUMNS[at] for at in used),), tuple(tuple(row[at] for at in used) for row in rows))


def _row(one: Mapping[str, Any], resolve: fhir.Resolve, mark: str = "") -> tuple[str, ...]:
    value = next((key for key in one if re.match("value[A-Z]", key)), "value")
    when = next((one[key] for key in _OWN[8:12] if one.get(key)), None)
    text = fhir.inline(one.get(value), resolve)
    absent = fhir.concept(one.get("dataAbsentReason"))
    kept = {key: part for key, part in one.items() if key not in _OWN and (key != value or text is None)}
    return (
        fhir.inline(when, resolve) or "",
        mark + fhir.concept(one.get("code")),
        struck(text or absent) if one.get("status") in _WITHDRAWN else text or absent,
        "; ".join(filter(None, (_range(part, resolve) for part in fhir.listed(one.get("referenceRange"))))),
        fhir.concept(one.get("interpretation")),
        fhir.plain_code(fhir.text_of(one.get("status"))),
        "\n".join(fhir.flat_items(fhir.members(kept, resolve))),
    )


def _range(part: Any, resolve: fhir.Resolve) -> str:
    if not isinstance(part, Mapping):
        return fhir.text_of(part)
    bounds = fhir.inline({key: part[key] for key in ("low", "high") if key in part}, resolve) or ""
    more = [
        fhir.text_of(part.get("text")),
        fhir.concept(part.get("type")),
        fhir.concept(part.get("appliesTo")),
    ]
    parts = [bounds, *(text for text in more if text and text != bounds)]
    if age := fhir.inline(part.get("age"), resolve):
        parts.append(f"age {age}")
    return ", ".join(text for text in parts if text)
