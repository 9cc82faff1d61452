"""FHIR's data types as text for people, read tolerantly: unknown members appear by their names.

The definitions of resources are not used. The type of a value is inferred from the names of its members, so
that all versions of FHIR, and invalid resources, are readable. That is why values are `Any` here, and not the
Structs of `sources.fhir.resources`, which know the few members that retrieval acts on.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph
from docpipe.convert.core.blocks import tidy as tidied
from docpipe.convert.readers.fhir.timing import timing
from docpipe.convert.readers.text.jsontext import Number

Resolve = Callable[[str], str]
"""The name of the resource behind a reference; empty where the file lacks it."""

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
_CODED: Final = frozenset({"intent", "criticality", "severity", "priority", "use"})
_LONG: Final = 4_000
"""Characters without a blank beyond which a value is data and no text for people."""


@lru_cache(maxsize=10_000)
def tidy(text: str) -> str:
    """Tidied text, cached: a bundle repeats the same codes and units a hundred thousand times."""
    return tidied(text)


def listed(value: Any) -> list[Any]:
    """A value as a list: XML does not distinguish a list of one from its member."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=2_000)
def label(name: str) -> str:
    """A member's name as words: `birthDate` is Birth date."""
    bare = name.lstrip("_")
    if match := _CHOICES.fullmatch(bare):
        bare = match[1]  # the suffix is the type of the value
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
    for known in _KNOWN:
        text = known(value, resolve)
        if text or (text is not None and not _has_parts(value)):
            return tidy(text)
    return _identifier(value, resolve)


def _has_parts(value: Mapping[str, Any]) -> bool:
    """Whether members of the value have members of their own, which may have the text."""
    parts = (part for member in value.values() for part in listed(member))
    return any(isinstance(part, Mapping) and part for part in parts)


def text_of(value: Any) -> str:
    """A plain member, empty where it is missing or is no plain value."""
    if isinstance(value, list):
        return " ".join(filter(None, map(text_of, value)))
    if isinstance(value, Mapping):
        return text_of(value.get("value"))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return tidy(str(value)) if isinstance(value, (str, int, float)) else ""


def _only(value: Mapping[str, Any], *names: str) -> bool:
    """Whether the value has no members but these (and technical ones): no and 0 are values, too."""
    return all(
        name in names or name in {"id", "userSelected", "version"} or value[name] in (None, "", [], {})
        for name in value
    )


def coding(value: Any) -> str:
    """A code as `Display (LOINC 1234-5)`."""
    if not isinstance(value, Mapping):
        return text_of(value)
    display, code = text_of(value.get("display")), text_of(value.get("code"))
    system = system_name(text_of(value.get("system")))
    marked = f"{system} {code}".strip() if code and system else ""
    if display:
        return f"{display} ({marked})" if marked else display
    return marked or plain_code(code)


def plain_code(code: str) -> str:
    """A code of words in words: `entered-in-error` is entered in error."""
    if words := _CODES_IN_WORDS.get(code):
        return words
    return code.replace("-", " ") if _CODE_OF_WORDS.fullmatch(code) else code


_CODES_IN_WORDS: Final = {
    "nilknown": "none known", "notasked": "not asked", "notstarted": "not started",
}  # fmt: skip


_CODE_OF_WORDS: Final = re.compile(r"[a-z]{2,}(?:-[a-z]{2,})+")


def system_name(system: str) -> str:
    """The common name of a code system, empty for others."""
    lowered = system.lower()
    return next((name for part, name in _SYSTEMS if part in lowered), "")


