"""DICOM: pictures as a viewer shows them, headers as text, reports, documents, and broken files."""

import io
import sys
import time

import numpy as np
import pydicom
import pypdfium2
import pytest
from PIL import Image

from docpipe.convert.readers.dicom import from_dicom
from tests.unit.convert import documents
from tests.unit.convert.documents import run

PDF = documents.pdf()
SYNTAX = pydicom.uid.ExplicitVRLittleEndian


def dataset(**elements):
    """A dataset of a patient with a study."""
    made = pydicom.Dataset()
    made.PatientName = "Doe^Jane"
    made.PatientBirthDate = "19700102"
    made.PatientSex = "F"
    made.StudyDate = "20240131"
    made.StudyTime = "093000"
    made.Modality = "CT"
    made.StudyDescription = "Chest"
    made.InstitutionName = "A Clinic"
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.SOPInstanceUID = "1.2.3"
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def saved(made, *, bare=False):
    """A dataset as the bytes of a file, without the preamble where it is to be bare."""
    out = io.BytesIO()
    if not bare:
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.file_meta.TransferSyntaxUID = SYNTAX
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    pydicom.dcmwrite(out, made, enforce_file_format=not bare, implicit_vr=False, little_endian=True)
    return out.getvalue()


def picture(values, kind="MONOCHROME2", **elements):
    """A dataset with one frame of gray values."""
    made = dataset(**elements)
    made.Rows, made.Columns = values.shape[:2]
    made.BitsAllocated = made.BitsStored = 8 * values.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = 0
    made.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if values.ndim == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = kind
    made["PixelData"] = pydicom.DataElement("PixelData", "OW", values.tobytes())
    return made


HALVES = np.array([[0] * 20 + [1000] * 20] * 40, dtype="uint16")


