"""The configuration: config.toml, and environment variables over it.

One dataclass a section, one field a key; a field's metadata holds what parses its value. A key that
is unknown, a value that is bad, are refused with the key's name and what would be right.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

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
    parse_login,
    parse_memory,
    parse_options,
    parse_origins,
    parse_prefix_key,
    parse_private_key,
    parse_proxy,
    parse_rate,
    parse_secret,
    parse_switch,
    parse_text,
    parse_workers,
    read_stripped,
)
from docpipe.errors import ConfigError
from docpipe.model import Rate


def _key(parse: Callable[[Any], Any], default: Any = None, *, about: str, in_file: bool = False) -> Any:
    """A key. What is `in_file` may be secret, and be given as `<key>_file` instead: a file with it."""
    hidden = in_file or parse in (parse_options, parse_proxy)  # passwords get where they should not
    metadata = {"parse": parse, "about": about, "in_file": in_file, "hidden": hidden}
    return field(default=default, repr=not hidden, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Remote:
    """What both services have."""

    base_url: str = _key(
        parse_base_url, "", about="address of the service; `fake` starts one inside", in_file=True
    )
    token: Secret | None = _key(
        parse_secret, about="bearer token; better given by `token_file`", in_file=True
    )
    token_url: str = _key(
        parse_address, "", about="where an OAuth2 server gives tokens, instead of `token`", in_file=True
    )
    client_id: str = _key(parse_text, "", about="who docpipe is for that server", in_file=True)
    client_secret: Secret | None = _key(parse_secret, about="the secret that goes with it", in_file=True)
    client_assertion_key: Secret | None = _key(
        parse_private_key,
        about="or the private key (PEM or JWK) that signs assertions: RS384 or ES384",
        in_file=True,
    )
    key_id: str = _key(parse_text, "", about="the `kid` of that key, where it does not say so itself")
    scope: str = _key(parse_text, "", about="scopes to ask for, with blanks between")
    ca_file: str = _key(parse_text, "", about="certificates (PEM) to trust beside the system's")
    client_cert_file: str = _key(parse_text, "", about="the certificate (PEM) that docpipe shows")
    client_key_file: str = _key(parse_text, "", about="its private key, where it stands in another file")
    proxy: str = _key(parse_proxy, "", about="the HTTP proxy that leads there")
    proxy_login: Secret | None = _key(parse_login, about="`user:password` for it", in_file=True)
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    max_retry_after: float = _key(parse_duration, 300.0, about="longest Retry-After that is obeyed")


@dataclass(frozen=True, slots=True)
class Docex(Remote):
    """The DocumentExchange."""

    kind: str = _key(choice("docex", "fhir"), "docex", about="what the exchange speaks")
    fhir_mode: str = _key(
        choice("auto", "documents", "export"), "auto", about="how documents are found at a FHIR server"
    )
    patient_system: str | None = _key(
        parse_text, about="system in which patients' ids are identifiers at a FHIR server"
    )
    search_rate: Rate | None = _key(parse_rate, Rate(10, 60), about="quota of new searches")
    status_rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota of questions after searches")
    max_downloads: int = _key(integer(1, 1000), 4, about="archives downloaded at the same time")
    archive_origins: tuple[str, ...] = _key(
        parse_origins, (), about="other origins that archives may come from; empty allows any"
    )


@dataclass(frozen=True, slots=True)
class Tasktracker(Remote):
    """The TaskTracker."""

    rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota over all its operations")


@dataclass(frozen=True, slots=True)
class Patients:
    """Where patients are looked up."""

    url: str = _key(
        parse_text, "", about="SQLAlchemy URL; default `patients.db` in the state folder", in_file=True
    )
    table: str = _key(parse_text, "", about="the table or view, with its schema; default `patients`")
    columns: tuple[tuple[str, str], ...] = _key(
        parse_columns, (), about='what its columns are called: {given = "first_name"}'
    )
    query: str = _key(parse_text, "", about="instead of a table: a query with `:id`")
    list_query: str = _key(parse_text, "", about="beside it: a query that gives the `id` of everybody")
    pool: int = _key(integer(1, 64), 5, about="connections at the same time")
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    connect_timeout: float = _key(parse_duration, 10.0, about="longest wait for a connection")


@dataclass(frozen=True, slots=True)
class Storage:
    """Where documents and reports are kept."""

    url: str = _key(
        parse_text,
        "data/storage",
        about="a folder, or s3://, gs:// or az:// with a bucket and a prefix",
        in_file=True,
    )
    options: tuple[tuple[str, Any], ...] = _key(
        parse_options, (), about="of an object store, such as its endpoint and region"
    )
    patient_prefix: str = _key(
        choice("id", "hash"), "id", about="how patients' folders are named: by id, or by a keyed hash of it"
    )
    prefix_key: Secret | None = _key(parse_prefix_key, about="key of that hash", in_file=True)


@dataclass(frozen=True, slots=True)
class State:
    """What docpipe itself remembers."""

    dir: str = _key(parse_text, "data/state", about="folder of checkpoints, lock, spool and activity_log.csv")
    keep: float | None = _key(
        parse_keep,
        90 * 86400.0,
        about="how long the checkpoints of finished runs are kept; `forever`: always",
    )


@dataclass(frozen=True, slots=True)
class Convert:
    """Conversion of documents."""

    workers: int | None = _key(
        parse_workers, about="worker processes; `auto`: as many as CPUs and memory allow"
    )
    memory: int = _key(parse_memory, 2**30, about="most memory for one document")
    timeout: float = _key(parse_duration, 300.0, about="longest time for one document")
    ocr: bool = _key(
        parse_switch, default=True, about="whether scans are read, where something is installed for it"
    )
    languages: tuple[str, ...] = _key(
        parse_languages, ("eng",), about="languages of scans, as tesseract names them: `eng+spa`"
    )


@dataclass(frozen=True, slots=True)
class Service:
    """Where `docpipe serve` listens."""

    host: str = _key(parse_text, "127.0.0.1", about="address to listen on")
    port: int = _key(integer(0, 65535), 8080, about="port to listen on")
    token: Secret | None = _key(parse_secret, about="token that callers have to show", in_file=True)
    hosts: tuple[str, ...] = _key(
        parse_hosts, (), about="other host names under which callers may address it"
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `source` is the file it was read from, if any."""

    docex: Docex = field(default_factory=Docex)
    tasktracker: Tasktracker = field(default_factory=Tasktracker)
    patients: Patients = field(default_factory=Patients)
    storage: Storage = field(default_factory=Storage)
    state: State = field(default_factory=State)
    convert: Convert = field(default_factory=Convert)
    service: Service = field(default_factory=Service)
    source: Path | None = None

    @property
    def folder(self) -> Path:
        """Where relative paths start: the folder of the file, else the working directory."""
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
    "state": State,
    "convert": Convert,
    "service": Service,
}
SERVICES: Final = ("docex", "tasktracker")
"""Sections that have to have an address, and whose secrets only those who speak with them read."""
ENV_PREFIX: Final = "DOCPIPE_"
_IN_FILE: Final = "_file"


