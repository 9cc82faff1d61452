"""How a key of the configuration is defined."""

from collections.abc import Callable
from dataclasses import field
from typing import Any

from docpipe.config.parsing import parse_options, parse_proxy


def key(
    parse: Callable[[Any], Any],
    default: Any = None,
    *,
    about: str,
    in_file: bool = False,
    example: str = "",
) -> Any:
    """Define a key. With `in_file` it may also be given as `<key>_file`, the path of a file with the value.

    `about` and, for a key without a default, `example` (TOML) appear in the reference (`config.reference`).
    """
    hidden = in_file or parse in (parse_options, parse_proxy)  # people put passwords there
    metadata = {"parse": parse, "about": about, "in_file": in_file, "hidden": hidden, "example": example}
    return field(default=default, repr=not hidden, metadata=metadata)
