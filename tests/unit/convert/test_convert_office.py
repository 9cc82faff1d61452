"""OpenDocument texts, presentations, and what Word and RTF files have beside their text."""
# ruff: noqa: E501 - an element a line

import io
import struct
import zipfile

import pytest

from tests.unit.convert import documents, offices
from tests.unit.convert.documents import docx, run, text_of
from tests.unit.convert.offices import flat_odf, odf, pptx, shape

TEXTS = {
    "headings and paragraphs": (
        (
            '<text:h text:outline-level="2">A</text:h><text:p>b<text:s text:c="2"/>c<text:tab/>'
            "d<text:line-break/>e</text:p>"
        ),
        "## A\n\nb c d  \ne\n",
    ),
    "lists": (
        (
            '<text:list text:style-name="N"><text:list-item><text:p>a</text:p><text:list><text:list-item>'
            "<text:p>b</text:p>"
            "</text:list-item></text:list></text:list-item></text:list>"
            "<text:list><text:list-item><text:p>c</text:p></text:list-item></text:list>"
        ),
        "1. a\n\n   - b\n\n* c\n",
    ),
    "numbered headings": (
        (
            '<text:list text:style-name="N"><text:list-item><text:h text:outline-level="1">A</text:h>'
            "</text:list-item></text:list>"
        ),
        "# 1 A\n",
    ),
    "table": (
        (
            "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>A</text:p>"
            "</table:table-cell>"
            "<table:table-cell><text:p>B</text:p></table:table-cell></table:table-row>"
            "</table:table-header-rows>"
            '<table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>c</text:p>'
            "</table:table-cell>"
            "<table:covered-table-cell/></table:table-row></table:table>"
        ),
        "| A | B |\n| --- | --- |\n| c |  |\n",
    ),
    "notes": (
        (
            '<text:p>a<text:note text:note-class="footnote"><text:note-citation>7</text:note-citation>'
            "<text:note-body>"
            "<text:p>b</text:p></text:note-body></text:note>.</text:p>"
        ),
        "a [1].\n\n1. b\n",
    ),
    "comments": (
        (
            "<text:p>a<office:annotation><dc:creator>Dr A</dc:creator><dc:date>2024-01-31T12:00:00</dc:date>"
            "<text:p>check</text:p></office:annotation></text:p>"
        ),
        "a\n\n## Comments\n\n- Dr A, 2024-01-31: check\n",
    ),
    "tracked deletions": (
        (
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
            "</text:changed-region></text:tracked-changes><text:p>kept<text:change "
            'text:change-id="x"/></text:p>'
        ),
        "kept\n",
    ),
    "powers and hidden text": (
        (
            '<text:p>10<text:span text:style-name="S">9</text:span><text:span text:style-name="H">'
            "gone</text:span></text:p>"
        ),
        "10⁹[hidden: gone]\n",
    ),
    "text boxes and pictures": (
        (
            "<text:p>a<draw:frame><draw:text-box><text:p>b</text:p></draw:text-box></draw:frame>"
            "<draw:frame><draw:image/><svg:desc>a scan</svg:desc></draw:frame></text:p>"
        ),
        "a\n\nb\n\n[picture: a scan]\n",
    ),
}
STYLES = (
    '<text:list-style style:name="N"><text:list-level-style-number text:level="1" '
    'style:num-format="1"/></text:list-style>'
    '<style:style style:name="S"><style:text-properties style:text-position="super 58%"/></style:style>'
    '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
)


@pytest.mark.parametrize(("body", "markdown"), TEXTS.values(), ids=TEXTS)
def test_open_document_text(body, markdown, tmp_path):
    """Structure is kept; hidden text is marked."""
    assert text_of(tmp_path, odf(body, automatic=STYLES)) == markdown


