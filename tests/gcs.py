"""Google Cloud Storage as far as docpipe uses it: the XML API, with what obstore sends to it.

Source: https://cloud.google.com/storage/docs/xml-api/reference-methods. Never tried against the real service.
"""

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest

PAGE = 7
"""Objects on a page of a list: few, so that lists have several pages."""
_numbers = itertools.count(1)


@dataclass
class Stored:
    """An object, or a part of one that is uploaded in parts."""

    data: bytes
    generation: int
    headers: dict[str, str]
    etag: str
    modified: str = field(default_factory=lambda: formatdate(usegmt=True))

    def iso(self) -> str:
        """When it was written, as lists say it."""
        return f"{parsedate_to_datetime(self.modified):%Y-%m-%dT%H:%M:%S}.000Z"

    def answer(self) -> dict[str, str]:
        """The headers that describe it."""
        described = {"ETag": self.etag, "Last-Modified": self.modified}
        return {**self.headers, **described, "x-goog-generation": str(self.generation)}


@dataclass
class Bucket:
    """What one bucket holds."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, dict[int, Stored]] = field(default_factory=dict)
    described: dict[str, dict[str, str]] = field(default_factory=dict)
    """The headers of uploads in parts, by their ids."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and query of each request."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    buckets: ClassVar[dict[str, Bucket]] = {}
    lock: ClassVar[threading.Lock] = threading.Lock()
    numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def handle_one(self) -> None:
        """Answer any method."""
        parts = urlsplit(self.path)
        name, _, key = unquote(parts.path).removeprefix("/").partition("/")
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.lock:
            bucket = self.buckets.get(name)
            if bucket is None:
                self.error(404, "NoSuchBucket")
                return
            bucket.requests.append((self.command, parts.query))
            action = f"{self.command.lower()}_{self.kind(query)}"
            getattr(self, action, self.unknown)(bucket, key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815 -- as http.server has them

    @staticmethod
    def kind(query: dict[str, str]) -> str:
        """Which request it is, by its query."""
        if "uploads" in query:
            return "uploads"
        return "upload" if "uploadId" in query else "list" if "list-type" in query else "object"

    # Objects

    def put_object(self, bucket: Bucket, key: str, _query: dict[str, str], body: bytes) -> None:
        """Write one, under a condition on its generation."""
        given = self.headers.get("x-goog-if-generation-match")
        there = bucket.objects.get(key)
        if given is not None and int(given) != (there.generation if there else 0):
            self.error(412, "PreconditionFailed")
            return
        bucket.objects[key] = self.stored(body, self.description())
        self.answer(200, headers=bucket.objects[key].answer())

    def get_object(self, bucket: Bucket, key: str, _query: dict[str, str], _body: bytes) -> None:
        """Read one, or a range of it."""
        result = bucket.objects.get(key)
        if result is None:
            self.error(404, "NoSuchKey")
        elif self.headers.get("If-Match", result.etag) != result.etag:
            self.error(412, "PreconditionFailed")
        elif (given := self.headers.get("Range")) is None:
            self.answer(200, result.data, result.answer())
        else:
            first, _, last = given.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(result.data) - 1), len(result.data) - 1)
            where = {"Content-Range": f"bytes {start}-{end}/{len(result.data)}"}
            self.answer(206, result.data[start : end + 1], result.answer() | where)

    head_object = get_object

    def delete_object(self, bucket: Bucket, key: str, _query: dict[str, str], _body: bytes) -> None:
        """Remove one."""
        if bucket.objects.pop(key, None) is None:
            self.error(404, "NoSuchKey")
        else:
            self.answer(204)

    # Uploads in parts

    def post_uploads(self, bucket: Bucket, key: str, _query: dict[str, str], _body: bytes) -> None:
        """Begin one."""
        id_ = f"upload-{next(self.numbers)}"
        bucket.uploads[id_], bucket.described[id_] = {}, self.description()
        self.xml("InitiateMultipartUploadResult", f"<Key>{escape(key)}</Key><UploadId>{id_}</UploadId>")

    def put_upload(self, bucket: Bucket, _key: str, query: dict[str, str], body: bytes) -> None:
        """Take a part."""
        part = self.stored(body, {})
        bucket.uploads[query["uploadId"]][int(query["partNumber"])] = part
        self.answer(200, headers={"ETag": part.etag})

    def post_upload(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        """Join the parts, whose tags have to be those that were given."""
        parts = bucket.uploads.pop(query["uploadId"])
        listed = [
            (int(part.findtext("{*}PartNumber") or 0), part.findtext("{*}ETag"))
            for part in ET.fromstring(body).iter()  # noqa: S314 -- of obstore
            if part.tag.endswith("}Part") or part.tag == "Part"
        ]
        if listed != [(number, parts[number].etag) for number in sorted(parts)]:
            self.error(400, "InvalidPart")
            return
        whole = b"".join(parts[number].data for number, _ in listed)
        bucket.objects[key] = self.stored(whole, bucket.described.pop(query["uploadId"]))
        made = bucket.objects[key]
        tag = f"<Key>{escape(key)}</Key><ETag>{escape(made.etag)}</ETag>"
        self.xml("CompleteMultipartUploadResult", tag, made.answer())

    def delete_upload(self, bucket: Bucket, _key: str, query: dict[str, str], _body: bytes) -> None:
        """Give one up."""
        bucket.uploads.pop(query["uploadId"], None)
        self.answer(204)

    # Lists

    def get_list(self, bucket: Bucket, _key: str, query: dict[str, str], _body: bytes) -> None:
        """A page of objects, and of common prefixes where there is a delimiter."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        names: dict[str, Stored | None] = {}
        for key in sorted(bucket.objects):
            rest = key.removeprefix(prefix)
            if key.startswith(prefix) and delimiter and delimiter in rest:
                names[prefix + rest.partition(delimiter)[0] + delimiter] = None
            elif key.startswith(prefix):
                names[key] = bucket.objects[key]
        left = [name for name in names if name > after]
        inner = f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(left[:PAGE])}</KeyCount>"
        for name in left[:PAGE]:
            if (result := names[name]) is None:
                inner += f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            else:
                inner += (
                    f"<Contents><Key>{escape(name)}</Key><Generation>{result.generation}</Generation>"
                    f"<MetaGeneration>1</MetaGeneration><LastModified>{result.iso()}</LastModified>"
                    f"<ETag>{escape(result.etag)}</ETag><Size>{len(result.data)}</Size></Contents>"
                )
        more = len(left) > PAGE
        inner += f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        inner += f"<NextContinuationToken>{escape(left[PAGE - 1])}</NextContinuationToken>" if more else ""
        self.xml("ListBucketResult", inner)

    # Answers

    def stored(self, data: bytes, headers: dict[str, str]) -> Stored:
        """A new generation."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return Stored(data, next(self.numbers), headers, f'"{digest}"')

    def description(self) -> dict[str, str]:
        """The headers that are kept with an object."""
        kept = ("content-type", "content-disposition", "cache-control")
        items = [(name.lower(), value) for name, value in self.headers.items()]
        return {name: value for name, value in items if name in kept or name.startswith("x-goog-meta-")}

    def unknown(self, *_: object) -> None:
        """What docpipe does not use."""
        self.error(501, "NotImplemented")

    def xml(self, name: str, inner: str, headers: dict[str, str] | None = None) -> None:
        """A document."""
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{space}">{inner}</{name}>'
        self.answer(200, body.encode(), {**(headers or {}), "content-type": "application/xml"})

    def error(self, status: int, code: str) -> None:
        """An error."""
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
        self.answer(status, body.encode(), {"content-type": "application/xml"})

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Any answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@dataclass(frozen=True)
class Gcs:
    """A bucket, and how docpipe reaches it."""

    address: str
    bucket: str
    account: Path
    """The file of a service account that signs in nowhere."""

    @property
    def url(self) -> str:
        return f"gs://{self.bucket}/pre/fix"

    @property
    def options(self) -> dict[str, Any]:
        return {
            "base_url": self.address,
            "service_account": str(self.account),
            "allow_http": True,
            "timeout": "20s",
        }

    @property
    def held(self) -> Bucket:
        return Handler.buckets[self.bucket]


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """The address of a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def gcs(gcs_server: str, tmp_path: Path) -> Gcs:
    """A new bucket."""
    account = tmp_path / "account.json"
    fields = {"gcs_base_url": gcs_server, "disable_oauth": True, "client_email": "", "private_key": ""}
    account.write_text(json.dumps({**fields, "private_key_id": ""}), "utf-8")
    bucket = f"bucket-{next(_numbers)}"
    Handler.buckets[bucket] = Bucket()
    return Gcs(gcs_server, bucket, account)
