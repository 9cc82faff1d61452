"""The configuration: config.toml, and environment variables over it.

One dataclass a section, one field a key; a field's metadata holds what parses its value. A key that
is unknown, a value that is bad, are refused with the key's name and what would be right.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from docpipe.errors import ConfigError
from docpipe.model import Rate

FAKE: Final = "fake"
"""A base_url of this word starts the fake service inside."""

_UNITS_S: Final = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_UNITS_B: Final = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


class Secret:
    """A text that no print, log or traceback shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text


def parse_rate(value: Any) -> Rate | None:
    """Read "10/min" (also /sec, /hour) or "none"."""
    if value == "none":
        return None
    match = re.fullmatch(r"(\d{1,7})\s*/\s*(sec|min|hour)", str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError('a rate such as "10/sec", "10/min", "600/hour", or "none"')
    return Rate(int(match[1]), float(_UNITS_S[match[2]]))


def parse_duration(value: Any) -> float:
    """Read "30s", "5min", "2h", "90 days" or a number of seconds, as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    unit = match[2] or "s" if match else ""
    unit = unit if unit in _UNITS_S else unit.removesuffix("s")
    if match is None or unit not in _UNITS_S or float(match[1]) == 0:
        raise ValueError('a time such as "30s", "5min" or "2h"')
    return float(match[1]) * _UNITS_S[unit]


def parse_size(value: Any) -> int:
    """Read "1GiB", "512 MiB" or a number of bytes, as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    if match is None or (match[2] or "b") not in _UNITS_B:
        raise ValueError('a size such as "1GiB" or "512MiB"')
    return int(float(match[1]) * _UNITS_B[match[2] or "b"])


def _memory(value: Any) -> int:
    size = parse_size(value)
    if size < 256 * 2**20:
        raise ValueError('at least "256MiB"')
    return size


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if (
            isinstance(value, bool)
            or not re.fullmatch(r"\d{1,9}", str(value))
            or not low <= int(value) <= high
        ):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def _workers(value: Any) -> int | None:
    if value == "auto":
        return None
    try:
        return _integer(1, 1024)(value)
    except ValueError as error:
        raise ValueError('"auto" or a whole number from 1 to 1024') from error


def _base_url(value: Any) -> str:
    if value == FAKE:
        return FAKE
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('an address such as "https://exchange.example", or "fake" for a first try')
    if parts.username or parts.password:
        raise ValueError("an address without a password in it: use the key `token`")
    return str(value).rstrip("/")


def _origins(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    good = isinstance(items, list) and all(
        isinstance(item, str) and re.fullmatch(r"https?://[^/\s]+", item.strip())
        for item in items
        if item != ""
    )
    if not good:
        raise ValueError('a list of origins such as ["https://files.exchange.example"]')
    return tuple(item.strip().lower() for item in items if item)


def _switch(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise ValueError("true or false")
    return known[value]


def _languages(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]\w{1,40}(\+[A-Za-z]\w{1,40})*", value):
        raise ValueError('names as of tesseract --list-langs, such as "eng" or "eng+spa"')
    return tuple(dict.fromkeys(value.split("+")))


def _hosts(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    good = isinstance(items, list) and all(
        isinstance(item, str) and re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]", item.strip())
        for item in items
    )
    if not good:
        raise ValueError('a list of host names such as ["docpipe.example"]')
    return tuple(item.strip().lower() for item in items)


def _keep(value: Any) -> float | None:
    return None if value == "forever" else parse_duration(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _secret(value: Any) -> Secret:
    text = _text(value)
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("a token without spaces or control characters")
    return Secret(text)


def _key(parse: Callable[[Any], Any], default: Any = None, *, about: str) -> Any:
    return field(default=default, metadata={"parse": parse, "about": about})


@dataclass(frozen=True, slots=True)
class Docex:
    """The DocumentExchange."""

    base_url: str = _key(_base_url, "", about="address of the exchange; `fake` starts one inside")
    token: Secret | None = _key(
        _secret, about="bearer token; better given by the environment or `token_file`"
    )
    token_file: str | None = _key(_text, about="file that holds the token")
    search_rate: Rate | None = _key(parse_rate, Rate(10, 60), about="quota of new searches")
    status_rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota of questions after searches")
    max_downloads: int = _key(_integer(1, 1000), 4, about="archives downloaded at the same time")
    archive_origins: tuple[str, ...] = _key(
        _origins, (), about="other origins that archives may come from; empty allows any"
    )
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    max_retry_after: float = _key(parse_duration, 300.0, about="longest Retry-After that is obeyed")


@dataclass(frozen=True, slots=True)
class Tasktracker:
    """The TaskTracker."""

    base_url: str = _key(_base_url, "", about="address of the tracker; `fake` starts one inside")
    token: Secret | None = _key(
        _secret, about="bearer token; better given by the environment or `token_file`"
    )
    token_file: str | None = _key(_text, about="file that holds the token")
    rate: Rate | None = _key(parse_rate, Rate(10, 1), about="quota over all its operations")
    timeout: float = _key(parse_duration, 30.0, about="longest wait for one answer")
    max_retry_after: float = _key(parse_duration, 300.0, about="longest Retry-After that is obeyed")


@dataclass(frozen=True, slots=True)
class Patients:
    """Where patients are looked up."""

    url: str = _key(_text, "", about="SQLAlchemy URL; default `patients.db` in the state folder")


@dataclass(frozen=True, slots=True)
class Storage:
    """Where documents and reports are kept."""

    url: str = _key(_text, "data/storage", about="a folder, or file:// and its path")


@dataclass(frozen=True, slots=True)
class State:
    """What docpipe itself remembers."""

    dir: str = _key(_text, "data/state", about="folder of checkpoints, lock, spool and activity_log.csv")
    keep: float | None = _key(
        _keep, 90 * 86400.0, about="how long the checkpoints of finished runs are kept; `forever`: always"
    )


@dataclass(frozen=True, slots=True)
class Convert:
    """Conversion of documents."""

    workers: int | None = _key(_workers, about="worker processes; `auto`: as many as CPUs and memory allow")
    memory: int = _key(_memory, 2**30, about="most memory for one document")
    timeout: float = _key(parse_duration, 300.0, about="longest time for one document")
    ocr: bool = _key(
        _switch, default=True, about="whether scans are read, where something is installed for it"
    )
    languages: tuple[str, ...] = _key(
        _languages, ("eng",), about="languages of scans, as tesseract names them: `eng+spa`"
    )


@dataclass(frozen=True, slots=True)
class Service:
    """Where `docpipe serve` listens."""

    host: str = _key(_text, "127.0.0.1", about="address to listen on")
    port: int = _key(_integer(0, 65535), 8080, about="port to listen on")
    token: Secret | None = _key(_secret, about="token that callers have to show")
    token_file: str | None = _key(_text, about="file that holds the token")
    hosts: tuple[str, ...] = _key(_hosts, (), about="other host names under which callers may address it")


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
ENV_PREFIX: Final = "DOCPIPE_"


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
            raise ConfigError(f"There is no configuration file {file}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    values = _from_file(raw or {}, file)
    for name, value in env.items():
        if name.startswith(ENV_PREFIX) and "__" in name and value:
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
            values.setdefault(section, {})[key] = (name, value)
    parsed = {section: _parse_section(section, given) for section, given in values.items()}
    config = Config(**parsed, source=None if raw is None else file.absolute())
    return _completed(config) if services else config


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


def _parse_section(section: str, given: _Given) -> Any:
    if section not in SECTIONS:
        shown = next(iter(given.values()))[0] if given else section
        raise ConfigError(f"{shown}: there is no section `{section}`; sections are {_names(SECTIONS)}.")
    known: dict[str, Field[Any]] = {f.name: f for f in fields(SECTIONS[section])}
    parsed = {}
    for key, (shown, value) in given.items():
        if key not in known:
            raise ConfigError(f"{shown}: there is no such key; [{section}] has {_names(known)}.")
        try:
            parsed[key] = known[key].metadata["parse"](value)
        except ValueError as error:
            told = "the given value" if key.endswith(("token", "url")) else repr(value)  # may hold a secret
            raise ConfigError(f"{shown}: {told} cannot be used; it has to be {error}.") from error
    return SECTIONS[section](**parsed)


def _completed(config: Config) -> Config:
    for name in ("docex", "tasktracker", "service"):
        section = getattr(config, name)
        if name != "service" and not section.base_url:
            raise ConfigError(
                f"{name}.base_url is missing: set it in config.toml or as DOCPIPE_{name.upper()}__BASE_URL "
                '("fake" starts a fake service inside).'
            )
        config = with_token(config, name)
    return config


def with_token(config: Config, name: str) -> Config:
    """The configuration with the token of a section, read from its file where it names one.

    Raises:
        ConfigError: if it cannot be read.
    """
    section = getattr(config, name)
    if not section.token_file:
        return config
    token = _read_token(config, name, section.token_file)
    return replace(config, **{name: replace(section, token=token)})


def _read_token(config: Config, name: str, path: str) -> Secret:
    try:
        return _secret((config.folder / path).read_text("utf-8").strip())
    except OSError as error:
        raise ConfigError(f"{name}.token_file: {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{name}.token_file: {path} has to hold {error}.") from error


def _names(items: Mapping[str, Any]) -> str:
    return ", ".join(items)
