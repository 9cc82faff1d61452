"""The reports: complete, in plain words, harmless whatever a document calls itself."""

import json
import re
from base64 import b64decode
from copy import deepcopy
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.model import Activity, Outcome
from docpipe.report import pictures
from docpipe.report.labels import ACTIVITIES, OUTCOMES, TYPES, one_line, span
from tests.report_support import ID, at, build, document, facts, pictured, step, wait, wrong

VOID = ("meta", "rect", "line", "br", "img")
PNG = b"\x89PNG\r\n\x1a\n"
STATIC = Path(__file__).parents[2] / "docpipe" / "web" / "static"


class Page(HTMLParser):
    """What a browser would make of the page, as far as it matters here."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.policy = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not any(name.startswith("on") or name == "style" for name in given)
        self.links += [given["href"]] if tag == "a" else []
        self.images += [given["src"]] if tag == "img" else []
        assert tag != "img" or given["alt"]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.styles if self.open and self.open[-1] == "style" else self.texts).append(data)


def page_of(expected: dict[str, Any], images: dict[str, bytes | None] | None = None) -> Page:
    page = Page(build(expected, images)[1])
    assert not page.open
    return page


def test_everything_is_reported_problems_first() -> None:
    """Each file is in the table, what needs an eye comes before, and links lead to the document's folder."""
    files = [
        document("ccd.xml", title="Discharge letter", media_type="application/hl7-cda+xml"),
        document("bad.pdf", "failed", reason="The PDF is cut short and cannot be mended."),
        document("evil", "refused", reason="Its name leads out of the archive."),
        document("scan.tif", warnings=["scanned pages were not read"], media_type="image/tiff"),
        document("ocr.tif", warnings=["text was read by OCR: check it against the picture"]),
        document("copy.pdf", "duplicate", duplicate_of="ccd.xml"),
        document("x.dcm", "stored", reason="This is a DICOM image; there is no converter for it yet."),
    ]
    report, html, digest = build(facts(files, state="completed_with_errors"))
    assert wrong(report) == []
    page = Page(html)
    assert not page.open
    assert [problem["path"] for problem in report["problems"]] == ["bad.pdf", "evil"]
    assert [item["path"] for item in report["not_read"]] == ["scan.tif", "x.dcm"]
    assert [item["path"] for item in report["to_check"]] == ["ocr.tif"]
    for file in files:
        assert file["path"] in page.text
    for text in (page.text, digest.replace("\\", "")):
        assert text.index("The PDF is cut short") < text.index("Discharge letter")
        assert "It is a scan or a picture, and was not read as text." in text
        assert "Compare the text with the picture of the page" in text
    assert "Clinical document (CDA), 2 pages" in page.text
    assert f"../../{ID}/document.pdf" in page.links
    assert f"../../{ID}/original.pdf" in page.links
    assert page.tags.count("tr") == 1 + len(files)
    assert "Lee, Zoë" in page.text


def test_where_a_document_comes_from() -> None:
    """Path, archive, the document that it was found in, and its custodian are beside the title."""
    outer = document("ccd.xml", title="Referral", custodian="General Hospital")
    inner = document("ccd.xml/1.pdf", title="Letter", derived_from=ID, id="f" * 16, key=f"P1/{'f' * 16}")
    nested = document("more.zip/a.txt", title="Note", parent="more.zip", id="e" * 16)
    text = page_of(facts([outer, inner, nested])).text
    for words in (
        "ccd.xml from General Hospital",
        "ccd.xml/1.pdf found in Referral",
        "in the archive more.zip",
    ):
        assert words in text


def test_a_hundred_scans_are_one_fact() -> None:
    """What is to be said of many files is said once, with their names, a bounded number of them."""
    files = [document(f"{n}.tif", warnings=["scanned pages were not read"]) for n in range(130)]
    _, html, digest = build(facts(files))
    page = Page(html)
    assert "(130 files)" in page.text
    assert "and 30 more, in the list of documents" in page.text
    assert page.text.count("Those who run docpipe can install OCR") == 1
    assert page.text.count("In detail: scanned pages were not read") == 1
    assert "(130 files)" in digest.replace("\\", "")


def test_the_latest_come_first_and_opened_archives_are_read() -> None:
    """The latest readable document comes first; an archive whose files are listed is not unread."""
    files = [
        document("old", date="2001-01-01"),
        document("undated", date=None),
        document("new", date="2024-01-01"),
        document("x.zip", "stored", media_type="application/zip", reason="An archive; its files are listed."),
    ]
    report, html, digest = build(facts(files))
    assert report["not_read"] == []
    for text in (Page(html).text, digest):
        assert text.index("new") < text.index("old") < text.index("undated")


def test_a_failed_run_says_why() -> None:
    """Without documents the reason is what the page and the digest are about."""
    of_run = facts([], state="failed", error="The exchange could not complete the search.")
    report, html, digest = build(of_run | {"archive": None})
    assert wrong(report) == []
    assert "The exchange could not complete the search." in Page(html).text
    assert digest.startswith("# Failed\n")
    assert "could not complete" in digest
    assert "ended before this list could be made" in Page(html).text
    assert "no documents" not in Page(html).text
    _, html, digest = build(facts([]))
    assert "no documents" in Page(html).text
    assert "no documents" in digest


