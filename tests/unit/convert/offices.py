"""Small spreadsheets, presentations, OpenDocument files and Outlook messages made for tests."""

import io
import struct
import zipfile

from tests.unit.convert.documents import OFFICE

PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
ODF = "urn:oasis:names:tc:opendocument:xmlns:"
ODF_NAMES = "".join(
    f' xmlns:{name}="{ODF}{name}:1.0"'
    for name in ("office", "text", "table", "style", "presentation", "meta")
) + (
    f' xmlns:draw="{ODF}drawing:1.0" xmlns:fo="{ODF}xsl-fo-compatible:1.0" '
    f'xmlns:svg="{ODF}svg-compatible:1.0"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def packed(files):
    """A ZIP of files by name, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def relations(*links):
    """A part of relations: kind and target each, with the ids r1, r2 and so on."""
    inner = "".join(
        f'<Relationship Id="r{at}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(links, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'


def _office(main, files):
    return packed(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": relations(("officeDocument", main)),
        }
        | files
    )


def xlsx(sheets, *, strings=(), formats=(), cells=(), workbook="", states=(), more=None):
    """A workbook: sheets as the content of sheetData by name, shared strings as XML, number formats, and the
    format's index of each style of cells.
    """
    names = list(sheets)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"{state}/>'
        for at, (name, state) in enumerate(zip(names, [*states, *[""] * len(names)], strict=False), 1)
    )
    numbers = "".join(
        f'<numFmt numFmtId="{164 + at}" formatCode="{code}"/>' for at, code in enumerate(formats)
    )
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in cells)
    links = [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(names) + 1)]
    files = {
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}">{workbook}<sheets>'
        f"{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            *links, ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{SHEET}">'
        f"{''.join(f'<si>{each}</si>' for each in strings)}</sst>",
        "xl/styles.xml": f'<styleSheet xmlns="{SHEET}"><numFmts>{numbers}</numFmts><cellXfs>'
        f"{styles}</cellXfs></styleSheet>",
    }
    for at, content in enumerate(sheets.values(), 1):
        inner = content if "<sheetData" in content else f"<sheetData>{content}</sheetData>"
        files[f"xl/worksheets/sheet{at}.xml"] = (
            f'<worksheet xmlns="{SHEET}" xmlns:r="{OFFICE}">{inner}</worksheet>'
        )
    return _office("xl/workbook.xml", files | (more or {}))


def pptx(*slides, more=None):
    """A presentation of slides, each the content of its tree of shapes."""
    links = [("slide", f"slides/slide{at}.xml") for at in range(1, len(slides) + 1)]
    listed = "".join(f'<p:sldId id="{at}" r:id="r{at}"/>' for at in range(1, len(slides) + 1))
    files = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{SLIDE}" xmlns:r="{OFFICE}"><p:sldIdLst>{listed}'
        "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(*links),
    } | {
        f"ppt/slides/slide{at}.xml": f'<p:sld xmlns:p="{SLIDE}" xmlns:a="{DRAWING}" '
        f'show="{int(slide[0] != "!")}">'
        f"<p:cSld><p:spTree>{slide.lstrip('!')}</p:spTree></p:cSld></p:sld>"
        for at, slide in enumerate(slides, 1)
    }
    return _office("ppt/presentation.xml", files | (more or {}))


def shape(*lines, kind=""):
    """A shape with lines of text; a tab before a line makes it deeper."""
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    paragraphs = "".join(
        f'<a:p><a:pPr lvl="{len(line) - len(line.lstrip(chr(9)))}"/><a:r><a:t>{line.strip()}</a:t>'
        f"</a:r></a:p>"
        for line in lines
    )
    return f"<p:sp>{place}<p:txBody>{paragraphs}</p:txBody></p:sp>"


def odf(body, kind="text", *, automatic="", styles="", meta="", more=None):
    """An OpenDocument file around a body."""
    content = (
        f"<office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    )
    files = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": f"<office:document-content{ODF_NAMES}>{content}</office:document-content>",
        "styles.xml": f"<office:document-styles{ODF_NAMES}>{styles}</office:document-styles>",
        "meta.xml": f"<office:document-meta{ODF_NAMES}><office:meta>{meta}</office:meta>"
        f"</office:document-meta>",
    }
    return packed(files | (more or {}))


def flat_odf(body):
    """An OpenDocument text in one XML file."""
    return (
        f'<?xml version="1.0"?><office:document{ODF_NAMES} '
        f'office:mimetype="application/vnd.oasis.opendocument.text">'
        f"<office:body><office:text>{body}</office:text></office:body></office:document>"
    ).encode()


def msg(streams):
    """A compound file of streams by path, such as "__substg1.0_0037001F"; folders are parted by "/". Each
    stream is padded with zeros to 4,096 bytes, from where on compound files keep them apart.
    """
    return _Compound(streams).data()


def properties(entries, header):
    """A stream of MAPI's fixed properties: (type, tag) to the eight bytes of a value."""
    rows = b"".join(
        struct.pack("<HHI", kind, tag, 6) + value.ljust(8, b"\0") for (kind, tag), value in entries.items()
    )
    return bytes(header) + rows


class _Compound:
    """A writer of compound files (MS-CFB) whose streams are all in the large sectors."""

    FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD

    def __init__(self, streams):
        self.entries = [("Root Entry", 5, b"")]  # name, kind, data
        self.children = {0: []}
        folders = {"": 0}
        for path, data in streams.items():
            *above, name = path.split("/")
            at = ""
            for folder in above:
                inner = f"{at}/{folder}"
                if inner not in folders:
                    folders[inner] = self._add(folder, 1, folders[at], b"")
                at = inner
            self._add(name, 2, folders[at], data.ljust(4096, b"\0"))

    def _add(self, name, kind, parent, data):
        number = len(self.entries)
        self.entries.append((name, kind, data))
        self.children[number] = []
        self.children[parent].append(number)
        return number

    def data(self):
        sectors, fat, starts = [], [], {}
        for number, (_, kind, data) in enumerate(self.entries):
            if kind == 2:
                starts[number] = self._chain(sectors, fat, data)
        directory = b"".join(self._entry(number, starts) for number in range(len(self.entries)))
        first = self._chain(sectors, fat, directory)
        size = 1
        while size * 128 < len(fat) + size:
            size += 1
        table = [*range(len(sectors), len(sectors) + size)]
        fat += [self.FAT] * size
        fat += [self.FREE] * (size * 128 - len(fat))
        whole = struct.pack(f"<{len(fat)}I", *fat)
        head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        head += bytes(6) + struct.pack("<IIIIIIIII", 0, size, first, 0, 0, self.END, 0, self.END, 0)
        head += struct.pack("<109I", *(table + [self.FREE] * (109 - size)))
        return head + b"".join(sectors) + whole

    def _chain(self, sectors, fat, data):
        first = len(sectors)
        pieces = [data[at : at + 512].ljust(512, b"\0") for at in range(0, max(len(data), 1), 512)]
        sectors += pieces
        fat += [*range(first + 1, first + len(pieces)), self.END]
        return first

    def _entry(self, number, starts):
        name, kind, data = self.entries[number]
        siblings = next((each for each in self.children.values() if number in each), [])
        at = siblings.index(number) if number in siblings else 0
        after = siblings[at + 1] if at + 1 < len(siblings) else self.FREE
        child = self.children[number][0] if self.children[number] else self.FREE
        encoded = name.encode("utf-16-le")
        length = len(data) if kind == 2 else 0
        return (
            encoded.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(encoded) + 2, kind, 1, self.FREE, after, child)
            + bytes(36)
            + struct.pack("<IQ", starts.get(number, self.END), length)
        )
