"""DICOM: the header as text, the first picture as a preview, reports as text, documents apart.

Needs the extra `docpipe[dicom]`: pydicom reads, and GDCM decodes what is compressed. Nothing is written onto
the picture, private elements are left out, and overlays are not drawn.
"""

import io
import warnings as python_warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from docpipe.convert.core.apart import ApartError, apart
from docpipe.convert.core.base import (
    Content,
    Embedded,
    Facts,
    MissingExtraError,
    NothingToReadError,
    Source,
    UnreadableError,
)
from docpipe.convert.core.blocks import Block, Heading, placeholder, tidy
from docpipe.convert.core.detect import detect
from docpipe.convert.core.kinds import kind_of
from docpipe.convert.readers.dicom.notes import UNDRAWN, coded, notes
from docpipe.convert.readers.dicom.text import directory, header, report, sequence, text_of, when
from docpipe.errors import DocpipeError

_BY_GDCM: Final = frozenset(f"1.2.840.10008.1.2.4.{kind}" for kind in (57, 70, 80, 81))
"""Transfer syntaxes of lossless JPEG and JPEG-LS; DICOM PS3.6, table A-1."""
_RLE: Final = "1.2.840.10008.1.2.5"
_UNSEEN: Final = "the picture could not be decoded; only the text of the header is converted"
_FIRST: Final = "the preview shows the first of {} pictures"
_HUGE: Final = "the picture is too large for a preview"
_MOST_BYTES: Final = 150_000_000
"""Of one decoded frame."""
_LONGEST_SIDE: Final = 4_096
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read(source: Source) -> Content:
    """The header as blocks, and the first frame as the PDF.

    Raises: UnreadableError; MissingExtraError without pydicom.
    """
    try:
        import numpy  # noqa: F401, ICN001, PLC0415 - heavy, and only for this
        import pydicom  # noqa: PLC0415 - likewise
    except ImportError:
        raise MissingExtraError("a DICOM image", "dicom") from None
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # it warns of each value that breaks the standard
        pydicom.config.logger.disabled = True
        try:
            return _read(source)
        except (DocpipeError, MemoryError, RecursionError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault; pydicom raises OSErrors of its own, too
            raise UnreadableError("The DICOM file is damaged and cannot be read.") from error


def _read(source: Source) -> Content:
    dataset = _dataset(source.path)
    facts = _facts(dataset)
    embedded = tuple(_embedded(dataset))
    blocks: list[Block] = [
        Heading(1, facts.title or "DICOM"),
        *header(dataset, coded(dataset)),
        *notes(dataset),
        *report(dataset),
    ]
    if _is_directory(dataset):
        blocks += directory(dataset)
    for one in embedded:
        kind = kind_of(detect(one.data, declared=one.declared)).name
        blocks.append(placeholder(f"The content of this document is {kind}, kept beside it as {one.name}."))
    warnings: list[str] = [UNDRAWN] if sequence(dataset, "WaveformSequence") else []
    pdf = _preview(source.path, dataset, warnings)
    return Content(
        blocks=tuple(blocks),
        pdf=pdf,
        bare=True,
        facts=facts,
        embedded=embedded,
        warnings=tuple(warnings),
        libraries=("pydicom", *(("img2pdf", "pillow") if pdf else ())),
    )


def _dataset(path: Path) -> Any:
    """The header, without the pixels.

    Raises: UnreadableError; NothingToReadError.
    """
    import pydicom  # noqa: PLC0415 - likewise

    dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    empty = not len(dataset)
    private = all(tag.is_private for tag in dataset.keys())  # noqa: SIM118 - it iterates over elements
    if empty:
        raise UnreadableError("The DICOM file is cut short: it has no header that could be read.")
    if private:
        raise NothingToReadError("This is a DICOM file with nothing but private data.")
    return dataset


def _is_directory(dataset: Any) -> bool:
    meta = getattr(dataset, "file_meta", None)
    return text_of(meta, "MediaStorageSOPClassUID") == _DIRECTORY or "DirectoryRecordSequence" in dataset


def _facts(dataset: Any) -> Facts:
    concept = next(iter(sequence(dataset, "ConceptNameCodeSequence")), None)
    observer = next(iter(sequence(dataset, "AuthorObserverSequence")), None)
    loinc = None
    if concept is not None and text_of(concept, "CodingSchemeDesignator") == "LN":
        loinc = {"code": text_of(concept, "CodeValue"), "display": text_of(concept, "CodeMeaning") or None}
    titles = ("DocumentTitle", "StudyDescription", "SeriesDescription", "RequestedProcedureDescription")
    named = next((text for name in titles if (text := text_of(dataset, name))), "")
    title = named or (text_of(concept, "CodeMeaning") if concept is not None else "") or _kind(dataset)
    return Facts(
        title=" ".join(tidy(title).split()) or None,
        date=when(dataset, "Study") or when(dataset, "Content") or when(dataset, "Series") or None,
        author=(text_of(observer, "PersonName") if observer is not None else "")
        or text_of(dataset, "NameOfPhysiciansReadingStudy")
        or text_of(dataset, "PerformingPhysicianName")
        or None,
        custodian=text_of(dataset, "InstitutionName") or None,
        loinc=loinc,
    )


def _kind(dataset: Any) -> str:
    if _is_directory(dataset):
        return "DICOM directory"
    uid = dataset.get("SOPClassUID")
    name = getattr(uid, "name", "")
    return name if name and name != uid else "DICOM file"


def _embedded(dataset: Any) -> Iterator[Embedded]:
    data = dataset.get("EncapsulatedDocument")
    if not isinstance(data, bytes) or not data:
        return
    length = dataset.get("EncapsulatedDocumentLength")
    data = data[:length] if isinstance(length, int) and 0 < length <= len(data) else data.rstrip(b"\0")
    declared = text_of(dataset, "MIMETypeOfEncapsulatedDocument") or None
    yield Embedded(f"embedded-1{kind_of(detect(data, declared=declared)).extension}", declared, data)


def _preview(path: Path, dataset: Any, warnings: list[str]) -> bytes | None:
    """The first frame as a PDF; None without pixels, or, with a warning, where they cannot be decoded."""
    if not _number(dataset, "Rows") or not _number(dataset, "Columns"):
        return None
    frames = max(1, _number(dataset, "NumberOfFrames"))
    wide = max(1, _number(dataset, "BitsAllocated") // 8) * max(1, _number(dataset, "SamplesPerPixel"))
    if _number(dataset, "Rows") * _number(dataset, "Columns") * max(wide, 4) > _MOST_BYTES:
        warnings.append(_HUGE)
        return None
    try:
        pdf = apart(lambda: _pdf(_picture(path, dataset)))
    except ApartError:
        warnings.append(_UNSEEN)
        return None
    if pdf and frames > 1:
        warnings.append(_FIRST.format(frames))
    return pdf or None


def _number(dataset: Any, name: str) -> int:
    try:
        return int(dataset.get(name) or 0)
    except (TypeError, ValueError):
        return 0


def _picture(path: Path, dataset: Any) -> Any:
    """The first frame as a Pillow picture of 8 bits, as a viewer would show it; None where there is none."""
    import numpy  # noqa: ICN001, PLC0415 - likewise
    from PIL import Image  # noqa: PLC0415 - likewise

    pixels, dataset = _frame(path, dataset)
    if pixels is None:
        return None
    colours = str(dataset.get("PhotometricInterpretation", "")).upper()
    flat = pixels.ndim == 2  # noqa: PLR2004 - rows and columns; colours are the third
    image = _gray(pixels, dataset, colours) if flat else pixels[..., :3]
    if image.dtype != numpy.uint8:
        image = _stretched(image)
    if colours == "MONOCHROME1":
        image = 255 - image
    picture = Image.fromarray(numpy.ascontiguousarray(image))
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return picture


def _frame(path: Path, dataset: Any) -> tuple[Any, Any]:
    """The first frame's pixels, in RGB where they have colours, and the whole dataset."""
    import pydicom  # noqa: PLC0415 - likewise

    if dataset.get("file_meta") is None and not getattr(dataset, "file_meta", None):
        return _bare(path)
    try:
        return _decoded(str(path), dataset.file_meta.TransferSyntaxUID), dataset
    except (AttributeError, KeyError, pydicom.errors.InvalidDicomError):
        return _bare(path)


def _decoded(source: Any, syntax: str) -> Any:
    """The first frame, by Pillow where it can, and by GDCM what only GDCM can.

    GDCM's libraries are old: the sender of a file does not choose that they read it.
    """
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415 - likewise

    try:
        return pixel_array(source, index=0, decoding_plugin="pillow")
    except (ValueError, RuntimeError, NotImplementedError, OSError):
        if syntax in _BY_GDCM:
            return pixel_array(source, index=0, decoding_plugin="gdcm")
        if syntax == _RLE:
            return pixel_array(source, index=0, decoding_plugin="pydicom")
        raise


def _bare(path: Path) -> tuple[Any, Any]:
    """The first frame of a file that lacks its preamble or its transfer syntax."""
    import pydicom  # noqa: PLC0415 - likewise

    whole = pydicom.dcmread(path, force=True)
    if not any(name in whole for name in _PIXELS):
        return None, whole
    meta = getattr(whole, "file_meta", None) or pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in meta:
        implicit = whole.original_encoding[0]
        meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        )
    whole.file_meta = meta
    return _decoded(whole, meta.TransferSyntaxUID), whole


def _gray(pixels: Any, dataset: Any, colours: str) -> Any:
    """Values as they are to be seen: rescaled, windowed, or through their palette."""
    from pydicom.pixels.processing import (  # noqa: PLC0415 - likewise
        apply_color_lut,
        apply_modality_lut,
        apply_voi_lut,
    )

    if colours == "PALETTE COLOR":
        return apply_color_lut(pixels, dataset)
    values = apply_modality_lut(pixels, dataset)
    if "VOILUTSequence" in dataset or dataset.get("WindowWidth"):
        try:
            return _within(apply_voi_lut(values, dataset), values)
        except Exception:  # noqa: BLE001 - invalid windows are common; all values are displayed then
            return values.astype("float64")
    return values.astype("float64")


def _within(windowed: Any, values: Any) -> Any:
    """Windowed values, unless the window leaves nothing to see."""
    return windowed if float(windowed.max()) > float(windowed.min()) else values.astype("float64")


def _stretched(values: Any) -> Any:
    """Values on the whole scale from black to white."""
    import numpy  # noqa: ICN001, PLC0415 - likewise

    values = numpy.nan_to_num(values.astype("float32"), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if values.ndim == 2 and high > low:  # noqa: PLR2004 - one outlier must not darken all the rest
        low, high = (float(edge) for edge in numpy.percentile(values, (0.1, 99.9)))
        if high <= low:
            low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0
    return numpy.clip((values - low) * scale, 0, 255).astype("uint8")


def _pdf(picture: Any) -> bytes:
    """The picture on a page; nothing where there is none."""
    if picture is None:
        return b""
    import img2pdf  # noqa: PLC0415 - likewise

    out = io.BytesIO()
    picture.save(out, "PNG")
    width, height = picture.size
    page = (img2pdf.mm_to_pt(216), img2pdf.mm_to_pt(279))
    if width > height:
        page = (page[1], page[0])
    layout = img2pdf.get_layout_fun(page, fit=img2pdf.FitMode.into)
    # The other engine puts the time of day into the file's identifier.
    made = img2pdf.convert(out.getvalue(), engine=img2pdf.Engine.internal, layout_fun=layout, nodate=True)
    return bytes(made)
