"""FHIR, in JSON, NDJSON or XML: narrative where there is some, data as lists and tables, attachments apart.

Resources are read tolerantly and none is checked: a strict model rejects a whole bundle for one field.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from docpipe.convert.core.base import Content, Facts, NothingToReadError, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, texts, tidy, words
from docpipe.convert.core.tree import Flow
from docpipe.convert.core.xmltree import MENDED, local, parse, strictly
from docpipe.convert.readers import fhir, from_json
from docpipe.convert.readers.cda import neutral
from docpipe.convert.readers.fhirfiles import Attachments, is_attachment
from docpipe.convert.readers.fhirxml import resource
from docpipe.convert.readers.from_html import flowed
from docpipe.convert.readers.jsontext import load

_FIRST: Final[tuple[str, ...]] = (
    "Composition", "DocumentReference", "DocumentManifest", "Patient", "DiagnosticReport", "Condition",
    "AllergyIntolerance", "MedicationStatement", "MedicationRequest", "MedicationOrder", "Medication",
    "Immunization", "Procedure", "Observation", "Encounter", "CarePlan", "CareTeam", "Goal", "ServiceRequest",
    "FamilyMemberHistory", "QuestionnaireResponse",
)  # fmt: skip
_LAST: Final[tuple[str, ...]] = (
    "Coverage", "Claim", "ExplanationOfBenefit", "Practitioner", "PractitionerRole", "RelatedPerson",
    "Organization", "Location", "Device", "Specimen", "Binary", "Provenance", "AuditEvent",
    "OperationOutcome",
)  # fmt: skip
_DOCUMENTS: Final = ("Composition", "DocumentReference", "DiagnosticReport", "QuestionnaireResponse")
_TOLD: Final = 0.8
"""A narrative that has this share of the data's words tells the resource; else the data are shown as well."""
_FEW: Final = 2

Resource = Mapping[str, Any]


def read(source: Source) -> Content:
    """The resources in the order a reader wants them, and what they carry.

    Raises: UnreadableError; NothingToReadError where nothing in the file is a resource or says anything.
    """
    values, warnings = _values(source)
    bundle = _Bundle(source, [one for value in values for one in _resources(value)])
    if not bundle.resources:
        return from_json.read(source) if source.media_type.endswith("json") else _nothing()
    facts = bundle.facts()
    body = tuple(bundle.blocks())
    if not body and not bundle.attachments.embedded:
        return _nothing()
    return Content(
        blocks=(*bundle.header(facts), *body),
        facts=facts,
        embedded=tuple(bundle.attachments.embedded),
        warnings=tuple(dict.fromkeys((*warnings, *bundle.attachments.warnings))),
        libraries=("lxml", "selectolax"),
    )


def _nothing() -> Content:
    raise NothingToReadError("This is a FHIR resource that says nothing.")


def _values(source: Source) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    if source.media_type.endswith("xml"):
        parsed = parse(source.data())
        return (resource(parsed.root),), ((MENDED,) if parsed.mended else ())
    loaded = load(source.data())
    return loaded.values, loaded.warnings


def _resources(value: Any) -> Iterator[Resource]:
    """Every resource, those within bundles too, without those that another one contains."""
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, list):
            stack.extend(reversed(top))
        elif isinstance(top, Mapping):
            kind = top.get("resourceType")
            if isinstance(kind, str) and kind not in {"Bundle", "Parameters"}:
                yield top
            else:
                stack.extend(reversed([_named(part, top) for part in top.values()]))


def _named(part: Any, entry: Mapping[str, Any]) -> Any:
    """A resource with the address that its entry gives it."""
    address = entry.get("fullUrl")
    if isinstance(part, dict) and "resourceType" in part and isinstance(address, str):
        return {**part, "_address": address}
    return part


