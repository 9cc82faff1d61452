"""What the FHIR server holds of a patient, and the forms in which it hands that out."""

import base64
import gzip
import hashlib
import io
import json
import mimetypes
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final

from fakes.calls import Call, Refusal, Reply
from fakes.documents.shelf import Shelf
from fakes.fhiroptions import FhirOptions
from fakes.patients import Person

_NDJSON: Final = "application/fhir+ndjson"


@dataclass(frozen=True, slots=True)
class Held:
    """The documents of a patient, and what else there is."""

    person: Person
    references: list[dict[str, Any]]
    contents: list[tuple[bytes, str]]
    """Bytes and media type, in the order of the references."""
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Other resources by type."""


class Files:
    """Makes resources of the documents on the shelf."""

    def __init__(self, shelf: Shelf, options: FhirOptions) -> None:
        self._shelf = shelf
        self._options = options

    async def held(
        self, person: Person, patient: dict[str, Any], files: str, *, whole: bool, empty: bool
    ) -> Held:
        """What there is of a patient; `whole` for an export, with more than documents.

        `files` is the address below which documents lie.
        """
        found = Held(person, [], [])
        if not empty:
            archive = await self._shelf.archive(person)
            told = {item["path"]: item for item in archive.facts.documents}
            with zipfile.ZipFile(io.BytesIO(archive.body)) as packed:
                for info in packed.infolist():
                    name = info.filename
                    self._add(found, patient["id"], (name, packed.read(info)), told.get(name, {}), files)
        for reference, status in zip(found.references, self._options.statuses, strict=False):
            reference["status"] = status
        if whole:
            found.others["Patient"] = [patient]
            found.others["Observation"] = [_observation(patient["id"], number) for number in range(3)]
        return found

    def _add(
        self, held: Held, patient: str, member: tuple[str, bytes], told: dict[str, Any], origin: str
    ) -> None:
        path, content = member
        number = len(held.references)
        guessed = mimetypes.guess_type(path)[0] or "application/octet-stream"
        kind = told.get("media_type") or guessed
        attachment = {"contentType": kind, "title": path.rsplit("/", 1)[-1]}
        if self._options.verified:
            digest = hashlib.sha1(content, usedforsecurity=False).digest()
            attachment |= {"size": len(content), "hash": base64.b64encode(digest).decode()}
        reference: dict[str, Any] = {
            "resourceType": "DocumentReference",
            "id": f"{held.person.id}-{number}",
            "status": "current",
            "subject": {"reference": f"Patient/{patient}"},
            "description": told.get("title") or path,
            "date": told.get("created", "2024-05-17T09:30:00Z"),
            "content": [{"attachment": attachment}],
        }
        if "author" in told:
            reference["author"] = [{"display": told["author"]}]
        name = f"Binary/{held.person.id}.{number}"
        match self._options.content:
            case "data":
                attachment["data"] = base64.b64encode(content).decode()
            case "contained":
                binary = {"resourceType": "Binary", "id": "b", "contentType": kind}
                reference["contained"] = [{**binary, "data": base64.b64encode(content).decode()}]
                attachment["url"] = "#b"
            case "relative":
                attachment["url"] = name
            case _:
                attachment["url"] = f"{origin}/{name}"
        held.references.append(reference)
        held.contents.append((content, kind))

    # Forms

    def page(self, held: Held, number: int, base: str) -> dict[str, Any]:
        """One page of a searchset."""
        most = self._options.page or len(held.references) or 1
        shown = held.references[number * most : (number + 1) * most]
        links = [{"relation": "self", "url": f"{base}/pages/{held.person.id}/{number}"}]
        if (number + 1) * most < len(held.references):
            links.append({"relation": "next", "url": f"{base}/pages/{held.person.id}/{number + 1}"})
        entries = [
            {"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r, "search": {"mode": "match"}}
            for r in [*shown, *(o for others in held.others.values() for o in others if number == 0)]
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(held.references)}
        return {**bundle, "link": links, "entry": entries}

    def _named(self, held: Held) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Key of the manifest, type and resources of each file."""
        most = self._options.page or len(held.references) or 1
        parts = [held.references[i : i + most] for i in range(0, len(held.references), most)]
        files = [("output", "DocumentReference", part) for part in parts]
        files += [("output", kind, others) for kind, others in held.others.items()]
        if self._options.problems:
            text = f"Something of {held.person.family} is missing."
            issue = {"severity": "error", "code": "not-found", "diagnostics": text}
            told = {"resourceType": "OperationOutcome", "issue": [issue]}
            files.append((self._options.problem_key, "OperationOutcome", [told] * self._options.problems))
        return files

    def manifest(self, held: Held, job: str, page: int, base: str, files: str) -> dict[str, Any]:
        """The manifest, one file a page where it has pages."""
        lists: dict[str, list[dict[str, Any]]] = {"output": [], self._options.problem_key: []}
        named = list(enumerate(self._named(held)))
        shown = named[page : page + 1] if self._options.manifest_pages else named
        for number, (key, kind, resources) in shown:
            url = f"{files}/files/{job}/{number}.ndjson"
            entry: dict[str, Any] = {"url": url, "count": len(resources) + self._options.miscounted}
            lists[key].append({"type": kind, **entry} if key == "output" else entry)
        more = self._options.manifest_pages and page + 1 < len(named)
        link = [{"relation": "next", "url": f"{base}/manifests/{job}/{page + 1}"}] if more else []
        told = {"transactionTime": "2024-05-17T09:30:00Z", "request": f"{base}/Patient/$export"}
        return {**told, "requiresAccessToken": files == base, **lists, **({"link": link} if link else {})}

    def file(self, held: Held, call: Call) -> Reply:
        """One file of NDJSON."""
        number = call.part("file").removesuffix(".ndjson")
        named = self._named(held)
        if not number.isdecimal() or int(number) >= len(named):
            raise Refusal(404, "There is no such file.")
        lines = [json.dumps(resource) for resource in named[int(number)][2]]
        lines[1:1] = self._options.bad_lines
        body = "".join(f"{line}\n" for line in lines).encode()
        if self._options.packed and "gzip" in (call.header("Accept-Encoding") or ""):
            headers = {"Content-Type": _NDJSON, "Content-Encoding": "gzip"}
            return Reply(200, gzip.compress(body, mtime=0), headers)
        return Reply(200, body, {"Content-Type": _NDJSON})

    def binary(self, held: Held, number: str, call: Call) -> Reply:
        """A document: as it is, or as a Binary in JSON; ranges are honoured as RFC 9110 has them."""
        if not number.isdecimal() or int(number) >= len(held.contents):
            raise Refusal(404, "There is no such Binary.")
        if number in self._options.broken:
            raise Refusal(500, "Broken.")
        content, kind = held.contents[int(number)]
        accepts = call.header("Accept") or "*/*"
        if self._options.binaries == "json":
            if "json" not in accepts and "*/*" not in accepts:
                raise Refusal(406, "Only as FHIR.")
            binary = {"resourceType": "Binary", "id": f"{held.person.id}.{number}", "contentType": kind}
            value = {**binary, "data": base64.b64encode(content).decode()}
            return Reply(200, json.dumps(value).encode(), {"Content-Type": "application/fhir+json"})
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"Content-Type": kind, "ETag": etag}
        asked = call.header("Range") or ""
        if asked.startswith("bytes=") and asked.endswith("-") and call.header("If-Range") == etag:
            start = int(asked[6:-1])
            told = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return Reply(206, content[start:], told)
        return Reply(200, content, headers)


def _observation(patient: str, number: int) -> dict[str, Any]:
    coding = {"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}
    return {
        "resourceType": "Observation",
        "id": f"{patient}-o{number}",
        "status": "final",
        "code": {"coding": [coding]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": 60 + number, "unit": "/min"},
    }
