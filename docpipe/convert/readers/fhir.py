"""FHIR's data types as text for people, read tolerantly: whatever does not fit is shown as it stands.

Nothing here knows the definitions of resources. A value is told by the names of its members, so that all
versions of FHIR, and what only resembles it, come out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph, Table
from docpipe.convert.core.blocks import tidy as tidied
from docpipe.convert.readers.jsontext import Number

Resolve = Callable[[str], str]
"""What to call the resource that a reference names; empty where it is not at hand."""

_SYSTEMS: Final = (
    ("loinc.org", "LOINC"),
    ("snomed.info", "SNOMED CT"),
    ("rxnorm", "RxNorm"),
    ("icd-10", "ICD-10"),
    ("icd-9", "ICD-9"),
    ("/cvx", "CVX"),
    ("cpt", "CPT"),
    ("/ndc", "NDC"),
    ("/atc", "ATC"),
)
_CHOICES: Final = re.compile(
    r"(value|effective|onset|abatement|deceased|medication|occurrence|performed|multipleBirth|asNeeded|born|age"
    r"|timing|product|serviced|scheduled|rate|dose|defaultValue|allowed|used|reported|when|estimatedAge)"
    r"(?:CodeableConcept|CodeableReference|Coding|Quantity|String|Boolean|Integer|Decimal|DateTime|Date|Instant"
    r"|Time|Timing|Period|Range|Ratio|Reference|Attachment|Age|Duration|Identifier|Uri|Url|Code|SampledData|Money)"
)
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-_]+")
_UNSAID: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "text", "contained", "div"})
_LONG: Final = 4_000
"""Characters without a blank beyond which a value is data and no text for people."""


@lru_cache(maxsize=10_000)
def tidy(text: str) -> str:
    """Tidied text; the same few codes and units stand in a bundle a hundred thousand times."""
    return tidied(text)


def listed(value: Any) -> list[Any]:
    """A value as a list: XML does not tell a list of one from its member."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=2_000)
def label(name: str) -> str:
    """A member's name as words: `birthDate` is Birth date."""
    bare = name.lstrip("_")
    if found := _CHOICES.fullmatch(bare):
        bare = found[1]  # what stands behind it is the value's type
    words = [word for word in _WORD.split(bare) if word]
    text = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
    return text[:1].upper() + text[1:]


def inline(value: Any, resolve: Resolve) -> str | None:  # noqa: PLR0911 - a ladder: one kind, one return
    """A value as one line, None where it has parts that have to be listed."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return tidy(value)
        case list():
            parts = [inline(part, resolve) for part in value]
            if any(part is None for part in parts):
                return None
            return "; ".join(part for part in parts if part)
        case dict():
            return _object(value, resolve)
        case _:
            return str(value)


def _object(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if not value:
        return ""
    for known in (_concept, _reference, _quantity, _interval, _ratio, _name, _address, _contact, _annotation):
        if (text := known(value, resolve)) is not None:
            return tidy(text)
    return _identifier(value, resolve)


def _text(value: Any) -> str:
    """A plain member, empty where it is missing or is no plain value."""
    if isinstance(value, list):
        return " ".join(filter(None, map(_text, value)))
    if isinstance(value, Mapping):
        return _text(value.get("value"))
    return tidy(str(value)) if isinstance(value, (str, int, float)) else ""


def _only(value: Mapping[str, Any], *names: str) -> bool:
    """Whether the value has no members but these (and what is for machines)."""
    return all(
        name in names or name in {"id", "userSelected", "version"} or not value[name] for name in value
    )


def coding(value: Any) -> str:
    """A code as `Display (LOINC 1234-5)`."""
    if not isinstance(value, Mapping):
        return _text(value)
    display, code = _text(value.get("display")), _text(value.get("code"))
    system = system_name(_text(value.get("system")))
    marked = f"{system} {code}".strip() if code and system else ""
    if display:
        return f"{display} ({marked})" if marked else display
    return marked or code


def system_name(system: str) -> str:
    """What people call a code system, empty where they do not know it."""
    lowered = system.lower()
    return next((name for part, name in _SYSTEMS if part in lowered), "")


def concept(value: Any) -> str:
    """A coded concept: its text, then its codes."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(concept, value)))
    if not isinstance(value, Mapping):
        return _text(value)
    text, codes = _text(value.get("text")), list(dict.fromkeys(map(coding, listed(value.get("coding")))))
    if not codes and not text:
        return coding(value)
    if len(codes) == 1 and codes[0].casefold().startswith(text.casefold()):
        return codes[0]
    codes = [code for code in codes if code and code.casefold() != text.casefold()]
    return f"{text} [{'; '.join(codes)}]" if text and codes else text or "; ".join(codes)


