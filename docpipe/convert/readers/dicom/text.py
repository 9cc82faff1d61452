"""The text of a DICOM dataset: its header, its structured report, its directory."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph, tidy
from docpipe.convert.readers.cda.times import iso_date

_SEX: Final = {"M": "male", "F": "female", "O": "other"}
_MAIN: Final = (
    ("Patient id", "PatientID"), ("Modality", "Modality"), ("Study", "StudyDescription"),
    ("Series", "SeriesDescription"), ("Body part", "BodyPartExamined"), ("Laterality", "Laterality"),
    ("View", "ViewPosition"), ("Protocol", "ProtocolName"), ("Accession number", "AccessionNumber"),
    ("Institution", "InstitutionName"), ("Department", "InstitutionalDepartmentName"),
    ("Referring physician", "ReferringPhysicianName"), ("Performing physician", "PerformingPhysicianName"),
    ("Reading physician", "NameOfPhysiciansReadingStudy"),
    ("Requested procedure", "RequestedProcedureDescription"),
    ("Reason", "ReasonForTheRequestedProcedure"), ("History", "AdditionalPatientHistory"),
    ("Diagnosis", "AdmittingDiagnosesDescription"), ("Comments", "ImageComments"),
    ("Patient comments", "PatientComments"), ("Document", "DocumentTitle"), ("Completion", "CompletionFlag"),
    ("Verification", "VerificationFlag"),
    ("Manufacturer", "Manufacturer"), ("Model", "ManufacturerModelName"),
)  # fmt: skip
_AT_HEAD: Final = frozenset(
    {"PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"} | {name for _, name in _MAIN}
)
_WORDLESS: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "OB or OW", "UI", "UN", "SQ", "AT", "US or SS", "US or SS or OW"}
)
_LONG: Final = 2_000
_MOST: Final = 300
_MOST_RECORDS: Final = 5_000
_DEEPEST: Final = 60


def text_of(dataset: Any, name: str) -> str:
    """An element as text for people, empty where it is missing or cannot be read."""
    try:
        value = dataset.get(name) if dataset is not None else None
        return _text(value)
    except Exception:  # noqa: BLE001 - a value that breaks its type raises when it is looked at
        return ""


def _text(value: Any) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    if hasattr(value, "family_name"):
        return _person(value)
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return ", ".join(filter(None, map(_text, value)))
    return tidy(str(value))


def _person(name: Any) -> str:
    parts = (name.name_prefix, name.given_name, name.middle_name, name.family_name, name.name_suffix)
    full = " ".join(part for part in parts if part)
    groups = [str(getattr(name, group, "") or "") for group in ("ideographic", "phonetic")]
    other = ", ".join(group.replace("^", " ").strip() for group in groups if group.strip("^ "))
    return tidy(f"{full} ({other})" if full and other else full or other)


def when(dataset: Any, what: str) -> str:
    """The date of a study, series or content with its time, as ISO 8601; empty where it is missing."""
    date, time = (
        text_of(dataset, f"{what}Date").replace(".", ""),
        text_of(dataset, f"{what}Time").replace(":", ""),
    )
    return iso_date(date + time.split(".")[0]) or iso_date(date) or ""


def sequence(dataset: Any, name: str) -> list[Any]:
    """The items of a sequence, none where it is missing or broken."""
    try:
        references = dataset.get(name)
        return [item for item in references or () if hasattr(item, "get")]
    except Exception:  # noqa: BLE001 - as above
        return []


def header(dataset: Any, coded: Iterable[tuple[str, str]] = ()) -> Iterator[Block]:
    """The main elements, then `coded`, then all other elements with text."""
    born = iso_date(text_of(dataset, "PatientBirthDate"))
    sex = _SEX.get(text_of(dataset, "PatientSex").upper(), "")
    number = text_of(dataset, "PatientID")
    numbered = f"number {number}" if number else ""
    patient = [text_of(dataset, "PatientName"), f"born {born}" if born else "", sex, numbered]
    lines = [("Patient", ", ".join(part for part in patient if part)), ("Date", when(dataset, "Study"))]
    lines += [(label, text_of(dataset, name)) for label, name in _MAIN]
    lines += coded
    rows, columns, frames = (text_of(dataset, name) for name in ("Rows", "Columns", "NumberOfFrames"))
    if rows and columns:
        several = f", {frames} pictures" if frames not in {"", "1"} else ""
        lines.append(("Picture", f"{columns} by {rows} pixels{several}"))
    items = tuple((Paragraph(f"{label}: {text}"),) for label, text in lines if text)
    if items:
        yield Listing(items)
    more = tuple((Paragraph(line),) for line in islice(dict.fromkeys(_rest(dataset)), _MOST))
    if more:
        yield Heading(2, "Technical details")
        yield Listing(more)


def _rest(dataset: Any, depth: int = 0) -> Iterator[str]:
    """All other elements with text, those within sequences behind: regions of interest, doses, protocols."""
    try:
        elements = list(dataset)
    except Exception:  # noqa: BLE001 - as above
        return
    for element in elements:
        if element.tag.is_private or element.VR in _WORDLESS or element.keyword in _AT_HEAD:
            continue
        text = text_of(dataset, element.keyword) if element.keyword else ""
        if text and len(text) <= _LONG:
            yield f"{element.name}: {text}"
    for element in elements if depth < _NESTED else ():
        if element.VR == "SQ" and element.keyword and not _is_read(element.keyword):
            for item in sequence(dataset, element.keyword)[:_MOST]:
                yield from _rest(item, depth + 1)


def _is_read(keyword: str) -> bool:
    """Whether a sequence is read elsewhere, or refers to other objects."""
    return keyword.startswith(_REFERRING) or keyword.endswith(_READ)


_REFERRING: Final = ("Referenced", "Source", "PerFrame", "SharedFunctional", "Other", "Original", "Current")
_READ: Final = (
    "CodeSequence", "ContentSequence", "RegionSequence", "StructureSequence", "AnnotationSequence",
    "WaveformSequence", "DirectoryRecordSequence", "LUTSequence", "EvidenceSequence",
    "ContrastBolusAgentSequence", "ContourSequence", "ContourImageSequence",
)  # fmt: skip
_NESTED: Final = 4
"""Sequences within sequences that are read."""


def report(dataset: Any) -> Iterator[Block]:
    """The content tree of a structured report: containers as headings, the rest as text."""
    items = sequence(dataset, "ContentSequence")
    if items:
        concept = next(iter(sequence(dataset, "ConceptNameCodeSequence")), None)
        yield Heading(2, text_of(concept, "CodeMeaning") or "Report")
    yield from _contents(items, 3)


def _contents(items: list[Any], level: int) -> Iterator[Block]:
    if level > _DEEPEST:
        return
    for item in items:
        name, value = _concept(item), _content(item)
        inner = sequence(item, "ContentSequence")
        if text_of(item, "ValueType") == "CONTAINER":
            if name:
                yield Heading(min(level, 6), name)
            yield from _contents(inner, level + 1)
            continue
        if text := f"{name}: {value}" if name and value else name or value:
            yield Paragraph(text)
        if below := tuple(_contents(inner, level + 1)):
            yield Listing(tuple((block,) for block in below))


def _concept(item: Any) -> str:
    concept = next(iter(sequence(item, "ConceptNameCodeSequence")), None)
    return text_of(concept, "CodeMeaning") or text_of(concept, "CodeValue")


def _content(item: Any) -> str:
    match text_of(item, "ValueType"):
        case "NUM":
            values = [_measured(each) for each in sequence(item, "MeasuredValueSequence")]
            qualifiers = sequence(item, "NumericValueQualifierCodeSequence")  # such as why there is no value
            values += [text_of(each, "CodeMeaning") for each in qualifiers]
            return "; ".join(filter(None, values))
        case "CODE":
            code = next(iter(sequence(item, "ConceptCodeSequence")), None)
            marked = f"{text_of(code, 'CodingSchemeDesignator')} {text_of(code, 'CodeValue')}".strip()
            return f"{text_of(code, 'CodeMeaning')} ({marked})" if marked else text_of(code, "CodeMeaning")
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            references = sequence(item, "ReferencedSOPSequence")
            return ", ".join(filter(None, (text_of(one, "ReferencedSOPInstanceUID") for one in references)))
        case "DATE" | "DATETIME":
            text = text_of(item, "DateTime") or text_of(item, "Date")
            return iso_date(text) or text
        case _:
            names = ("TextValue", "PersonName", "Time", "UID", "GraphicType")
            return next((text for name in names if (text := text_of(item, name))), "")


def _measured(value: Any) -> str:
    unit = next(iter(sequence(value, "MeasurementUnitsCodeSequence")), None)
    code = text_of(unit, "CodeValue")
    name = "" if code == "1" else code or text_of(unit, "CodeMeaning")
    return f"{text_of(value, 'NumericValue')} {name}".strip()


def directory(dataset: Any) -> Iterator[Block]:
    """What a DICOMDIR lists: patients, studies and series, with the number of files of each."""
    lines: list[tuple[int, str]] = []
    counted = 0
    for record in sequence(dataset, "DirectoryRecordSequence")[:_MOST_RECORDS]:
        match text_of(record, "DirectoryRecordType"):
            case "PATIENT":
                lines.append(
                    (0, f"Patient: {text_of(record, 'PatientName')} {text_of(record, 'PatientID')}".strip())
                )
            case "STUDY":
                lines.append(
                    (1, f"Study: {when(record, 'Study')} {text_of(record, 'StudyDescription')}".strip())
                )
            case "SERIES":
                series = " ".join(
                    text_of(record, name) for name in ("Modality", "SeriesNumber", "SeriesDescription")
                )
                lines.append((2, f"Series: {series}".strip()))
            case _:
                counted += 1
    if lines:
        yield Heading(2, "Directory")
        yield Listing(tuple((Paragraph("- " * depth + text),) for depth, text in lines))
    if counted:
        yield Paragraph(f"{counted} files are listed.")
