"""Documents with the same text in symbol fonts, one a format: a dose, boxes and bullets."""

import io
import zipfile

from tests.unit.convert.documents import docx
from tests.unit.convert.offices import odf, pptx

OFFICE = "application/vnd.openxmlformats-officedocument"
LINES = ("Dose 100 μg daily", "Private 100 μg", "☑ yes ☐ no")
"""What each of them shows."""
BULLETS = (("Symbol", "\uf0b7", "•"), ("Wingdings", "\uf0a7", "▪"), ("Wingdings", "\uf0fe", "☑"))
"""Font and character of the bullets, and what the page shows."""


def typed(data, main, parts):
    """An office file whose parts have their types, without which LibreOffice opens none."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{OFFICE}.{kind}+xml"/>'
        for name, kind in ((main[0], f"{main[1]}.main"), *parts)
    )
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="text/xml"/>{overrides}</Types>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, types if name == "[Content_Types].xml" else old.read(name))
    return out.getvalue()


def run_of(text, properties=""):
    """A run of Word."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def in_word_font(font, text):
    """A run of Word in a font."""
    return run_of(text, f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}"/>')


def field_of(instruction, result=""):
    """A field of Word."""
    mark = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'.format
    return (
        f"{mark('begin')}<w:r><w:instrText>{instruction}</w:instrText></w:r>{mark('separate')}{result}"
        f"{mark('end')}"
    )


def word_lists():
    """The numbering of a Word document, a list a bullet."""
    lists = "".join(
        f'<w:abstractNum w:abstractNumId="{at}"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>'
        f'<w:lvlText w:val="{sign}"/><w:pPr><w:ind w:left="720" w:hanging="360"/></w:pPr>'
        f'<w:rPr><w:rFonts w:ascii="{font}" w:hAnsi="{font}"/></w:rPr></w:lvl></w:abstractNum>'
        for at, (font, sign, _) in enumerate(BULLETS, 1)
    )
    numbers = "".join(
        f'<w:num w:numId="{at}"><w:abstractNumId w:val="{at}"/></w:num>' for at in range(1, len(BULLETS) + 1)
    )
    return lists + numbers


def letter(more=""):
    """A Word document: direct fonts, a style, `w:sym`, a field, and lists."""
    box = '<w:r><w:sym w:font="Wingdings" w:char="{}"/><w:t xml:space="preserve"> {} </w:t></w:r>'.format
    lines = (
        run_of("Dose 100 ") + in_word_font("Symbol", "m") + run_of("g daily"),
        run_of("Private 100 ") + in_word_font("Symbol", "\uf06d") + run_of("g"),
        box("F0FE", "yes") + box("F06F", "no"),
        run_of("Style 100 ") + run_of("m", '<w:rStyle w:val="Greek"/>') + run_of("g"),
        run_of("Field 100 ") + field_of(' SYMBOL 109 \\f "Symbol" \\s 10 ') + run_of("g"),
        more,
    )
    items = "".join(
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="{at}"/></w:numPr></w:pPr>'
        f"{run_of(f'item {at}')}</w:p>"
        for at in range(1, len(BULLETS) + 1)
    )
    style = (
        '<w:style w:type="character" w:styleId="Greek"><w:name w:val="Greek"/><w:rPr>'
        '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/></w:rPr></w:style>'
    )
    parts = {"styles": ("styles", style), "numbering": ("numbering", word_lists())}
    kinds = [(f"word/{name}.xml", f"wordprocessingml.{name}") for name in parts]
    body = "".join(f"<w:p>{line}</w:p>" for line in lines) + items
    return typed(docx(body, parts), ("word/document.xml", "wordprocessingml.document"), kinds)


