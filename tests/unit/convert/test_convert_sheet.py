"""The line at the head of each page of a typeset PDF, and the number at its foot."""

import pypdfium2
import pytest

from docpipe.convert.core.base import Facts
from docpipe.convert.core.blocks import Heading, Listing, Paragraph
from docpipe.convert.writers import typeset
from docpipe.convert.writers.sheet import Sheet, sheet
from tests.unit.convert.documents import cda, pdf, run, section

RUN = {"name": "Rosa Example", "birth_date": "1970-02-03", "id": "000111"}
LONG = "".join(f"<paragraph>{'word ' * 300}</paragraph>" for _ in range(8))


def heads_and_feet(data):
    """What stands at the top and at the bottom of each page."""
    document = pypdfium2.PdfDocument(data)
    texts = [page.get_textpage() for page in document]
    return (
        [" ".join(page.get_text_bounded(bottom=740).split()) for page in texts],
        [page.get_text_bounded(top=60).strip() for page in texts],
    )


def test_each_page_names_the_patient_of_the_run(tmp_path):
    """A text that names nobody bears the patient that it was retrieved for, on each page, and its title."""
    given = {"patient": RUN, "title": "Visit note"}
    done, outputs = run(tmp_path, ("word " * 300 + "\n\n").encode() * 9, facts=given)
    heads, feet = heads_and_feet(outputs["document.pdf"])
    assert len(heads) > 1
    assert set(heads) == {"Rosa Example, born 1970-02-03, id 000111 Visit note"}
    assert feet == [f"page {n} of {len(feet)}" for n in range(1, len(feet) + 1)]
    assert b"Rosa" not in outputs["text.md"]
    assert "Rosa" not in str(done)


def test_patient_of_the_document_comes_first(tmp_path):
    """Where the document names its patient, that one is on the pages, also if the run is about another."""
    header = (
        "<title>Summary</title><recordTarget><patientRole><patient><name><given>Testa</given>"
        '<family>Person</family></name><birthTime value="19500131"/></patient></patientRole></recordTarget>'
    )
    outputs = run(tmp_path, cda(section(LONG), header), facts={"patient": RUN})[1]
    heads = heads_and_feet(outputs["document.pdf"])[0]
    assert len(heads) > 1
    for head in heads:
        assert "Testa Person, born 1950-01-31" in head
        assert "Rosa" not in head


def test_pdf_that_came_as_one_keeps_its_pages(tmp_path):
    """Nothing is written onto an original."""
    data = pdf()
    assert run(tmp_path, data, facts={"patient": RUN})[1]["document.pdf"] == data


@pytest.mark.parametrize("given", [None, {}, {"patient": None}, {"patient": {}}])
def test_without_a_patient_there_is_no_line(given, tmp_path):
    """A document converted by hand has its title alone, or nothing."""
    outputs = run(tmp_path, b"plain text", facts=given)[1]
    heads, feet = heads_and_feet(outputs["document.pdf"])
    assert "born" not in heads[0]
    assert feet == ["page 1 of 1"]


def test_several_patients_are_not_one():
    """Two patients are both named, more are counted; the same one is named once."""

    def named(*names):
        facts = Listing(tuple((Paragraph(f"Patient: {name}"),) for name in names))
        return sheet([Heading(1, "T"), facts], "T", RUN).patient

    assert named("A", "B") == "A; B"
    assert named("A", "A") == "A"
    assert named("A", "B", "C") == "3 patients"
    assert named() == "Rosa Example, born 1970-02-03, id 000111"


def test_line_is_one_line_and_data():
    """Long titles are cut, newlines are blanks, and signs of Typst's language mean themselves."""
    line = sheet([], "#eval(1)\n*bold* " + "x" * 300, {"name": "A $x$ @b"})
    assert line.title.startswith("#eval(1) *bold* x")
    assert len(line.title) <= 110
    made = typeset.render([Paragraph("text")], Facts(), Sheet(line.patient, "#eval(1) *bold*"))
    assert made.proven == "PDF/A-2b"
    assert heads_and_feet(made.pdf)[0] == ["A $x$ @b #eval(1) *bold*"]


def test_an_address_is_no_patient(tmp_path):
    """A reference that nothing resolves does not displace the patient of the run."""
    observation = b'{"resourceType":"Observation","code":{"text":"K"},"subject":{"reference":"Patient/123"}}'
    _, outputs = run(tmp_path, observation, facts={"patient": {"name": "Rosa Example", "id": "P77"}})
    page = pypdfium2.PdfDocument(outputs["document.pdf"])[0].get_textpage().get_text_range()
    assert page.startswith("Rosa Example, id P77")
    assert "Subject: Patient/123" in page
