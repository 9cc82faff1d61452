"""The coded entries of a CDA section as lists, for sections that have no narrative to read."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph
from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cda.values import coded, named, qualified, timing, value

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
_MOODS: Final = {
    "APT": "appointment", "ARQ": "appointment requested", "DEF": "definition", "EVN.CRT": "criterion",
    "GOL": "goal", "INT": "intended", "OPT": "option", "PRMS": "promised", "PRP": "proposed",
    "RQO": "requested",
}  # fmt: skip
"""What is not, or not yet, done."""


def entries(section: Element) -> Iterator[Block]:
    """The entries of a section: name, value, time, and status."""
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
    text = "; ".join(dict.fromkeys(text for text in _parts(statement) if text))
    inner = tuple(item for item in (_item(below) for below in _statements(statement)) if item)
    return (*((Paragraph(text),) if text else ()), *((Listing(inner),) if inner else ()))


def _parts(statement: Element) -> Iterator[str]:
    if statement.get("negationInd") == "true":
        yield "not"
    yield _MOODS.get(statement.get("moodCode") or "", "")
    codes = [code for code in named(statement, "code") if code.get("code") not in _TECHNICAL]
    name = ", ".join(filter(None, map(qualified, codes)))
    values = ", ".join(filter(None, map(value, named(statement, "value"))))
    yield f"{name}: {values}" if name and values else name or values
    for role in statement.iter():
        if local(role) in _ROLES and next(_statements_above(role)) is statement:
            yield from (coded(part) if local(part) == "code" else words_of(part) for part in role)
    for child in statement:
        yield _part(child)


_VALUES: Final = {
    "doseQuantity": "dose: ", "quantity": "", "rateQuantity": "rate: ", "maxDoseQuantity": "at most ",
    "repeatNumber": "repeats: ",
}  # fmt: skip
_CODES: Final = frozenset(
    {
        "routeCode", "interpretationCode", "statusCode", "administrationUnitCode", "methodCode",
        "targetSiteCode",
        "approachSiteCode", "priorityCode",
    }
)  # fmt: skip


_TECHNICAL: Final = frozenset({"ASSERTION", "CONC"})
"""Codes of HL7 that only describe how an entry is built."""


def subject(element: Element) -> str:
    """The subject of an entry or section other than the patient, such as a relative or a fetus."""
    parts = []
    for related in named(element, "relatedSubject"):
        parts += [qualified(code) for code in named(related, "code")]
        for person in named(related, "subject"):
            parts += [words_of(name) for name in named(person, "name")]
            for part in person:
                if local(part) == "birthTime":
                    parts.append(f"born {timing(part)}" if timing(part) else "")
                elif local(part) == "administrativeGenderCode":
                    parts.append(coded(part) if part.get("displayName") else "")
                elif local(part) == "deceasedInd" and part.get("value") == "true":
                    parts.append("deceased")
    text = ", ".join(part for part in parts if part)
    return f"concerns: {text}" if text else ""


def _part(child: Element) -> str:  # noqa: PLR0911 - a ladder: one element, one return
    name = local(child)
    if name in _CODES:
        return qualified(child)
    if name in _VALUES:
        unset = name == "rateQuantity" and child.get("nullFlavor")
        text = "" if unset else value(child)
        return f"{_VALUES[name]}{text}" if text else ""
    match name:
        case "text":
            return words_of(child)
        case "subject":
            return subject(child)
        case "effectiveTime":
            return timing(child)
        case "uncertaintyInd" if child.get("value") == "true":
            return "uncertain"
        case "precondition":
            return "; ".join(filter(None, map(_condition, named(child, "criterion"))))
        case "referenceRange":
            text = "; ".join(filter(None, map(_range, child)))
            return f"reference: {text}" if text else ""
    return ""


def _condition(criterion: Element) -> str:
    codes = named(criterion, "code", "value")
    parts = [value(each) if local(each) == "value" else qualified(each) for each in codes]
    parts += [words_of(each) for each in named(criterion, "text")]
    text = ", ".join(dict.fromkeys(part for part in parts if part))
    plain = not text or text.lower().startswith(("as needed", "prn", "if ", "when "))
    return text if plain else f"condition: {text}"


def _range(observed: Element) -> str:
    parts = [value(each) for each in named(observed, "value")]
    parts += [words_of(each) for each in named(observed, "text")]
    parts += [coded(each) for each in named(observed, "interpretationCode")]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _statements_above(element: Element) -> Iterator[Element]:
    yield from (above for above in element.iterancestors() if local(above) in _STATEMENTS)
