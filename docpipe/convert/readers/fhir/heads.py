"""The head of a FHIR resource: patient, numbers, restrictions, and states that change its meaning."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from docpipe.convert.readers.fhir import values as fhir

_USES: Final = {
    "official": 0,
    "usual": 1,
    "": 2,
    "nickname": 4,
    "anonymous": 5,
    "temp": 5,
    "maiden": 6,
    "old": 7,
}
_MOST_NUMBERS: Final = 4
_RESTRICTED: Final = {"R": "restricted", "V": "very restricted"}
_RELATIONS: Final = {
    "replaces": "Replaces", "transforms": "Transformed from", "appends": "Adds to", "signs": "Signs",
    "amends": "Amends",
}  # fmt: skip
_STATES: Final = (
    "status", "docStatus", "clinicalStatus", "verificationStatus", "intent", "statusReason", "criticality",
)  # fmt: skip
_TELLING: Final = frozenset(
    {
        "entered-in-error", "not-done", "cancelled", "stopped", "refuted", "refused", "superseded",
        "rejected", "suspended", "on-hold", "aborted", "failed", "draft", "preliminary", "proposal",
        "inactive",
        "resolved", "unconfirmed", "provisional", "differential", "not-taken", "deprecated", "amended",
        "corrected", "retired",
    }
)  # fmt: skip
"""States that change the meaning of the whole resource."""
_FLAGS: Final = {
    "doNotPerform": "do not perform", "wasNotGiven": "was not given", "notGiven": "was not given",
    "wasNotTaken": "was not taken", "notPerformed": "was not performed", "notDone": "was not done",
    "prohibited": "prohibited",
}  # fmt: skip


def current_name(value: Any) -> Any:
    """The official name that is still valid, else the next best; None where there is none."""
    names = fhir.listed(value)
    return min(names, key=_rank) if names else None


def _rank(name: Any) -> tuple[bool, int]:
    if not isinstance(name, Mapping):
        return (False, 3)
    period = name.get("period")
    over = isinstance(period, Mapping) and bool(period.get("end"))
    return (over, _USES.get(str(name.get("use") or ""), 3))


def patient(one: Mapping[str, Any], resolve: fhir.Resolve) -> Iterator[str]:
    """The lines on a patient: name, birth and numbers (to distinguish namesakes); other names; death."""
    names = fhir.listed(one.get("name"))
    first = current_name(names)
    parts = [fhir.name(first) if first else ""]
    if born := fhir.inline(one.get("birthDate"), resolve):
        parts.append(f"born {born}")
    parts.append(fhir.inline(one.get("gender"), resolve) or "")
    numbers = (fhir.inline(each, resolve) for each in fhir.listed(one.get("identifier")))
    parts += [f"number {text}" for text in dict.fromkeys(numbers) if text][:_MOST_NUMBERS]
    if text := ", ".join(part for part in parts if part):
        yield f"Patient: {text}"
    others = [fhir.inline(name, resolve) or fhir.name(name) for name in names if name is not first]
    if text := "; ".join(each for each in others if each):
        yield f"Other names: {text}"
    dead = one.get("deceasedDateTime") or one.get("deceasedBoolean")
    if dead and dead != "false":
        yield f"Died: {fhir.inline(dead, resolve)}"


def document(one: Mapping[str, Any], resolve: fhir.Resolve) -> Iterator[str]:
    """The lines on a document: restriction, version, what it replaces."""
    meta = one.get("meta")
    labels = [
        *fhir.listed(one.get("confidentiality")),
        *fhir.listed(one.get("securityLabel")),
        *(fhir.listed(meta.get("security")) if isinstance(meta, Mapping) else []),
    ]
    restricted = dict.fromkeys(text for label in labels if (text := _restriction(label)))
    if restricted:
        yield f"Confidentiality: {', '.join(restricted)}"
    if version := fhir.inline(one.get("version"), resolve):
        yield f"Version: {version}"
    for relation in fhir.listed(one.get("relatesTo")):
        if not isinstance(relation, Mapping):
            continue
        code = fhir.concept(relation.get("code") or relation.get("type"))
        keys = ("target", "targetReference", "targetIdentifier", "resourceReference")
        target = next((name for key in keys if (name := fhir.inline(relation.get(key), resolve))), None)
        words = _RELATIONS.get(code.lower(), code.capitalize())
        yield f"{words}: {target or 'an earlier document'}"


def _restriction(label: Any) -> str:
    codes = [label, *fhir.listed(label.get("coding"))] if isinstance(label, Mapping) else [{"code": label}]
    for code in codes:
        if isinstance(code, Mapping) and str(code.get("code")) in _RESTRICTED:
            return str(code.get("display") or _RESTRICTED[str(code["code"])]).lower()
    return ""


def alerts(one: Mapping[str, Any]) -> list[str]:
    """States and flags that change the meaning of a resource, in plain words: entered in error, not done."""
    lines = [f"{fhir.label(key)}: {words}" for key in _STATES if key in one and (words := _telling(one[key]))]
    lines += [words for key, words in _FLAGS.items() if one.get(key) in {True, "true"}]
    if fhir.listed(one.get("modifierExtension")):
        lines.append("an extension changes the meaning of this entry")
    return lines


def _telling(value: Any) -> str:
    if isinstance(value, str):
        return fhir.plain_code(value) if value in _TELLING else ""
    codings = [
        code
        for part in fhir.listed(value)
        if isinstance(part, Mapping)
        for code in fhir.listed(part.get("coding"))
    ]
    codes = [str(code.get("code")) for code in codings if isinstance(code, Mapping)]
    return next((fhir.plain_code(code) for code in codes if code in _TELLING), "")


def withdrawn(one: Mapping[str, Any]) -> bool:
    """Whether a resource is marked as entered in error, refuted or cancelled."""
    return any(
        _telling(one[key]) in {"entered in error", "refuted", "cancelled"} for key in _STATES if key in one
    )
