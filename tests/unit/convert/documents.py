"""Small documents made for tests, and the way to convert one."""

import base64
import io
import json
import os
import zipfile
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from docpipe.convert.document import convert

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"

SAMPLE_FILES = sorted(path for path in SAMPLES.glob("*/*") if path.is_file()) if SAMPLES.is_dir() else []


def samples(pattern="*/*"):
    """The sample files; skipped loudly where they are missing, but never in CI."""
    if not SAMPLE_FILES:
        if os.environ.get("CI"):
            pytest.fail("the sample documents are missing, and CI must have them")
        pytest.skip("the sample documents of ../shared/samples are missing")
    return [path for path in SAMPLE_FILES if path.relative_to(SAMPLES).match(pattern)]


def run(folder, data, *, name="document", declared=None, siblings=None, facts=None, more=None):
    """Convert bytes; the answer and the outputs by name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "original"
    path.write_bytes(data)
    out = folder / "out"
    out.mkdir()
    names = folder / "names.json"
    names.write_text(json.dumps(siblings or []))
    done = convert(
        {
            "path": str(path),
            "name": name,
            "declared": declared,
            "folder": str(out),
            "siblings": str(names),
            "facts": facts or {},
            **(more or {}),
        }
    )
    return done, {name: (out / name).read_bytes() for name in done["outputs"]}


def text_of(folder, data, **more):
    """The Markdown of a document that must convert."""
    done, outputs = run(folder, data, **more)
    assert done["outcome"] == "converted", done["reason"]
    return outputs["text.md"].decode()


def cda(body, header="", root='ClinicalDocument xmlns="urn:hl7-org:v3"'):
    """A CDA document around a body."""
    name = root.split()[0]
    whole = f"<{root}>{header}<component>{body}</component></{name}>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{whole}'.encode()


def section(text, title="A section"):
    """A structured body of one section."""
    return (
        f"<structuredBody><component><section><title>{title}</title><text>{text}</text></section></component>"
        "</structuredBody>"
    )


def payload(data, media_type="application/pdf", more=""):
    """An unstructured body with an encoded document."""
    encoded = base64.b64encode(data).decode()
    return (
        f'<nonXMLBody><text mediaType="{media_type}" representation="B64"{more}>{encoded}</text></nonXMLBody>'
    )


def pdf(pages=1, text="Hello from page", scripted=False, **save):
    """A PDF with a line of text on each page; a page is blank where text is empty."""
    document = pikepdf.new()
    font = document.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    for number in range(1, pages + 1):
        page = document.add_blank_page(page_size=(612, 792))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        if text:
            page.Contents = document.make_stream(f"BT /F1 24 Tf 72 700 Td ({text} {number}) Tj ET".encode())
    if scripted:
        document.Root.OpenAction = document.make_indirect(
            pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=pikepdf.String("app.alert(1)"))
        )
    document.docinfo["/Title"] = "A made PDF"
    document.docinfo["/CreationDate"] = "D:20240131120000+01'00'"
    out = io.BytesIO()
    document.save(out, static_id="encryption" not in save, **save)
    return out.getvalue()


def image(form="PNG", pages=1, size=(60, 40), mode="RGB", **more):
    """A picture, of several pages for a TIFF."""
    frames = [Image.new(mode, size, color=number * 40) for number in range(pages)]
    out = io.BytesIO()
    if pages > 1:
        more = {"save_all": True, "append_images": frames[1:], **more}
    frames[0].save(out, form, **more)
    return out.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def docx(body, parts=None):
    """A Word document around a body, with more parts by name, related by their kind."""
    parts = parts or {}
    relations = "".join(
        f'<Relationship Id="r{at}" Type="{OFFICE}/{name.rstrip("0123456789")}" Target="{name}.xml"/>'
        for at, name in enumerate(parts)
    )
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    files = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="a" Target="word/document.xml" '
        f'Type="{OFFICE}/officeDocument"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{package}">{relations}</Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
    } | {
        f"word/{name}.xml": f'<w:{kind} xmlns:w="{WORD}">{text}</w:{kind}>'
        for name, (kind, text) in parts.items()
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def zipped(**files):
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()
