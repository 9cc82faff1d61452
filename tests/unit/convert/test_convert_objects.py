"""Pictures of office documents in the PDF, and charts as tables of their numbers."""

import io

import pypdfium2
import pytest
from PIL import Image

from docpipe.convert.core.blocks import Paragraph, Table
from docpipe.convert.core.xmltree import parse
from docpipe.convert.readers.office.charts import chart_blocks
from docpipe.convert.readers.office.objects import CHARTS, CHARTS_LOST
from docpipe.convert.readers.office.pictures import picture
from tests.unit.convert.documents import OFFICE, image, run, text_of
from tests.unit.convert.offices import DRAWING, ODF_NAMES, odf, packed, pptx, relations, shape, xlsx

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
NAMES = (
    f'xmlns:w="{WORD}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}"'
    ' xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
)
PNG = image(size=(300, 200))
ALONE = "a picture is shown in the PDF alone; no text describes what can be seen"
LOST = "a picture is not shown in the text and the PDF; see the original"


def cache(kind, *texts, code=""):
    points = "".join(f'<c:pt idx="{at}"><c:v>{text}</c:v></c:pt>' for at, text in enumerate(texts) if text)
    form = f"<c:formatCode>{code}</c:formatCode>" if code else ""
    return f"<c:{kind}Ref><c:{kind}Cache>{form}{points}</c:{kind}Cache></c:{kind}Ref>"


def series(name, points, values, *, names=("cat", "val"), more=""):
    at, of = names
    named = f"<c:tx>{cache('str', name)}</c:tx>"
    return f"<c:ser>{named}<c:{at}>{points}</c:{at}><c:{of}>{values}</c:{of}>{more}</c:ser>"


def chart(*listed, title="", axis=""):
    def titled(text):
        return f"<c:title><c:tx><c:rich><a:p><a:r><a:t>{text}</a:t></a:r></a:p></c:rich></c:tx></c:title>"

    return (
        f"<c:chartSpace {NAMES}><c:chart>{titled(title) if title else ''}<c:plotArea><c:lineChart>"
        f"{''.join(listed)}</c:lineChart><c:valAx>{titled(axis) if axis else ''}</c:valAx></c:plotArea>"
        "</c:chart></c:chartSpace>"
    )


DAYS = cache("num", "45413", "45414", code="yyyy-mm-dd")
CREATININE = chart(series("µmol/L", DAYS, cache("num", "240", "251.26", code="0.0")), title="Creatinine")
TABLE = "Chart: Creatinine\n\n|  | µmol/L |\n| --- | --- |\n| 2024-05-01 | 240.0 |\n| 2024-05-02 | 251.3 |"
BLIP = f'<a:blip xmlns:a="{DRAWING}" xmlns:r="{OFFICE}" r:embed="r1"/>'
CHART = f'<c:chart {NAMES} r:id="r2"/>'
LINKS = relations(("image", "../media/i.png"), ("chart", "../charts/c.xml"))


def word(body, data=PNG, drawn=CREATININE, header=""):
    files = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": relations(("officeDocument", "word/document.xml")),
        "word/_rels/document.xml.rels": relations(
            ("image", "media/i.png"), ("chart", "charts/c.xml"), ("header", "header1.xml")
        ),
        "word/document.xml": f"<w:document {NAMES}><w:body>{body}</w:body></w:document>",
        "word/header1.xml": f"<w:hdr {NAMES}>{header}</w:hdr>",
        "word/_rels/header1.xml.rels": relations(("image", "media/i.png")),
        "word/media/i.png": data,
        "word/charts/c.xml": drawn,
    }
    return packed(files)


def line(*inner):
    return f"<w:p>{''.join(f'<w:r>{each}</w:r>' for each in inner)}</w:p>"


def drawing(inner):
    return f"<w:drawing>{inner}</w:drawing>"


def pictures_in(pdf):
    """The number of pictures on the pages of a PDF."""
    with pypdfium2.PdfDocument(pdf) as opened:
        kinds = [part.type for page in opened for part in page.get_objects(max_depth=6)]
    return kinds.count(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE)


