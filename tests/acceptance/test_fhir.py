"""docpipe against a FHIR server, as its users run it."""

import io
import zipfile

import fakes
from fakes.documents.mix import make_full
from fakes.patients import Person
from tests.acceptance.conftest import Box


def held(patient: str) -> set[int]:
    """The sizes of all that the fakes hold of a patient, empty files apart."""
    person = next(Person(**row) for row in fakes.sample() if row["id"] == patient)
    with zipfile.ZipFile(io.BytesIO(make_full(0, person).body)) as packed:
        return {info.file_size for info in packed.infolist() if info.file_size}


async def test_every_document_of_a_fhir_server(box: Box) -> None:
    """One command brings every document home: converted, distinguished, accounted for, as from an archive."""
    box.env |= {"DOCPIPE_DOCEX__KIND": "fhir", "DOCPIPE_DOCEX__FHIR_MODE": "export"}
    ended = await box.run("run", "--patient", "P123", "--json")
    assert ended.status == 0, ended.err
    (run,) = ended.json["runs"]
    assert run["state"] == "completed_with_errors"  # one of the fakes' documents is corrupt
    files = box.manifest(run)["files"]
    assert sum(run["documents"].values()) == len(files)
    documents = [file for file in files if file["path"].startswith("DocumentReference/")]
    top = [file for file in documents if not file["parent"] and not file["derived_from"]]
    assert {file["size"] for file in top if file["size"]} == held("P123")
    nested = [file["path"] for file in documents if file["parent"]]
    assert any(path.endswith("Deep note.txt") for path in nested), "archives among them are opened"
    assert sum(file["outcome"] == "failed" for file in files) == 1
    (letter,) = [file for file in top if file["path"].endswith("/Telephone.txt")]
    assert letter["title"] == "Telephone note"
    assert letter["outcome"] == "converted"
    others = {file["path"]: file["outcome"] for file in files if file not in documents}
    assert others == {
        "DocumentReference.ndjson": "stored",
        "Patient.ndjson": "converted",
        "Observation.ndjson": "converted",
    }
    assert not list((box.state / "spool").iterdir())
