"""FHIR in XML, for a server that has nothing else (https://hl7.org/fhir/R4/xml.html)."""

from typing import Any, Final
from xml.sax.saxutils import quoteattr

_CONTAINERS: Final = ("resource", "contained", "outcome")


def to_xml(resource: dict[str, Any]) -> bytes:
    """A resource as a document."""
    kind = resource["resourceType"]
    return f'<?xml version="1.0"?><{kind} xmlns="http://hl7.org/fhir">{_members(resource)}</{kind}>'.encode()


def _members(value: dict[str, Any]) -> str:
    return "".join(_element(name, inner) for name, inner in value.items() if name != "resourceType")


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, dict):
        return f"<{name} value={quoteattr(str(value))}/>"
    inner = _members(value)
    if name in _CONTAINERS and "resourceType" in value:
        inner = f"<{value['resourceType']}>{inner}</{value['resourceType']}>"
    return f"<{name}>{inner}</{name}>"
