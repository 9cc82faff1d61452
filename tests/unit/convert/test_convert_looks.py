"""What the look of HTML and narratives means: struck out, raised, hidden, signs, numbers of lists, fields."""

# ruff: noqa: E501 -- a page a line

import base64

import pytest

from docpipe.convert.core.treelists import label
from tests.unit.convert.documents import cda, run, section, text_of

LOOKS = {
    "struck by tags": ("<s>a</s> <del>b</del> <strike>c</strike> d", "~~a b c~~ d"),
    "struck by css": (
        "<span style='color:red; TEXT-DECORATION: underline line-through'>a</span> b",
        "~~a~~ b",
    ),
    "struck by its line": (
        "<p style='text-decoration-line:line-through'>a <b>b</b><p>c",
        "~~a~~ **~~b~~**\n\nc",
    ),
    "struck by a class": (
        "<style>p.old, .x b { text-decoration: line-through }</style><p class=old>a<p>b",
        "~~a~~\n\nb",
    ),
    "struck by a class below another": (
        "<style>.x b{text-decoration:line-through;font-weight:400}</style><p class=x><b>a</b> b<p><b>c</b> d",
        "~~a~~ b\n\n**c** d",
    ),
    "struck on a screen alone": (
        (
            "<style>@media print{.a{text-decoration:line-through}} @media screen {.b{text-decoration:line-through}}"
            "/* .c{text-decoration:line-through} */</style><i class=a>a</i> <u class=b>b</u> <u class=c>c</u> d"
        ),
        "*a* ~~b~~ c d",
    ),
    "struck by its place": (
        "<style>tr:first-child{text-decoration:line-through} p:hover,p:not(.x){font-weight:400}</style><table><tr><td>a<td>b<tr><td>c<td>d</table>",
        "|  |  |\n| --- | --- |\n| ~~a~~ | ~~b~~ |\n| c | d |",
    ),
    "struck by a variable": (
        "<style>:root{--gone:line-through}.a{text-decoration:var(--gone)}.b{text-decoration:var(--none,none)}</style><u class=a>a</u> <u class=b>b</u>",
        "~~a~~ b",
    ),
    "struck row": (
        "<table><tr><th>A<th>B<tr style='text-decoration:line-through'><td>1<td>2<tr><td>3<td>4</table>",
        "| A | B |\n| --- | --- |\n| ~~1~~ | ~~2~~ |\n| 3 | 4 |",
    ),
    "struck list": ("<ul><li><s>a</s><li>b</ul>", "- ~~a~~\n- b"),
    "struck heading": ("<h2>a <s>b</s></h2>", "## a ~~b~~"),
    "struck as it stands": ("<pre>a  <s>b</s></pre>", "```text\na  ~~b~~\n```"),
    "underlined": ("<u>a</u> <span style='text-decoration:none'>b</span>", "a b"),
    "inserted": ("a <ins>b</ins> c", "a [inserted: b] c"),
    "bold and italic": (
        "a <b>not</b> <em>b</em> <span style='font-weight:700'>c</span> d",
        "a **not** *b* **c** d",
    ),
    "light within bold": ("<b>a <span style='font-weight:normal'>b</span></b> c", "**a** b c"),
    "raised": ("10<sup>9</sup>/L 2<sup>n+1</sup> 1<sup>st</sup> x<sup>ab</sup>", "10⁹/L 2ⁿ⁺¹ 1st x^(ab)"),
    "lowered": ("H<sub>2</sub>O C<sub>max</sub>", "H₂O C\\_(max)"),
    "raised by css": (
        (
            "10<span style='vertical-align:super'>6</span> 10<span style='vertical-align: 4pt'>5</span> "
            "10<span style='position:relative;top:-4.0pt;mso-text-raise:4.0pt'>4</span> "
            "H<span style='vertical-align:sub'>2</span> x<span style='vertical-align:-20%'>3</span> "
            "10<span style='vertical-align:baseline'>8</span>"
        ),
        "10⁶ 10⁵ 10⁴ H₂ x₃ 108",
    ),
    "raised by a class": ("<style>.e{vertical-align:super}</style>10<span class=e>6</span>/mL", "10⁶/mL"),
    "cells at the top of their row": (
        "<table><tr><th style='vertical-align:super'>1<th>2<tr><td>3<td>4</table>",
        "| 1 | 2 |\n| --- | --- |\n| 3 | 4 |",
    ),
    "symbols": (
        (
            "100 <font face=Symbol>m</font>g <span style='font-family:\"Symbol\",serif'>a <b>b</b></span> "
            "<span style='font-family:Wingdings'>\u00fe</span> <font face=Arial>m</font> "
            "<span style='font:italic bold 12pt/1.2 Symbol, serif'>m</span> <span style='font:menu'>m</span>"
        ),
        "100 μg α **β** ☑ m μ m",  # noqa: RUF001 -- Greek is meant
    ),
    "hidden": (
        (
            "a <span style='display: none'>b <b>c</b></span> d<div hidden>e</div><p style='visibility:hidden'>f"
            "<span style='visibility:visible'>g</span></p>"
        ),
        "a [hidden: b **c**] d\n\n[hidden: e]\n\n[hidden: f]g",
    ),
    "hidden by a class": (
        (
            "<style>.a{display:none} #b{display:block} .c{display:none!important}</style>"
            "<p class=a>a<p class=a id=b>b<p class=c style='display:block'>c"
        ),
        "[hidden: a]\n\nb\n\n[hidden: c]",
    ),
    "hidden by its size": (
        (
            "<p style='font-size:0'>a <span style='font-size:12pt'>b</span></p><p style='opacity:0'>c<p>"
            "<span style='mso-hide:all'>d</span>"
        ),
        "[hidden: a] b\n\n[hidden: c]\n\n[hidden: d]",
    ),
    "hidden beyond the page": (
        "<style>.sr{position:absolute;clip:rect(0 0 0 0);width:1px}</style><p style='position:absolute;left:-9999px'>a<p style='text-indent:-99em'>b<p style='text-indent:-999em'>c<p class=sr>d<p style='position:relative;left:-9999px'>e",
        "[hidden: a]\n\nb\n\n[hidden: c]\n\n[hidden: d]\n\ne",
    ),
    "hidden for want of room": (
        "<p style='height:0;overflow:hidden'>a<p style='max-height:0px;overflow:hidden auto'>b<p style='height:0'>c<p style='clip-path:inset(100%)'>d",
        "[hidden: a]\n\n[hidden: b]\n\nc\n\n[hidden: d]",
    ),
    "hidden as white on white": (
        "<p style='color:#fff'>a <font color=blue>b</font><p><font color=white>c</font> d",
        "[hidden: a] b\n\n[hidden: c] d",
    ),
    "white on something": (
        "<style>.x{background:url(a.png)}</style><p style='color:white;background:navy'>a<div class=x><p style='color:white'>b</div><table bgcolor=black><tr><td><font color=#ffffff>c</font><td>d</table>",
        "a\n\nb\n\n|  |  |\n| --- | --- |\n| c | [hidden: d] |",
    ),
    "white with a sheet elsewhere": ("<link rel=stylesheet href=a.css><p style='color:white'>a", "a"),
    "hidden row": (
        "<table><tr><th>A<th>B<tr style='display:none'><td>1<td>2<tr><td>3<td hidden>4</table>",
        "| A | B |\n| --- | --- |\n| [hidden: 1] | [hidden: 2] |\n| 3 | [hidden: 4] |",
    ),
    "hidden list": ("<ul style='display:none'><li>a</ul>b", "- [hidden: a]\n\nb"),
    "letters": ("<ol type=A><li>a<li>b</ol>", "- A. a\n- B. b"),
    "small letters by css": (
        "<ol style='list-style-type:lower-alpha' start=3><li>a<li>b</ol>",
        "- c. a\n- d. b",
    ),
    "roman numerals": ("<ol type=i start=4><li>a<li>b</ol>", "- iv. a\n- v. b"),
    "values": ("<ol><li value=9>a<li>b<li value=3 type=I>c</ol>", "- 9\\. a\n- 10\\. b\n- III. c"),
    "reversed": ("<ol reversed><li>a<li>b<li>c</ol>", "- 3\\. a\n- 2\\. b\n- 1\\. c"),
    "plain numbers": ("<ol start=3><li>a<li value=4>b</ol>", "3. a\n4. b"),
    "an empty item counts": ("<ol><li>a<li> <li>b</ol>", "- 1\\. a\n- 3\\. b"),
    "a list beside its item": (
        "<ol><li>a</li><ol type=a><li>b</li></ol><li>c</li></ol>",
        "1. a\n\n   - a. b\n\n2. c",
    ),
    "a style among others": ("<ol style='list-style:lower-roman inside'><li>a<li>b</ol>", "- i. a\n- ii. b"),
    "a text for each": (
        "<ul style='list-style-type:\"☑ \"'><li>a<li style='list-style:\"- \"'>b</ul>",
        "- ☑ a\n- b",
    ),
    "letters of an unordered list": ("<ul style='list-style:lower-alpha'><li>a<li>b</ul>", "- a. a\n- b. b"),
    "without numbers": ("<ol style='list-style:none'><li>a<li>b</ol>", "- a\n- b"),
    "choices": (
        "Smoker: <select><option>Never<option selected>Current</select> <select><option>a<option>b</select>",
        "Smoker: ☐ Never ☑ Current ☐ a ☐ b",
    ),
    "many choices": (
        "<select>" + "".join(f"<option{' selected' * (n == 7)}>c{n}" for n in range(20)) + "</select> "
        "<select>" + "".join(f"<option>d{n}" for n in range(20)) + "</select>",
        "☑ c7 (nothing chosen)",
    ),
    "fields": (
        (
            "<label for=w>Weight</label> <input id=w aria-label=Weight value='72 kg'> <input aria-label=Pulse value=60> "
            "<input type=radio aria-label=Yes checked> <input type=submit value=Save> <input type=hidden value=x>"
            "<input placeholder=name> <input type=date value=2024-05-01>"
        ),
        "Weight 72 kg Pulse: 60 ☑ Yes 2024-05-01",
    ),
    "formulas": (
        (
            "<math><mi>x</mi><mo>=</mo><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>, "
            "<math><msup><mi>r</mi><mn>2</mn></msup></math>, <math><msub><mi>C</mi><mi>max</mi></msub></math>, "
            "<math><msqrt><mn>2</mn></msqrt></math>, <math alttext='a/b'></math>, "
            "<math><semantics><mi>k</mi><annotation>tex</annotation></semantics></math>"
        ),
        "x = (a + b)/2, r², C\\_(max), √(2), a/b, k",
    ),
    "drawings": (
        (
            "a<svg><title>T</title><g><text>eGFR <tspan>12</tspan></text></g><text><tspan x=1>K</tspan><tspan x=9>6.9"
            "</tspan></text><text style='display:none'>n</text></svg>b <svg><title>a heart</title><path/></svg>"
        ),
        "a  \neGFR 12  \nK 6.9  \n[hidden: n]  \nb [picture: a heart]",
    ),
    "frames": (
        "a<iframe srcdoc='&lt;p&gt;K 6.9&lt;/p&gt;'></iframe><iframe src='data:text/html;base64,"
        + base64.b64encode("<b>é</b> f".encode()).decode()
        + "'></iframe><object data='data:text/plain,c%20d'></object><iframe src='http://x/'>e</iframe>",
        "a\n\nK 6.9\n\n**é** f\n\n```text\nc d\n```",
    ),
    "ruby": ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "漢(kan)"),
}


