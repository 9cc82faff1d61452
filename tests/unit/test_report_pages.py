"""The reports: complete, in plain words, harmless whatever a document calls itself."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.model import Outcome
from docpipe.report import build
from docpipe.report.digest import LIMIT
from docpipe.report.words import shown


def document(path: str = "a.pdf", outcome: str = "converted", **more: Any) -> dict[str, Any]:
    kept = {"id": "0123456789abcdef", "key": "P1/0123456789abcdef", "original": "original.pdf"}
    made = {"outputs": ["document.pdf", "text.md"], "media_type": "application/pdf", "pages": 2}
    entry = {
        "path": path,
        "outcome": outcome,
        "reason": None,
        "title": None,
        "warnings": [],
        "date": "2021-05-06",
    }
    return entry | (kept | made if outcome in ("converted", "stored", "failed") else {}) | more


def facts(documents: list[dict[str, Any]], **run: Any) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for file in documents:
        counts[file["outcome"]] = counts.get(file["outcome"], 0) + 1
    step = {"item": "", "attempts": 1, "outcome": "ok"}
    return {
        "run": {
            "run_id": "01J",
            "patient_id": "P1",
            "state": "completed",
            "task_id": "T1",
            "error": None,
            "problem": None,
            "started": "2026-01-01T10:00:00+00:00",
            "finished": "2026-01-01T10:01:00+00:00",
            **run,
        },
        "patient": {"id": "P1", "given": "Zoë", "family": "Lee", "birth_date": "1957-03-31", "sex": "female"},
        "documents": documents,
        "counts": counts,
        "timeline": [
            step
            | {
                "activity": "DocEx_Search",
                "started": "2026-01-01T10:00:00+00:00",
                "finished": "2026-01-01T10:00:05+00:00",
            },
            step | {"activity": "ConvertFile", "started": "2026-01-01T10:00:05+00:00", "finished": None},
        ],
    }


class Page(HTMLParser):
    """What a browser would make of the page, as far as it matters here."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not any(name.startswith("on") for name in given)
        self.links += [given["href"]] if tag == "a" else []
        if tag not in ("meta", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_everything_is_told_problems_first() -> None:
    """Each file is in the table, what needs an eye comes before, and links lead to the document's folder."""
    files = [
        document("ccd.xml", title="Discharge letter", media_type="application/hl7-cda+xml"),
        document("bad.pdf", "failed", reason="The PDF is cut short.", outputs=[]),
        document("evil", "refused", reason="Its name leads out of the archive."),
        document("scan.tif", warnings=["scanned pages were not read"], media_type="image/tiff"),
        document("copy.pdf", "duplicate", duplicate_of="ccd.xml"),
        document(
            "x.dcm", "stored", reason="This is a DICOM image.", media_type="application/dicom", outputs=[]
        ),
    ]
    report, html, digest = build(facts(files, state="completed_with_errors"))
    page = Page(html)
    assert not page.open
    assert [problem["path"] for problem in report["problems"]] == ["bad.pdf", "evil"]
    assert [item["path"] for item in report["not_read"]] == ["scan.tif", "x.dcm"]
    for file in files:
        assert file["path"] in page.text
    for text in (page.text, digest.replace("\\", "")):
        assert text.index("The PDF is cut short.") < text.index("Discharge letter")
        assert "scanned pages were not read" in text
    assert "Clinical document (CDA)" in page.text
    assert "../../0123456789abcdef/document.pdf" in page.links
    assert "../../0123456789abcdef/original.pdf" in page.links
    assert page.tags.count("tr") == 1 + len(files)
    assert page.tags.count("svg") == 3
    assert "Lee, Zoë" in page.text


def test_a_failed_run_says_why() -> None:
    """Without documents the reason is what the page and the digest are about."""
    _, html, digest = build(facts([], state="failed", error="The exchange could not complete the search."))
    assert "The exchange could not complete the search." in Page(html).text
    assert digest.startswith("# Failed\n")
    assert "could not complete" in digest
    _, html, digest = build(facts([]))
    assert "no documents" in Page(html).text
    assert "no documents" in digest


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "\u202egpj.exe",
            "x" * 4000,
            "</style><style>*{}",
            "[x](javascript:alert(1))",
            "a\n# b\n- c",
            "\ud800\0",
        ]
    ),
)


@given(HOSTILE, HOSTILE, HOSTILE, st.sampled_from(list(Outcome)))
def test_hostile_texts_stay_texts(title: str, path: str, reason: str, outcome: Outcome) -> None:
    """Whatever titles, names and reasons hold, no tag, attribute, heading or direction mark comes of it."""
    file = document(
        path, outcome.value, title=title, reason=reason, author=title, media_type=title, date=path
    )
    plain = document("p", outcome.value, title="t", reason="r", author="t", media_type="t", date="2021")
    _, html, digest = build(facts([file]))
    _, usual, _ = build(facts([plain]))
    tags = set(Page(html).tags)
    assert tags <= {
        *Page(usual).tags,
        "section",
        "ul",
        "li",
        "strong",
        "h2",
        "svg",
        "rect",
        "text",
        "span",
        "br",
    }
    assert not any(mark in html + digest for mark in "\u202e\u2066\0\ud800")
    assert all(line[:1] in "#-(" or not line for line in digest.splitlines())
    html.encode()


@given(st.text(), st.integers(2, 50))
def test_shown_texts_are_one_short_line(text: str, limit: int) -> None:
    """A text of a stranger becomes one line of bounded length."""
    assert len(shown(text, limit)) <= limit
    assert shown(text, limit).isprintable()


@pytest.mark.parametrize("count", [1, 300, 3000])
def test_the_digest_fits_the_task(count: int) -> None:
    """However many documents there are, the digest has at most 65,536 characters, cut at a whole line."""
    files = [document(f"{number}.pdf", title="*" * 100, author="Dr. Who") for number in range(count)]
    _, _, digest = build(facts(files))
    assert len(digest) <= LIMIT
    assert digest.endswith("\n")
    whole = digest.count("\n- ") > count
    assert whole or "more lines are in the full report" in digest
    assert build(facts(files))[2] == digest
