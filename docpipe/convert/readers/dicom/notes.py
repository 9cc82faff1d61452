"""What a DICOM dataset notes on its pictures and curves: findings, texts, coded regions and procedures."""

from collections.abc import Iterator
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Heading, Listing, Paragraph
from docpipe.convert.readers.dicom.text import sequence, text_of

UNDRAWN: Final = "the curves are not shown; the original has them"
_CODED: Final = (
    ("Procedure", "ProcedureCodeSequence"), ("Requested procedure", "RequestedProcedureCodeSequence"),
    ("Performed procedure", "PerformedProtocolCodeSequence"), ("Region", "AnatomicRegionSequence"),
    ("Structure", "PrimaryAnatomicStructureSequence"), ("View", "ViewCodeSequence"),
    ("Reason for the request", "ReasonForRequestedProcedureCodeSequence"),
    ("Reason for the procedure", "ReasonForPerformedProcedureCodeSequence"),
    ("Diagnosis", "AdmittingDiagnosesCodeSequence"), ("Contrast", "ContrastBolusAgentSequence"),
    ("Purpose of reference", "PurposeOfReferenceCodeSequence"),
)  # fmt: skip
_MODIFIERS: Final = (
    "AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence", "ViewModifierCodeSequence",
    "ModifierCodeSequence",
)  # fmt: skip
_MOST: Final = 1_000


def coded(dataset: Any) -> Iterator[tuple[str, str]]:
    """Labels and texts of coded elements: region, procedure, reason."""
    for label, name in _CODED:
        texts = dict.fromkeys(text for item in sequence(dataset, name) if (text := _code(item)))
        if texts:
            yield label, ", ".join(texts)


def _code(item: Any) -> str:
    text = text_of(item, "CodeMeaning") or text_of(item, "CodeValue") or text_of(item, "LongCodeValue")
    more = [_code(each) for name in _MODIFIERS for each in sequence(item, name)]
    return f"{text} ({', '.join(filter(None, more))})" if any(more) else text


def notes(dataset: Any) -> Iterator[Block]:
    """The findings on curves, and the texts on pictures."""
    findings = [_finding(item) for item in sequence(dataset, "WaveformAnnotationSequence")]
    yield from _listed("Findings", findings)
    texts = [
        text_of(each, "UnformattedTextValue")
        for item in sequence(dataset, "GraphicAnnotationSequence")
        for each in sequence(item, "TextObjectSequence")
    ]
    yield from _listed("Texts on the picture", texts)
    yield from _listed("Curves", [_curve(item) for item in sequence(dataset, "WaveformSequence")])


def _listed(title: str, lines: list[str]) -> Iterator[Block]:
    kept = list(dict.fromkeys(line for line in lines if line))[:_MOST]
    if kept:
        yield Heading(2, title)
        yield Listing(tuple((Paragraph(line),) for line in kept))


def _finding(item: Any) -> str:
    """A text, a code, or a measurement with its unit."""
    name = ", ".join(filter(None, map(_code, sequence(item, "ConceptNameCodeSequence"))))
    units = [text_of(unit, "CodeValue") for unit in sequence(item, "MeasurementUnitsCodeSequence")]
    unit = "" if units[:1] == ["1"] else " ".join(units[:1])
    number = text_of(item, "NumericValue")
    values = [
        text_of(item, "UnformattedTextValue"),
        f"{number.removesuffix('.0')} {unit}".strip() if number else "",
        ", ".join(filter(None, map(_code, sequence(item, "ConceptCodeSequence")))),
    ]
    text = "; ".join(value for value in values if value)
    return f"{name}: {text}" if name and text else name or text


def _curve(item: Any) -> str:
    """The description of a group of curves: label, channels, sampling rate."""
    sources = [
        text
        for channel in sequence(item, "ChannelDefinitionSequence")
        for source in sequence(channel, "ChannelSourceSequence")
        if (text := _code(source))
    ]
    rate, label = text_of(item, "SamplingFrequency").removesuffix(".0"), text_of(item, "MultiplexGroupLabel")
    parts = [label, ", ".join(sources), f"{rate} samples a second" if rate else ""]
    return "; ".join(part for part in parts if part)