def load(path: Path | None, env: Mapping[str, str] | None = None, *, services: bool = True) -> Config:
    """Read the configuration.

    Args:
        path: the file; None for ./config.toml, which may then be missing.
        env: the environment, `os.environ` if not given.
        services: whether the services are needed, so that their addresses have to be there.

    Raises:
        ConfigError: with the key's name and what would be right.
    """
    env = os.environ if env is None else env
    file = path or Path("config.toml")
    raw: dict[str, Any] | None = None
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        if path is not None:
            raise ConfigError(
                f"There is no configuration file {file}: name another with --config, or copy the "
                "repository's config.toml."
            ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    values = _overlaid(_from_file(raw or {}, file), env)
    source = None if raw is None else file.absolute()
    folder = Config(source=source).folder
    parsed = {
        section: _parse_section(section, given, folder, read=services or section not in SERVICES)
        for section, given in values.items()
    }
    config = Config(**parsed, source=source)
    if services:
        _refuse_missing(config)
    return config


_Given = dict[str, tuple[str, Any]]  # key: (how the user names it, value)


def _from_file(raw: Mapping[str, Any], file: Path) -> dict[str, _Given]:
    for section, table in raw.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f"{file}: `{section}` stands outside a section; sections are {_names(SECTIONS)}."
            )
    return {
        section: {key: (f"{section}.{key}", value) for key, value in table.items()}
        for section, table in raw.items()
    }