def shade(tmp_path, part):
    """How bright the left (0) or right (1) half of the page's middle is."""
    page = Image.open(tmp_path / "out" / "thumbnail.png").convert("L")
    return page.getpixel((int(page.width * (0.3 + 0.4 * part)), page.height // 2))


def test_picture_and_header(tmp_path):
    """The first frame becomes the PDF, and the header's words the text, without the private ones."""
    made = picture(HALVES)
    made.add_new(0x00091001, "LO", "SECRET VENDOR")
    done, outputs = run(tmp_path, saved(made))
    assert done["outcome"] == "converted"
    assert outputs["document.pdf"].startswith(b"%PDF-")
    text = outputs["text.md"].decode()
    assert "- Patient: Jane Doe, born 1970-01-02, female\n- Date: 2024-01-31T09:30:00\n" in text
    assert "- Picture: 40 by 40 pixels" in text
    assert "SECRET" not in text
    assert [done["metadata"][key] for key in ("title", "date", "custodian")] == [
        "Chest",
        "2024-01-31T09:30:00",
        "A Clinic",
    ]
    assert shade(tmp_path, 0) < 50
    assert shade(tmp_path, 1) > 200


def test_same_bytes_same_pdf(tmp_path):
    """Nothing in the PDF depends on when it was made, to the second."""
    first = run(tmp_path / "a", saved(picture(HALVES)))[1]["document.pdf"]
    time.sleep(1.1)  # what is made of the time of day changes with the second
    assert run(tmp_path / "b", saved(picture(HALVES)))[1]["document.pdf"] == first


def test_inverted_gray_is_righted(tmp_path):
    """MONOCHROME1 means that the smallest value is white."""
    run(tmp_path, saved(picture(HALVES, "MONOCHROME1")))
    assert shade(tmp_path, 1) < 50
    assert shade(tmp_path, 0) > 200


def test_window_is_heeded(tmp_path):
    """A window says which values to tell apart; all above it are white."""
    three = HALVES.copy()
    three[:, 0] = 60_000
    run(tmp_path, saved(picture(three, WindowCenter=500, WindowWidth=1000)))
    assert shade(tmp_path, 0) < 50
    assert shade(tmp_path, 1) > 200


def test_colours(tmp_path):
    """A picture in RGB keeps its colours."""
    red = np.zeros((40, 40, 3), dtype="uint8")
    red[..., 0] = 255
    run(tmp_path, saved(picture(red, "RGB")))
    page = Image.open(tmp_path / "out" / "thumbnail.png")
    assert page.getpixel((page.width // 2, page.height // 2)) == (255, 0, 0)


def test_further_frames_are_reported(tmp_path):
    """The preview is of the first frame alone, and says so."""
    made = picture(HALVES, NumberOfFrames=2)
    made["PixelData"] = pydicom.DataElement("PixelData", "OW", HALVES.tobytes() * 2)
    assert run(tmp_path, saved(made))[0]["warnings"] == ["the preview shows the first of 2 pictures"]


def test_file_without_preamble(tmp_path):
    """Old files start with their first element."""
    done, outputs = run(tmp_path, saved(picture(HALVES), bare=True))
    assert (done["media_type"], done["outcome"]) == ("application/dicom", "converted")
    assert "Jane Doe" in outputs["text.md"].decode()
    assert "thumbnail.png" in outputs


def test_pixels_that_cannot_be_decoded_leave_the_text(tmp_path):
    """A cut picture is a warning beside the header's text."""
    data = saved(picture(HALVES))
    done, outputs = run(tmp_path, data[:-2000])
    assert done["outcome"] == "converted"
    assert done["warnings"] == ["the picture could not be decoded; only the text of the header is converted"]
    assert "Jane Doe" in outputs["text.md"].decode()


def test_encapsulated_document(tmp_path):
    """A PDF within DICOM is a document of its own, without its padding."""
    made = dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", DocumentTitle="Report")
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = PDF + b"\0" * (len(PDF) % 2)
    made.EncapsulatedDocumentLength = len(PDF)
    done, _ = run(tmp_path, saved(made))
    assert [part["name"] for part in done["embedded"]] == ["embedded-1.pdf"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes() == PDF
    assert done["metadata"]["title"] == "Report"


def item(kind, name, **elements):
    """An item of a structured report."""
    made = pydicom.Dataset()
    made.RelationshipType = "CONTAINS"
    made.ValueType = kind
    code = pydicom.Dataset()
    code.CodeMeaning = name
    made.ConceptNameCodeSequence = [code]
    for key, value in elements.items():
        setattr(made, key, value)
    return made


def test_structured_report_is_text(tmp_path):
    """Containers become headings, findings lines, measurements have their units."""
    unit, measured = pydicom.Dataset(), pydicom.Dataset()
    unit.CodeValue = "mm"
    measured.NumericValue = "7.50"
    measured.MeasurementUnitsCodeSequence = [unit]
    number = item("NUM", "Diameter", MeasuredValueSequence=[measured])
    finding = item("TEXT", "Finding", TextValue="A nodule", ContentSequence=[number])
    made = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        ValueType="CONTAINER",
        ContentSequence=[item("CONTAINER", "Findings", ContentSequence=[finding])],
    )
    _, outputs = run(tmp_path, saved(made))
    assert "### Findings\n\nFinding: A nodule\n\n- Diameter: 7.50 mm\n" in outputs["text.md"].decode()


def test_without_the_extra_it_is_kept(tmp_path, monkeypatch):
    """Without pydicom the file is stored, with the way to have it converted."""
    monkeypatch.setitem(sys.modules, "pydicom", None)
    done, outputs = run(tmp_path, saved(dataset()))
    assert (done["outcome"], outputs) == ("stored", {})
    assert done["reason"] == "This is a DICOM image; install docpipe[dicom] to have it converted."
    assert done["metadata"]["needs"] == "dicom"


def test_nothing_but_a_preamble_fails_plainly(tmp_path):
    """A file that is cut off at once says so."""
    done, _ = run(tmp_path, bytes(128) + b"DICM")
    assert (done["outcome"], done["reason"]) == (
        "failed",
        "The DICOM file is cut short: it has no header that could be read.",
    )


@pytest.mark.parametrize(
    ("syntax", "second"),
    [
        ("1.2.840.10008.1.2.4.57", "gdcm"),
        ("1.2.840.10008.1.2.4.70", "gdcm"),
        ("1.2.840.10008.1.2.4.80", "gdcm"),
        ("1.2.840.10008.1.2.4.81", "gdcm"),
        ("1.2.840.10008.1.2.5", "pydicom"),
        ("1.2.840.10008.1.2.4.50", None),
        ("1.2.840.10008.1.2.4.51", None),
        ("1.2.840.10008.1.2.4.90", None),
        ("1.2.840.10008.1.2.4.91", None),
        ("1.2.840.10008.1.2.1", None),
        ("1.2.3.4", None),
    ],
)
def test_old_libraries_read_only_what_no_other_can(monkeypatch, syntax, second):
    """GDCM's JPEG 2000 is of 2017: what Pillow refuses of it is not handed on."""
    asked = []

    def refusing(_source, index, decoding_plugin):
        asked.append(decoding_plugin)
        raise ValueError

    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", refusing)
    with pytest.raises(ValueError):  # noqa: PT011 -- it has no text
        from_dicom._decoded("x", syntax)
    assert asked == ["pillow", *([second] if second else [])]


def part(**elements):
    """An item of a sequence."""
    made = pydicom.Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def code(meaning, value="1", **more):
    """An item that names something by a code."""
    return part(CodeValue=value, CodingSchemeDesignator="X", CodeMeaning=meaning, **more)


def test_findings_of_a_curve_are_text(tmp_path):
    """Statements, measurements with their units and coded findings; the curve itself is not shown."""
    notes = [
        item("", "", UnformattedTextValue="ST elevation V2-V4"),
        item("", "QTc", NumericValue="480.0", MeasurementUnitsCodeSequence=[code("millisecond", "ms")]),
        item("", "Rhythm", ConceptCodeSequence=[code("Sinus rhythm")]),
    ]
    lead = part(ChannelSourceSequence=[code("Lead I")])
    curve = part(ChannelDefinitionSequence=[lead], SamplingFrequency="500.0")
    done, outputs = run(
        tmp_path, saved(dataset(Modality="ECG", WaveformAnnotationSequence=notes, WaveformSequence=[curve]))
    )
    text = outputs["text.md"].decode()
    assert "ST elevation V2-V4\n- QTc: 480 ms\n- Rhythm: Sinus rhythm\n" in text
    assert "- Lead I; 500 samples a second" in text
    assert "the curves are not shown; the original has them" in done["warnings"]


def test_texts_on_a_picture_and_coded_regions(tmp_path):
    """A presentation state's texts, and what the header says by codes alone, with their sides."""
    texts = [part(TextObjectSequence=[part(UnformattedTextValue="nodule 8 mm here")])]
    region = code("Hip", AnatomicRegionModifierSequence=[code("Left")])
    made = dataset(
        GraphicAnnotationSequence=texts,
        ProcedureCodeSequence=[code("CT of left hip")],
        AnatomicRegionSequence=[region],
    )
    done, outputs = run(tmp_path, saved(made))
    text = outputs["text.md"].decode()
    assert "- Procedure: CT of left hip\n- Region: Hip (Left)\n" in text
    assert "## Texts on the picture\n\n- nodule 8 mm here\n" in text
    assert done["warnings"] == []


def test_texts_within_sequences_are_kept(tmp_path):
    """Regions of interest and doses of a plan are in sequences; references to other objects are left out."""
    region = pydicom.Dataset()
    region.ROIName, region.ROINumber = "GTV left lung", 1
    dose = pydicom.Dataset()
    dose.TargetPrescriptionDose, dose.DoseReferenceDescription = 60, "PTV"
    other = pydicom.Dataset()
    other.SeriesDescription = "elsewhere"
    plan = dataset(Modality="RTSTRUCT")
    plan.StructureSetROISequence, plan.DoseReferenceSequence = [region], [dose]
    plan.ReferencedStudySequence = [other]
    text = documents.text_of(tmp_path, saved(plan))
    assert "ROI Name: GTV left lung" in text
    assert "Target Prescription Dose: 60" in text
    assert "elsewhere" not in text


def test_page_of_a_picture_says_whose_it_is(tmp_path):
    """Above the picture, which stays as it is, stands the line that typeset pages bear."""
    made = picture(HALVES, PatientID="4711")
    _, outputs = run(tmp_path, saved(made))
    with pypdfium2.PdfDocument(outputs["document.pdf"]) as pdf:
        page = pdf[0]
        text = page.get_textpage().get_text_range()
        height = page.get_height()
        places = [each.get_bounds() for each in page.get_objects(max_depth=1)]
    for part in ("Jane Doe", "1970-01-02", "4711", "Chest", "page 1 of 1"):
        assert part in text
    assert all(top <= height for _, _, _, top in places)
    assert shade(tmp_path, 0) < 20
    assert shade(tmp_path, 1) > 230
