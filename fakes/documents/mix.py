"""The full mix: every kind of document that the pipeline knows, and every trap that archives set."""

import random
from typing import Any

from fakes.documents import cda, office, pdfs, pictures
from fakes.documents.pack import Made, pack
from fakes.documents.story import Story, tell
from fakes.patients import Person

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def make_full(seed: int, person: Person) -> Made:
    """Seventeen members: 12 kinds of documents, a duplicate, an empty file, litter, a corrupt file."""
    story = tell(seed, person)
    laboratory = pdfs.laboratory(story)
    photograph = pictures.photograph(story)
    # Path, bytes, what the source declares (often wrong, sometimes nothing), title.
    rows: list[tuple[str, bytes, str | None, str | None]] = [
        ("CCD/Summary.xml", cda.continuity_of_care(story), "text/xml", "Continuity of Care Document"),
        (
            "CCD/Discharge.xml",
            cda.around_pdf(story, pdfs.letter(story)),
            "application/xml",
            "Discharge letter",
        ),
        ("Labs/Laboratory report.pdf", laboratory, "application/pdf", "Laboratory report"),
        ("Scans/Referral.pdf", pdfs.scan(story), "text/plain", "Referral letter"),
        ("Scans/Fax.tif", pictures.fax(story), "image/tiff", "Outside records, by fax"),
        ("Images/Forearm.jpg", photograph, "application/pdf", "Photograph of the left forearm"),
        ("Images/ECG.png", pictures.rhythm_strip(story), "image/png", "Rhythm strip"),
        ("Notes/Progress note.rtf", office.rtf(story), "application/msword", "Progress note"),
        ("Notes/Plan de soins révisé.docx", office.docx(story), DOCX, "Care plan"),
        ("Portal/Message.html", office.html(story), "text/html", "Portal message"),
        ("Notes/Telephone.txt", office.text_cp1252(story), "text/plain; charset=utf-8", "Telephone note"),
        ("Labs/Damaged.pdf", _damaged(seed, person), "application/pdf", "Pathology report"),
        ("Other/Outside records.zip", _nested(story), "application/zip", None),
        ("Labs/Laboratory report (copy).pdf", laboratory, "application/octet-stream", "Laboratory report"),
        ("Notes/Empty.txt", b"", None, None),
        ("__MACOSX/Images/._Forearm.jpg", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", None, None),
        (".DS_Store", b"\x00\x00\x00\x01Bud1\x00\x00\x10\x00", None, None),
    ]
    documents = [
        _described(story, path, media_type, title)
        for path, _, media_type, title in rows
        if title is not None or media_type is not None
    ]
    return Made(pack((path, content) for path, content, _, _ in rows), documents)


def _described(story: Story, path: str, media_type: str | None, title: str | None) -> dict[str, Any]:
    output: dict[str, Any] = {"path": path}
    if media_type is not None:
        output["media_type"] = media_type
    if title is not None:
        output |= {"title": title, "author": story.author, "created": f"{story.day.isoformat()}T09:30:00Z"}
    return output


def _damaged(seed: int, person: Person) -> bytes:
    """A PDF of which only the first line arrived whole."""
    rng = random.Random(f"damaged:{seed}:{person.id}")
    return b"%PDF-1.7\n" + rng.randbytes(2_000)


def _nested(story: Story) -> bytes:
    inner = pack({"Deep note.txt": "\n".join((story.header, *story.paragraphs()[:2])).encode()})
    message = office.html(story).replace(b"Portal message", b"Outside visit")
    return pack({"Visit.html": message, "Deeper.zip": inner})
