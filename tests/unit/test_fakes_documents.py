"""The documents made up: of every kind, really of that kind, the same each time."""

import base64
import hashlib
import io
import subprocess
import sys
import zipfile

import pypdfium2
import pytest
from lxml import etree
from PIL import Image
from striprtf.striprtf import rtf_to_text

from fakes.calls import Refusal
from fakes.documents.mix import make_full
from fakes.documents.shelf import Shelf
from fakes.documents.tiny import make_tiny
from fakes.patients import COLUMNS, Person, export, sample

PERSON = Person("P123", "Łukasz", "O'Neill & <Søn>", "1950-02-28", "male", "02139")
HL7 = "{urn:hl7-org:v3}"


@pytest.fixture(scope="module")
def made():
    return make_full(0, PERSON)


@pytest.fixture(scope="module")
def files(made):
    with zipfile.ZipFile(io.BytesIO(made.body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_same_bytes_each_time(made):
    """Seed and patient decide every byte; another seed, another patient give other bytes."""
    assert make_full(0, PERSON) == made
    assert make_full(1, PERSON).body != made.body
    assert make_full(0, PERSON._replace(id="P124")).body != made.body
    with zipfile.ZipFile(io.BytesIO(made.body)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2024, 5, 17, 9, 30, 0)}
    assert make_tiny(0, PERSON) == make_tiny(0, PERSON)


def test_same_bytes_in_another_process(made):
    """Nothing depends on the hash seed or on what was made before."""
    code = (
        "import hashlib; from fakes.documents.mix import make_full; from fakes.patients import Person;"
        f"print(hashlib.sha256(make_full(0, Person(*{tuple(PERSON)!a})).body).hexdigest())"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert output.strip() == hashlib.sha256(made.body).hexdigest()


def test_every_kind_is_there(files):
    """Every kind of document and every trap of the full mix."""
    endings = {name.rpartition(".")[2] for name in files}
    assert {"xml", "pdf", "tif", "jpg", "png", "rtf", "docx", "html", "txt", "zip", "DS_Store"} <= endings
    assert files["Labs/Laboratory report.pdf"] == files["Labs/Laboratory report (copy).pdf"]
    assert files["Notes/Empty.txt"] == b""
    assert any(name.startswith("__MACOSX/") for name in files)
    assert not all(name.isascii() for name in files)


def test_continuity_of_care_document(files):
    """The C-CDA bears patient, author, custodian, and sections with tables and codes."""
    root = etree.fromstring(files["CCD/Summary.xml"])
    assert root.tag == f"{HL7}ClinicalDocument"
    assert root.findtext(f".//{HL7}recordTarget//{HL7}family") == PERSON.family
    assert root.find(f".//{HL7}custodian") is not None
    codes = {code.get("code") for code in root.iterfind(f".//{HL7}section/{HL7}code")}
    assert codes == {"48765-2", "10160-0", "11450-4", "30954-2", "8716-3", "11369-6", "18776-5"}
    assert len(list(root.iter(f"{HL7}table"))) == 5
    assert root.find(f".//{HL7}text/{HL7}list/{HL7}item") is not None
    assert root.findall(f".//{HL7}observation")


def test_embedded_pdf(files):
    """The unstructured CDA carries a PDF in base64."""
    root = etree.fromstring(files["CCD/Discharge.xml"])
    text = root.find(f".//{HL7}nonXMLBody/{HL7}text")
    assert text.get("representation") == "B64"
    page = pypdfium2.PdfDocument(base64.b64decode(text.text))[0]
    assert PERSON.given in page.get_textpage().get_text_bounded()


def test_pdfs(files):
    """The typeset PDF has pages of text, the scan has pages without, the damaged one does not open."""
    words = [
        len(p.get_textpage().get_text_bounded())
        for p in pypdfium2.PdfDocument(files["Labs/Laboratory report.pdf"])
    ]
    assert len(words) == 3
    assert min(words) > 100
    scan = pypdfium2.PdfDocument(files["Scans/Referral.pdf"])
    assert [p.get_textpage().get_text_bounded() for p in scan] == ["", ""]
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(files["Labs/Damaged.pdf"])


def test_pictures(files):
    """The pictures are what their names say."""
    with Image.open(io.BytesIO(files["Scans/Fax.tif"])) as fax:
        assert (fax.n_frames, fax.info["compression"]) == (3, "group4")
    for name, format_ in (("Images/Forearm.jpg", "JPEG"), ("Images/ECG.png", "PNG")):
        with Image.open(io.BytesIO(files[name])) as image:
            image.load()
            assert image.format == format_


def test_office_documents(files):
    """RTF, DOCX, HTML and text say whose they are, in their encodings."""
    assert PERSON.family in rtf_to_text(files["Notes/Progress note.rtf"].decode("ascii"))
    with zipfile.ZipFile(io.BytesIO(files["Notes/Plan de soins révisé.docx"])) as docx:
        text = "".join(etree.fromstring(docx.read("word/document.xml")).itertext())
    assert f"{PERSON.given} {PERSON.family}" in text
    assert "O&#x27;Neill &amp; &lt;Søn&gt;" in files["Portal/Message.html"].decode()
    note = files["Notes/Telephone.txt"]
    assert "15 €" in note.decode("cp1252")
    with pytest.raises(UnicodeDecodeError):
        note.decode("utf-8")


def test_nested_archives(files):
    """The nested archive has an archive in it."""
    with zipfile.ZipFile(io.BytesIO(files["Other/Outside records.zip"])) as outer:
        assert zipfile.is_zipfile(io.BytesIO(outer.read("Deeper.zip")))


def test_what_is_said_of_documents(made, files):
    """The exchange describes only files that are there, sometimes with the wrong media type."""
    listed = {document["path"]: document for document in made.documents}
    assert listed.keys() < files.keys()
    assert listed["Images/Forearm.jpg"]["media_type"] == "application/pdf"
    assert listed["CCD/Summary.xml"].keys() == {"path", "media_type", "title", "author", "created"}


async def test_folder_with_strange_names(tmp_path):
    """A folder is served whole, with relative names, the same for each patient, built once."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "Befund ü.txt").write_bytes(b"x" * 70_000)
    (tmp_path / "empty.bin").touch()
    shelf = Shelf(0, "full", tmp_path)
    archive = await shelf.archive(PERSON)
    assert await shelf.archive(PERSON._replace(id="P1")) is archive
    shelf.close()
    with zipfile.ZipFile(io.BytesIO(archive.body)) as read:
        assert read.testzip() is None
        assert {name: len(read.read(name)) for name in read.namelist()} == {
            "a/b/Befund ü.txt": 70_000,
            "empty.bin": 0,
        }
    assert archive.facts.documents[0] == {
        "path": "a/b/Befund ü.txt",
        "title": "Befund ü",
        "media_type": "text/plain",
    }


def test_sample_patients(tmp_path):
    """A hundred patients with the columns that docpipe imports, all of them acceptable to the exchange."""
    people = sample(3)
    assert [p["id"] for p in people] == [f"P{n}" for n in range(100, 200)]
    assert all(tuple(p) == COLUMNS for p in people)
    assert all(Person.of(p).id == p["id"] for p in people)
    assert any(not p["family"].isascii() for p in people)
    assert sample(3, 5) == people[:5]
    assert sample(4) != people
    export(tmp_path / "p.csv", 3)
    assert (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()[
        0
    ] == "id,given,family,birth_date,sex,postal_code"


@pytest.mark.parametrize(
    "change",
    [
        {"given": None},
        {"family": "  "},
        {"birth_date": "1950-02-30"},
        {"birth_date": "19500228"},
        {"sex": "F"},
        {"postal_code": 2139},
        {"id": 5},
    ],
)
def test_bad_demographics(change):
    """Demographics that are malformed or incomplete are refused with 400."""
    with pytest.raises(Refusal) as refused:
        Person.of(PERSON._asdict() | change)
    assert refused.value.status == 400


def test_light_to_import():
    """Importing the fakes loads nothing heavy."""
    heavy = {"PIL", "pikepdf", "typst", "lxml", "img2pdf", "docpipe"}
    code = f"import sys, fakes; print(sorted({heavy} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert output.strip() == "[]"