def test_open_document_flat_and_with_margins(tmp_path):
    """A flat file reads as a zipped one; header and footer stand around the text; facts are its own."""
    assert text_of(tmp_path / "flat", flat_odf("<text:h>A</text:h><text:p>b</text:p>")) == "# A\n\nb\n"
    done, outputs = run(
        tmp_path / "zipped",
        odf(
            "<text:p>b</text:p>",
            styles="<office:master-styles><style:master-page><style:header><text:p>top</text:p>"
            "</style:header>"
            "<style:footer><text:p>end</text:p></style:footer></style:master-page></office:master-styles>",
            meta="<dc:title>T</dc:title><dc:creator>Dr A</dc:creator><dc:date>"
            "2024-01-31T12:00:00.123456789</dc:date>",
        ),
    )
    assert outputs["text.md"] == b"Page header: top\n\nb\n\nPage footer: end\n"
    facts = done["metadata"]
    assert (facts["title"], facts["author"], facts["date"]) == ("T", "Dr A", "2024-01-31T12:00:00")


def test_open_document_encrypted_or_empty(tmp_path):
    """A password is reported; pictures without text become documents; nothing at all is kept as it is."""
    locked = odf("", more={"META-INF/manifest.xml": '<m:encryption-data xmlns:m="x"/>'})
    assert run(tmp_path / "a", locked)[0]["reason"] == "The document needs a password."
    done, _ = run(tmp_path / "b", odf("", more={"Pictures/1.png": documents.image()}))
    assert [part["name"] for part in done["embedded"]] == ["1.png"]
    assert run(tmp_path / "c", odf(""))[0]["outcome"] == "stored"


def test_open_document_slides(tmp_path):
    """Each page has its title, its texts and its notes."""
    box = "<draw:frame{}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>".format
    page = (
        box(' presentation:class="title"', "T")
        + box("", "a")
        + f"<presentation:notes>{box('', 'n')}</presentation:notes>"
    )
    assert (
        text_of(tmp_path, odf(f"<draw:page>{page}</draw:page>", "presentation"))
        == "## Slide 1: T\n\na\n\nNotes:\n\nn\n"
    )


def test_slides_of_a_presentation(tmp_path):
    """Titles, nested points, tables and notes, in order; no page numbers; hidden slides are marked."""
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>".format
    table = (
        "<p:graphicFrame><a:graphic><a:tbl><a:tblPr firstRow='1'/>"
        f"<a:tr>{cell('A')}{cell('B')}</a:tr><a:tr>{cell('c')}{cell('d')}</a:tr></a:tbl></a:graphic>"
        f"</p:graphicFrame>"
    )
    notes = (
        f'<p:notes xmlns:p="{offices.SLIDE}" xmlns:a="{offices.DRAWING}"><p:cSld><p:spTree>'
        f"{shape('say', kind='body')}</p:spTree></p:cSld></p:notes>"
    )
    data = pptx(
        shape("1", kind="sldNum") + shape("Title", kind="title") + shape("a", "\tb", "c", kind="body"),
        f"!<p:grpSp>{shape('alone')}</p:grpSp>{table}",
        more={
            "ppt/slides/_rels/slide1.xml.rels": offices.relations(("notesSlide", "../notes.xml")),
            "ppt/notes.xml": notes,
        },
    )
    done, outputs = run(tmp_path, data)
    assert outputs["text.md"].decode() == (
        "## Slide 1: Title\n\n- a\n\n  - b\n\n- c\n\nNotes:\n\nsay\n\n## Slide 2 (hidden slide)\n\nalone\n\n"
        "| A | B |\n| --- | --- |\n| c | d |\n"
    )
    assert done["warnings"] == ["hidden slides are included"]