def slide():
    """A presentation: runs with `a:latin` and `a:sym`, and bullets."""
    text = '<a:r><a:rPr lang="en-US"/><a:t>{}</a:t></a:r>'.format
    in_font = (
        '<a:r><a:rPr lang="en-US"><a:latin typeface="{0}"/><a:sym typeface="{0}"/></a:rPr>'
        "<a:t>{1}</a:t></a:r>"
    ).format
    lines = (
        text("Dose 100 ") + in_font("Symbol", "m") + text("g daily"),
        text("Private 100 ") + in_font("Symbol", "\uf06d") + text("g"),
        in_font("Wingdings", "\uf0fe") + text(" yes ") + in_font("Wingdings", "o") + text(" no"),
    )
    items = "".join(
        f'<a:p><a:pPr marL="342900" indent="-342900"><a:buFont typeface="{font}"/><a:buChar char="{sign}"/>'
        f"</a:pPr>{text(f'item {at}')}</a:p>"
        for at, (font, sign, _) in enumerate(BULLETS, 1)
    )
    body = "".join(f"<a:p>{line}</a:p>" for line in lines) + items
    shape = (
        '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="t"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr><a:xfrm>'
        '<a:off x="500000" y="500000"/><a:ext cx="6000000" cy="3000000"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr>'
        f"<p:txBody><a:bodyPr/><a:lstStyle/>{body}</p:txBody></p:sp>"
    )
    main = ("ppt/presentation.xml", "presentationml.presentation")
    return typed(pptx(shape), main, [("ppt/slides/slide1.xml", "presentationml.slide")])


def open_document():
    """An OpenDocument text: spans, a paragraph's own style, and lists."""
    fonts = '<style:text-properties fo:font-family="{}" style:font-charset="x-symbol"/>'.format
    style = '<style:style style:name="{}" style:family="{}">{}</style:style>'.format
    lists = "".join(
        f'<text:list-style style:name="L{at}"><text:list-level-style-bullet text:level="1" '
        f'text:bullet-char="{sign}"><style:list-level-properties text:space-before="0.25in" '
        f'text:min-label-width="0.25in"/>{fonts(font)}</text:list-level-style-bullet></text:list-style>'
        for at, (font, sign, _) in enumerate(BULLETS, 1)
    )
    styles = (
        style("S", "text", fonts("Symbol"))
        + style("W", "text", fonts("Wingdings"))
        + style("G", "paragraph", fonts("Symbol"))
    )
    span = '<text:span text:style-name="{}">{}</text:span>'.format
    lines = (
        f"<text:p>Dose 100 {span('S', 'm')}g daily</text:p>",
        f"<text:p>Private 100 {span('S', chr(0xF06D))}g</text:p>",
        f"<text:p>{span('W', chr(0xF0FE))} yes {span('W', 'o')} no</text:p>",
        '<text:p text:style-name="G">abg</text:p>',
    )
    items = "".join(
        f'<text:list text:style-name="L{at}"><text:list-item><text:p>item {at}</text:p></text:list-item>'
        "</text:list>"
        for at in range(1, len(BULLETS) + 1)
    )
    return odf("".join(lines) + items, automatic=styles + lists)


def rich(more=b""):
    """RTF: bytes, characters in Unicode, a field, and a list."""
    return (
        rb"{\rtf1\ansi\deff0{\fonttbl{\f0\froman Times New Roman;}{\f3\fnil\fcharset2 Symbol;}"
        rb"{\f4\fnil\fcharset2 Wingdings;}{\f5\fnil\fcharset2 Nobody Knows;}}"
        rb"{\*\listtable{\list\listtemplateid1\listhybrid{\listlevel\levelnfc23\levelnfcn23\leveljc0"
        rb"\levelfollow0\levelstartat1{\leveltext\leveltemplateid2\'01\u-3844 ?;}{\levelnumbers;}"
        rb"\f4\fi-360\li720}\listid77}}"
        rb"{\*\listoverridetable{\listoverride\listid77\listoverridecount0\ls1}}"
        rb"Dose 100 {\loch\af3\dbch\af0\hich\f3 \'6d}g daily\par Private 100 {\f3\u-3987 ?}g\par "
        rb"{\f4\'fe} yes {\f4 o} no\par "
        rb"Field 100 {\field{\*\fldinst SYMBOL 109 \\f Symbol \\s 10}{\fldrslt\f3 m}}g\par "
        + more
        + rb"{\listtext\f4\'fc\tab}\pard\ls1\ilvl0\fi-360\li720 item 1\par}"
    )
