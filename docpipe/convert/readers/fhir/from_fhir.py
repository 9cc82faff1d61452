"""FHIR, in JSON, NDJSON or XML: narrative where there is some, data as lists and tables, attachments apart.

Resources are read tolerantly and none is checked: a strict model rejects a whole bundle for one field.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from docpipe.convert.core.base import Content, Facts, NothingToReadError, Source, UnreadableError
from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, texts, tidy, words
from docpipe.convert.core.marks import plain, struck
from docpipe.convert.core.tree import Flow
from docpipe.convert.core.xmltree import MENDED, local, parse, strictly
from docpipe.convert.readers.cda.narrative import neutral
from docpipe.convert.readers.fhir import values as fhir
from docpipe.convert.readers.fhir.files import Attachments
from docpipe.convert.readers.fhir.forms import form, questions
from docpipe.convert.readers.fhir.heads import alerts, current_name, document, patient, withdrawn
from docpipe.convert.readers.fhir.tables import observations
from docpipe.convert.readers.fhir.values import is_attachment
from docpipe.convert.readers.fhir.xml import resource
from docpipe.convert.readers.html.from_html import flowed
from docpipe.convert.readers.text import from_json
from docpipe.convert.readers.text.jsontext import load

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
_COVERED: Final = 0.8
"""The share of the data's words from which the narrative replaces the data."""
_FEW: Final = 2

Resource = Mapping[str, Any]


