"""Meaning of a page of HTML that is no word: states, bars, colours, generated text, nested tables."""

# ruff: noqa: E501 -- a page a line

import pytest

from tests.unit.convert.documents import text_of

PAGES = {
    "boxes of scripts": (
        "<div role=checkbox aria-checked=true>Consent</div><div role=radio aria-checked=false>No</div>",
        "☑ Consent\n\n☐ No",
    ),
    "switches in a line": ("Fall risk <span role=switch aria-checked=true>on</span>", "Fall risk ☑ on"),
    "a box that is partly ticked": ("<b role=checkbox aria-checked=mixed>all</b>", "[partly] ☐ **all**"),
    "bars": (
        "pain <meter value=7 max=10></meter><progress value=3 max=4></progress>2 done",
        "pain 7 of 10 3 of 4 2 done",
    ),
    "generated text": (
        "<style>.a::after{content:' mg'} .b:before{content:'\\2611  '}</style><p>5<u class=a></u> <span class=b>DNR</span>",
        "5 mg ☑ DNR",
    ),
    "generated from an attribute": (
        "<style>p::before{content:attr(data-n) ': '}</style><p data-n=K>6.9",
        "K: 6.9",
    ),
    "counters": (
        "<style>ol{list-style:none;counter-reset:n} li::before{counter-increment:n;content:'Dx ' counter(n,upper-roman) ': '}</style><ol><li>a<li>b</ol>",
        "- Dx I: a\n- Dx II: b",
    ),
    "counters within counters": (
        "<style>body{counter-reset:c} h2{counter-increment:c;counter-reset:s} h2::before{content:counter(c) ' '} h3{counter-increment:s} h3::before{content:counter(c) '.' counter(s) ' '}</style><h2>a</h2><h3>b</h3><h3>c</h3><h2>d</h2><h3>e</h3>",
        "## 1 a\n\n### 1.1 b\n\n### 1.2 c\n\n## 2 d\n\n### 2.1 e",
    ),
    "counters of nested scopes": (
        "<style>ol{list-style:none;counter-reset:i} li{counter-increment:i} li::before{content:counters(i,'.') ' '}</style><ol><li>a<ol><li>b<li>c</ol><li>d</ol>",
        "- 1 a\n\n  - 1.1 b\n  - 1.2 c\n\n- 2 d",
    ),
    "a red passage": (
        "<p>K <span style='color:red'>6.9 <b>mmol/L</b></span> and Na <font color='#00f'>140</font> today, to be looked at again",
        "K 6.9 **mmol/L** [red] and Na 140 today, to be looked at again",
    ),
    "a highlighted passage": (
        "<style>mark{background:#ff0}</style><p>Take <mark>half</mark> of the tablet",
        "Take half [yellow] of the tablet",
    ),
    "a coloured line": (
        "<p style='color:red'>Please <i>print</i> and sign here",
        "Please *print* and sign here",
    ),
    "a star of forms": ("<p>Name<font color=red>*</font> of the patient", "Name\\* of the patient"),
    "icons": ("<style>p::before{content:'\\f00c'}</style><p>a", "a"),
    "a red cell": (
        "<table><tr><th>Test<th>Value<tr><td>K<td bgcolor=red>6.9<tr><td>Na<td style='color:#c00'>120<tr><td>Cl<td>100</table>",
        "| Test | Value |\n| --- | --- |\n| K | 6.9 [red] |\n| Na | 120 [red] |\n| Cl | 100 |",
    ),
    "a yellow row": (
        "<table><tr><th>A<th>B<tr style='background:rgb(255,255,150)'><td>K<td>6<tr><td>Na<td>1</table>",
        "| A | B |\n| --- | --- |\n| K [yellow] | 6 |\n| Na | 1 |",
    ),
    "a table that is coloured throughout": (
        "<table><tr><th>A<th>B<tr><td bgcolor=yellow>K<td bgcolor=yellow>6</table>",
        "| A | B |\n| --- | --- |\n| K | 6 |",
    ),
    "grey and green": (
        "<table><tr><th>A<th>B<tr><td bgcolor='#eee'>K<td bgcolor=green>6<tr><td>b<td>c</table>",
        "| A | B |\n| --- | --- |\n| K | 6 |\n| b | c |",
    ),
    "a table by its style": (
        "<style>.t{display:table}.t>div{display:table-row}.t>div>span{display:table-cell}</style><div class=t><div><span>Drug</span><span>AM</span><span>PM</span></div><div><span>Aspirin</span><span></span><span>5</span></div></div>",
        "|  |  |  |\n| --- | --- | --- |\n| Drug | AM | PM |\n| Aspirin |  | 5 |",
    ),
    "a foot before its body": (
        "<table><tfoot><tr><td>sum<td>3</tfoot><tbody><tr><td>a<td>1<tr><td>b<td>2</table>",
        "|  |  |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n| sum | 3 |",
    ),
    "a table within a cell of data": (
        "<table><tr><td>BP<td>120<tr><td>Labs<td><table><tr><th>K<th>Na<tr><td>5<td>140</table></table>",
        "|  |  |\n| --- | --- |\n| BP | 120 |\n| Labs | K \\| Na<br>5 \\| 140 |",
    ),
    "a table that lays out others": (
        "<table><tr><td><table><tr><td>a<td>b<tr><td>c<td>d</table><tr><td>e</table>",
        "|  |  |\n| --- | --- |\n| a | b |\n| c | d |\n\ne",
    ),
    "lowered digits with a letter": ("HbA<sub>1c</sub> and C<sub>max</sub>", "HbA₁c and C\\_(max)"),
    "a label of an item": (
        "<style>.d::marker{content:'Dx: '}</style><ul><li class=d>COPD</ul>",
        "- Dx: COPD",
    ),
    "text for pages without scripts": ("<noscript>Potassium 6.9</noscript>", "Potassium 6.9"),
    "what stands for a missing object": ("<object data=a.swf>Potassium 6.9</object>", "Potassium 6.9"),
    "a closed dialog": ("<dialog>5 mg</dialog>", "[hidden: 5 mg]"),
    "an open dialog": ("<dialog open>5 mg</dialog>", "5 mg"),
    "text cut to a dot": (
        "<style>.sr-only{position:absolute;width:1px;height:1px;overflow:hidden}</style>a <i class=sr-only>5 mg</i>",
        "a [hidden: *5 mg*]",
    ),
    "text against its direction": ("<bdo dir=rtl>gm 5</bdo> daily", "5 mg daily"),
    "text in its direction": ("<bdo dir=ltr>5 mg</bdo> <bdo dir=rtl>מג</bdo>", "5 mg מג"),
}


@pytest.mark.parametrize(("page", "markdown"), PAGES.values(), ids=PAGES)
def test_meaning_without_words(page, markdown, tmp_path):
    """It is reported in words or signs."""
    assert text_of(tmp_path, f"<html><body>{page}</body></html>".encode()) == markdown + "\n"
