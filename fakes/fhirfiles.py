"""What the FHIR server holds of a patient, and the forms in which it hands that out."""

import base64
import gzip
import hashlib
import io
import json
import mimetypes
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final

from fakes.calls import Call, Refusal, Reply
from fakes.documents.shelf import Shelf
from fakes.fhiroptions import FhirOptions
from fakes.patients import Person

_NDJSON: Final = "application/fhir+ndjson"
NOWHERE: Final = "http://127.0.0.1:1"
"""An origin at which nothing listens."""


@dataclass(frozen=True, slots=True)
class Held:
    """The documents of a patient, and what else there is."""

    person: Person
    references: list[dict[str, Any]]
    contents: list[tuple[bytes, str]]
    """Bytes and media type, in the order of the references."""
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Other resources by type."""

    def add(self, more: "Held") -> None:
        """List what there is of another patient, too; contents stay at their own addresses."""
        self.references.extend(more.references)
        for kind, resources in more.others.items():
            self.others.setdefault(kind, []).extend(resources)


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
        result = Held(person, [], [])
        if not empty:
            archive = await self._shelf.archive(person)
            reported = {item["path"]: item for item in archive.facts.documents}
            with zipfile.ZipFile(io.BytesIO(archive.body)) as packed:
                for info in packed.infolist():
                    name = info.filename
                    self._add(result, patient["id"], (name, packed.read(info)), reported.get(name, {}), files)
        for reference, status in zip(result.references, self._options.statuses, strict=False):
            reference["status"] = status
        if whole:
            result.others["Patient"] = [patient]
            result.others["Observation"] = [_observation(patient["id"], number) for number in range(3)]
        return result

    def _add(
        self, held: Held, patient: str, member: tuple[str, bytes], expected: dict[str, Any], origin: str
    ) -> None:
        path, content = member
        number = len(held.references)
        guessed = mimetypes.guess_type(path)[0] or "application/octet-stream"
        kind = expected.get("media_type") or guessed
        attachment = {"contentType": kind, "title": path.rsplit("/", 1)[-1]}
        if self._options.verified:
            digest = hashlib.sha1(content, usedforsecurity=False).digest()
            attachment |= {"size": len(content), "hash": base64.b64encode(digest).decode()}
        reference: dict[str, Any] = {
            "resourceType": "DocumentReference",
            "id": f"{held.person.id}-{number}",
            "status": "current",
            "subject": {"reference": f"Patient/{patient}"},
            "description": expected.get("title") or path,
            "date": expected.get("created", "2024-05-17T09:30:00Z"),
            "content": [{"attachment": attachment}],
        }
        if "author" in expected:
            reference["author"] = [{"display": expected["author"]}]
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
        if self._options.urns:
            attachment["url"] = _urn(name)
        if str(number) in self._options.nowhere:
            attachment["url"] = f"{NOWHERE}/{name}"
        held.references.append(reference)
        held.contents.append((content, kind))

    # Forms

    def page(self, held: Held, number: int, base: str) -> dict[str, Any]:
        """One page of a searchset."""
        most = self._options.page or len(held.references) or 1
        displayed = held.references[number * most : (number + 1) * most]
        links = [{"relation": "self", "url": f"{base}/pages/{held.person.id}/{number}"}]
        if (number + 1) * most < len(held.references):
            links.append({"relation": "next", "url": f"{base}/pages/{held.person.id}/{number + 1}"})
        entries = [
            {"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r, "search": {"mode": "match"}}
            for r in [*displayed, *(o for others in held.others.values() for o in others if number == 0)]
        ]
        if self._options.urns and number == 0:
            entries += _binaries(held)
        if self._options.incomplete and number == 0:
            entries.append(_warning())
        total = self._options.total or len(held.references)
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": total}
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
            reported = {"resourceType": "OperationOutcome", "issue": [issue]}
            files.append((self._options.problem_key, "OperationOutcome", [reported] * self._options.problems))
        return files

    def manifest(self, held: Held, job: str, page: int, base: str, files: str) -> dict[str, Any]:
        """The manifest, one file a page where it has pages."""
        lists: dict[str, list[dict[str, Any]]] = {"output": [], self._options.problem_key: []}
        named = list(enumerate(self._named(held)))
        displayed = named[page : page + 1] if self._options.manifest_pages else named
        for number, (key, kind, resources) in displayed:
            url = f"{files}/files/{job}/{number}.ndjson"
            entry: dict[str, Any] = {"url": url, "count": len(resources) + self._options.miscounted}
            lists[key].append({"type": kind, **entry} if key == "output" else entry)
        more = self._options.manifest_pages and page + 1 < len(named)
        link = [{"relation": "next", "url": f"{base}/manifests/{job}/{page + 1}"}] if more else []
        reported = {"transactionTime": "2024-05-17T09:30:00Z", "request": f"{base}/Patient/$export"}
        return {**reported, "requiresAccessToken": files == base, **lists, **({"link": link} if link else {})}

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
        if self._options.binaries == "external":
            return _without_data(f"{held.person.id}.{number}", kind)
        if self._options.binaries == "xml" and "xml" in accepts:
            return _in_xml(f"{held.person.id}.{number}", kind, content)
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"Content-Type": kind, "ETag": etag}
        asked = call.header("Range") or ""
        if asked.startswith("bytes=") and asked.endswith("-") and call.header("If-Range") == etag:
            start = int(asked[6:-1])
            reported = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return Reply(206, content[start:], reported)
        return Reply(200, content, headers)


def _urn(name: str) -> str:
    """The `urn:uuid` that stands for a resource in a Bundle."""
    return uuid.uuid5(uuid.NAMESPACE_URL, name).urn


def _binaries(held: Held) -> list[dict[str, Any]]:
    """Entries of a Bundle with the documents."""
    entries = []
    for number, (content, kind) in enumerate(held.contents):
        data = base64.b64encode(content).decode()
        binary = {"resourceType": "Binary", "contentType": kind, "data": data}
        urn = _urn(f"Binary/{held.person.id}.{number}")
        entries.append({"fullUrl": urn, "resource": binary, "search": {"mode": "include"}})
    return entries


def _warning() -> dict[str, Any]:
    """As of a server that asks others, some of which do not answer."""
    text = "2 of 5 sources did not respond."
    issue = {"severity": "warning", "code": "incomplete", "diagnostics": text}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return {"resource": outcome, "search": {"mode": "outcome"}}


def _in_xml(id_: str, kind: str, content: bytes) -> Reply:
    """As servers answer a request for a media type of FHIR in XML."""
    members = {"id": id_, "contentType": kind, "data": base64.b64encode(content).decode()}
    inner = "".join(f'<{name} value="{value}"/>' for name, value in members.items())
    body = f'<?xml version="1.0"?><Binary xmlns="http://hl7.org/fhir">{inner}</Binary>'
    return Reply(200, body.encode(), {"Content-Type": "application/fhir+xml;charset=UTF-8"})


def _without_data(id_: str, kind: str) -> Reply:
    """As HAPI FHIR answers where it keeps the data outside of the resource."""
    extension = {
        "url": "http://hapifhir.io/fhir/StructureDefinition/externalized-binary-id",
        "valueString": "x1",
    }
    binary = {"resourceType": "Binary", "id": id_, "contentType": kind, "_data": {"extension": [extension]}}
    return Reply(200, json.dumps(binary).encode(), {"Content-Type": "application/fhir+json;charset=UTF-8"})


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
