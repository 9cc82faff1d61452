"""Generates the table of the documentation and config.toml from the configuration's keys."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any, Final

from docpipe.config import parsing
from docpipe.config.config import REPEATED, SECTIONS, Remote

_TIMES: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_SIZES: Final = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_FAKES: Final = {("docex", "base_url"), ("tasktracker", "base_url"), ("patients", "url")}
"""Keys that config.toml sets, so that trying docpipe needs no server."""
_TITLES: Final = {
    "docex": "the exchange",
    "tasktracker": "the care team's tasks",
    "patients": "the patients database",
    "storage": "documents and reports",
    "search": "full-text search in stored documents",
    "state": "docpipe's own state",
    "convert": "conversion of documents",
    "service": "`docpipe serve`",
    "schedule": "patients who are retrieved again; may stand several times",
    "notify": "webhooks when a run has ended",
    "fleet": "several processes: one quota, and runs on many machines",
}
_HEAD: Final = """\
# docpipe's configuration. It is set up for a first try: both services are fakes, started inside docpipe, with
# invented patients (P100 to P199). Every key can be set by the environment instead:
# DOCPIPE_<SECTION>__<KEY>, for instance DOCPIPE_DOCEX__TOKEN. Relative paths start at this file's folder.
# Keys with a leading # show their defaults, or an example where that is said. (file): the key may be given
# as <key>_file instead, the path of a file that holds the value alone.
"""
_SHARED: Final = tuple(key.name for key in fields(Remote))


def default_of(key: Field[Any]) -> str:
    """Return the default of a key as TOML, empty if it has none."""
    value: Any = key.default
    parse = key.metadata["parse"]
    if value is None:
        words = {parsing.parse_rate: "none", parsing.parse_workers: "auto", parsing.parse_keep: "forever"}
        value = words.get(parse, "")
    elif parse in (parsing.parse_duration, parsing.parse_keep):
        value = _in_units(int(value), _TIMES)
    elif parse is parsing.parse_memory:
        value = _in_units(value, _SIZES)
    elif parse is parsing.parse_languages:
        value = "+".join(value)
    elif parse is parsing.parse_rate:
        value = str(value)
    return "" if value in ("", ()) else json.dumps(value)


def _in_units(value: int, units: tuple[tuple[str, int], ...]) -> str:
    unit, worth = next((unit, worth) for unit, worth in units if value % worth == 0)
    return f"{value // worth}{unit}"


def table() -> str:
    """Make a Markdown table of the keys, their defaults and meanings."""
    lines = ["| section | key | default | meaning |", "|---|---|---|---|"]
    for section, key in _keys():
        if section == "tasktracker" and key.name in _SHARED and key.name != "base_url":
            continue
        name = f"`{key.name}`" + (" ᶠ" if key.metadata["in_file"] else "")
        default = default_of(key).strip('"')
        lines.append(f"| `{section}` | {name} | {default and f'`{default}`'} | {key.metadata['about']} |")
    shared = f"`{_SHARED[1]}` to `{_SHARED[-1]}`"
    lines.append(f"| `tasktracker` | {shared} | | as of `docex` |")
    return "\n".join(lines) + "\n"


def config_toml() -> str:
    """Make the repository's config.toml: every key with its meaning, and its default or an example."""
    lines = [_HEAD]
    for section, title in _TITLES.items():
        # A table that stands there is a schedule, and one without its keys is refused.
        lines.append(f"# [[{section}]]  # {title}" if section in REPEATED else f"[{section}]  # {title}")
        own = [key for name, key in _keys() if name == section]
        for key in own:
            if section == "tasktracker" and key.name in _SHARED and key.name not in {"base_url", "token"}:
                continue
            lines.append(_lines(section, key))
        if section == "tasktracker":
            lines.append(f"# {_SHARED[2]} to {_SHARED[-1]}: as of the section docex")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _lines(section: str, key: Field[Any]) -> str:
    about = key.metadata["about"].replace("`", '"') + (" (file)" if key.metadata["in_file"] else "")
    text = "\n".join(f"# {line}" for line in textwrap.wrap(about[0].upper() + about[1:], 108))
    if (section, key.name) in _FAKES:
        return f'{text}\n{key.name} = "fake"'
    default, example = default_of(key), key.metadata["example"]
    return f"{text}\n# {key.name} = {default or f'{example}  # example'}"


def _keys() -> Iterator[tuple[str, Field[Any]]]:
    for section, kind in SECTIONS.items():
        for key in fields(kind):
            yield section, key
