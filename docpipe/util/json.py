"""Compact JSON for checkpoints and the activity log."""

import functools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec


@functools.cache
def _encoder() -> "msgspec.json.Encoder":
    import msgspec  # noqa: PLC0415 -- `docpipe status` writes nothing, and does not wait for its import

    return msgspec.json.Encoder()


def to_json(value: Any) -> str:
    """Encode a value as compact JSON. msgspec takes an eighth of the time of `json`."""
    try:
        return _encoder().encode(value).decode()
    except UnicodeEncodeError:  # half a surrogate pair: only escapes can hold it
        import msgspec  # noqa: PLC0415 -- as above

        return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))