M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
WORD = {
    "form fields": (
        (
            "<w:p><w:r><w:fldChar><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData></w:fldChar>"
            "</w:r><w:r><w:t>yes</w:t></w:r>"
            '<w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val="0"/></w:checkBox></w:ffData>'
            "</w:fldChar></w:r>"
            "<w:r><w:t>no</w:t></w:r></w:p>"
        ),
        "☑ yes ☐ no\n",
    ),
    "choices": (
        (
            '<w:p><w:r><w:fldChar><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="left"/>'
            '<w:listEntry w:val="right"/></w:ddList></w:ffData></w:fldChar></w:r></w:p>'
        ),
        "right\n",
    ),
    "fractions": (
        (
            f"<w:p><m:oMath {M}><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r>"
            f"</m:den></m:f></m:oMath></w:p>"
        ),
        "1/2\n",
    ),
    "powers": (
        (
            f"<w:p><m:oMath {M}><m:sSup><m:e><m:r><m:t>m</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r>"
            f"</m:sup></m:sSup></m:oMath></w:p>"
        ),
        "m^2\n",
    ),
    "deleted rows": (
        (
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t>"
            "</w:r></w:p></w:tc></w:tr>"
            "<w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>gone</w:t></w:r></w:p></w:tc><w:tc/>"
            "</w:tr></w:tbl>"
        ),
        "|  |  |\n| --- | --- |\n| a | b |\n| [deleted: gone] |  |\n",
    ),
}


@pytest.mark.parametrize(("body", "markdown"), WORD.values(), ids=WORD)
def test_word_shows_what_is_not_plain_text(body, markdown, tmp_path):
    """Ticks, choices, formulas and deleted rows."""
    assert text_of(tmp_path, docx(body)) == markdown