PRESENTATION = shape("a") + (
    f'<p:pic><p:nvPicPr><p:cNvPr id="1" name="n" descr="ECG strip"/></p:nvPicPr><p:blipFill>{BLIP}'
    f"</p:blipFill></p:pic><p:graphicFrame><a:graphic><a:graphicData>{CHART}</a:graphicData></a:graphic></p:graphicFrame>"
)
SHEET = "<sheetData><row><c t='inlineStr'><is><t>a</t></is></c></row></sheetData><drawing r:id='r1'/>"
CELL_PICTURE = (
    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc>"
    f"{line(drawing(BLIP))}<w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
)
CHART_OBJECT = (
    f"<office:document-content{ODF_NAMES} "
    'xmlns:chart="urn:oasis:names:tc:opendocument:xmlns:chart:1.0"><office:body><office:chart><chart:chart>'
    "<chart:title><text:p>Creatinine</text:p></chart:title><table:table><table:table-header-rows><table:table-row>"
    "<table:table-cell/><table:table-cell><text:p>µmol/L</text:p></table:table-cell></table:table-row>"
    "</table:table-header-rows>"
    "<table:table-row><table:table-cell><text:p>2024-05-01</text:p></table:table-cell><table:table-cell>"
    "<text:p>240.0</text:p></table:table-cell></table:table-row>"
    "<table:table-row><table:table-cell><text:p>2024-05-02</text:p></table:table-cell><table:table-cell>"
    "<text:p>251.3</text:p></table:table-cell></table:table-row></table:table></chart:chart></office:chart>"
    "</office:body></office:document-content>"
)
XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href'
FRAMES = (
    f'<draw:frame><draw:image {XLINK}="Pictures/i.png"/></draw:frame>'
    f'<draw:frame><draw:object {XLINK}="./Object 1"/>'
    f'<draw:image {XLINK}="./ObjectReplacements/Object 1"/></draw:frame>'
)
ODF_FILES = {"Pictures/i.png": PNG, "Object 1/content.xml": CHART_OBJECT}
DOCUMENTS = {
    "DOCX": word(line("<w:t>a</w:t>", drawing(BLIP)) + line(drawing(CHART))),
    "XLSX": xlsx(
        {"S": SHEET},
        more={
            "xl/worksheets/_rels/sheet1.xml.rels": relations(("drawing", "../drawings/d.xml")),
            "xl/drawings/d.xml": f"<d><pic>{BLIP}</pic><frame>{CHART}</frame></d>",
            "xl/drawings/_rels/d.xml.rels": LINKS,
            "xl/media/i.png": PNG,
            "xl/charts/c.xml": CREATININE,
        },
    ),
    "PPTX": pptx(
        PRESENTATION,
        more={
            "ppt/slides/_rels/slide1.xml.rels": LINKS,
            "ppt/media/i.png": PNG,
            "ppt/charts/c.xml": CREATININE,
        },
    ),
    "ODT": odf(f"<text:p>a{FRAMES}</text:p>", more=ODF_FILES),
    "ODP": odf(f"<draw:page>{FRAMES}</draw:page>", "presentation", more=ODF_FILES),
}


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
def test_pictures_are_in_the_pdf_and_charts_are_tables(data, tmp_path):
    """A wound, a growth chart: document.pdf shows them, and the warnings say what the text lacks."""
    done, outputs = run(tmp_path, data)
    assert TABLE in outputs["text.md"].decode()
    assert pictures_in(outputs["document.pdf"]) == 1
    assert set(done["warnings"]) == {ALONE, CHARTS}
    assert done["metadata"]["pdf"]["proven"] == "PDF/A-2b"


PLACES = {
    "a cell": word(CELL_PICTURE),
    "a header": word(line("<w:t>a</w:t>"), header=line(drawing(BLIP))),
    "an old drawing": word(line(f'<w:pict><v:imagedata xmlns:v="v" xmlns:r="{OFFICE}" r:id="r1"/></w:pict>')),
    "RTF": b"{\\rtf1 a\\par{\\pict\\pngblip " + PNG.hex().encode() + b"}\\par b}",
    "a cell of RTF": b"{\\rtf1\\trowd\\cellx1\\cellx2\\intbl a\\cell{\\pict\\pngblip "
    + PNG.hex().encode()
    + b"}\\cell\\row}",
}


@pytest.mark.parametrize("data", PLACES.values(), ids=PLACES)
def test_pictures_are_in_the_pdf_wherever_they_stand(data, tmp_path):
    """In cells and headers of Word documents too."""
    done, outputs = run(tmp_path, data)
    assert pictures_in(outputs["document.pdf"]) == 1
    assert ALONE in done["warnings"]


def test_hidden_pictures_are_not_shown(tmp_path):
    """They are counted among those that nothing shows."""
    body = f"<w:p><w:r><w:t>a</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr>{drawing(BLIP)}</w:r></w:p>"
    done, outputs = run(tmp_path, word(body))
    assert pictures_in(outputs["document.pdf"]) == 0
    assert done["warnings"] == [LOST]


