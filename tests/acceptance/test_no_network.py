"""Documents that point outwards: nothing is ever fetched, whatever they ask for."""

import asyncio
import io
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import pikepdf

from tests import strace
from tests.acceptance.conftest import ROOT

OUT = "http://127.0.0.1:9/fetched"
"""A converter that follows the link is detected, and reaches nothing."""
SCRIPT = """
import json, sys
from pathlib import Path
from docpipe.convert.document import convert
outcomes = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    folder = Path(sys.argv[2], path.name)
    folder.mkdir(parents=True)
    done = convert({"path": str(path), "name": path.name, "folder": str(folder)})
    outcomes[path.name] = [done["outcome"], done["reason"], "text.md" in done["outputs"]]
print(json.dumps(outcomes))
"""


def zipped(members: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return made.getvalue()


def html() -> bytes:
    return f"""<!DOCTYPE html><html><head><base href="{OUT}/"><link rel="stylesheet" href="{OUT}.css">
    <meta http-equiv="refresh" content="0;url={OUT}"><script src="{OUT}.js"></script>
    <style>@import url({OUT}.css); body {{ background: url({OUT}.png) }}</style></head>
    <body><p>Letter</p><img src="{OUT}.png" srcset="{OUT}.png 2x"><iframe src="{OUT}"></iframe>
    <object data="{OUT}.swf"></object><video poster="{OUT}.jpg"></video>
    <svg><image href="{OUT}.png"/></svg></body></html>""".encode()


def cda() -> bytes:
    return f"""<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="{OUT}.xsl"?>
    <!DOCTYPE ClinicalDocument SYSTEM "{OUT}.dtd" [<!ENTITY x SYSTEM "{OUT}.txt">]>
    <ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xi="http://www.w3.org/2001/XInclude"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:hl7-org:v3 {OUT}.xsd">
    <title>Summary</title><component><structuredBody><component><section><title>Plan</title>
    <text>Rest. <xi:include href="{OUT}.xml"/><linkHtml href="{OUT}">more</linkHtml>
    <renderMultiMedia referencedObject="p"/></text>
    <entry><observationMedia ID="p"><value mediaType="image/png"><reference value="{OUT}.png"/></value>
    </observationMedia></entry></section></component></structuredBody></component></ClinicalDocument>
    """.encode()


def docx() -> bytes:
    package = "http://schemas.openxmlformats.org/package/2006"
    rels = f"{package}/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

    def outside(kind: str) -> str:
        return f'<Relationship Id="r{kind}" Type="{office}/{kind}" Target="{OUT}" TargetMode="External"/>'

    main = f'<Relationship Id="r1" Type="{office}/officeDocument" Target="word/document.xml"/>'
    kinds = "".join(map(outside, ("attachedTemplate", "image", "oleObject", "hyperlink", "aFChunk")))
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.document.main+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{rels}">{main}</Relationships>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{rels}">{kinds}</Relationships>',
            "word/document.xml": f'<w:document xmlns:w="{word}" xmlns:r="{office}"><w:body><w:p><w:r>'
            '<w:t>Letter</w:t></w:r></w:p><w:altChunk r:id="raFChunk"/></w:body></w:document>',
        }
    )


def odt() -> bytes:
    office = "urn:oasis:names:tc:opendocument:xmlns"
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<office:document-content xmlns:office="{office}:office:1.0" '
            f'xmlns:text="{office}:text:1.0" xmlns:draw="{office}:drawing:1.0" '
            'xmlns:xlink="http://www.w3.org/1999/xlink"><office:body><office:text><text:p>Letter'
            f'<draw:frame><draw:image xlink:href="{OUT}.png"/></draw:frame></text:p>'
            f'<text:section><text:section-source xlink:href="{OUT}"/></text:section>'
            "</office:text></office:body></office:document-content>",
        }
    )


def pdf() -> bytes:
    made = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        uri = pikepdf.Dictionary(S=pikepdf.Name.URI, URI=OUT)
        document.Root.OpenAction = document.make_indirect(uri)
        stream = pikepdf.Stream(document, b"")
        stream.F = pikepdf.Dictionary(Type=pikepdf.Name.Filespec, FS=pikepdf.Name.URL, F=OUT)
        document.pages[0].Contents = document.make_indirect(stream)
        document.save(made)
    return made.getvalue()


def eml() -> bytes:
    head = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Letter\r\nMIME-Version: 1.0\r\n"
    outside = f'Content-Type: message/external-body; access-type="URL"; URL="{OUT}"\r\n\r\n\r\n'
    return (
        (
            f"{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        ).encode()
        + html()
        + f"\r\n--b\r\n{outside}--b--\r\n".encode()
    )


def fhir() -> bytes:
    attachment = {"contentType": "application/pdf", "url": OUT}
    text = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">Letter<img src="{OUT}"/></div>',
    }
    content = [{"attachment": attachment}]
    return json.dumps({"resourceType": "DocumentReference", "text": text, "content": content}).encode()


def rtf() -> bytes:
    field = f'{{\\field{{\\*\\fldinst INCLUDEPICTURE "{OUT}"}}{{\\fldrslt x}}}}'
    return f"{{\\rtf1{{\\*\\template {OUT}}}Letter {field}}}".encode()


def hl7() -> bytes:
    head = r"MSH|^~\&|A|B|C|D|20240101||ORU^R01|1|P|2.5"
    return f"{head}\rOBX|1|RP|1^Scan||{OUT}^image^png||||||F\r".encode()


DOCUMENTS = {
    "letter.html": html,
    "summary.xml": cda,
    "letter.docx": docx,
    "letter.odt": odt,
    "letter.pdf": pdf,
    "letter.eml": eml,
    "reference.json": fhir,
    "letter.rtf": rtf,
    "result.hl7": hl7,
}


async def test_nothing_is_fetched(tmp_path: Path) -> None:
    """Conversion in a process that may use the network makes no socket, and starts nothing that does."""
    (tmp_path / "in").mkdir()
    for name, make in DOCUMENTS.items():
        (tmp_path / "in" / name).write_bytes(make())
    process = await asyncio.create_subprocess_exec(
        *(
            strace.program(),
            "-f",
            "-qq",
            "-e",
            "trace=socket,connect,sendto,sendmsg",
            "-o",
            str(tmp_path / "trace"),
        ),
        *(sys.executable, "-c", SCRIPT, str(tmp_path / "in"), str(tmp_path / "out")),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    body = json.loads(out)
    for name in DOCUMENTS:
        outcome, reason, text = body[name]
        assert (outcome, text) == ("converted", True), (name, reason)
    assert not re.findall(r".*AF_INET.*", (tmp_path / "trace").read_text(errors="replace"))
