"""FHIR in XML as the objects that FHIR in JSON has: https://hl7.org/fhir/xml.html says how they relate.

Without the definitions a single element may be a list of one; readers take both.
"""

from typing import Any

from lxml import etree

from docpipe.convert.core.xmltree import Element, local


def resource(element: Element) -> dict[str, Any]:
    """The object of a resource's element."""
    return {"resourceType": local(element), **_members(element)}


def _members(element: Element) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in ("id", "url"):
        if (value := element.get(name)) is not None:
            made[name] = value
    for inner in element:
        if name := local(inner):
            _add(made, name, _value(inner, name))
    return made


def _add(made: dict[str, Any], name: str, value: Any) -> None:
    if name not in made:
        made[name] = value
    elif isinstance(made[name], list):
        made[name].append(value)
    else:
        made[name] = [made[name], value]


def _value(element: Element, name: str) -> Any:
    if name == "div":
        return etree.tostring(element, encoding="unicode", with_tail=False)
    inside = [inner for inner in element if local(inner)]
    if name in {"resource", "contained"} and inside:
        held = [resource(inner) for inner in inside]
        return held[0] if len(held) == 1 else held
    value = element.get("value")
    if value is None:
        return _members(element) if inside or element.attrib else (element.text or "").strip()
    # A date's or a code's own extensions are a separate member in JSON; here they follow its value.
    return {"value": value, **_members(element)} if inside else value
