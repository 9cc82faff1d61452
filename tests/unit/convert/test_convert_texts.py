"""HTML, RTF, Word, plain text and CSV to Markdown."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.core.encoding import decode
from tests.unit.convert import documents
from tests.unit.convert.documents import docx, run, text_of

HTML = {
    "scripts and styles": (
        "<p>a</p><script>alert(1)</script><style>p{}</style><noscript>n</noscript><p>b</p>",
        "a\n\nn\n\nb",
    ),
    "title": ("<html><head><title>T</title></head><body>a</body></html>", "a"),
    "headings": ("<h1>A <a>b</a></h1>c", "# A b\n\nc"),
    "table": (
        "<table><tr><th>A</th><th>B</th></tr><tr><td>1<p>2</p></td><td>x|y</td></tr></table>",
        "| A | B |\n| --- | --- |\n| 1<br>2 | x\\|y |",
    ),
    "layout table": ("<table><tr><td><h2>A</h2>b</td></tr><tr><td>c</td></tr></table>", "## A\n\nb\n\nc"),
    "lists": ("<ol start=3><li>a<li>b</ol><ul><li>c</ul>", "3. a\n4. b\n\n* c"),
    "preformatted": ("<pre>a  b\n  c</pre>", "```text\na  b\n  c\n```"),
    "line breaks": ("a<br>b<br><br>c", "a  \nb  \nc"),
    "spans that touch": ("<span>As</span><span>pirin</span>", "Aspirin"),
    "pictures": ("<img src='http://x/y.png' alt='a [scan]'><img src=z>", "[picture: a [scan]]"),
    "links": ("<a href='javascript:alert(1)'>click</a>", "click"),
    "form": (
        "<input type=checkbox checked> yes <input type=checkbox> no <input value='37.5'>",
        "☑ yes ☐ no 37.5",
    ),
    "frames": ("<iframe src='http://x'>a</iframe>b<object data=x>, c</object>", "b, c"),
    "entities": ("5 &lt; 6 &amp;amp; &eacute; &lt;script&gt;", "5 < 6 &amp;amp; é &lt;script>"),
}


@pytest.mark.parametrize(("page", "markdown"), HTML.values(), ids=HTML)
def test_html_becomes_markdown(page, markdown, tmp_path):
    """Structure is kept; what runs, loads or decorates is dropped."""
    page = page if page.startswith("<html") else f"<html><body>{page}</body></html>"
    assert text_of(tmp_path, page.encode()) == markdown + "\n"


@pytest.mark.parametrize(
    "data",
    [
        '<meta charset="windows-1251"><p>Привет'.encode("cp1251"),
        '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>Привет'.encode("koi8-r"),
        '<?xml version="1.0" encoding="windows-1251"?><html><p>Привет</p></html>'.encode("cp1251"),
        "<html><p>Привет".encode("utf-16"),
        "<html><p>Привет".encode("utf-8-sig"),
        '<meta charset="iso-8859-1"><p>Привет'.encode(),
        '<meta charset="rot13"><p>Привет'.encode(),
    ],
)
def test_html_in_any_encoding(data, tmp_path):
    """The declared encoding is believed unless the bytes say otherwise."""
    assert text_of(tmp_path, data) == "Привет\n"


def test_html_nested_without_end(tmp_path):
    """Depth costs neither the stack nor the text."""
    page = "<div><b>" * 5_000 + "deep"
    assert text_of(tmp_path, f"<html>{page}".encode()) == "deep\n"


def test_html_facts(tmp_path):
    """Title, author, date and language are taken from the head."""
    head = "<title>T</title><meta name=Author content='A B'><meta name=date content='2024-01-31 9:00'>"
    page = f"<html lang=de>{head}x"
    made = run(tmp_path, page.encode())[0]["metadata"]
    assert [made[key] for key in ("title", "author", "date", "language")] == ["T", "A B", "2024-01-31", "de"]


FONTS = r"{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}{\f2\fcharset128 C;}{\f3\fcharset2 Symbol;}}"
RTF = {
    "José": (r"\f0 Jos\'e9 {\f1 \'cf\'f0\'e8} Jos\'e9", "José При José"),
    "half escaped characters": (r"\f2 \'83e\'83X\'83g", "テスト"),
    "unicode with its replacement": (
        r"\u1055?\u1088 ?\uc2\u1080\'3f\'3f!\uc0\u1074x",
        "Приprintf".replace("printf", "!вx"),  # noqa: RUF001 - the letters that are tested
    ),
    "beyond the basic plane": (r"\u-10187?\u-8970?", "𝓶"),
    "symbols": (r"{\f3 \'b7} a", "• a"),
    "paragraphs and lines": (r"a\par b\line c\par\par d", "a\n\nb  \nc\n\nd"),
    "hidden and deleted": (r"a {\v b}{\deleted c}\v d\v0  e", "a [hidden: b] [deleted: c] [hidden: d] e"),
    "destinations": (r"{\*\unknown x}{\pict ffff}{\object{\objdata 00}{\result r}}a{\*\bkmkstart z}", "ra"),
    "field": (r"{\field{\*\fldinst HYPERLINK \"http://x\"}{\fldrslt click}}", "click"),
    "table": (
        r"\trowd\cellx1\cellx2\intbl a\par b\cell c\cell\row\trowd\intbl d\cell e\cell\row\pard f",
        "|  |  |\n| --- | --- |\n| a<br>b | c |\n| d | e |\n\nf",
    ),
    "list": (
        r"{\listtext\'b7\tab}a\par{\listtext\'b7\tab}b\par{\listtext 1.\tab}c\par{\listtext 2.\tab}d\par e",
        "- a\n- b\n\n1) c\n2) d\n\ne",
    ),
    "letters as labels": (r"{\listtext a)\tab}x\par", "- a) x"),
    "margins": (
        r"{\header top\par}{\headerf top\par}{\footer end\par}body",
        "Page header: top\n\nbody\n\nPage footer: end",
    ),
    "text box": (
        r"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt box\par}}{\shprslt{\*\do{\dptxbxtext box\par}}}}a",
        "box\n\na",
    ),
    "binary": (r"a\bin3 {{}b", "ab"),
    "raised": (r"10{\super 9}/L", "10⁹/L"),
    "special": (r"\{a\}\~\_\\\endash\ldblquote q\rdblquote", "{a} ‑\\\\–“q”"),  # noqa: RUF001 - the signs that are tested
    "note": (r"a{\footnote why}b", "a [why]b"),
    "broken": (r"}}a{{{\'zz \u", "azz"),
}


@pytest.mark.parametrize(("text", "markdown"), RTF.values(), ids=RTF)
def test_rtf_becomes_markdown(text, markdown, tmp_path):
    """Code pages, tables, lists, boxes and notes come through; what is not shown does not."""
    styles = r"{\stylesheet{\s1 heading 1;}{\s2 Other;}}"
    data = rf"{{\rtf1\ansi\ansicpg1252{FONTS}{styles}\pard\plain {text}}}"
    assert text_of(tmp_path, data.encode("latin-1")) == markdown + "\n"


def test_rtf_headings_and_facts(tmp_path):
    """Styles named as headings make headings, and the information group gives the facts."""
    data = rb"{\rtf1{\info{\title T \'e9}{\author A}{\creatim\yr2024\mo1\dy31}{\revtim\yr2025\mo2\dy1}}"
    data += rb"{\stylesheet{\s3 heading 2;}}\pard\s3 Head\par\pard text\par}"
    done, outputs = run(tmp_path, data)
    made = done["metadata"]
    assert outputs["text.md"] == b"## Head\n\ntext\n"
    assert [made[key] for key in ("title", "author", "date")] == ["T é", "A", "2024-01-31"]


def test_rtf_cut_short_is_reported(tmp_path):
    """What is there of a truncated file is shown, with a warning."""
    done, outputs = run(tmp_path, rb"{\rtf1 {\b half of")
    assert (done["outcome"], outputs["text.md"]) == ("converted", b"half of\n")
    assert done["warnings"] == ["the file is cut short; what remains of it is converted"]


def _p(text, style="", number=""):
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style}{number}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def _cells(*texts, more=""):
    return f"<w:tr>{more}" + "".join(f"<w:tc>{_p(text)}</w:tc>" for text in texts) + "</w:tr>"


STYLES = (
    '<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
)
NUMBERS = (
    '<w:abstractNum w:abstractNumId="5">'
    '<w:lvl w:ilvl="0"><w:start w:val="2"/><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num>'
)


def _number(level):
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>'


WORD = {
    "headings": (_p("T", "Titel") + _p("H", "H2") + _p("t"), "# T\n\n## H\n\nt"),
    "lists": (
        _p("a", number=_number(0))
        + _p("b", number=_number(1))
        + _p("c", number=_number(0))
        + _p("x")
        + _p("d", number=_number(0)),
        "2. a\n\n   - b\n\n3. c\n\nx\n\n4. d",
    ),
    "table": (
        "<w:tbl>" + _cells("A", "B", more="<w:trPr><w:tblHeader/></w:trPr>") + _cells("1", "2") + "</w:tbl>",
        "| A | B |\n| --- | --- |\n| 1 | 2 |",
    ),
    "spanning cells": (
        '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>'
        + _p("a")
        + "</w:tc></w:tr>"
        + _cells("1", "2")
        + "</w:tbl>",
        "|  |  |\n| --- | --- |\n| a |  |\n| 1 | 2 |",
    ),
    "characters": (
        """<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/>
        <w:sym w:font='Symbol' w:char='F0B7'/></w:r></w:p>""",
        "a b  \nc-•",
    ),
    "changes": (
        """<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>""",
        "[inserted: new][deleted: old] [hidden: hidden]",
    ),
    "fields and links": (
        """<w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink><w:r><w:instrText>PAGE</w:instrText></w:r>
        <w:fldSimple><w:r><w:t> 7</w:t></w:r></w:fldSimple></w:p>""",
        "link 7",
    ),
    "controls": (
        f"""<w:sdt><w:sdtPr/><w:sdtContent>{_p("in")}<w:p><w:sdt><w:sdtContent><w:r><w:t>☒</w:t></w:r></w:sdtContent>
        </w:sdt></w:p></w:sdtContent></w:sdt>""",
        "in\n\n☒",
    ),
    "text boxes": (
        "<w:p><w:r><w:t>a</w:t><mc:AlternateContent xmlns:mc='m'><mc:Choice><w:txbxContent>"
        + _p("box")
        + "</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>"
        + _p("box")
        + "</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>",
        "a\n\nbox",
    ),
    "raised": (
        """<w:p><w:r><w:t>10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>9</w:t>
        </w:r></w:p>""",
        "10⁹",
    ),
}


@pytest.mark.parametrize(("body", "markdown"), WORD.values(), ids=WORD)
def test_word_becomes_markdown(body, markdown, tmp_path):
    """Headings, lists, tables, changes, fields, controls and boxes of Word documents."""
    data = docx(body, {"styles": ("styles", STYLES), "numbering": ("numbering", NUMBERS)})
    assert text_of(tmp_path, data) == markdown + "\n"


def test_word_headers_footers_and_notes(tmp_path):
    """What stands in the margins is kept, once each; notes are numbered in the order of their references."""
    first, second = (f"<w:footnoteReference w:id='{note}'/>" for note in (7, 3))
    body = f"<w:p><w:r><w:t>a</w:t>{first}<w:t>b</w:t>{second}</w:r></w:p>"
    notes = "".join(f"<w:footnote w:id='{n}'>{_p(f'note {n}')}</w:footnote>" for n in (3, 7))
    parts = {
        "header1": ("hdr", _p("Clinic")),
        "header2": ("hdr", _p("Clinic")),
        "footer1": ("ftr", _p("end")),
        "footnotes": ("footnotes", notes),
    }
    assert text_of(tmp_path, docx(body, parts)) == (
        "Page header: Clinic\n\na [1]b [2]\n\n1. note 7\n2. note 3\n\nPage footer: end\n"
    )


def test_word_that_is_a_scan_gives_its_pictures(tmp_path):
    """A document without any text consists of its pictures: they become documents of their own."""
    data = io.BytesIO(docx("<w:p/>"))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("word/media/image1.png", documents.image())
    done, _ = run(tmp_path, data.getvalue())
    assert [part["name"] for part in done["embedded"]] == ["image1.png"]
    assert done["warnings"] == ["a picture is not shown in the text and the PDF; see the original"]


def test_word_bomb_is_refused(tmp_path, monkeypatch):
    """A part that unpacks beyond the limit fails before it is parsed."""
    monkeypatch.setattr("docpipe.convert.core.opc.LARGEST_PART", 10_000)
    done, _ = run(tmp_path, docx(_p("x" * 20_000)))
    assert (done["outcome"], done["reason"]) == ("failed", "The document unpacks to more than it may.")


def test_word_damaged_within_fails(tmp_path):
    """A part that cannot be unpacked is reported as damage, unless the text is whole without it."""
    whole = docx(_p("x" * 900))
    data = bytearray(whole)
    data[data.index(b"xxx")] = 0
    done, _ = run(tmp_path / "text", bytes(data))
    assert (done["outcome"], done["reason"]) == (
        "failed",
        "The document is damaged: a part of it cannot be unpacked.",
    )
    data = bytearray(whole)
    data[data.index(b"Relationship Id")] = 0
    done, _ = run(tmp_path / "relations", bytes(data))
    assert (done["outcome"], done["warnings"]) == (
        "converted",
        ["the file is damaged; its readable parts are converted"],
    )


TEXTS = {
    "cp1252": ("José: 37,5 °C – “fine”".encode("cp1252"), "José: 37,5 °C – “fine”"),  # noqa: RUF001 - the signs that are tested
    "cp1250": ("Příliš žluťoučký kůň úpěl".encode("cp1250"), "Příliš žluťoučký kůň úpěl"),
    "cp1251": ("Привет, мир. Это простой текст".encode("cp1251"), "Привет, мир. Это простой текст"),
    "shift_jis": ("こんにちは世界、これは文章です。".encode("shift_jis"), "こんにちは世界、これは文章です。"),
    "gb18030": ("这是一个测试文件，谢谢".encode("gb18030"), "这是一个测试文件，谢谢"),  # noqa: RUF001 - the signs that are tested
    "utf-8 with a mark": ("Grüße".encode("utf-8-sig"), "Grüße"),
    "utf-16": ("Grüße".encode("utf-16"), "Grüße"),
    "utf-16 without a mark": ("Hello there, a text".encode("utf-16-be"), "Hello there, a text"),
    "utf-32": ("Grüße".encode("utf-32"), "Grüße"),
    "one sign": ("Temp 38°C".encode("cp1252"), "Temp 38°C"),
    "utf-8 with a scar": (
        "Grüße, schöne Größe für Ärzte".encode() + b"\xff",
        "Grüße, schöne Größe für Ärzte�",
    ),
}


@pytest.mark.parametrize(("data", "text"), TEXTS.values(), ids=TEXTS)
def test_text_in_any_encoding(data, text):
    """The encoding is recognised by the bytes."""
    assert decode(data).text == text


WESTERN = "José Müller señor naïve façade Größe 38°C ½ – “daily” 5µg patient’s über €20 Œuvre ça où"  # noqa: RUF001 - the signs that are tested


@given(st.lists(st.sampled_from(WESTERN.split()), min_size=1).map(" ".join))
def test_western_text_is_never_taken_for_another_script(text):
    """Whatever the mix of Western letters and signs, cp1252 is read as cp1252."""
    data = f"The patient said: {text} and left.".encode("cp1252")
    assert decode(data).text == f"The patient said: {text} and left."


def test_declared_charset_decides_where_bytes_allow(tmp_path):
    """The charset of the declared type is used for what is not UTF-8."""
    data = "Łódź żółć".encode("iso-8859-2")
    assert text_of(tmp_path / "a", data, declared="text/plain; charset=ISO-8859-2") == "Łódź żółć\n"
    assert text_of(tmp_path / "b", "Łódź".encode(), declared='text/plain; charset="nonsense"') == "Łódź\n"


def test_columns_of_text_stay_aligned(tmp_path):
    """Paragraphs whose columns line up are kept as they stand; others flow."""
    text = "Dear all,\nfine.\n\nNa      135\nK       4.0\n\nTEST\tVALUE\n\nBye"
    assert text_of(tmp_path, text.encode()) == (
        "Dear all,  \nfine.\n\n```text\nNa      135\nK       4.0\n\nTEST    VALUE\n```\n\nBye\n"
    )


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_csv_becomes_a_table(mark, tmp_path):
    """The first row is the head, whatever the delimiter; quotes hold."""
    text = f'Name{mark}Value\n"a{mark} b"{mark}=1+2\nc\n'.encode()
    cell = f"a{mark} b".replace("|", "\\|").replace("\t", " ")
    cell = " ".join(cell.split())
    assert text_of(tmp_path, text, name="x.csv") == (
        f"| Name | Value |\n| --- | --- |\n| {cell} | =1+2 |\n| c |  |\n"
    )


def test_attributes_of_unknown_xml_are_kept(tmp_path):
    """A laboratory's own XML often has everything in attributes."""
    page = (
        b'<l xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a">'
        b'<test name="K" unit="mmol/L" flag="HH">6.9</test><test name="Na" value="140"/><empty/></l>'
    )
    assert text_of(tmp_path, page) == "test (name: K, unit: mmol/L, flag: HH): 6.9\n\ntest (name: Na): 140\n"