@pytest.mark.parametrize(
    "data", [image(size=(16, 16)), image(size=(1000, 20)), PNG[:60], b"\xd7\xcd\xc6\x9a"]
)
def test_icons_and_damaged_pictures_are_left_to_the_original(data, tmp_path):
    """A warning counts them."""
    done, outputs = run(tmp_path, word(line("<w:t>a</w:t>", drawing(BLIP)), data))
    assert pictures_in(outputs["document.pdf"]) == 0
    assert done["warnings"] == [LOST]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pictures_of_every_mode_can_be_drawn(mode, tmp_path):
    """Bilevel faxes, greys, palettes and transparency, as PDF/A."""
    done, outputs = run(
        tmp_path, word(line("<w:t>a</w:t>", drawing(BLIP)), image(size=(200, 200), mode=mode))
    )
    assert pictures_in(outputs["document.pdf"]) >= 1
    assert done["metadata"]["pdf"]["proven"] == "PDF/A-2b"


def test_large_and_turned_photographs_are_made_fit():
    """At most 1,600 pixels, and upright as the camera says."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3000, 1000), "red").save(out, "JPEG", exif=exif)
    made = picture(out.getvalue())
    assert (made.width, made.height) == (533, 1600)
    assert made.data.startswith(b"\xff\xd8")


def test_series_with_points_of_their_own_have_tables_of_their_own():
    """As of a scatter chart; axes are named, bubbles have sizes, a missing value is blank."""
    names = ("xVal", "yVal")
    root = parse(
        chart(
            series("a", cache("num", "1", "2"), cache("num", "10", "")),
            series("b", cache("num", "1", "2"), cache("num", "11", "12")),
            series(
                "c",
                cache("num", "5"),
                cache("num", "7"),
                names=names,
                more=f"<c:bubbleSize>{cache('num', '3')}</c:bubbleSize>",
            ),
            axis="mmol/L",
        ).encode()
    ).root
    assert chart_blocks(root) == (
        Paragraph("Chart (mmol/L)"),
        Table((("", "a", "b"),), (("1", "10", "11"), ("2", "", "12"))),
        Table((("", "c"),), (("5", "7 (size 3)"),)),
    )


NEWER = (
    '<cx:chartSpace xmlns:cx="cx"><cx:chartData><cx:data id="0"><cx:strDim type="cat"><cx:lvl ptCount="2">'
    '<cx:pt idx="0">on ward</cx:pt><cx:pt idx="1">at home</cx:pt></cx:lvl></cx:strDim><cx:numDim type="val">'
    '<cx:lvl ptCount="2" formatCode="0.0"><cx:pt idx="0">6.94</cx:pt><cx:pt idx="1">4</cx:pt></cx:lvl>'
    "</cx:numDim>"
    "</cx:data></cx:chartData><cx:chart><cx:title><cx:tx><cx:txData><cx:v>Potassium</cx:v></cx:txData></cx:tx>"
    '</cx:title><cx:plotArea><cx:plotAreaRegion><cx:series layoutId="waterfall"><cx:tx><cx:txData>'
    '<cx:v>mmol/L</cx:v></cx:txData></cx:tx><cx:dataId val="0"/></cx:series>'
    '<cx:series layoutId="x"><cx:dataId val="7"/></cx:series>'
    "</cx:plotAreaRegion></cx:plotArea></cx:chart></cx:chartSpace>"
)


def test_charts_of_newer_kinds_are_tables(tmp_path):
    """Waterfalls, funnels and the like keep their numbers elsewhere."""
    wanted = "Chart: Potassium\n\n|  | mmol/L |\n| --- | --- |\n| on ward | 6.9 |\n| at home | 4.0 |"
    drawn = f"<p:graphicFrame><a:graphic>{CHART}</a:graphic></p:graphicFrame>"
    parts = {"ppt/slides/_rels/slide1.xml.rels": LINKS, "ppt/charts/c.xml": NEWER}
    done, outputs = run(tmp_path, pptx(drawn, more=parts))
    assert wanted in outputs["text.md"].decode()
    assert CHARTS in done["warnings"]
    assert CHARTS_LOST not in done["warnings"]


def test_a_chart_without_numbers_is_named_in_a_warning(tmp_path):
    """Its numbers may lie in another file."""
    done, _ = run(
        tmp_path, word(line("<w:t>a</w:t>") + line(drawing(CHART)), drawn=chart(series("a", "", "")))
    )
    assert CHARTS_LOST in done["warnings"]


def test_a_formula_of_open_document_is_as_it_was_typed(tmp_path):
    """Its picture says nothing to a search."""
    formula = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mi>x</mi>'
        '<annotation encoding="StarMath 5.0">{140 - age} over {72 Cr}</annotation></semantics></math>'
    )
    frame = f'<text:p>a<draw:frame><draw:object {XLINK}="./Object 1"/></draw:frame></text:p>'
    assert "{140 - age} over {72 Cr}" in text_of(tmp_path, odf(frame, more={"Object 1/content.xml": formula}))
