"""The page's Markdown: what it makes of a text, and that its work is linear in the text's length.

Work is counted, not timed: each turn of a loop and each letter that an expression passes is a step.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "docpipe" / "web" / "static"
SOURCE = (STATIC / "markdown.js").read_text("utf-8")
DOM = """
class Element {
  constructor(tag, children) { this.tag = tag; this.children = children; }
  toJSON() { return [this.tag, ...this.children.filter((child) => child !== null)]; }
}
export const h = (tag, attributes, ...children) => new Element(tag, children.flat());
"""
STEPS = 40
"""A letter, and a thousand for small texts: the page goes over a text several times, not once a letter."""
MAIN = """
import { readFileSync } from "node:fs";
const exec = RegExp.prototype.exec;
let steps = 0, most = 0;
globalThis.step = (count = 1) => { steps += count; if (steps > most) throw new Error("too many steps"); };
RegExp.prototype.exec = function (text) {
  const from = this.global || this.sticky ? this.lastIndex : 0;
  const match = exec.call(this, text);
  step(match ? match.index - from + match[0].length + 1 : this.sticky ? 1 : text.length - from + 1);
  return match;
};
const { rendered } = await import("./markdown.js");
const answers = JSON.parse(readFileSync(0, "utf-8")).map(([head, part, times, tail]) => {
  const text = head + part.repeat(times) + tail;
  [steps, most] = [0, STEPS * text.length + 1000];
  try { const made = rendered(text); return { steps, made: text.length < 1000 ? made : null }; }
  catch (error) { return { error: String(error) }; }
});
console.log(JSON.stringify(answers));
""".replace("STEPS", str(STEPS))


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """A function that renders texts, given as (head, part, times, tail), in Node.js."""
    node = shutil.which("node")
    if node is None:
        assert "CI" not in os.environ, "node is needed in CI"
        pytest.skip("SKIPPED LOUDLY: there is no node")
    folder = tmp_path_factory.mktemp("page")
    counted = re.sub(r"\bwhile \(", "while (step(), ", SOURCE)
    counted = re.sub(r"\bfor \(([^;()]*(?:\([^()]*\))?[^;()]*);", r"for (\1; step(), ", counted)
    assert counted.count("step()") == len(re.findall(r"\b(?:while|for) \(", SOURCE)) > 5
    (folder / "markdown.js").write_text(counted)
    (folder / "dom.js").write_text(DOM)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "main.js").write_text(MAIN)

    def run(*texts):
        output = subprocess.run(
            [node, "main.js"], cwd=folder, input=json.dumps(texts), capture_output=True, text=True, check=True
        )
        return json.loads(output.stdout)

    return run


HOSTILE = {
    "images that never end": ("", "![", 100_000, ""),
    "links that never end": ("", "[a](", 60_000, ""),
    "brackets and one end": ("", "[", 100_000, "]x"),
    "links and one end": ("", "[](", 60_000, " x"),
    "ends of links": ("", "](", 60_000, ""),
    "a heading of marks": ("# ", "#", 100_000, "x"),
    "a heading of blanks and marks": ("# ", " #", 50_000, "x"),
    "a heading of blanks": ("# a", " ", 100_000, "#x"),
    "stars": ("", "*", 100_001, ""),
    "bold that never ends": ("", "**a", 60_000, ""),
    "backticks": ("", "`a", 60_001, ""),
    "a table's rule of blanks": ("|a\n|", " ", 100_000, "x"),
    "a table's rule of bars": ("|a\n|", "|", 100_000, "x"),
    "bars and blanks": ("|", "| ", 60_000, "x"),
    "backslashes in a table": ("|", "\\", 60_000, "|"),
    "quotes in quotes": ("", "> ", 60_000, "x"),
    "quotes in quotes without blanks": ("", ">", 60_000, "x"),
    "lines of quotes in quotes": ("", "> > > > > > a\n", 9_000, ""),
    "an item of blanks": ("-", " ", 100_000, "x"),
    "an item after blanks": ("", " ", 100_000, "-x"),
    "a rule that is none": ("-", "-", 100_000, "x"),
    "a rule with blanks": ("---", " ", 100_000, "x"),
    "code that never ends": ("", "```\n", 60_001, ""),
    "items": ("", "- a\n\n", 60_000, ""),
    "line separators": ("- a", "\u2028- b", 60_000, ""),
    "escapes": ("", "\\", 100_001, ""),
    "signs in turn": ("", "**`![", 40_000, ""),
    "signs in the other turn": ("", "[`**", 40_000, "](x"),
    "ends before beginnings": ("", ")](`**", 30_000, "["),
    "links that almost end": ("", "[a](b c)", 30_000, ""),
    "links with one end for all": ("", "[a](b", 40_000, ")"),
    "emphasis in emphasis": ("", "*a **b _c __d ", 20_000, "* ** _ __"),
    "stars and blanks": ("", "** ", 60_000, "**"),
    "entities": ("", "&lt;&amp;", 40_000, "&"),
    "cells of links": ("|", "[a](|", 40_000, ""),
    "rows of one bar": ("", "|\n", 60_000, ""),
    "rows of rules": ("", "|-\n", 60_000, ""),
    "escaped bars": ("|", "\\|", 60_000, ""),
    "quotes that deepen": ("", "> > > >>>>>> - a\u2028", 6_000, ""),
    "quotes of code": ("", "> ```\n", 40_000, ""),
    "quotes of separators": ("", ">\u2029", 60_000, ""),
    "items that are not closed": ("- a", "\n  b **", 40_000, ""),
    "items of numbers": ("", "123456789) ", 20_000, ""),
    "numbers": ("", "1", 100_000, ". x"),
    "headings of separators": ("", "# \x85", 60_000, ""),
    "carriage returns": ("", "a\r", 60_000, ""),
    "code and quotes": ("", "```\u2028> ", 30_000, ""),
    "half characters": ("", "\ud800[", 40_000, "]("),
    "marks without width": ("", "\ufeff\u200b- ", 30_000, ""),
}


def test_the_work_is_linear(render):
    """Whatever a text is made of, at most so many steps a letter."""
    for name, answer in zip(HOSTILE, render(*HOSTILE.values()), strict=True):
        assert "steps" in answer, f"{name}: {answer}"


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\v", "\f", "\r", "\r\n", "\n"])
def test_every_end_of_a_line_ends_a_line(render, sign):
    """Signs that expressions of JavaScript take for the end of a line do so here, too."""
    (answer,) = render((f"- one{sign}- two{sign}-{sign}", "", 0, ""))
    assert answer["made"] == [["ul", ["li", "one"], ["li", "two -"]]]


def test_every_start_of_a_line_ends(render):
    """No block, however it begins and is cut off, keeps the page."""
    firsts = ["-", "- a", "1.", "1. ", "|", ">", "#", "```", "---", "**", "[", "\\"]
    signs = ["\u2028", "\u2029", "\x85", "\r", "\0", "\u200b", "\ufeff", "\x1c"]
    pairs = [(first, sign) for first in firsts for sign in signs]
    texts = [
        text
        for first, sign in pairs
        for text in ((f"{first}{sign}b", "", 0, ""), (f"{sign}{first}", "", 0, ""), (first + sign, "", 0, ""))
    ]
    assert all("steps" in answer for answer in render(*texts))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("# C#\n## a ##\n### #", [["h4", "C#"], ["h5", "a"], ["h6"]]),
        ("a **b** `c` d", [["p", "a ", ["strong", "b"], " ", ["code", "c"], " d"]]),
        ("**** `` *a*", [["p", "**** `` *a*"]]),
        ("[a](b) ![c](d) [e] (f) [g](h i)", [["p", "a (b)", " ", "c (d)", " [e] (f) [g](h i)"]]),
        ("[[a](b)", [["p", "[a (b)"]]),
        ("\\*a\\* &lt;b&gt;", [["p", "*a* <b>"]]),
        ("1. a\n   b\n2. c", [["ol", ["li", "a b"], ["li", "c"]]]),
        ("> a\n> > b", [["blockquote", ["p", "a"], ["blockquote", ["p", "b"]]]]),
        ("> " * 6 + "x", [["blockquote"] * 4]),
        ("a\nb\n\n---", [["p", "a", ["br"], "b"], ["hr"]]),
        ("```\n# a\n```\nb", [["pre", "# a"], ["p", "b"]]),
    ],
)
def test_what_is_made_of_a_text(render, text, made):
    """Blocks and passages as docpipe writes them, and signs that are only signs."""
    (answer,) = render((text, "", 0, ""))
    if text.startswith("> > > "):
        inner = ["p", "> > x"]
        for _ in range(4):
            inner = ["blockquote", inner]
        made = [inner]
    assert answer["made"] == made


def test_a_table(render):
    """Cells are divided by bars, but by none behind a backslash."""
    (answer,) = render(("|a|b \\| c|\n| --- | :-: |\n| 1 | **2** |\n|3", "", 0, ""))
    head = ["thead", ["tr", ["th", "a"], ["th", "b | c"]]]
    body = ["tbody", ["tr", ["td", "1"], ["td", ["strong", "2"]]], ["tr", ["td", "3"]]]
    assert answer["made"] == [["div", ["table", head, body]]]


def test_expressions_cannot_go_back_and_forth():
    """What repeats without bound begins at a line's start, and what follows cannot match the same letters."""
    expressions = re.findall(
        r"(?<![<*/])/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\n *\\])(?:\\.|[^/\n\\])*/", SOURCE
    )
    repeating = {e for e in expressions if re.search(r"[^\\][*+]", re.sub(r"\[(\\.|[^\]\\])*\]", "C", e))}
    assert len(expressions) > 10
    assert repeating == {
        r"/^(#{1,6}\s|\||[-*+]\s|\d{1,9}[.)]\s|>|```|---+\s*$)/",
        r"/^(\s*)([-*+]|\d{1,9}[.)])\s/",
        r"/^\s*([-*+]|\d{1,9}[.)])\s/",
        r"/^\s*\d/",
        r"/^---+\s*$/",
        r"/^\|[\s:|-]+$/",
    }


def test_documents_of_any_number_of_blocks_are_put_on_the_page():
    """A call takes some 100,000 arguments: what comes from a document is handed over one by one."""
    for name in ("dom.js", "documents.js"):
        text = (STATIC / name).read_text("utf-8")
        assert not re.search(
            r"\.\.\.(rendered|children)\(?[^)]*\)?\.?(flat|filter)?\(?.*\.(append|replace)", text
        )
        assert "(...rendered(" not in text
    assert "element.append(\n    ...children" not in (STATIC / "dom.js").read_text("utf-8")
