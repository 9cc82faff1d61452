"""Values of CDA as text for people: codes, quantities, bounds, ratios, times, and what is not known.

Source: HL7 Version 3 Data Types, release 1.
"""

import re
from typing import Final

from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cda.times import iso_date, period

NULLS: Final = {
    "ASKU": "asked, but not known", "DER": "to be derived", "INV": "not valid", "MSK": "withheld",
    "NA": "not applicable", "NASK": "not asked", "NAV": "not available for now", "NI": "no information",
    "NINF": "without lower bound", "OTH": "other", "PINF": "without upper bound", "QS": "as needed to fill",
    "TRC": "traces", "UNC": "not coded", "UNK": "unknown",
}  # fmt: skip
_EVENTS: Final = {
    "AC": "before meals", "ACM": "before breakfast", "ACD": "before lunch", "ACV": "before dinner",
    "C": "with meals", "CM": "with breakfast", "CD": "with lunch", "CV": "with dinner",
    "HS": "at bedtime", "IC": "between meals", "ICM": "between breakfast and lunch",
    "ICD": "between lunch and dinner", "ICV": "between dinner and bedtime", "PC": "after meals",
    "PCM": "after breakfast", "PCD": "after lunch", "PCV": "after dinner", "WAKE": "on waking",
}  # fmt: skip
_UNITS: Final = {"h": "h", "d": "days", "wk": "weeks", "mo": "months", "a": "years", "min": "min", "s": "s"}
_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"


def named(element: Element, *names: str) -> list[Element]:
    """Children with one of the local names."""
    return [child for child in element if local(child) in names]


def coded(element: Element) -> str:
    """A code for people: its name, its original text or, where there is neither, itself."""
    for name in (element.get("displayName"), words_of(next(iter(named(element, "originalText")), None))):
        if name and name.strip():
            return " ".join(name.split())
    for translation in named(element, "translation"):
        if text := translation.get("displayName"):
            return " ".join(text.split())
    return element.get("code") or ""


def qualified(element: Element) -> str:
    """A code with its qualifiers: `Kidney (laterality: left)`."""
    text = coded(element)
    more = []
    for qualifier in named(element, "qualifier"):
        parts = [coded(part) for part in named(qualifier, "name", "value")]
        more.append(": ".join(part for part in parts if part))
    details = "; ".join(part for part in more if part)
    return f"{text} ({details})" if text and details else text or details


def value(element: Element) -> str:
    """A value of any type; what its null flavor means where it has none."""
    if element.get("representation") or local(element) == "reference":
        return ""
    text = _bounded(element) or _ratio(element) or _plain(element) or qualified(element) or words_of(element)
    return text or NULLS.get(element.get("nullFlavor") or "", "")


def _plain(element: Element) -> str:
    number = element.get("value")
    if number is None:
        return ""
    if number in {"true", "false"} and (element.get(_TYPE) or "BL").rpartition(":")[2] == "BL":
        return "yes" if number == "true" else "no"
    if (element.get(_TYPE) or "").rpartition(":")[2] in {"TS", "IVL_TS"}:
        return iso_date(number) or number
    return f"{number} {unit(element)}".strip()


def unit(element: Element) -> str:
    """The unit of a quantity; what is in braces is a note (UCUM)."""
    text = element.get("unit") or ""
    return "" if text == "1" else re.sub(r"\{([^{}]*)\}", r"\1", text)


def _ratio(element: Element) -> str:
    parts = [value(part) for part in named(element, "numerator", "denominator")]
    return " / ".join(part for part in parts if part)


def _bounded(element: Element) -> str:
    """An interval; bounds belong to it unless they are declared as exclusive."""
    if (element.get(_TYPE) or "").rpartition(":")[2] == "IVL_TS":
        return period(element)
    low, high = (next(filter(_plain, named(element, name)), None) for name in ("low", "high"))
    if low is not None and high is not None:
        first, last = _edge(low, "", "> "), _edge(high, "", "< ")
        same = unit(low) and unit(low) == unit(high) and not first.startswith(">")
        return f"{low.get('value')} to {last}" if same else f"{first} to {last}"
    if low is not None:
        return _edge(low, "≥ ", "> ")
    if high is not None:
        return _edge(high, "≤ ", "< ")
    middle, width = named(element, "center"), named(element, "width")
    if middle and _plain(middle[0]):
        return f"{_plain(middle[0])}, {_plain(width[0])} wide" if width else _plain(middle[0])
    return ""


def _edge(edge: Element, within: str, beyond: str) -> str:
    return f"{beyond if edge.get('inclusive') == 'false' else within}{_plain(edge)}"


def timing(element: Element) -> str:
    """When something is done: from when to when, how often, at which meals."""
    inner = [timing(part) for part in named(element, "comp")]
    parts = [period(element) if not inner else "", _frequency(element), _event(element), *inner]
    text = ", ".join(part for part in parts if part)
    return text or NULLS.get(element.get("nullFlavor") or "", "")


def _frequency(element: Element) -> str:
    for each in named(element, "period"):
        ends = [edge.get("value") for edge in named(each, "low", "high") if edge.get("value")]
        of = next((edge for edge in named(each, "low", "high") if edge.get("unit")), each)
        number = " to ".join(end for end in ends if end) or each.get("value") or ""
        if number:
            name = _UNITS.get(unit(of), unit(of))
            return (
                f"every {name.removesuffix('s')}"
                if number == "1" and len(name) > 1
                else f"every {number} {name}"
            )
    for each in named(element, "frequency"):
        if text := _ratio(each):
            return f"{text} times"
    return ""


def _event(element: Element) -> str:
    texts = []
    for event in named(element, "event"):
        code = event.get("code") or ""
        texts.append(_EVENTS.get(code, coded(event)))
    if texts and (offset := next((value(each) for each in named(element, "offset")), "")):
        texts.append(f"offset {offset}")
    return ", ".join(text for text in texts if text)
