"""The coded entries of a CDA section as lists, for sections that have no narrative to read."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph
from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cdatime import period

_STATEMENTS: Final = frozenset(
    {
        "act", "observation", "substanceAdministration", "supply", "procedure", "encounter", "organizer",
        "observationMedia", "regionOfInterest",
    }
)  # fmt: skip
_ROLES: Final = (
    "manufacturedMaterial",
    "manufacturedLabeledDrug",
    "playingEntity",
    "playingDevice",
    "assignedPerson",
)


def entries(section: Element) -> Iterator[Block]:
    """What the entries of a section say: what, how much, when, and how it stands."""
    items = tuple(item for item in (_item(inner) for inner in _statements(section)) if item)
    if items:
        yield Listing(items)


def _statements(element: Element) -> Iterator[Element]:
    """The nearest clinical statements below, whatever relates them."""
    stack = list(reversed(element))
    while stack:
        inner = stack.pop()
        if local(inner) in _STATEMENTS:
            yield inner
        elif local(inner) not in {"section", "component"} or local(element) != "section":
            stack.extend(reversed(inner))


def _item(statement: Element) -> tuple[Block, ...]:
    said = "; ".join(dict.fromkeys(text for text in _parts(statement) if text))
    inner = tuple(item for item in (_item(below) for below in _statements(statement)) if item)
    return (*((Paragraph(said),) if said else ()), *((Listing(inner),) if inner else ()))


def _parts(statement: Element) -> Iterator[str]:
    if statement.get("negationInd") == "true":
        yield "not"
    name = ", ".join(filter(None, map(coded, _named(statement, "code"))))
    told = ", ".join(filter(None, map(_value, _named(statement, "value"))))
    yield f"{name}: {told}" if name and told else name or told
    for role in statement.iter():
        if local(role) in _ROLES and next(_statements_above(role)) is statement:
            yield from (coded(part) if local(part) == "code" else words_of(part) for part in role)
    for child in statement:
        match local(child):
            case "text":
                yield words_of(child)
            case "effectiveTime":
                yield period(child)
            case "doseQuantity" | "rateQuantity" | "quantity":
                yield _value(child)
            case "routeCode" | "interpretationCode" | "targetSiteCode" | "statusCode":
                yield coded(child)


def _statements_above(element: Element) -> Iterator[Element]:
    yield from (above for above in element.iterancestors() if local(above) in _STATEMENTS)


def coded(element: Element) -> str:
    """A code for people: its name, its original text or, where there is neither, itself."""
    for name in (element.get("displayName"), words_of(next(iter(_named(element, "originalText")), None))):
        if name and name.strip():
            return " ".join(name.split())
    for translation in _named(element, "translation"):
        if text := translation.get("displayName"):
            return " ".join(text.split())
    return element.get("code") or ""


def _named(element: Element, name: str) -> list[Element]:
    return [child for child in element if local(child) == name]


def _value(element: Element) -> str:
    if element.get("representation") or local(element) == "reference":
        return ""
    if (value := element.get("value")) is not None:
        unit = element.get("unit") or ""
        return f"{value} {'' if unit == '1' else unit}".strip()
    bounds = [_value(edge) for edge in element if local(edge) in {"low", "high"}]
    if any(bounds):
        return " to ".join(bound for bound in bounds if bound)
    return coded(element) or words_of(element)