class _Bundle:
    """Resources that refer to each other."""

    def __init__(self, source: Source, resources: list[Resource]) -> None:
        self.resources = resources
        self._by_address: dict[str, Resource] = {}
        for one in resources:
            for address in (one.get("_address"), f"{one.get('resourceType')}/{one.get('id')}"):
                if isinstance(address, str):
                    self._by_address.setdefault(address, one)
            for inner in fhir.listed(one.get("contained")):
                if isinstance(inner, Mapping):
                    self._by_address.setdefault(f"#{inner.get('id')}", inner)
        self.attachments = Attachments(source, self._by_address)

    def resolve(self, reference: str) -> str:
        """What to call the resource that is referred to, empty where it is not here."""
        if not reference:
            return ""
        found = self._by_address.get(reference) or self._by_address.get(
            reference.split("/_history/", maxsplit=1)[0]
        )
        return self.title(found) if found is not None else ""

    def title(self, one: Resource) -> str:
        """What to call a resource: a person's or thing's name, or what it is about; empty for nothing."""
        for key in (
            "name",
            "title",
            "code",
            "type",
            "vaccineCode",
            "medicationCodeableConcept",
            "description",
        ):
            part = one.get(key)
            if key == "name" and part:
                text = fhir.name(fhir.listed(part)[0])
            else:
                text = fhir.concept(part) if isinstance(part, (dict, list, str)) else ""
            if text := " ".join(tidy(text).split()):
                return text[:300]
        return ""

    def facts(self) -> Facts:
        """What the document, or else the only resource, says of itself."""
        main = self._main()
        kind = main.get("type") or main.get("code")
        title = fhir.inline(main.get("title"), self.resolve) or fhir.inline(
            main.get("description"), self.resolve
        )
        dates = ("date", "effectiveDateTime", "authored", "issued", "created", "indexed", "recordedDate")
        return Facts(
            title=(title or fhir.concept(kind) or self._title_of_all(main))[:500] or None,
            date=next((text for key in dates if (text := self._say(main.get(key)))), None),
            author=self._say(main.get("author") or main.get("performer")) or None,
            custodian=self._say(main.get("custodian")) or None,
            loinc=_loinc(kind),
            language=self._say(main.get("language")) or None,
        )

    def _say(self, value: Any) -> str:
        return fhir.inline(value, self.resolve) or ""

    def _main(self) -> Resource:
        for kind in _DOCUMENTS:
            same = [one for one in self.resources if one.get("resourceType") == kind]
            if same and (len(same) == 1 or kind == "Composition"):
                return same[0]
        return self.resources[0] if len(self.resources) == 1 else {}

    def _title_of_all(self, main: Resource) -> str:
        if main:
            return self.title(main) or fhir.label(str(main.get("resourceType")))
        kinds = {str(one.get("resourceType")) for one in self.resources}
        of = f": {fhir.label(kinds.pop())}" if len(kinds) == 1 else ""
        return f"{len(self.resources)} FHIR resources{of}"

    def header(self, facts: Facts) -> Iterator[Block]:
        """The title and who is concerned."""
        yield Heading(1, facts.title or "FHIR resource")
        lines = [f"Patient: {text}" for text in self._patients()]
        lines += [
            f"{name}: {text}"
            for name, text in (
                ("Date", facts.date), ("Author", facts.author), ("Custodian", facts.custodian)
            )
            if text
        ]  # fmt: skip
        if facts.loinc:
            lines.append(f"Type: {facts.loinc['display'] or 'LOINC'} (LOINC {facts.loinc['code']})")
        if lines:
            yield Listing(tuple((Paragraph(line),) for line in lines))

    def _patients(self) -> list[str]:
        found = []
        for one in self.resources:
            if one.get("resourceType") == "Patient":
                parts = [fhir.name(next(iter(fhir.listed(one.get("name"))), ""))]
                if born := self._say(one.get("birthDate")):
                    parts.append(f"born {born}")
                parts.append(self._say(one.get("gender")))
                found.append(", ".join(part for part in parts if part))
        if not found:
            main = self._main()
            found = [self._say(main.get("subject") or main.get("patient"))]
        return [text for text in dict.fromkeys(found) if text][:_MOST_PATIENTS]

    def blocks(self) -> Iterator[Block]:
        """All resources, by kind."""
        kinds: dict[str, list[Resource]] = {}
        for one in self.resources:
            kinds.setdefault(str(one.get("resourceType")), []).append(one)
        order = [*(kind for kind in _FIRST if kind in kinds)]
        order += [kind for kind in kinds if kind not in _FIRST and kind not in _LAST]
        order += [kind for kind in _LAST if kind in kinds]
        for kind in order:
            yield from self._kind(kind, kinds[kind])

    def _kind(self, kind: str, found: list[Resource]) -> Iterator[Block]:
        if kind == "Composition":
            for one in found:
                yield from self._composition(one)
            return
        if len(self.resources) > 1:
            count = f" ({len(found)})" if len(found) > 1 else ""
            yield Heading(2, fhir.label(kind) + count)
        plain = found
        if kind == "Observation" and len(found) >= _FEW:
            yield fhir.observations(found, self.resolve)
            plain = []
            for one in found:
                self.attachments.take(one)
                yield from self._contained(one, 3)
        for one in plain:
            if len(found) > 1 and (title := self.title(one)):
                yield Heading(3, title)
            yield from self._resource(one, 3 if len(found) > 1 else 2)

    def _resource(self, one: Resource, level: int) -> Iterator[Block]:
        told = self.attachments.take(one)
        said = narrative(one.get("text"))
        items = tuple(
            fhir.members(one, self.resolve, but={"_address", *(("data",) if is_attachment(one) else ())})
        )
        data = (Listing(items),) if items else ()
        yield from said
        if not _tells(said, data):
            yield from data
        yield from (Paragraph(line) for line in told)
        yield from self._contained(one, level + 1)

    def _contained(self, one: Resource, level: int) -> Iterator[Block]:
        for inner in fhir.listed(one.get("contained")):
            if isinstance(inner, Mapping):
                kind = fhir.label(str(inner.get("resourceType") or "contained"))
                title = self.title(inner)
                yield Heading(min(level, 6), f"{kind}: {title}" if title else kind)
                yield from self._resource(inner, level)

    def _composition(self, one: Resource) -> Iterator[Block]:
        self.attachments.take(one)
        yield from narrative(one.get("text"))
        kept = {"_address", "section", "title", "date", "custodian"}
        if items := tuple(fhir.members(one, self.resolve, but=kept)):
            yield Listing(items)
        for section in fhir.listed(one.get("section")):
            yield from self._section(section, 2)
        yield from self._contained(one, 2)

    def _section(self, section: Any, level: int) -> Iterator[Block]:
        if not isinstance(section, Mapping):
            return
        title = self._say(section.get("title")) or fhir.concept(section.get("code"))
        yield Heading(min(level, 6), title or "Section")
        said = narrative(section.get("text"))
        yield from said
        kept = {"title", "code", "text", "section", *(("entry", "emptyReason") if said else ())}
        if items := tuple(fhir.members(section, self.resolve, but=kept)):
            yield Listing(items)
        for inner in fhir.listed(section.get("section")):
            yield from self._section(inner, level + 1)


