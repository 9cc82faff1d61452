"""Reads the configuration: config.toml, overridden by environment variables.

An unknown key or a bad value is refused with the key's name and a valid form.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from docpipe.config.config import REPEATED, SECTIONS, SERVICES, Config
from docpipe.config.consistency import refuse_half_a_fleet
from docpipe.config.notify import refuse_half_a_receiver
from docpipe.config.parsing import Secret, read_stripped
from docpipe.config.problems import Problems
from docpipe.config.schedule import completed
from docpipe.errors import ConfigError
from docpipe.util.spelling import nearest

ENV_PREFIX: Final = "DOCPIPE_"
_IN_FILE: Final = "_file"
_CALLING: Final = (*SERVICES, "notify")
"""Sections whose secrets are read only by commands that call the services."""


def load(
    path: Path | None, env: Mapping[str, str] | None = None, *, services: bool = True, state: bool = False
) -> Config:
    """Read the configuration.

    Args:
        path: the file; None for ./config.toml, which may then be missing.
        env: the environment, `os.environ` if not given.
        services: whether the command needs the services, so that their addresses are required.
        state: whether the command needs the state folder, so that some configuration is required.

    Raises:
        ConfigError: names the key and a valid form.
    """
    env = os.environ if env is None else env
    file = path or Path("config.toml")
    raw: dict[str, Any] | None = None
    text = ""
    try:
        text = file.read_text("utf-8")
        raw = tomllib.loads(text)
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
    repeated = {section: (raw or {}).pop(section, []) for section in REPEATED}
    problems = Problems(file if raw is not None else None, text)
    values = _overlaid(_from_file(raw or {}, problems), env)
    source = None if raw is None else file.absolute()
    folder = Config(source=source).folder
    parsed = {
        section: _parse_section(section, given, folder, problems, read=services or section not in _CALLING)
        for section, given in values.items()
    }
    schedules = _parse_tables("schedule", repeated["schedule"], file, problems)
    config = Config(**{name: value for name, value in parsed.items() if value is not None}, source=source)
    if services:
        _refuse_missing(config, problems)
    problems.refuse()
    config = replace(config, schedule=completed(schedules))
    if config.fleet.temporal:
        refuse_half_a_fleet(config, services=services)
    if services:
        _refuse_plain_http(config)
        refuse_half_a_receiver(config.notify, hashed=config.storage.prefix_key is not None)
    elif state and source is None and not any(values.values()) and not config.state_dir.exists():
        _refuse_nothing()
    return config


def _parse_tables(section: str, tables: Any, file: Path, problems: Problems) -> list[Any]:
    """Parse a section that may stand several times."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{file}: write each schedule as a table of its own, under `[[{section}]]`.")
    return [
        _parse_section(
            section,
            {key: (f"[[{section}]] {number}: {key}", value) for key, value in table.items()},
            file.parent,
            problems,
            read=True,
            number=number,
        )
        for number, table in enumerate(tables, 1)
    ]


_Given = dict[str, tuple[str, Any]]  # key: (how the user names it, value)


def _from_file(raw: Mapping[str, Any], problems: Problems) -> dict[str, _Given]:
    for section, table in raw.items():
        if not isinstance(table, dict):
            error = ConfigError(f"`{section}` is outside a section; sections are {_names(SECTIONS)}.")
            problems.add(error, "", section)
    return {
        section: {key: (f"{section}.{key}", value) for key, value in table.items()}
        for section, table in raw.items()
        if isinstance(table, dict)
    }


def _overlaid(values: dict[str, _Given], env: Mapping[str, str]) -> dict[str, _Given]:
    """Override the file by the environment, also if one gives a value and the other a `<key>_file`."""
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