@pytest.mark.parametrize(("page", "markdown"), LOOKS.values(), ids=LOOKS)
def test_what_a_look_means(page, markdown, tmp_path):
    """The value that the page shows is in the text, and what it says of a value by its look, too."""
    assert text_of(tmp_path, f"<html><head></head><body>{page}</body></html>".encode()) == markdown + "\n"


def test_hidden_text_has_a_warning(tmp_path):
    """It is marked in the text, and only where there is some."""
    done, _ = run(tmp_path / "a", b"<html><body><p style='display:none'>a</p>b</body></html>")
    assert done["warnings"] == ['text that the page does not show is marked as "hidden"']
    done, _ = run(tmp_path / "b", b"<html><body><p style='display:none'> <img src=x></p>b</body></html>")
    assert done["warnings"] == []


NARRATIVES = {
    "struck": ("<content styleCode='xStrikeThrough Bold'>a</content> b", "**~~a~~** b"),
    "struck row": (
        "<table><tr><th>A</th><th>B</th></tr><tr styleCode='Strike-through'><td>1</td><td>2</td></tr></table>",
        "| A | B |\n| --- | --- |\n| ~~1~~ | ~~2~~ |",
    ),
    "inserted": ("a <content revised='insert'>b</content><content>c</content>", "a [inserted: b] c"),
    "raised by a code": ("10<content styleCode='Superscript'>9</content>/L", "10⁹/L"),
    "italic": ("a <content styleCode='Italics'>b</content>", "a *b*"),
    "letters": (
        "<list listType='ordered' styleCode='LittleAlpha'><caption>Plan</caption><item>x</item><item>y</item></list>",
        "Plan\n\n- a. x\n- b. y",
    ),
    "numbers": (
        "<list listType='ordered' styleCode='Arabic'><caption>Plan</caption><item>x</item><item>y</item></list>",
        "Plan\n\n1. x\n2. y",
    ),
    "roman": (
        "<list listType='ordered' styleCode='BigRoman'><item>x</item><item>y</item></list>",
        "- I. x\n- II. y",
    ),
    "footnotes": (
        (
            "a<footnoteRef IDREF='f2'/> b<footnoteRef IDREF='f1'/> c<footnoteRef IDREF='f2'/>"
            "<paragraph><footnote ID='f1'>one</footnote></paragraph><paragraph><footnote ID='f2'>two</footnote></paragraph>"
        ),
        "a [1] b [2] c [1]\n\n[2] one\n\n[1] two",
    ),
    "footnote without a mark": ("5 mg<footnote ID='f'>on Tuesdays</footnote>", "5 mg [note: on Tuesdays]"),
}


