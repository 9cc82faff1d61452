"""Reasons in plain words: every sentence that converters and the archive's readers can say is understood."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from docpipe.report.reasons import Weight, plain_words, weight_of

ROOT = Path(__file__).parents[2] / "docpipe"
FOLDERS = ("convert", "archive", "workers")
SAYS = {
    *("UnreadableError", "NothingToReadError", "BadMemberError", "Verdict", "_TooLargeError"),
    *("WorkerCrashedError", "WorkerTimeoutError", "WorkerMemoryError", "MissingExtraError"),
}
JARGON = re.compile(
    r"\b(XML|JSON|XFA|bytes?|checksum|column \d|segments?|pixels?|signal|errno|null|parse\w*|"
    r"method \d|memory|encoded|nested|well-formed|exception|\w+Error|stderr|traceback|decoded)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"This is an? [^;.]*")
"""What a file is called by its type, such as "an XML file", is what it is called on any computer."""


def texts(node: ast.expr) -> Iterator[str]:
    """The texts an expression may stand for, with 2 for what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text.replace("{}", "2")
        case ast.JoinedStr(values=values):
            yield "".join(next(texts(value), "2") for value in values)
        case ast.IfExp(body=one, orelse=other):
            yield from texts(one)
            yield from texts(other)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield next(texts(left), "2") + next(texts(right), "2")


@cache
def reasons() -> set[str]:
    """Sentences that end as the reason of a file."""
    result = set()
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            given: list[ast.expr] = []
            match node:
                case ast.Call(func=ast.Name(id=name), args=args) if name in SAYS:
                    given = args
                case ast.Call(func=ast.Name(id="Words"), keywords=words):  # of a kind of job
                    given = [word.value for word in words]
                case ast.Assign(targets=[ast.Attribute(attr="reason") | ast.Name(id="reason")], value=value):
                    given = [value]
                case ast.Return(value=ast.Constant() | ast.JoinedStr() as value):
                    given = [value]
                case ast.AnnAssign(value=ast.Constant() as value):
                    given = [value]
            result |= {text for one in given for text in texts(one) if re.match(r"[A-Z].* .*\.$", text)}
    return result


@cache
def warnings() -> set[str]:
    """Sentences that end as the warning of a document: those that stand in lower case in a converter."""
    result = set()
    for path in sorted((ROOT / "convert").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            given: list[ast.expr] = []
            match node:
                case ast.Call(func=ast.Attribute(value=value, attr="append"), args=args) if (
                    "warnings" in ast.unparse(value)
                ):
                    given = args
                case ast.AnnAssign(value=ast.Constant() | ast.JoinedStr() as value):
                    given = [value]
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper():
                    given = [value]
                case ast.Expr(value=ast.Yield(value=ast.JoinedStr() as value)):
                    given = [value]
            result |= {
                text for one in given for text in texts(one) if re.fullmatch(r"[a-z0-9].* .* [^{}<>]*", text)
            }
    return result


def test_reasons_are_found() -> None:
    """The search through the code finds what it is meant to find."""
    assert {
        "The PDF needs a password.",
        "The XML is damaged at line 2, column 2.",
        "It is larger than 2.",
    } <= reasons()
    assert {"The file is cut short in its archive.", "The conversion took longer than 2."} <= reasons()
    assert {"scanned pages were not read", "2 of 2 scanned pages could not be read"} <= warnings()
    assert {"charts are not shown; they are in the original"} <= warnings()
    assert len(reasons()) > 60
    assert len(warnings()) > 40


def test_no_reason_needs_a_programmer() -> None:
    """What is said first is a sentence without technical words; those stand behind it as the detail."""
    for reason in sorted(reasons() | warnings()):  # not collected one by one: to find them takes a second
        words = plain_words(reason)
        assert words.text[0].isupper() or words.text[0].isdigit(), reason
        assert words.text.endswith("."), reason
        assert not JARGON.search(NAMES.sub("", words.text)), words.text
        assert "(" not in words.text.replace("(CDA)", "").replace("(MHTML)", "").replace("(OCR)", "")


@pytest.mark.parametrize(
    ("reason", "plain", "advice"),
    [
        ("The PDF needs a password.", "The PDF needs a password.", "without a password"),
        ("The converter stopped unexpectedly (KeyError in x:12).", "docpipe itself failed", "Report this"),
        ("This is a PDF that could not be read (KeyError).", "that could not be read.", "Report this"),
        ("The XML is damaged at line 3, column 4.", "The file is damaged.", "another copy"),
        ("The name is unsafe: it points outside of the archive.", "unsafe", "whether the file belongs"),
        ("This is a DICOM image; install docpipe[dicom] to do so.", "what reads", "can install it"),
        ("scanned pages were not read", "It is a scan or a picture", "open the original"),
        ("2 of 9 scanned pages could not be read", "Some scanned pages", "Open the original"),
        ("The file is empty.", "The file is empty.", "see whether that is right"),
        ("the document refers to a separate file that the archive lacks", "separate", "Ask the sender for"),
    ],
)  # fmt: skip
def test_what_can_be_done(reason: str, plain: str, advice: str) -> None:
    """Each kind of reason comes with what can be done about it."""
    words = plain_words(reason)
    assert plain.lower() in words.text.lower()
    assert advice in words.advice


def test_the_detail_stands_behind() -> None:
    """What the converter said is kept where other words are said first, and not said twice where not."""
    assert (
        plain_words("The XML is damaged at line 3, column 4.").detail
        == "The XML is damaged at line 3, column 4."
    )
    assert plain_words("The file is cut short.").detail == ""
    assert plain_words("charts are not shown").detail == ""
    assert plain_words("").text == ""


NO_FONT = "the PDF lacks some characters because no font has them; the text has them"


@pytest.mark.parametrize(
    ("warning", "weight"),
    [
        ("scanned pages were not read", Weight.MISSING),
        ("only the first 3 of 9 scanned pages were read", Weight.MISSING),
        ("pictures within the text were not read", Weight.MISSING),
        ("an embedded document could not be decoded", Weight.MISSING),
        ("the language spa is not installed for OCR", Weight.MISSING),
        ("text was read by OCR: check it against the picture", Weight.CHECK),
        ("the PDF was damaged and was mended; check that no page is missing", Weight.CHECK),
        ("the XML was not well-formed and was mended; check it against the original", Weight.CHECK),
        ("a name stands twice in the JSON; both values are kept", Weight.CHECK),
        ("hidden sheets are included", Weight.NOTE),
        ("the PDF lacks some characters because no font has them; the text has them", Weight.NOTE),
        (f"{NO_FONT}; install the package fonts-noto-cjk for them", Weight.NOTE),
        ("text in layers that are switched off was left out; the original has it", Weight.NOTE),
        ("text outside of the visible page was left out; the original has it", Weight.NOTE),
        ("the PDF had scripts, which were taken out of the copy", Weight.NOTE),
    ],
)
def test_what_a_warning_means(warning: str, weight: Weight) -> None:
    """Something is missing, is to be checked, or is good to know."""
    assert weight_of(warning) is weight
