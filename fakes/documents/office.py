"""What word processors, portals and telephones leave: RTF, DOCX, HTML, plain text."""

from html import escape
from typing import Final

from fakes.documents.pack import pack
from fakes.documents.story import Story

_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_ASCII: Final = 128
_BMP: Final = 0xFFFF
_SIGNED: Final = 0x8000


def rtf(story: Story) -> bytes:
    """A progress note."""
    body = "".join(rf"{_rtf(text)}\par" + "\n" for text in (story.header, *story.paragraphs()))
    return (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}}\f0\fs22" + "\n"
        r"{\b Progress note}\par" + "\n" + body + "}\n"
    ).encode("ascii")


def docx(story: Story) -> bytes:
    """A care plan with a table of the medication."""
    rows = [("Medication", "Directions"), *((drug.name, how) for drug, how in story.medications)]
    table = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:tcPr/>{_paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    grid = '<w:tblGrid><w:gridCol w:w="4500"/><w:gridCol w:w="4500"/></w:tblGrid>'
    document = (
        f'{_XML}<w:document xmlns:w="{_WORD}"><w:body>{_paragraph("Care plan")}{_paragraph(story.header)}'
        + "".join(map(_paragraph, story.paragraphs()))
        + f'<w:tbl><w:tblPr><w:tblW w:w="9000" w:type="dxa"/></w:tblPr>{grid}{table}</w:tbl>'
        + f"{_paragraph(story.author)}<w:sectPr/></w:body></w:document>"
    )
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    types = (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>'
    )
    relations = (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>'
    )
    parts = {"[Content_Types].xml": types, "_rels/.rels": relations, "word/document.xml": document}
    return pack({name: text.encode() for name, text in parts.items()})


def html(story: Story) -> bytes:
    """A message from the patients' portal, in UTF-8."""
    rows = "".join(
        f"<tr><td>{escape(r.what.name)}</td><td>{r.value:g} {escape(r.unit)}</td><td>{r.flag}</td></tr>"
        for r in story.results
    )
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in story.paragraphs())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Portal message</title>
<script>document.title = "scripts must not run"</script></head>
<body><h1>Portal message</h1><p>{escape(story.header)}</p>
{text}
<table><tr><th>Test</th><th>Value</th><th>Flag</th></tr>{rows}</table>
<ul><li>Bring your insurance card.</li><li>Do not eat after midnight.</li></ul>
</body></html>
""".encode()


def text_cp1252(story: Story) -> bytes:
    """A telephone note in Windows-1252, with characters that are not ASCII."""
    lines = (
        f"Telephone note \u2013 {story.day.isoformat()}",
        story.header,
        "",
        *story.paragraphs(),
        "",
        "\u201cShe\u2019ll call back\u201d \u2013 asked about café food, 38 °C at home, co-payment 15 €.",
    )
    return "\r\n".join(lines).encode("cp1252", "replace")


def _paragraph(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{escape(text, quote=False)}</w:t></w:r></w:p>'


def _rtf(text: str) -> str:
    return "".join(_rtf_character(character) for character in text)


def _rtf_character(character: str) -> str:
    number = ord(character)
    if character in "\\{}":
        return "\\" + character
    if number < _ASCII:
        return character
    if number > _BMP:
        return "?"
    # \u takes a signed 16-bit number, and the character for readers that know no Unicode.
    return rf"\u{number - 2 * _SIGNED if number >= _SIGNED else number}?"