def concept(value: Any) -> str:
    """A coded concept: its text, then its codes."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(concept, value)))
    if not isinstance(value, Mapping):
        return text_of(value)
    text, codes = text_of(value.get("text")), list(dict.fromkeys(map(coding, listed(value.get("coding")))))
    if not codes and not text:
        return coding(value)
    if len(codes) == 1 and codes[0].casefold().startswith(text.casefold()):
        return codes[0]
    codes = [code for code in codes if code and code.casefold() != text.casefold()]
    return f"{text} [{'; '.join(codes)}]" if text and codes else text or "; ".join(codes)


def _concept(value: Mapping[str, Any], _resolve: Resolve) -> str | None:
    if "coding" in value and _only(value, "coding", "text"):
        return concept(value)
    if isinstance(value.get("code"), str) and _only(value, "system", "code", "display"):
        return coding(value)
    if _only(value, "text", "display") and value:
        return text_of(value.get("text")) or text_of(value.get("display"))
    return None


def _reference(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if "concept" in value and _only(value, "concept", "reference"):  # R5
        return concept(value["concept"])
    if not _only(value, "reference", "display", "type", "identifier") or not value:
        return None
    if not isinstance(value.get("type", ""), str):
        return None  # a part that only has its type
    target = text_of(value.get("reference"))
    if isinstance(value.get("reference"), Mapping):  # R5: a reference within
        return inline(value["reference"], resolve)
    identifier = value.get("identifier")
    return (
        text_of(value.get("display"))
        or resolve(target)
        or (_identifier(identifier, resolve) if isinstance(identifier, Mapping) else "")
        or target
        or text_of(value.get("type"))
    )


def _quantity(value: Mapping[str, Any], _resolve: Resolve) -> str | None:
    if "value" not in value or not ({"unit", "comparator", "currency"} & set(value) or _measured(value)):
        return None
    if not _only(value, "value", "unit", "comparator", "code", "system", "currency"):
        return None
    unit = text_of(value.get("unit")) or text_of(value.get("code")) or text_of(value.get("currency"))
    return (
        f"{text_of(value.get('comparator'))}{text_of(value['value'])} {'' if unit == '1' else unit}".strip()
    )


def _measured(value: Mapping[str, Any]) -> bool:
    return isinstance(value["value"], Number) or "unitsofmeasure" in text_of(value.get("system"))


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
        return text_of(value)
    parts = " ".join(
        filter(None, (text_of(value.get(part)) for part in ("prefix", "given", "family", "suffix")))
    )
    return text_of(value.get("text")) or parts


def _name(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if not {"family", "given"} & set(value):
        return None
    if not _only(value, "text", "prefix", "given", "family", "suffix", "use", "period"):
        return None
    return _qualified(name(value), value, resolve)


def _qualified(text: str, value: Mapping[str, Any], resolve: Resolve) -> str:
    more = [text_of(value.get("use")), inline(value.get("period"), resolve) or ""]
    details = ", ".join(part for part in more if part)
    return f"{text} ({details})" if details else text


def _address(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    parts = ("line", "city", "district", "state", "postalCode", "country")
    if not set(parts) & set(value) or not _only(value, *parts, "use", "type", "text", "period", "extension"):
        return None
    place = ", ".join(filter(None, (text_of(value.get(part)) for part in parts)))
    return _qualified(text_of(value.get("text")) or place, value, resolve)


def _contact(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    system = text_of(value.get("system"))
    if "value" not in value or system not in {"phone", "fax", "email", "pager", "url", "sms", "other"}:
        return None
    if not _only(value, "system", "value", "use", "rank", "period"):
        return None
    return _qualified(f"{system} {text_of(value['value'])}", value, resolve)


def _annotation(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    names = ("authorReference", "authorString", "time")
    if "text" not in value or not _only(value, "text", *names):
        return None
    details = ", ".join(filter(None, (inline(value.get(part), resolve) for part in names)))
    return f"{text_of(value['text'])} ({details})" if details else text_of(value["text"])


def _identifier(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    if "value" not in value or isinstance(value["value"], Mapping):
        return None
    if not _only(value, "system", "value", "use", "type", "assigner", "period"):
        return None
    kind = concept(value.get("type")) or inline(value.get("assigner"), resolve) or ""
    return f"{text_of(value['value'])} ({kind})" if kind else text_of(value["value"])


_ATTACHED: Final = frozenset(
    {
        "id", "contentType", "language", "data", "url", "size", "hash", "title", "creation", "height",
        "width",
        "frames", "duration", "pages", "extension", "content", "resourceType", "meta", "securityContext",
        "_address",
    }
)  # fmt: skip
_DATA: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.=+-]*)*,", re.IGNORECASE)


def is_attachment(value: Mapping[str, Any]) -> bool:
    """Whether a value is, or may be, an Attachment or a Binary; many lack their type."""
    if isinstance(value.get("contentType"), str):
        holds = isinstance(value.get("data"), str) or isinstance(value.get("url"), str)
        return holds or "content" in value
    if isinstance(value.get("data"), str) and value.keys() <= _ATTACHED:
        return True
    return is_data_address(value.get("url"))


def is_data_address(value: Any) -> bool:
    """Whether a value is an address that holds a document itself (RFC 2397)."""
    return isinstance(value, str) and _DATA.match(value) is not None


def members(
    value: Mapping[str, Any], resolve: Resolve, but: Iterable[str] = ()
) -> Iterator[tuple[Block, ...]]:
    """An item of a list for each member with text for people."""
    unsaid = _UNSAID.union(but) if "resourceType" in value else frozenset(but) | {"id"}
    for key, part in value.items():
        if key in unsaid or part is None or part in ("", [], {}):
            continue
        if key in {"extension", "modifierExtension"}:
            yield from _extensions(part, resolve)
        elif (key == "data" and is_attachment(value)) or is_data_address(part):
            continue  # it is taken out as a document of its own
        elif isinstance(part, str) and (key in _CODED or key.lower().endswith("status")):
            yield from _member(label(key), plain_code(part), resolve)
        else:
            yield from _member(label(key), part, resolve)


def _member(caption: str, part: Any, resolve: Resolve) -> Iterator[tuple[Block, ...]]:
    if isinstance(part, str) and len(part) > _LONG and " " not in part:
        yield (Paragraph(f"{caption}: {len(part)} characters of data"),)
        return
    text = inline(part, resolve)
    if text is not None:
        if text:
            yield (Paragraph(f"{caption}: {text}"),)
        return
    for one in listed(part):
        text = inline(one, resolve)
        if text is not None:
            if text:
                yield (Paragraph(f"{caption}: {text}"),)
        elif isinstance(one, list):
            yield from _member(caption, one, resolve)
        elif inner := tuple(members(one, resolve)):
            kind = one.get("resourceType")
            yield (
                Paragraph(f"{caption}: {label(kind)}" if isinstance(kind, str) else caption),
                Listing(inner),
            )


def _extensions(part: Any, resolve: Resolve) -> Iterator[tuple[Block, ...]]:
    for one in listed(part):
        if not isinstance(one, Mapping):
            continue
        caption = label(re.split(r"[/#:]", text_of(one.get("url")).rstrip("/"))[-1] or "extension")
        values = {key: value for key, value in one.items() if key not in {"url", "id", "extension"}}
        for value in values.values():
            yield from _member(caption, value, resolve)
        if inner := tuple(_extensions(one.get("extension"), resolve)):
            yield (Paragraph(caption), Listing(inner))


def flat_items(items: Iterable[tuple[Block, ...]], depth: int = 0) -> Iterator[str]:
    """Items of a list as plain lines, for a cell."""
    for item in items:
        for block in item:
            if isinstance(block, Listing):
                yield from flat_items(block.items, depth + 1)
            elif isinstance(block, Paragraph):
                yield "  " * depth + block.text


def _timing(value: Mapping[str, Any], resolve: Resolve) -> str | None:
    return timing(value, lambda part: inline(part, resolve))


_KNOWN: Final = (
    _concept, _reference, _quantity, _interval, _ratio, _name, _address, _contact, _annotation, _timing,
)  # fmt: skip
