"""The head of a CDA document: patients, restriction, version, and the document that it replaces."""

from collections.abc import Iterator
from typing import Final

from docpipe.convert.core.xmltree import Element, local, words_of
from docpipe.convert.readers.cda.times import date_of
from docpipe.convert.readers.cda.values import coded, named

_SEX: Final = {"M": "male", "F": "female", "UN": "undifferentiated"}
_USES: Final = {"L": 0, "C": 1, "": 2, "I": 3, "SYL": 4, "R": 5, "ASGN": 6, "P": 7, "A": 8}
"""Codes of names, the legal and usual ones first; pseudonyms and names of artists last."""
_CONFIDENTIALITY: Final = {
    "R": "restricted", "V": "very restricted", "L": "low", "M": "moderate", "U": "unrestricted",
}  # fmt: skip
_RELATIONS: Final = {"RPLC": "Replaces", "APND": "Adds to", "XFRM": "Transformed from"}
_MOST_NUMBERS: Final = 4
_SSN: Final = "2.16.840.1.113883.4.1"


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def patients(root: Element) -> Iterator[str]:
    """The lines on each patient: name, birth, sex, numbers (for namesakes); other names; death."""
    for target in named(root, "recordTarget"):
        role = child(target, "patientRole")
        patient = child(role, "patient")
        names = sorted(named(patient, "name") if patient is not None else [], key=_rank)
        texts = list(dict.fromkeys(text for name in names if (text := person(name))))
        parts = texts[:1]
        if born := date_of(child(patient, "birthTime")):
            parts.append(f"born {born}")
        gender = child(patient, "administrativeGenderCode")
        if gender is not None and (sex := gender.get("displayName") or _SEX.get(gender.get("code") or "")):
            parts.append(sex.lower())
        parts += _numbers(role)
        if parts:
            yield f"Patient: {', '.join(parts)}"
        if len(texts) > 1:
            yield f"Other names: {'; '.join(texts[1:])}"
        if died := date_of(child(patient, "deceasedTime")):
            yield f"Died: {died}"


def _numbers(role: Element | None) -> list[str]:
    numbers = []
    for each in named(role, "id") if role is not None else ():
        if number := each.get("extension"):
            by = each.get("assigningAuthorityName") or ("SSN" if each.get("root") == _SSN else "")
            numbers.append(f"number {number} ({by})" if by else f"number {number}")
    return list(dict.fromkeys(numbers))[:_MOST_NUMBERS]


def _rank(name: Element) -> tuple[bool, int]:
    """The sort key of a name: expired names come last."""
    over = date_of(child(name, "validTime", "high")) is not None
    uses = (name.get("use") or "").split() or [""]
    return over, min(_USES.get(use, 6) for use in uses)


def person(name: Element | None) -> str:
    """A name in reading order, with the one at birth behind it."""
    if name is None:
        return ""
    parts: dict[str, list[str]] = {}
    for part in name:
        if text := words_of(part):
            kind = "birth" if "BR" in (part.get("qualifier") or "").split() else local(part)
            parts.setdefault(kind, []).append(text)
    if not {"family", "given"} & parts.keys() and "birth" in parts:
        parts["family"] = parts.pop("birth")
    ordered = [text for kind in ("prefix", "given", "family", "suffix") for text in parts.get(kind, [])]
    if ordered and "birth" in parts:
        ordered.append(f"(born {' '.join(parts['birth'])})")
    return " ".join(ordered) or words_of(name)


def document(root: Element) -> Iterator[str]:
    """The lines on the document: state, restriction, version, what it replaces."""
    state = child(root, "statusCode")
    if state is not None and (code := state.get("code")) not in {None, "", "active", "completed", "normal"}:
        yield f"State: {state.get('displayName') or code}"
    if text := restriction(root):
        yield f"Confidentiality: {text}"
    version = child(root, "versionNumber")
    if version is not None and version.get("value"):
        yield f"Version: {version.get('value')}"
    for related in named(root, "relatedDocument"):
        words = _RELATIONS.get(related.get("typeCode") or "", "Related to")
        earlier = child(related, "parentDocument")
        number = child(earlier, "id")
        name = (number.get("extension") or number.get("root") or "") if number is not None else ""
        kind = child(earlier, "code")
        parts = [
            f"document {name}" if name else "an earlier document",
            coded(kind) if kind is not None else "",
        ]
        yield f"{words}: {', '.join(part for part in parts if part)}"


def restriction(element: Element) -> str:
    """The confidentiality, empty where it is the usual one."""
    code = child(element, "confidentialityCode")
    if code is None or code.get("code") in {None, "", "N"}:
        return ""
    return (code.get("displayName") or _CONFIDENTIALITY.get(code.get("code") or "") or coded(code)).lower()
