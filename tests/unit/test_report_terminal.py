"""The report on a terminal: a head, words without signs of Markdown, nothing that a terminal obeys."""

from typing import Any

import msgspec

from docpipe import report
from docpipe.report.terminal import as_lines
from docpipe.results.report import Facts, Report
from tests.report_support import build, document, facts

SCANS = "scanned pages were not read"


def printed(expected: dict[str, Any]) -> str:
    """What `docpipe report` prints of a run."""
    made = report.build(msgspec.convert(expected, Facts))
    return "\n".join(as_lines(made))


def test_the_head_names_whose_it_is() -> None:
    """Patient, state, run and dates come first, then what became of the files."""
    head = printed(facts([document(), document("b.pdf", "failed", reason="The PDF is damaged.")]))
    assert head.splitlines()[:5] == [
        "Patient P1: Completed",
        "  run        01J00000000000000000000000",
        "  retrieved  2026-01-01 10:00:00 to 2026-01-01 10:01:00 UTC",
        "  task       T1",
        "  files      2 files: 1 could not be read, 1 readable",
    ]


def test_words_have_no_escapes() -> None:
    """Dates, brackets and names stand as they are; the digest for the task escapes the same."""
    files = [
        document(title="Letter_1 (*copy*) [2]", date="2023-09-14", media_type="image/tiff", author="Dr. O-K"),
        document("lab-1.pdf", "failed", reason="The PDF is damaged."),
        document("fax-1.tif", warnings=[SCANS]),
    ]
    text = printed(facts(files))
    assert "\\" not in text
    assert "  2023-09-14  Letter_1 (*copy*) [2] (Scan or fax (TIFF), 2 pages, Dr. O-K)" in text.splitlines()
    assert "    - lab-1.pdf" in text.splitlines()
    headings = [line for line in text.splitlines() if line and not line.startswith(" ")][1:]
    assert headings == ["Problems", "Kept, but not read, or not wholly", "Documents"]
    assert "\\-" in build(facts(files))[2]


def test_a_finding_is_named_by_title_and_file() -> None:
    """Where the title is not the name in the archive both are printed, once each."""
    files = [
        document("x/a.pdf", "failed", reason="The PDF is damaged.", title="Referral"),
        document("x/b.pdf", "failed", reason="The PDF is damaged."),
    ]
    lines = printed(facts(files)).splitlines()
    assert lines.count("    - Referral (x/a.pdf)") == lines.count("    - x/b.pdf") == 1
    assert sum("damaged" in line for line in lines) == 1


def test_a_run_without_documents_gives_the_reason() -> None:
    """The error of a failed run, or that there is nothing."""
    failed = printed(facts([], state="failed", error="There is no patient P1.", task_id=""))
    assert failed.startswith("Patient P1: Failed\n  There is no patient P1.\n")
    assert "files" not in failed
    assert "task" not in failed
    assert "The exchange holds no documents for this patient." in printed(facts([]))


def test_a_terminal_gets_no_orders() -> None:
    """Control characters of a stranger's title, author, path and reason do not come through."""
    evil = "\x1b[2J\x07\u202eevil"
    files = [
        document(title=evil, author=evil, date=evil),
        document(evil, "failed", reason=evil, title=evil),
    ]
    text = printed(facts(files, error=evil, problem=evil))
    assert text.replace("\n", "").isprintable()
    assert text.count("evil") > 5


def test_a_stored_report_prints_the_same() -> None:
    """report.json has all that is needed, also of files that were not kept."""
    of_run = facts([document(), document("b.txt", "duplicate", duplicate_of="a.pdf")])
    stored = msgspec.json.encode(build(of_run)[0])
    assert "\n".join(as_lines(msgspec.json.decode(stored, type=Report))) == printed(of_run)