_MOST_PATIENTS: Final = 20


def narrative(text: Any) -> tuple[Block, ...]:
    """The blocks of a narrative, which is to be XHTML; what is not well-formed is read as HTML."""
    div = text.get("div") if isinstance(text, Mapping) else None
    if not isinstance(div, str) or not div.strip():
        return ()
    try:
        root = strictly(div.strip().encode())
    except UnreadableError:
        return flowed(div)
    return Flow().blocks(neutral(root)) if local(root) else ()


def _tells(said: tuple[Block, ...], data: tuple[Block, ...]) -> bool:
    """Whether the narrative says what the data say, so that they need not be shown beside it."""
    if not said or not data:
        return not data
    told = _vocabulary(said)
    wanted = _vocabulary(data)
    return words(said) > 0 and len(wanted & told) >= _TOLD * len(wanted)


def _vocabulary(blocks: tuple[Block, ...]) -> set[str]:
    return {word.strip(".,;:()[]").casefold() for text in texts(blocks) for word in text.split()}


def _loinc(kind: Any) -> dict[str, str | None] | None:
    for one in fhir.listed(kind):
        for code in fhir.listed(one.get("coding") if isinstance(one, Mapping) else None):
            if isinstance(code, Mapping) and "loinc.org" in str(code.get("system")) and code.get("code"):
                display = code.get("display")
                return {"code": str(code["code"]), "display": str(display) if display else None}
    return None
