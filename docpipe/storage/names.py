"""Names in the storage: folders of patients, files of documents and of runs."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

METADATA: Final = "metadata.json"
RUNS: Final = "runs"
TEMPORARY: Final = ".tmp-"
FLEET: Final = ".fleet"
"""What machines of a fleet leave for each other; no patient's folder begins with a dot."""
CHUNK: Final = 256 * 1024
"""Bytes that are read at a time."""
_SAFE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_LONGEST: Final = 100

Content = bytes | Callable[[], Iterable[bytes]]
"""A file: its bytes, or what makes them piece by piece."""


def pieces(content: Content) -> Iterable[bytes]:
    """The bytes of a file, in a thread."""
    return (content,) if isinstance(content, bytes) else content()


def whole(content: Content) -> bytes:
    """The same in one piece."""
    return b"".join(pieces(content))


def folder_name(patient_id: str) -> str:
    """A patient's folder: the id itself where it is safe as a name, else encoded; never two the same.

    Ids that differ in case alone share a folder where the file system does not tell case apart.
    """
    if _SAFE.fullmatch(patient_id):
        return patient_id
    encoded = quote(patient_id, safe="", errors="surrogatepass").replace(".", "%2E").replace("~", "%7E")
    if encoded.startswith("-"):  # a command would take the name for an option
        encoded = "%2D" + encoded[1:]
    if encoded and len(encoded) <= _LONGEST:
        # A safe id bears no percent sign, so that what is encoded is recognised by one.
        return encoded if "%" in encoded else f"%{ord(encoded[0]):02X}{encoded[1:]}"
    digest = hashlib.sha256(patient_id.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{encoded[:60].rpartition('%')[0] or encoded[:60]}~{digest}"


def plain(name: str) -> str:
    """A name that docpipe made itself, checked all the same since it becomes a path.

    Raises: ValueError for one that no file of the storage can have.
    """
    if not _SAFE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a file in the storage")
    return name


def inner_path(*, run_id: str | None = None, document_id: str | None = None) -> tuple[str, ...]:
    """The way from a patient's folder to that of a run or of a document, empty for the patient's own."""
    if run_id is not None:
        return (RUNS, plain(run_id))
    return () if document_id is None else (plain(document_id),)


def hashed_names(key: str) -> Callable[[str], str]:
    """Names of patients' folders that do not show the ids: a keyed hash, 32 hex digits of HMAC-SHA-256."""
    secret = key.encode()

    def name(patient_id: str) -> str:
        return hmac.new(secret, patient_id.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]

    return name


def to_json(metadata: Mapping[str, Any]) -> bytes:
    """Metadata as they are stored: for people too."""
    try:  # the encoder of the standard library indents in Python, with a call for each member
        line = json.dumps(metadata, ensure_ascii=False).encode(errors="backslashreplace")
        return msgspec.json.format(line, indent=1)
    except msgspec.DecodeError:  # stricter: a lone surrogate, or NaN
        return json.dumps(metadata, indent=1, ensure_ascii=False).encode(errors="backslashreplace")


def sizes_of(data: bytes) -> tuple[dict[str, Any], dict[str, int]] | None:
    """Stored metadata and the sizes of the files that they name; None where they cannot be read."""
    try:
        metadata = dict(json.loads(data))
        return metadata, {plain(name): size for name, size in metadata["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