def read(source: Source) -> Content:
    """The resources in reading order, and the documents that they contain.

    Raises: UnreadableError; NothingToReadError where the file has no resource, or none with text.
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
        self._questions = questions([*self._by_address.values(), *resources])

    def resolve(self, reference: str) -> str:
        """What to call the resource that is referred to, empty where it is not here."""
        if not reference:
            return ""
        target = self._by_address.get(reference) or self._by_address.get(
            reference.split("/_history/", maxsplit=1)[0]
        )
        return self.title(target) if target is not None else ""

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
                text = fhir.name(current_name(part))
            else:
                text = fhir.concept(part) if isinstance(part, (dict, list, str)) else ""
            if text := " ".join(tidy(text).split()):
                return text[:300]
        return ""

    def facts(self) -> Facts:
        """The metadata of the document, or of the only resource."""
        main = self._main()
        kind = main.get("type") or main.get("code")
        title = fhir.inline(main.get("title"), self.resolve) or fhir.inline(
            main.get("description"), self.resolve
        )
        dates = ("date", "effectiveDateTime", "authored", "issued", "created", "indexed", "recordedDate")
        return Facts(
            title=(title or fhir.concept(kind) or self._title_of_all(main))[:500] or None,
            date=next((text for key in dates if (text := self._text(main.get(key)))), None),
            author=self._text(main.get("author") or main.get("performer")) or None,
            custodian=self._text(main.get("custodian")) or None,
            loinc=_loinc(kind),
            language=self._text(main.get("language")) or None,
        )

    def _text(self, value: Any) -> str:
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
        """The title, the patients, and the head of the document."""
        yield Heading(1, facts.title or "FHIR resource")
        lines = self._patients()
        lines += [
            f"{name}: {text}"
            for name, text in (
                ("Date", facts.date), ("Author", facts.author), ("Custodian", facts.custodian)
            )
            if text
        ]  # fmt: skip
        if facts.loinc:
            lines.append(f"Type: {facts.loinc['display'] or 'LOINC'} (LOINC {facts.loinc['code']})")
        main = self._main()
        lines += document(main, self.resolve)
        lines += alerts(main) if main.get("resourceType") in _WITH_ALERTS else []
        if lines:
            yield Listing(tuple((Paragraph(line),) for line in lines))

    def _patients(self) -> list[str]:
        patients = [one for one in self.resources if one.get("resourceType") == "Patient"]
        lines = [line for one in patients for line in patient(one, self.resolve)]
        if not lines:
            main = self._main()
            subject = main.get("subject") or main.get("patient")
            inside = (
                self._by_address.get(str(subject.get("reference"))) if isinstance(subject, Mapping) else None
            )
            if inside is not None and inside.get("resourceType") == "Patient":
                lines = list(patient(inside, self.resolve))
            elif (name := self._text(subject)) and not _ADDRESS.match(name):
                lines = [f"Patient: {name}"]
        return list(dict.fromkeys(lines))[:_MOST_PATIENTS]

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

    def _kind(self, kind: str, group: list[Resource]) -> Iterator[Block]:
        if kind == "Composition":
            for one in group:
                yield from self._composition(one)
            return
        if len(self.resources) > 1:
            count = f" ({len(group)})" if len(group) > 1 else ""
            yield Heading(2, fhir.label(kind) + count)
        plain = group
        if kind == "Observation" and len(group) >= _FEW:
            yield observations(group, self.resolve)
            plain = []
            for one in group:
                self.attachments.take(one)
                yield from self._contained(one, 3)
        for one in plain:
            off = withdrawn(one) and len(self.resources) > 1
            if (off or len(group) > 1) and (title := self.title(one)):
                yield Heading(3, f"{struck(title)} ({', '.join(alerts(one))})" if off else title)
            yield from self._resource(one, 3 if len(group) > 1 else 2)

    def _resource(self, one: Resource, level: int) -> Iterator[Block]:
        sentences = self.attachments.take(one)
        story = narrative(one.get("text"))
        but = {"_address", *(("data",) if is_attachment(one) else ())}
        kind = one.get("resourceType")
        questioned: tuple[tuple[Block, ...], ...] = ()
        if kind in {"Questionnaire", "QuestionnaireResponse"}:
            filled = kind == "QuestionnaireResponse"
            questioned = tuple(form(one.get("item"), self._questions, self.resolve, filled=filled))
            but.add("item")
        items = (*fhir.members(one, self.resolve, but=but), *questioned)
        data = (Listing(items),) if items else ()
        tells = _covers(story, data)
        if tells and (lines := alerts(one)):
            yield Paragraph("; ".join(lines))
        yield from story
        if not tells:
            yield from data
        yield from (Paragraph(line) for line in sentences)
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
        title = self._text(section.get("title")) or fhir.concept(section.get("code"))
        yield Heading(min(level, 6), title or "Section")
        story = narrative(section.get("text"))
        yield from story
        kept = {"title", "code", "text", "section", *(("entry", "emptyReason") if story else ())}
        if items := tuple(fhir.members(section, self.resolve, but=kept)):
            yield Listing(items)
        for inner in fhir.listed(section.get("section")):
            yield from self._section(inner, level + 1)


_WITH_ALERTS: Final = frozenset({"Composition", "DocumentReference", "DocumentManifest"})
_ADDRESS: Final = re.compile(r"[A-Za-z]+/\S+$|urn:|https?:|#")
"""A reference that nothing in the file resolves."""
_MOST_PATIENTS: Final = 40
"""Lines on patients in the head."""


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


def _covers(story: tuple[Block, ...], data: tuple[Block, ...]) -> bool:
    """Whether the narrative has the words of the data, so that the data need not be repeated."""
    if not story or not data:
        return not data
    known = _vocabulary(story)
    wanted = _vocabulary(data)
    return words(story) > 0 and len(wanted & known) >= _COVERED * len(wanted)


def _vocabulary(blocks: tuple[Block, ...]) -> set[str]:
    return {word.strip(".,;:()[]").casefold() for text in texts(blocks) for word in plain(text).split()}


def _loinc(kind: Any) -> dict[str, str | None] | None:
    for one in fhir.listed(kind):
        for code in fhir.listed(one.get("coding") if isinstance(one, Mapping) else None):
            if isinstance(code, Mapping) and "loinc.org" in str(code.get("system")) and code.get("code"):
                display = code.get("display")
                return {"code": str(code["code"]), "display": str(display) if display else None}
    return None