def _with(data, files):
    """A Word document with more parts."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_word_comments_and_embedded_documents(tmp_path):
    """Comments are at the end with their authors; documents within are unwrapped from OLE."""
    comment = (
        '<w:comment w:author="Dr A" w:date="2024-01-31T12:00:00Z"><w:p><w:r><w:t>check</w:t></w:r></w:p>'
        "</w:comment>"
    )
    data = docx("<w:p><w:r><w:t>a</w:t></w:r></w:p>", {"comments": ("comments", comment)})
    label = b"\x02\0report.pdf\0C:\\report.pdf\0\0\0\3\0" + struct.pack("<I", 4) + b"x\0\0\0"
    native = label + struct.pack("<I", len(documents.pdf())) + documents.pdf()
    wrapped = offices.msg({"\x01Ole10Native": struct.pack("<I", len(native)) + native})
    done, outputs = run(tmp_path, _with(data, {"word/embeddings/oleObject1.bin": wrapped}))
    assert outputs["text.md"].decode() == "a\n\n## Comments\n\n- Dr A, 2024-01-31: check\n"
    assert [part["name"] for part in done["embedded"]] == ["report.pdf"]


def test_word_shows_pieces_in_other_formats(tmp_path):
    """A piece of HTML within a Word document stands where Word shows it."""
    rels = offices.relations(("aFChunk", "chunk.html"))
    line = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>".format
    body = line("a") + '<w:altChunk r:id="r1" xmlns:r="x"/>' + line("c")
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx(body))) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            after.writestr(name, rels if name.endswith("document.xml.rels") else before.read(name))
        after.writestr("word/chunk.html", "<html><h2>B</h2></html>")
    assert text_of(tmp_path, out.getvalue()) == "a\n\n## B\n\nc\n"


def test_word_without_its_end_is_read_as_far_as_it_goes(tmp_path):
    """A file that lost the end of its text shows what is there, and says so."""
    body = "".join(f"<w:p><w:r><w:t>line {at} {at * 7919 % 1000}</w:t></w:r></w:p>" for at in range(2000))
    stored = docx(body)
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        packed = offices.packed({name: archive.read(name) for name in archive.namelist()})
    for at, whole in enumerate((stored, packed)):
        done, outputs = run(tmp_path / str(at), whole[: len(whole) // 2])
        assert outputs["text.md"].decode().startswith("line 0 0\n\nline 1 919\n")
        assert done["warnings"] == ["the file is damaged; its readable parts are converted"]


def test_rtf_gives_its_pictures_and_documents(tmp_path):
    """An RTF file that is a scan gives its picture; a document within one is taken out."""
    scan = b"{\\rtf1 {\\pict{\\*\\blipuid 0102}\\pngblip\\picw1\n" + documents.image().hex().encode() + b"}}"
    done, _ = run(tmp_path / "a", scan)
    assert [part["name"] for part in done["embedded"]] == ["picture 1.png"]
    inner = b"\x02\0a.pdf\0a.pdf\0\0\0\3\0" + struct.pack("<I", 4) + b"x\0\0\0"
    inner += struct.pack("<I", len(documents.pdf())) + documents.pdf()
    ole = struct.pack("<III", 1281, 2, 8) + b"Package\0" + bytes(8) + struct.pack("<I", len(inner)) + inner
    data = b"{\\rtf1 text {\\object\\objemb{\\*\\objdata " + ole.hex().encode() + b"}{\\result x}}}"
    done, _ = run(tmp_path / "b", data)
    assert [part["name"] for part in done["embedded"]] == ["a.pdf"]


def test_rtf_star_amid_of_a_group_hides_nothing(tmp_path):
    """Some writers put a star before the style of characters, which must not hide the text."""
    assert text_of(tmp_path, b"{\\rtf1 {\\f2\\*\\cs7\\cf0 The fox}\\par}") == "The fox\n"


@pytest.mark.parametrize(
    ("page", "markdown"),
    [
        ("<table role=presentation><tr><td>a</td><td>b</td></tr></table>", "a\n\nb\n"),
        ("<table><tr><td><img src=x></td><td>a</td></tr><tr><td></td><td>b</td></tr></table>", "a\n\nb\n"),
        (
            "<table><tr><td>a</td><td></td><td>b</td></tr></table>",
            "|  |  |\n| --- | --- |\n| a | b |\n",
        ),
        (
            "<table><tr><th>A</th><th>B</th></tr><tr><td>a</td><td></td></tr></table>",
            "| A | B |\n| --- | --- |\n| a |  |\n",
        ),
        ("a<!--[if gte mso 9]><xml>x</xml><![endif]--><o:p>b</o:p><![if !vml]>c<![endif]>", "abc\n"),
    ],
)
def test_tables_that_lay_out(page, markdown, tmp_path):
    """Gaps that lay a page out are no columns; the columns of a table with a head are kept."""
    assert text_of(tmp_path, f"<html><body>{page}</body></html>".encode()) == markdown


ON = {
    "DOCX": docx(
        '<w:p><w:r><w:t xml:space="preserve">Give 2 x </w:t></w:r><w:commentRangeStart w:id="0"/><w:r><w:t>5</w:t></w:r>'
        '<w:r><w:tab/><w:t>mg</w:t></w:r><w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r></w:p>',
        {
            "comments": (
                "comments",
                '<w:comment w:id="0" w:author="A"><w:p><w:r><w:t>50?</w:t></w:r></w:p></w:comment>',
            )
        },
    ),
    "ODT": odf(
        '<text:p>Give 2 x <office:annotation office:name="a"><dc:creator>A</dc:creator><text:p>50?</text:p>'
        '</office:annotation><text:span>5</text:span> mg<office:annotation-end office:name="a"/> daily</text:p>'
    ),
    "ODS": odf(
        '<table:table table:name="S"><table:table-row><table:table-cell><text:p>Dose</text:p></table:table-cell>'
        "<table:table-cell><office:annotation><dc:creator>A</dc:creator><text:p>50?</text:p></office:annotation>"
        "<text:p>5 mg</text:p></table:table-cell></table:table-row></table:table>",
        "spreadsheet",
    ),
}


@pytest.mark.parametrize("data", ON.values(), ids=ON.keys())
def test_a_comment_has_what_it_is_about(data, tmp_path):
    """Of ten doses only one is wrong."""
    text = text_of(tmp_path, data, more={"libreoffice": False})
    assert text.endswith(('- A, on "5 mg": 50?\n', '- A, on "Dose: 5 mg": 50?\n'))
