"""The digest on the task: never longer than the tracker takes, cut at whole lines, and how much is cut."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from docpipe.report.digest import LIMIT, cut, length
from tests.report_support import build, document, facts

LINES = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=60), max_size=60)
POINTER = re.compile(r"\(Shortened: ([\d,]+) of ([\d,]+) lines? left out\.")


def units(text: str) -> int:
    """Characters as programs in Java, C# and JavaScript count them."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(LINES, st.integers(200, 2_000))
def test_the_limit_holds_whatever_the_lines_are(lines: list[str], limit: int) -> None:
    """The text fits, consists of whole lines from the first on, and the pointer counts the others."""
    text = cut(lines, limit)
    assert len(text) <= units(text) <= limit
    whole = "".join(f"{line}\n" for line in lines)
    if units(whole) <= limit:
        assert text == whole
        return
    kept, _, pointer = text.rpartition("\n(")
    left, all_ = (int(number.replace(",", "")) for number in POINTER.match("(" + pointer).groups())
    assert all_ == len(lines)
    assert kept == "".join(f"{line}\n" for line in lines[: len(lines) - left])
    assert left > 0


@given(st.sampled_from(["x", "é", "😀", "\\"]), st.integers(0, 5))
def test_one_long_line_is_left_out_whole(char: str, before: int) -> None:
    """A line that is longer than all there is room for does not get through, nor a part of it."""
    text = cut([*["short"] * before, char * (LIMIT + 1), "after"])
    assert text.startswith("short\n" * before + "\n(Shortened: 2 of ")
    assert char * 9 not in text


@given(st.text())
def test_characters_are_counted_both_ways(text: str) -> None:
    """JSON Schema counts code points, others UTF-16 units; the larger of both is counted."""
    assert length(text) == units(text) >= len(text)


@pytest.mark.parametrize("title", ["*" * 120, "😀" * 120, "plain"])
@pytest.mark.parametrize("count", [1, 300, 3000])
def test_the_digest_fits_the_task(count: int, title: str) -> None:
    """However many documents there are and whatever they are called, the tracker takes the digest."""
    files = [document(f"{number}.pdf", title=title, author="Dr. Who") for number in range(count)]
    _, _, digest = build(facts(files))
    assert units(digest) <= LIMIT
    assert digest.endswith("\n")
    reported = digest.count("\n- ") - 1
    result = POINTER.search(digest)
    assert reported + (int(result[1].replace(",", "")) if result else 0) == count


HOSTILE = st.text(st.sampled_from("*_`[]()<>#!|~&:/.w@\\-+ \n1abcps"), max_size=40)


@given(HOSTILE)
@example("1. Letter")
@example("1.")
def test_titles_make_no_markdown(title: str) -> None:
    """A title makes no link, heading, list, emphasis, code or HTML where the digest is rendered."""
    usual, hostile = (build(facts([document("a.pdf", title=name)]))[2] for name in ("plain", title))
    kinds = [[(token.type, token.tag) for token in tokens(text)] for text in (usual, hostile)]
    assert kinds[0] == kinds[1]


def tokens(text: str) -> list:
    result = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    inner = [child for token in result for child in token.children or ()]
    return [token for token in (*result, *inner) if token.type not in ("text", "text_special")]


@pytest.mark.parametrize("link", ["http://evil.example", "https://evil.example/x", "www.evil.example"])
def test_addresses_in_titles_are_no_links(link: str) -> None:
    """GitHub's Markdown makes links of bare addresses, unless they are taken apart."""
    _, _, digest = build(facts([document("a.pdf", title=f"see {link} now")]))
    assert not re.search(r"://|www\.", digest)
    assert link in digest.replace("\\", "")