def test_what_the_tracker_did_not_take_is_reported() -> None:
    """A problem with the task stands on the page and in the digest, which is read beside that very task."""
    of_run = facts([document()], problem="The tracker did not let the task go from closed to completed.")
    _, html, digest = build(of_run)
    assert "from closed to completed" in Page(html).text
    assert "from closed to completed" in digest


def test_pictures_are_within_the_page_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first documents have thumbnails; what is no PNG, too large or beyond the bound is left out."""
    files = [document(f"{n}.pdf", id=f"{n:016x}", key=f"P1/{n:016x}") for n in range(6)]
    files.append(document("x", "failed", reason="It is damaged.", id="e" * 16, key="P1/x"))
    monkeypatch.setattr(pictures, "MOST", 5)
    wanted = pictured(files)
    assert wanted == [f"{n:016x}" for n in range(5)]
    some = dict(zip(wanted, [PNG + b"1" * 400, None, b"<svg>", PNG + b"4" * 900, PNG + b"5"], strict=True))
    monkeypatch.setattr(pictures, "LARGEST", 500)
    assert [b64decode(image.partition(",")[2])[8:9] for image in page_of(facts(files), some).images] == [
        b"1",
        b"5",
    ]
    monkeypatch.setattr(pictures, "MOST_BYTES", 410)
    (image,) = page_of(facts(files), some).images
    assert image.startswith("data:image/png;base64,")


def test_a_report_of_ten_thousand_documents_is_bounded() -> None:
    """Pictures take 4 MiB at most and rows about a kilobyte, so nothing comes near a gigabyte."""
    files = [document(f"{n}.pdf", id=f"{n:016x}", key=f"P1/{n:016x}") for n in range(10_000)]
    large = dict.fromkeys(pictured(files), PNG + b"x" * 400_000)
    assert len(large) == pictures.MOST
    of_run = facts(files)
    of_run["timeline"] += [step("ConvertFile", n / 5000, n / 5000 + 0.001) for n in range(10_000)]
    _, html, digest = build(of_run, large)
    assert html.count("<img") == pictures.MOST_BYTES // 400_008
    assert len(html) < 16 * 2**20
    assert html.count("<rect") < 1100, "conversions close to each other are one bar"
    assert len(digest) <= 65_536


def test_the_policy_allows_only_what_is_in_the_page() -> None:
    """No script, no request, and no style but the two whose digests the policy names."""
    page = page_of(facts([document()], patient_id='P"1</style>\\'))
    assert "script" not in page.tags
    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    named = [b64decode(word) for word in re.findall(r"'sha256-([^']+)'", page.policy)]
    assert named == [sha256(style.encode()).digest() for style in page.styles]
    assert len(named) == 2
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles))


def test_by_year_and_type() -> None:
    """Years without documents between others are shown, long spans in steps, and how many have no date."""
    files = [document("a", date="2019-01-01"), document("b", date="2021-01-01"), document("c", date=None)]
    text = page_of(facts(files)).text
    assert "2021 1 2020 0 2019 1 1 without a date" in text
    assert "PDF 3" in text
    text = page_of(facts([document("a", date="1931-01-01"), document("b", date="2024")])).text
    assert "2020 to 2024 1 2015 to 2019 0" in text
    many = [document(f"{n}", media_type=f"x/{n}") for n in range(30)]
    assert "15 other types 15" in page_of(facts(many)).text


def test_the_timeline_in_words_and_shapes() -> None:
    """Activities are bars, questions ticks, waits shaded by their kind; all of it stands there in words."""
    of_run = facts([document()])
    of_run["timeline"][0] |= {"attempts": 3}
    of_run["timeline"].append(step("PutToStorage", 30, 40, outcome="failed"))
    html = build(of_run)[1]
    text = Page(html).text
    assert "Starts the search 5.0 s, 2 retries, waited 4.0 s for a quota" in text
    assert "Waits for the search 15.0 s, asked 3 times, waited 15.0 s for the search" in text
    assert "Stores documents 10.0 s, failed" in text
    assert html.count('<line class="tick" x1="133.3"') == 1
    assert '<rect class="wait-quota" x="0.0" y="2" width="66.7"' in html
    assert '<rect class="act-failed" x="500.0" y="2" width="166.7"' in html
    assert "From 2026-01-01 10:00:00 to 2026-01-01 10:01:00 UTC, 1 min 0 s in all." in text


def test_a_wait_ends_with_its_activity() -> None:
    """A wait that was noted a moment longer than its activity took is shown as long as the activity."""
    of_run = facts([document()])
    of_run["waits"] = [wait("DocEx_Search", "outage", 1, 7), wait("DocEx_Search", "quota", 5.5, 6)]
    html = build(of_run)[1]
    assert "waited 4.0 s for an outage" in Page(html).text
    assert 'class="wait-quota" x=' not in html


@pytest.mark.parametrize(
    ("seconds", "output"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (75, "1 min 15 s"), (7_500, "2 h 5 min"), (180_000, "2 days 2 h")],
)
def test_spans_of_time(seconds: float, output: str) -> None:
    """A span is reported in the units that people use for it."""
    assert span(seconds) == output


def words_in(file: str, name: str) -> dict[str, str]:
    """A table of words in the page of the service."""
    body = re.search(rf"const {name} = \{{(.*?)\n\}};", (STATIC / file).read_text("utf-8"), re.DOTALL)
    assert body is not None
    return dict(re.findall(r'(\w+): "([^"]*)"', body[1]))


def test_the_page_of_the_service_uses_the_same_words() -> None:
    """Activities are called the same in the report and on the page; nothing is without words."""
    assert words_in("dom.js", "ACTIVITIES") == ACTIVITIES
    assert words_in("dom.js", "OUTCOMES") == OUTCOMES
    assert set(ACTIVITIES) == set(Activity)
    assert set(OUTCOMES) == set(Outcome)


def test_every_type_has_a_name() -> None:
    """What the converters tell apart has plain words in the report."""
    from docpipe.convert.core.kinds import KINDS  # noqa: PLC0415 -- nothing else here needs it

    assert KINDS.keys() - TYPES.keys() == set()


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
            "Z\u0335\u0321\u0353\u0301\u0302\u0303\u0304\u0305\u0306\u0307",
            "\\'\");}@import url(//evil.example)",
        ]
    ),
)


@given(HOSTILE, HOSTILE, HOSTILE, st.sampled_from(list(Outcome)))
def test_hostile_texts_stay_texts(title: str, path: str, reason: str, outcome: Outcome) -> None:
    """Whatever titles, names and reasons hold, no tag, attribute, heading or direction mark comes of it."""
    of_it = {"title": title, "author": title, "custodian": title, "media_type": title, "date": path}
    file = document(path, outcome.value, reason=reason, parent=path, warnings=[reason], **of_it)
    of_run = facts([file], patient_id=title, error=reason, problem=reason, task_id=path)
    of_run["patient"] |= {"family": title, "given": path, "sex": reason}
    _, html, digest = build(of_run)
    page = Page(html)
    assert set(page.tags) <= ALLOWED
    assert page.tags.count("style") == 2
    assert page.tags.count("td") == 5
    assert all(link.startswith(("#", "../../0123456789abcdef/")) for link in page.links)
    assert not any(mark in html + digest for mark in "\u202e\u2066\0\ud800")
    assert all(
        re.match(r"(  )?[#(-]|$", line) for line in digest.splitlines()[2:] if line not in output(reason)
    )
    html.encode()


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "h1", "h2", "h3"),
    *("p", "div", "span", "strong", "bdi", "a", "ul", "li", "dl", "dt", "dd", "svg", "rect", "line"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}


def output(reason: str) -> set[str]:
    """The line of the digest that tells why a run failed: text that stays text."""
    from docpipe.report.digest import _plain  # noqa: PLC0415 -- the one place that is allowed to begin freely

    return {_plain(reason, 600), "The exchange holds no documents for this patient."}


@given(st.text(), st.integers(2, 50))
def test_shown_texts_are_one_short_line(text: str, limit: int) -> None:
    """A text of a stranger becomes one line of bounded length."""
    assert len(one_line(text, limit)) <= limit
    assert one_line(text, limit).isprintable()


def test_marks_do_not_pile_up() -> None:
    """Letters with a few marks stay as they are; towers of marks are taken down."""
    assert one_line("Zoe\u0308 Nguye\u0302\u0303n") == "Zoe\u0308 Nguye\u0302\u0303n"
    assert one_line("Z" + "\u0301" * 50) == "Z" + "\u0301" * 4


def test_the_same_facts_make_the_same_reports() -> None:
    """A report that is made again after a crash is the same, and leaves the facts alone."""
    of_run = facts([document("b"), document("a", "failed", reason="The file is cut short.")])
    before = deepcopy(of_run)
    first = build(of_run)
    assert build(of_run) == first
    assert of_run == before
    assert json.loads(json.dumps(first[0])) == first[0]


def test_the_schema_refuses_what_it_does_not_know() -> None:
    """A member that nobody described, a wrong outcome or a missing fact is found."""
    report, _, _ = build(facts([document()]))
    assert wrong(report) == []
    for spoilt in (
        {**report, "more": 1},
        {**report, "documents": [document(outcome="converted") | {"outcome": "eaten"}]},
        {**report, "run": {"run_id": "x"}},
        {**report, "waits": [wait("DocEx_Search", "boredom", 0, 1)]},
        {**report, "timeline": [step("DocEx_Search", 0, 1) | {"started": "yesterday"}]},
    ):
        assert wrong(spoilt), spoilt


def test_times_are_reported_without_fractions() -> None:
    """Times for people are to the second."""
    assert at(61.5) not in page_of(facts([document()])).text
    assert "2026-01-01 10:00:00 to 10:01:00" in page_of(facts([document()])).text
    later = facts([document()], finished="2026-01-02T00:00:00+00:00")
    assert "2026-01-01 10:00:00 to 2026-01-02 00:00:00" in page_of(later).text