def _concept(value: Mapping[str, Any], _resolve: Resolve) -> str | None:
    if "coding" in value and _only(value, "coding", "text"):
        return concept(value)
    if "code" in value and _only(value, "system", "code", "display"):
        return coding(value)
    if _only(value, "text", "display") and value:
        return _text(value.get("text")) or _text(value.get("display"))
    return None


def _reference(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if "concept" in value and _only(value, "concept", "reference"):  # R5
        return concept(value["concept"])
    if not _only(value, "reference", "display", "type", "identifier") or not value:
        return None
    target = _text(value.get("reference"))
    if isinstance(value.get("reference"), Mapping):  # R5: a reference within
        return inline(value["reference"], resolve)
    identifier = value.get("identifier")
    return (
        _text(value.get("display"))
        or resolve(target)
        or (_identifier(identifier, resolve) if isinstance(identifier, Mapping) else "")
        or target
        or _text(value.get("type"))
    )


def _quantity(value: Mapping[str, Any], _resolve: Resolve) -> str | None:
    if "value" not in value or not ({"unit", "comparator", "currency"} & set(value) or _measured(value)):
        return None
    if not _only(value, "value", "unit", "comparator", "code", "system", "currency"):
        return None
    unit = _text(value.get("unit")) or _text(value.get("code")) or _text(value.get("currency"))
    return f"{_text(value.get('comparator'))}{_text(value['value'])} {'' if unit == '1' else unit}".strip()


def _measured(value: Mapping[str, Any]) -> bool:
    return isinstance(value["value"], Number) or "unitsofmeasure" in _text(value.get("system"))


def _interval(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    for low, high in (("start", "end"), ("low", "high")):
        if (low in value or high in value) and _only(value, low, high):
            begin, end = inline(value.get(low), resolve), inline(value.get(high), resolve)
            if begin is None or end is None:
                return None
            if begin and end:
                return begin if begin == end else f"{begin} to {end}"
            above, below = ("since", "until") if low == "start" else ("from", "up to")
            return f"{above} {begin}" if begin else f"{below} {end}" if end else ""
    return None


def _ratio(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if not value or not _only(value, "numerator", "denominator"):
        return None
    return " / ".join(inline(value.get(part), resolve) or "?" for part in ("numerator", "denominator"))


def name(value: Any) -> str:
    """A person's name in reading order, or an organization's."""
    if not isinstance(value, Mapping):
        return _text(value)
    parts = " ".join(
        filter(None, (_text(value.get(part)) for part in ("prefix", "given", "family", "suffix")))
    )
    return _text(value.get("text")) or parts


def _name(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if not {"family", "given"} & set(value):
        return None
    if not _only(value, "text", "prefix", "given", "family", "suffix", "use", "period"):
        return None
    return _qualified(name(value), value, resolve)


def _qualified(text: str, value: Mapping[str, Any], resolve: Resolve) -> str:
    more = [_text(value.get("use")), inline(value.get("period"), resolve) or ""]
    said = ", ".join(part for part in more if part)
    return f"{text} ({said})" if said else text


def _address(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    parts = ("line", "city", "district", "state", "postalCode", "country")
    if not set(parts) & set(value) or not _only(value, *parts, "use", "type", "text", "period", "extension"):
        return None
    place = ", ".join(filter(None, (_text(value.get(part)) for part in parts)))
    return _qualified(_text(value.get("text")) or place, value, resolve)


def _contact(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    system = _text(value.get("system"))
    if "value" not in value or system not in {"phone", "fax", "email", "pager", "url", "sms", "other"}:
        return None
    if not _only(value, "system", "value", "use", "rank", "period"):
        return None
    return _qualified(f"{system} {_text(value['value'])}", value, resolve)


def _annotation(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    names = ("authorReference", "authorString", "time")
    if "text" not in value or not _only(value, "text", *names):
        return None
    told = ", ".join(filter(None, (inline(value.get(part), resolve) for part in names)))
    return f"{_text(value['text'])} ({told})" if told else _text(value["text"])


def _identifier(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if "value" not in value or isinstance(value["value"], Mapping):
        return None
    if not _only(value, "system", "value", "use", "type", "assigner", "period"):
        return None
    kind = concept(value.get("type")) or inline(value.get("assigner"), resolve) or ""
    return f"{_text(value['value'])} ({kind})" if kind else _text(value["value"])


def members(
    value: Mapping[str, Any], resolve: Resolve, but: Iterable[str] = ()
) -> Iterator[tuple[Block, ...]]:
    """An item of a list for each member that says something to people."""
    unsaid = _UNSAID.union(but) if "resourceType" in value else frozenset(but) | {"id"}
    for key, part in value.items():
        if key in unsaid or part is None or part in ("", [], {}):
            continue
        if key in {"extension", "modifierExtension"}:
            yield from _extensions(part, resolve)
        elif key == "data" and "contentType" in value:
            continue  # it is taken out as a document of its own
        else:
            yield from _member(label(key), part, resolve)


def _member(said: str, part: Any, resolve: Resolve) -> Iterator[tuple[Block, ...]]:
    if isinstance(part, str) and len(part) > _LONG and " " not in part:
        yield (Paragraph(f"{said}: {len(part)} characters of data"),)
        return
    text = inline(part, resolve)
    if text is not None:
        if text:
            yield (Paragraph(f"{said}: {text}"),)
        return
    for one in listed(part):
        text = inline(one, resolve)
        if text is not None:
            if text:
                yield (Paragraph(f"{said}: {text}"),)
        elif isinstance(one, list):
            yield from _member(said, one, resolve)
        elif inner := tuple(members(one, resolve)):
            kind = one.get("resourceType")
            yield (Paragraph(f"{said}: {label(kind)}" if isinstance(kind, str) else said), Listing(inner))


def _extensions(part: Any, resolve: Resolve) -> Iterator[tuple[Block, ...]]:
    for one in listed(part):
        if not isinstance(one, Mapping):
            continue
        said = label(re.split(r"[/#:]", _text(one.get("url")).rstrip("/"))[-1] or "extension")
        values = {key: value for key, value in one.items() if key not in {"url", "id", "extension"}}
        for value in values.values():
            yield from _member(said, value, resolve)
        if inner := tuple(_extensions(one.get("extension"), resolve)):
            yield (Paragraph(said), Listing(inner))


_COLUMNS: Final = ("Date", "Observation", "Value", "Range", "Flag", "Status", "More")
_OWN: Final = (
    "code", "component", "status", "interpretation", "referenceRange", "category", "subject", "identifier",
    "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued", "dataAbsentReason",
)  # fmt: skip


def observations(found: Iterable[Mapping[str, Any]], resolve: Resolve) -> Table:
    """Observations as a table, their components below them; columns that nobody fills are left out."""
    rows = []
    for one in found:
        rows.append(_row(one, resolve))
        parts = (part for part in listed(one.get("component")) if isinstance(part, Mapping))
        rows += [_row(part, resolve, "↳ ") for part in parts]
    used = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    return Table((tuple(_COLUMNS[at] for at in used),), tuple(tuple(row[at] for at in used) for row in rows))


def _row(one: Mapping[str, Any], resolve: Resolve, mark: str = "") -> tuple[str, ...]:
    value = next((key for key in one if re.match("value[A-Z]", key)), "value")
    when = next((one[key] for key in _OWN[8:12] if one.get(key)), None)
    said = inline(one.get(value), resolve)
    absent = concept(one.get("dataAbsentReason"))
    kept = {key: part for key, part in one.items() if key not in _OWN and (key != value or said is None)}
    return (
        inline(when, resolve) or "",
        mark + concept(one.get("code")),
        said or absent,
        "; ".join(filter(None, (_range(part, resolve) for part in listed(one.get("referenceRange"))))),
        concept(one.get("interpretation")),
        _text(one.get("status")),
        "\n".join(flat_items(members(kept, resolve))),
    )


def _range(part: Any, resolve: Resolve) -> str:
    if not isinstance(part, Mapping):
        return _text(part)
    bounds = inline({key: part[key] for key in ("low", "high") if key in part}, resolve) or ""
    more = [_text(part.get("text")), concept(part.get("type")), concept(part.get("appliesTo"))]
    said = [bounds, *(text for text in more if text and text != bounds)]
    if age := inline(part.get("age"), resolve):
        said.append(f"age {age}")
    return ", ".join(text for text in said if text)


def flat_items(items: Iterable[tuple[Block, ...]], depth: int = 0) -> Iterator[str]:
    """Items of a list as plain lines, for a cell."""
    for item in items:
        for block in item:
            if isinstance(block, Listing):
                yield from flat_items(block.items, depth + 1)
            elif isinstance(block, Paragraph):
                yield "  " * depth + block.text
