"""Why a file was not read, or not completely: sentences for the nurse who has to act on it.

Converters describe what is wrong with a file in a sentence of their own, which is kept as the detail. The
tables here give the plain sentence that comes first, without technical words, and the advice. A new sentence
needs no entry as long as it is plain; a test checks every sentence that the code can produce.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from docpipe.report.labels import one_line

_LONGEST: Final = 400
_OPEN: Final = "Open the original."
_AGAIN: Final = "Ask the sender for another copy."
_ADMIN: Final = "Report this to your docpipe administrator, and open the original until then."
_TRUST: Final = "Ask the sender whether the file belongs there."
_SEE: Final = "Open the original to see whether that is right."
_SCANS: Final = (
    "Look at it in the PDF, or open the original. Those who run docpipe can install OCR, which reads scans, "
    "and do the run again."
)


class Weight(StrEnum):
    """What a warning means for who relies on the readable form."""

    MISSING = "missing"  # something of the document is not in it
    CHECK = "check"  # it may differ from the original
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class PlainReason:
    """A reason in plain words."""

    text: str
    """A sentence in plain words."""
    advice: str
    """What can be done, a sentence, or empty."""
    detail: str
    """The sentence of the converter, where that is more technical; else empty."""


_PLAIN: Final = (  # a reason with technical words, and the plain sentence in its place
    (r"The converter (stopped|could not be started)", "docpipe itself failed to read this document."),
    (r"The conversion took longer than", "Reading the document took too long and was stopped."),
    (
        r"The documents of this patient took",
        "Reading the documents of this patient took too long in all; this one was not read.",
    ),
    (r"The document needs more (than .* of )?memory", "The document is too large, or too complicated."),
    (r"The (XML|JSON|Outlook message) is damaged|This HL7 message has no segments", "The file is damaged."),
    (r"The (XML|JSON) is too large", "The file is too large to be read."),
    (r"The XML is made to exhaust memory", "The file is built to do harm and was not opened."),
    (r".* nested too deeply", "The file is built in so unusual a way that it cannot be read."),
    (r"The file is damaged in its archive: its checksum", "The file is damaged in its archive."),
    (r"The file is packed in a way", "The file is packed in a way that docpipe cannot open."),
    (r"The picture unpacks to more pixels", "The picture is too large to be opened."),
    (r".*unpacks? to more than", "The file is far larger than it looks, as files made to do harm are."),
    (r"Its bytes overlap", "The archive is built as those made to do harm are; this file was not unpacked."),
    (r"The file needs more memory to be unpacked", "The file is too large to be unpacked."),
    (r"The name is unsafe", "The file's name is unsafe: it was not unpacked."),
    (r"An archive nested more than", "The file is packed in too many archives within one another."),
    (r"Not a file, but", "This is not a document, but a reference to something on another computer."),
    (r"The document inside of this file is damaged", "The document inside of this file is damaged."),
    (r"an embedded document could not be decoded", "A document inside of this file is damaged."),
    (
        r"the picture could not be decoded",
        "The picture could not be opened; only the text beside it is shown.",
    ),
    (r"(This is .*); install docpipe\[", r"\1, and what reads such files is not installed."),
    (r"(This is .*); LibreOffice ", r"\1 that could not be opened."),
    (r"the PDF is set from the text", "The PDF shows the text without pictures and layout."),
    (r"This is of an unknown type", "The type of the file is unknown; there is no converter for it."),
    (r"no text was found on .* pictures", "No text was found on pages that are pictures."),
    (r"only the first .* scanned pages were read", "Not all scanned pages were read as text."),
    (r".* scanned pages could not be read", "Some scanned pages could not be read as text."),
    (r".* pages are damaged and could not be read", "Some pages are damaged and could not be read."),
    (r"the fonts of .* do not name their letters", "The text of some pages may be unreadable."),
    (r"scanned pages were not read", "It is a scan or a picture, and was not read as text."),
    (r"the XML was not well-formed", "The file had mistakes, which were corrected."),
    (r"the JSON was not well-formed", "The file had mistakes, which were corrected."),
    (r"a name stands twice in the JSON", "The file has a value twice; both are kept."),
    (r"the PDF is a form in XFA", "The PDF is a special form; parts of it may be missing."),
    (r"the picture was encoded anew", "The picture in the PDF is a copy of slightly different quality."),
    (r"only the first .* of the JSON", "Only the beginning of the file is shown."),
)
_ADVICE: Final = (  # the first that fits
    (r"docpipe\[", "Those who run docpipe can install it and do the run again."),
    (r"password|encrypted", "Ask the sender for a copy without a password, or for the password."),
    (r"scanned pages were not read", _SCANS),
    (r"no text was found", "Look at these pages in the PDF."),
    (r"is not installed for OCR", "Those who run docpipe can install it and do the run again."),
    (r"OCR", "Compare the text with the picture of the page before you rely on it."),
    (r"install LibreOffice where", "Open it with LibreOffice or Microsoft Office."),
    (r"the PDF is set from the text", "Open the original for its pictures and layout."),
    (r"The converter |could not be read \(", _ADMIN),
    (r"made to do harm|exhaust memory|overlap|is unsafe", _TRUST),
    (r"Not a file, but|nested more than|too long|times its size", _TRUST),
    (
        r"the archive does not hold it",
        "Do the run again; if it is still missing, ask those who run the exchange.",
    ),
    (r"separate file", "Ask the sender for that file."),
    (r"cut short|damaged|cannot be mended|is not where|checksum|no pages|be decoded|lacks its text", _AGAIN),
    (r"not unpacked|larger than|unpacks to more|to be unpacked|is packed in a way", _AGAIN),
    (r"check it against the original", "Check it against the original."),
    (r"open it with |original|the text has", ""),
    (r"its .* listed on", ""),
    (r"empty|has no text|without any|says nothing|nothing but", _SEE),
    (r".", _OPEN),
)
_NO_DETAIL: Final = re.compile(
    r"This is of an unknown type|no text was found on (\d+) of \1 "
)  # no need of detail
_MISSING: Final = re.compile(
    r"not (be )?(read|shown|taken|decoded|told)|could not|only the (first|beginning|text)|lacks|encrypted|"
    r"without pictures|the first of|too (large|deeply)|no text was found|not installed|refers to|no PDF"
)
_CHECK: Final = re.compile(r"check|damaged|cut short|mended|stands twice|may be|formulas|OCR")
_NOTE: Final = re.compile(r"are included|not checked|^no preview|for a preview|the text has|encoded anew")
_BRACKET: Final = re.compile(r"\s*\([^()]*\)(?=\.$)")  # at the end: the name of an error, a number


@lru_cache(2048)
def plain_words(reason: str) -> PlainReason:
    """A reason or a warning of a converter, in plain words."""
    line = one_line(reason, _LONGEST)
    matches = ((re.match(pattern, line), plain) for pattern, plain in _PLAIN)
    text = next((match.expand(plain) for match, plain in matches if match), _BRACKET.sub("", line))
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, line)), "")
    sentence = text[:1].upper() + text[1:]
    sentence += "" if not sentence or sentence.endswith((".", "…", "!", "?")) else "."
    same = sentence.rstrip(".").lower() == line.rstrip(".").lower() or _NO_DETAIL.match(line)
    return PlainReason(sentence, advice, "" if same else line)


@lru_cache(2048)
def weight_of(warning: str) -> Weight:
    """What a warning means."""
    if _NOTE.search(warning):
        return Weight.NOTE
    if _MISSING.search(warning) and "check it" not in warning:
        return Weight.MISSING
    return Weight.CHECK if _CHECK.search(warning) else Weight.NOTE