def _parse_section(
    section: str, given: _Given, folder: Path, problems: Problems, *, read: bool, number: int = 1
) -> Any:
    """Parse the values of a section, None if there is no such section.

    Args:
        section: its name.
        given: its values.
        folder: that paths of files are relative to.
        problems: takes what is wrong; such keys have their defaults.
        read: whether values that are kept in files are read.
        number: which of the tables of this name, for those that stand several times.
    """
    if section in REPEATED and any(label.startswith(ENV_PREFIX) for label, _ in given.values()):
        label = next(iter(given.values()))[0]
        problems.add(
            ConfigError(f"{label}: schedules have no variables; set them in config.toml."), section, None
        )
        return None
    if section not in SECTIONS:
        label = next(iter(given.values()))[0] if given else section
        about = f"{label}: there is no section `{section}`{_meant(section, SECTIONS)}"
        problems.add(ConfigError(f"{about}; sections are {_names(SECTIONS)}."), section, None)
        return None
    known: dict[str, Field[Any]] = {f.name: f for f in fields(SECTIONS[section])}
    parsed: dict[str, Any] = {}
    for key in given:
        try:
            parsed |= _parse_key(key, known, given, folder, f"[{section}]", read=read)
        except ConfigError as error:
            problems.add(error, section, key, number)
    return SECTIONS[section](**parsed)


def _parse_key(
    key: str, known: dict[str, Field[Any]], given: _Given, folder: Path, section: str, *, read: bool
) -> dict[str, Any]:
    """Parse one value; returns it by the name of its field, or nothing if it is not read.

    Raises:
        ConfigError: if there is no such key, or its value cannot be used.
    """
    label, value = given[key]
    if key in known:
        return {key: _parsed(known[key], label, value)}
    name = key.removesuffix(_IN_FILE)
    if name not in known or not known[name].metadata["in_file"]:
        raise ConfigError(f"{label}: there is no such key{_meant(key, known)}; {section} has {_keys(known)}.")
    if name in given:
        raise ConfigError(f"{label} and {given[name][0]} set the same key: give one of them.")
    return {name: _from_its_file(known[name], label, value, folder)} if read else {}


def _parsed(key: Field[Any], label: str, value: Any) -> Any:
    try:
        return key.metadata["parse"](value)
    except ValueError as error:
        given_as = "the given value" if key.metadata["hidden"] else repr(value)
        raise ConfigError(f"{label}: {given_as} cannot be used; it has to be {error}.") from error


def _from_its_file(key: Field[Any], label: str, path: Any, folder: Path) -> Any:
    """Read a value from its file; a secret keeps the path, to be read again after a rotation."""
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{label}: it has to be the path of a file.")
    file = folder / path
    try:
        value = key.metadata["parse"](read_stripped(file))
    except OSError as error:
        raise ConfigError(f"{label}: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label}: {path} is not UTF-8 text.") from error
    except ValueError as error:
        raise ConfigError(f"{label}: {path} has to hold {error}.") from error
    return Secret(value.reveal(), file, key.metadata["parse"]) if isinstance(value, Secret) else value


def _refuse_nothing() -> None:
    raise ConfigError(
        "There is no config.toml in this folder, and no DOCPIPE_ variable in the environment: change to the "
        "folder with the configuration, name it with --config, or copy the repository's config.toml here."
    )


def _refuse_missing(config: Config, problems: Problems) -> None:
    """Note which services have no address.

    Raises:
        ConfigError: if there is no configuration at all.
    """
    if config.source is None and not any(getattr(config, name).base_url for name in SERVICES):
        if not problems.keys:
            _refuse_nothing()
        return
    for name in SERVICES:
        if not getattr(config, name).base_url and (name, "base_url") not in problems.keys:
            error = ConfigError(
                f"{name}.base_url is missing: set it in config.toml or as DOCPIPE_{name.upper()}__BASE_URL "
                '("fake" starts a fake service inside).'
            )
            problems.add(error, name, "base_url")


def _refuse_plain_http(config: Config) -> None:
    """Require TLS for credentials that leave this machine, unless `allow_http` is set."""
    for name in SERVICES:
        section = getattr(config, name)
        if section.allow_http or not (section.token or section.token_url):
            continue
        for key in ("base_url", "token_url"):
            parts = urlsplit(getattr(section, key))
            if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
                raise ConfigError(
                    f"{name}.{key}: credentials need TLS: it has to be an https:// address; "
                    f"without one, set {name}.allow_http = true."
                )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _meant(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that was probably meant."""
    near = nearest(word, known)
    return f" (did you mean `{near}`?)" if near else ""


def _names(items: Mapping[str, Any]) -> str:
    return ", ".join(items)


def _keys(known: Mapping[str, Field[Any]]) -> str:
    return ", ".join(
        f"{name} ({name}_file)" if key.metadata["in_file"] else name for name, key in known.items()
    )