@pytest.mark.parametrize(("text", "markdown"), NARRATIVES.values(), ids=NARRATIVES)
def test_what_a_style_code_means(text, markdown, tmp_path):
    """The narrative of CDA has codes where HTML has tags and CSS."""
    assert text_of(tmp_path, cda(section(text))) == f"## A section\n\n{markdown}\n"


def test_footnotes_count_through_the_document(tmp_path):
    """Two sections have no two notes of one number; a note may stand in another section."""
    one = "<component><section><text>{}</text></section></component>"
    body = one.format("a<footnoteRef IDREF='x'/>") + one.format(
        "b<footnoteRef IDREF='y'/> <footnote ID='x'>X</footnote> <footnote ID='y'>Y</footnote>"
    )
    text = text_of(tmp_path, cda(f"<structuredBody>{body}</structuredBody>"))
    assert text == "a [1]\n\nb [2] [1] X [2] Y\n"


def test_narrative_of_fhir_has_looks(tmp_path):
    """Its XHTML strikes out and hides with attributes of style."""
    div = (
        "<div xmlns='http://www.w3.org/1999/xhtml'><p><span style='text-decoration: line-through'>Warfarin</span> "
        "Apixaban <span style='display:none'>of another patient</span></p></div>"
    )
    text = text_of(
        tmp_path, f'{{"resourceType": "Basic", "text": {{"status": "additional", "div": "{div}"}}}}'.encode()
    )
    assert "~~Warfarin~~ Apixaban [hidden: of another patient]" in text