def _overlaid(values: dict[str, _Given], env: Mapping[str, str]) -> dict[str, _Given]:
    """The environment over the file, also where one names a value and the other the file that holds it."""
    over: dict[str, _Given] = {}
    for name, value in env.items():
        if name.startswith(ENV_PREFIX) and "__" in name and value:
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
            over.setdefault(section, {})[key] = (name, value)
    for section, given in over.items():
        under = values.setdefault(section, {})
        for key in given:
            under.pop(key.removesuffix(_IN_FILE), None)
            under.pop(key + _IN_FILE, None)
        under.update(given)
    return values


def _parse_section(section: str, given: _Given, folder: Path, *, read: bool) -> Any:
    """The section's values; those in files are left out unless they are to be `read`."""
    if section not in SECTIONS:
        shown = next(iter(given.values()))[0] if given else section
        raise ConfigError(f"{shown}: there is no section `{section}`; sections are {_names(SECTIONS)}.")
    known: dict[str, Field[Any]] = {f.name: f for f in fields(SECTIONS[section])}
    parsed = {}
    for key, (shown, value) in given.items():
        name = key.removesuffix(_IN_FILE)
        if key not in known and name in known and known[name].metadata["in_file"]:
            if name in given:
                raise ConfigError(f"{shown} and {given[name][0]} say the same thing: give one of them.")
            if read:
                parsed[name] = _from_its_file(known[name], shown, value, folder)
        elif key not in known:
            raise ConfigError(f"{shown}: there is no such key; [{section}] has {_keys(known)}.")
        else:
            parsed[key] = _parsed(known[key], shown, value)
    return SECTIONS[section](**parsed)


def _parsed(key: Field[Any], shown: str, value: Any) -> Any:
    try:
        return key.metadata["parse"](value)
    except ValueError as error:
        told = "the given value" if key.metadata["hidden"] else repr(value)
        raise ConfigError(f"{shown}: {told} cannot be used; it has to be {error}.") from error


def _from_its_file(key: Field[Any], shown: str, path: Any, folder: Path) -> Any:
    """The value that a file holds; a secret remembers the file, to be read anew after a rotation."""
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{shown}: it has to be the path of a file.")
    file = folder / path
    try:
        value = key.metadata["parse"](read_stripped(file))
    except OSError as error:
        raise ConfigError(f"{shown}: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown}: {path} is not a text in UTF-8.") from error
    except ValueError as error:
        raise ConfigError(f"{shown}: {path} has to hold {error}.") from error
    return Secret(value.reveal(), file, key.metadata["parse"]) if isinstance(value, Secret) else value


def _refuse_missing(config: Config) -> None:
    for name in SERVICES:
        if not getattr(config, name).base_url:
            raise ConfigError(
                f"{name}.base_url is missing: set it in config.toml or as DOCPIPE_{name.upper()}__BASE_URL "
                '("fake" starts a fake service inside).'
            )


def _names(items: Mapping[str, Any]) -> str:
    return ", ".join(items)


def _keys(known: Mapping[str, Field[Any]]) -> str:
    return ", ".join(
        f"{name} ({name}_file)" if key.metadata["in_file"] else name for name, key in known.items()
    )
