"""The description of what reads documents: search, files, charts and ZIPs; a part of `openapi`."""

from typing import Final

from docpipe.web.charts import MOST_RUNS
from docpipe.web.components import (
    DOCUMENT_ID,
    ONE_RUN,
    RUN_ID,
    TEXT,
    Spec,
    json_response,
    param,
    ref,
    response,
)
from docpipe.web.search import FURTHEST, LONGEST, MOST

_FLAG: Final = {"type": "string", "enum": ["0", "1"]}
_RANGE: Final = param("header", "Range", TEXT, "One range of bytes; what is none is passed over.")


def of_search() -> Spec:
    """Full-text search."""
    number = {"type": "integer", "minimum": 1, "maximum": MOST, "default": 20}
    offset = {"type": "integer", "minimum": 0, "maximum": FURTHEST, "default": 0}
    query = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "\\w"}
    return {
        "/api/search": {
            "get": {
                "summary": "Search in the texts of stored documents.",
                "parameters": [
                    param("query", "q", query, 'Words, "phrases" and prefixes*, all of which have to occur.')
                    | {"required": True},
                    param("query", "patient", TEXT, "Only documents of this patient."),
                    param("query", "limit", number, "Hits."),
                    param("query", "offset", offset, "Hits to leave out before them."),
                ],
                "responses": {"200": json_response(ref("Hits"), "Accents and case do not matter.")},
                "problems": (404, 503),
            }
        }
    }


def of_files() -> Spec:
    """Files of documents and runs."""
    whole = {"Accept_Ranges": {"type": "string", "const": "bytes"}}
    part = {**whole, "Content_Range": TEXT}
    of_run = {"application/json": None, "text/html": TEXT}
    of_document = {"*/*": None}
    which = {"type": "string", "enum": ["manifest.json", "report.json", "report.html"]}
    name = {
        "type": "string",
        "pattern": r"^(document\.pdf|text\.md|thumbnail\.png|metadata\.json|original(\.[a-z0-9]{1,16})?)$",
    }
    return {
        "/api/runs/{run_id}/files/{name}": {
            "get": {
                "summary": "The manifest or a report of a run.",
                "parameters": [ONE_RUN, param("path", "name", which, "The file."), _RANGE],
                "responses": {
                    "200": response("The file.", of_run, **whole),
                    "206": response("The range.", of_run, **part),
                },
                "problems": (404, 416, 503),
            }
        },
        "/api/documents/{patient_id}/{document_id}/{name}": {
            "get": {
                "summary": "A file of a stored document; originals are to be saved, not shown.",
                "parameters": [
                    param("path", "patient_id", TEXT, "Whose it is."),
                    param("path", "document_id", DOCUMENT_ID, "The document."),
                    param("path", "name", name, "The file."),
                    param("query", "download", _FLAG, "1 to save it under its title."),
                    _RANGE,
                ],
                "responses": {
                    "200": response("The file.", of_document, **whole),
                    "206": response("The range.", of_document, **part),
                },
                "problems": (404, 416, 503),
            }
        },
    }


def of_charts() -> Spec:
    """Charts and ZIPs."""
    patient = param("path", "patient_id", TEXT, "The id.")
    runs = {"type": "array", "items": RUN_ID, "minItems": 1, "maxItems": MOST_RUNS}

    def made(summary: str, media_type: str, *parameters: Spec) -> Spec:
        answer = response("The file, to be saved.", {media_type: None}, Content_Disposition=TEXT)
        operation = {"summary": summary, "parameters": list(parameters), "responses": {"200": answer}}
        return {"get": {**operation, "problems": (404, 503)}}

    whole = "as one PDF with cover and contents. HEAD says whether there are any."
    packed = "as one ZIP: originals, PDFs and texts by readable names. HEAD says whether there are any."
    return {
        "/api/patients/{patient_id}/chart.pdf": made(
            f"All readable documents of a patient {whole}", "application/pdf", patient
        ),
        "/api/patients/{patient_id}/documents.zip": made(
            f"All documents of a patient {packed}", "application/zip", patient
        ),
        "/api/runs/{run_id}/chart.pdf": made(
            f"All readable documents of a run {whole}", "application/pdf", ONE_RUN
        ),
        "/api/runs/{run_id}/documents.zip": made(
            f"All documents of a run {packed}", "application/zip", ONE_RUN
        ),
        "/api/documents.zip": made(
            f"All documents of several runs {packed}",
            "application/zip",
            param("query", "run", runs, "The runs; each patient has a folder.") | {"required": True},
        ),
    }