def test_drawings_are_read(tmp_path):
    """An SVG gives its texts and says that the drawing is not shown; one without text is kept."""
    data = b'<svg xmlns="http://www.w3.org/2000/svg"><title>T</title><g><text x="1">eGFR 12</text></g></svg>'
    done, outputs = run(tmp_path / "a", data)
    assert outputs["text.md"] == b"eGFR 12\n"
    assert done["metadata"]["title"] == "T"
    assert done["warnings"] == ["only the texts of the drawing are converted; the original has the drawing"]
    assert text_of(tmp_path / "b", b"<svg><text>eGFR 12</text></svg>") == "eGFR 12\n"
    done, _ = run(tmp_path / "c", b'<svg xmlns="http://www.w3.org/2000/svg"><path/></svg>')
    assert (done["outcome"], done["reason"]) == (
        "stored",
        "This is an SVG drawing without text; open it with a web browser.",
    )


@pytest.mark.parametrize(
    ("number", "style", "text"),
    [
        (26, "lower-alpha", "z."),
        (27, "lower-alpha", "aa."),
        (703, "upper-alpha", "AAA."),
        (0, "lower-alpha", "0."),
        (1994, "upper-roman", "MCMXCIV."),
        (4000, "lower-roman", "4000."),
        (-2, "decimal", "-2."),
        (3, "lower-greek", "γ."),  # noqa: RUF001 -- likewise
        (3, "decimal-leading-zero", "03."),
        (3, "none", ""),
    ],
)
def test_labels_of_lists(number, style, text):
    """Numbers as CSS writes them, in digits where a style has no form for one."""
    assert label(number, style) == text
