"""The configuration: one dataclass per section, one field per key.

A field's metadata holds its parser and its description in the documentation.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from docpipe.config.fleet import Fleet
from docpipe.config.key import key as _key
from docpipe.config.notify import Notify
from docpipe.config.parsing import (
    Secret,
    choice,
    integer,
    parse_address,
    parse_base_url,
    parse_columns,
    parse_duration,
    parse_hosts,
    parse_keep,
    parse_languages,
    parse_largest,
    parse_login,
    parse_memory,
    parse_networks,
    parse_options,
    parse_origins,
    parse_prefix_key,
    parse_private_key,
    parse_proxy,
    parse_rate,
    parse_secret,
    parse_switch,
    parse_task_url,
    parse_text,
    parse_workers,
)
from docpipe.config.schedule import Schedule
from docpipe.model import Rate

EVEN: Final = "even"


@dataclass(frozen=True, slots=True)
class Remote:
    """The keys of both services."""

    base_url: str = _key(
        parse_base_url,
        "",
        about="address of the service; `fake` starts one inside",
        in_file=True,
        example='"https://service.example"',
    )
    token: Secret | None = _key(parse_secret, about="bearer token", in_file=True, example='"..."')
    token_url: str = _key(
        parse_address,
        "",
        about="token endpoint of an OAuth2 server (client credentials) or its `.well-known` document, "
        "instead of `token`",
        in_file=True,
        example='"https://login.example/token"',
    )
    client_id: str = _key(parse_text, "", about="OAuth2 client id", in_file=True, example='"docpipe"')
    client_secret: Secret | None = _key(
        parse_secret, about="OAuth2 client secret", in_file=True, example='"..."'
    )
    client_auth: str = _key(
        choice("", "basic", "post"),
        "",
        about="where the secret is sent: `basic`, in a header, or `post`, in the form; by default as the "
        "`.well-known` document wants it, without one in a header",
        example='"post"',
    )
    client_assertion_key: Secret | None = _key(
        parse_private_key,
        about="or the private key (PEM or JWK, RS384 or ES384) for assertions; extra `docpipe[oauth2]`",
        in_file=True,
        example='"..."',
    )
    key_id: str = _key(parse_text, "", about="the `kid` of that key, if not the JWK's own", example='"key-1"')
    scope: str = _key(parse_text, "", about="OAuth2 scopes, separated by spaces", example='"system/*.read"')
    ca_file: str = _key(
        parse_text,
        "",
        about="certificates (PEM) to trust besides the system's",
        example='"/etc/docpipe/ca.pem"',
    )
    client_cert_file: str = _key(
        parse_text,
        "",
        about="client certificate (PEM) of docpipe, for mTLS",
        example='"/etc/docpipe/client.pem"',
    )
    client_key_file: str = _key(
        parse_text, "", about="its private key, if in another file", example='"/run/secrets/client-key"'
    )
    proxy: str = _key(
        parse_proxy, "", about="HTTP proxy to the service", example='"http://proxy.example:3128"'
    )
    proxy_login: Secret | None = _key(
        parse_login, about="`user:password` for the proxy", in_file=True, example='"user:password"'
    )
    allow_http: bool = _key(
        parse_switch,
        default=False,
        about="credentials, and links of an https exchange, may go over plain http",
    )
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    max_retry_after: float = _key(parse_duration, 300.0, about="longest Retry-After that is obeyed")


@dataclass(frozen=True, slots=True)
class Docex(Remote):
    """The DocumentExchange."""

    kind: str = _key(
        choice("docex", "fhir"),
        "docex",
        about="protocol of the exchange: `docex`, or `fhir` for a FHIR R4 server",
    )
    fhir_mode: str = _key(
        choice("auto", "documents", "export"),
        "auto",
        about="how documents are found at a FHIR server: `documents`, `export`, or `auto` for both in turn",
    )
    patient_system: str | None = _key(
        parse_text,
        about="identifier system of the patient ids at a FHIR server; without it they are logical ids",
        example='"urn:oid:1.2.3"',
    )
    search_rate: Rate | None = _key(parse_rate, Rate(10, 60), about="quota of new searches")
    status_rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota of status polls")
    spacing: str = _key(
        choice("burst", EVEN),
        "burst",
        about="how both quotas are used: `burst`, as they come free (a fresh `10/min` sends ten at once), "
        "or `even` (one every 6 s)",
    )
    max_downloads: int = _key(integer(1, 1000), 4, about="archives downloaded at the same time")
    archive_origins: tuple[str, ...] = _key(
        parse_origins,
        (),
        about="other origins that archives may come from; empty: any public address, and where base_url is",
        example='["https://files.example"]',
    )
    attachment_patience: float = _key(
        parse_duration,
        900.0,
        about="at a FHIR server: how long another origin may give no answer before its documents count as "
        "failed",
    )


@dataclass(frozen=True, slots=True)
class Tasktracker(Remote):
    """The TaskTracker."""

    rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota over all its operations")
    task_url: str | None = _key(
        parse_task_url,
        about="where people open a task in the tracker; the page of `docpipe serve` links there",
        example='"https://tracker.example/tasks/{id}"',
    )


@dataclass(frozen=True, slots=True)
class Patients:
    """The patients database."""

    url: str = _key(
        parse_text,
        "",
        about="SQLAlchemy URL; default `patients.db` in the state folder; `fake` for invented patients",
        in_file=True,
        example='"postgresql://reader@db.example/clinic"',
    )
    table: str = _key(
        parse_text, "", about="table or view, with its schema; default `patients`", example='"clinic.people"'
    )
    columns: tuple[tuple[str, str], ...] = _key(
        parse_columns,
        (),
        about='names of its columns; "" for one that it lacks',
        example='{ given = "first_name", sex = "" }',
    )
    query: str = _key(
        parse_text,
        "",
        about="instead of a table: a query with `:id`",
        example='"SELECT * FROM people WHERE id = :id"',
    )
    list_query: str = _key(
        parse_text,
        "",
        about="a query that gives the `id` of every patient, for `run --all` and `patients list`",
        example='"SELECT id FROM people"',
    )
    pool: int = _key(integer(1, 64), 5, about="connections at the same time")
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    connect_timeout: float = _key(parse_duration, 10.0, about="longest wait for a connection")


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of documents and reports."""

    url: str = _key(
        parse_text,
        "data/storage",
        about="a folder, or `s3://`, `gs://` or `az://` with a bucket and a prefix",
        in_file=True,
    )
    options: tuple[tuple[str, Any], ...] = _key(
        parse_options, (), about="options of an object store", example='{ endpoint = "https://s3.example" }'
    )
    patient_prefix: str = _key(
        choice("id", "hash"),
        "id",
        about="how patients' folders are named: `id`, or `hash` for a keyed hash of it",
    )
    prefix_key: Secret | None = _key(
        parse_prefix_key, about="key of that hash, 32 characters or more", in_file=True, example='"..."'
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Full-text search in stored documents."""

    index: bool = _key(
        parse_switch,
        default=True,
        about="keep an index of the text of stored documents, for `docpipe search` and the page",
    )


@dataclass(frozen=True, slots=True)
class State:
    """The state folder."""

    dir: str = _key(parse_text, "data/state", about="folder of checkpoints, lock, spool and activity_log.csv")
    keep: float | None = _key(
        parse_keep,
        90 * 86400.0,
        about="how long checkpoints of finished runs are kept, or `forever`",
    )


@dataclass(frozen=True, slots=True)
class Convert:
    """Conversion of documents."""

    workers: int | None = _key(
        parse_workers, about="worker processes; `auto`: as many as CPUs and memory allow"
    )
    memory: int = _key(parse_memory, 2**30, about="most memory for one document")
    timeout: float = _key(parse_duration, 300.0, about="longest time for one document")
    budget: float = _key(
        parse_duration, 6 * 3600.0, about="longest time of workers for all documents of one patient"
    )
    file_size: int = _key(
        parse_largest,
        2**30,
        about="largest file that is taken from an archive or made of one; others are refused",
    )
    total_size: int = _key(
        parse_largest,
        4 * 2**30,
        about="largest total size of the unpacked files of one archive; files beyond it are refused",
    )
    isolation: str = _key(
        choice("patient", "document"),
        "patient",
        about="a fresh worker process for each `patient`, or for each `document`",
    )
    ocr: bool = _key(parse_switch, default=True, about="OCR scanned pages, if an engine is installed")
    languages: tuple[str, ...] = _key(
        parse_languages, ("eng",), about="languages of scans, as tesseract names them: `eng+spa`"
    )
    libreoffice: bool = _key(
        parse_switch,
        default=True,
        about="LibreOffice opens old office files and draws document.pdf, if it is installed",
    )


@dataclass(frozen=True, slots=True)
class Service:
    """The web service of `docpipe serve`."""

    host: str = _key(parse_text, "127.0.0.1", about="address to listen on")
    port: int = _key(integer(0, 65535), 8080, about="port to listen on")
    token: Secret | None = _key(
        parse_secret,
        about='token that callers have to send; unset: docpipe makes one; "none": everybody may call',
        in_file=True,
        example='"..."',
    )
    hosts: tuple[str, ...] = _key(
        parse_hosts,
        (),
        about="other host names under which callers may address it",
        example='["docpipe.example"]',
    )
    trusted_proxies: tuple[str, ...] = _key(
        parse_networks,
        (),
        about="addresses or networks of proxies whose X-Forwarded-For names the caller",
        example='["10.0.0.5", "10.1.0.0/16"]',
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration; `source` is the file it was read from, if any."""

    docex: Docex = field(default_factory=Docex)
    tasktracker: Tasktracker = field(default_factory=Tasktracker)
    patients: Patients = field(default_factory=Patients)
    storage: Storage = field(default_factory=Storage)
    search: Search = field(default_factory=Search)
    state: State = field(default_factory=State)
    convert: Convert = field(default_factory=Convert)
    service: Service = field(default_factory=Service)
    schedule: tuple[Schedule, ...] = ()
    notify: Notify = field(default_factory=Notify)
    fleet: Fleet = field(default_factory=Fleet)
    source: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: that of the file, else the working directory."""
        return self.source.parent if self.source else Path.cwd()

    @property
    def state_dir(self) -> Path:
        """The state folder, absolute."""
        return (self.folder / self.state.dir).absolute()


SECTIONS: Final[dict[str, type[Any]]] = {
    "docex": Docex,
    "tasktracker": Tasktracker,
    "patients": Patients,
    "storage": Storage,
    "search": Search,
    "state": State,
    "convert": Convert,
    "service": Service,
    "schedule": Schedule,
    "notify": Notify,
    "fleet": Fleet,
}
REPEATED: Final = frozenset({"schedule"})
"""Sections that may stand several times, as `[[schedule]]`."""
SERVICES: Final = ("docex", "tasktracker")
"""Sections that need a base_url; their secrets are read only by commands that call the services."""
