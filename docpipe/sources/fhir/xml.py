"""Reads FHIR resources in XML as the JSON that FHIR has for them (https://hl7.org/fhir/R4/xml.html).

Without the definitions an element that occurs once is no list, and all values are texts; readers accept both.
"""

from typing import Any, Final
from xml.parsers import expat

NAMESPACE: Final = "http://hl7.org/fhir"
_DEEPEST: Final = 100
MOST_ELEMENTS: Final = 300_000
"""Of one resource or page: each takes some 400 bytes of the main process, whose text may be four letters."""
_CONTAINERS: Final = ("resource", "contained", "outcome")
"""Elements that hold a resource."""


class _RefusedError(Exception):
    """A document type declaration, or too many elements, or ones that are nested too deeply."""


class _Element:
    """An element that is open."""

    __slots__ = ("members", "name", "value")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.value = attributes.get("value")
        self.members: dict[str, Any] = {key: attributes[key] for key in ("id", "url") if key in attributes}

    def add(self, name: str, value: Any) -> None:
        if name not in self.members:
            self.members[name] = value
        elif isinstance(self.members[name], list):
            self.members[name].append(value)
        else:
            self.members[name] = [self.members[name], value]

    def json(self) -> Any:
        """Its value; of a primitive with extensions the value alone."""
        if self.value is not None:
            return self.value
        return self.members


class _Reader:
    """Builds the JSON of one resource."""

    def __init__(self) -> None:
        self.root: dict[str, Any] | None = None
        self._open: list[_Element] = []
        self._elements = 0
        self._foreign = 0
        """How many elements of other namespaces are open, such as XHTML."""

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if self._foreign or namespace != NAMESPACE:
            self._foreign += 1
            return
        self._elements += 1
        if len(self._open) >= _DEEPEST or self._elements > MOST_ELEMENTS:
            raise _RefusedError
        self._open.append(_Element(name, attributes))

    def end(self, _name: str) -> None:
        if self._foreign:
            self._foreign -= 1
            return
        element = self._open.pop()
        if not self._open:
            self.root = {"resourceType": element.name, **element.members}
        elif self._open[-1].name in _CONTAINERS and element.name[:1].isupper():
            self._open[-1].members = {"resourceType": element.name, **element.members}
        else:
            self._open[-1].add(element.name, element.json())


def resource_of(raw: bytes) -> dict[str, Any] | None:
    """The resource in some XML, None where it is none."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(raw, True)  # noqa: FBT003 -- as expat has it
    except (expat.ExpatError, _RefusedError, ValueError, LookupError):
        return None
    return reader.root


def _refuse(*_declaration: object) -> None:
    """FHIR has no document types; entities could expand without bound."""
    raise _RefusedError
