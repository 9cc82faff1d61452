"""Makes the index anew from the storage: from manifests, metadata and texts."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from docpipe.search.index import Index
from docpipe.search.shapes import INDEXED, Text
from docpipe.storage import METADATA, RUNS, Listing, Storage, Tree

_MANIFEST: Final = "manifest.json"
_TEXT: Final = "text.md"
_BATCH: Final = 100
"""Documents of a transaction: other processes may write in between."""


def rebuild(index: Index, storage: Storage, progress: Callable[[int], None] = lambda _: None) -> int:
    """Index every stored document, and remove from the index what is not stored any more.

    Runs in a thread, and may run beside a running docpipe.

    Args:
        index: of the storage.
        storage: is only read.
        progress: called with the number of documents so far.

    Returns:
        The number of documents in the index.

    Raises:
        SearchIndexError: if the index cannot be written.
        OSError: if the storage cannot be read.
    """
    tree, number = storage.tree(), 0
    left = index.patients()
    for folder in tree.patients():
        listing = tree.listing(folder)
        patient_id = _patient_of(storage, tree, folder, listing)
        documents = [name for name in sorted(listing.folders) if f"{name}/{METADATA}" in listing.files]
        for start in range(0, len(documents), _BATCH):
            texts = [_text_of(tree, folder, listing, name) for name in documents[start : start + _BATCH]]
            index.put(patient_id, filter(None, texts))
            number += len(texts)
            progress(number)
        index.keep_only(patient_id, documents)
        left.discard(patient_id)
    for patient_id in left:
        index.forget(patient_id)
    index.mark_complete()
    index.put_all((), durably=True)
    return number


def _patient_of(storage: Storage, tree: Tree, folder: str, listing: Listing) -> str:
    """The patient id: of a manifest, else by the name of the folder, else that name itself."""
    for path in sorted(listing.files, reverse=True):
        if path.startswith(f"{RUNS}/") and path.endswith(f"/{_MANIFEST}"):
            patient_id = _loaded(tree, f"{folder}/{path}").get("run", {}).get("patient_id")
            if isinstance(patient_id, str) and storage.folder_of(patient_id) == folder:
                return patient_id
    decoded = unquote(folder)
    return decoded if storage.folder_of(decoded) == folder else folder


def _text_of(tree: Tree, folder: str, listing: Listing, document_id: str) -> Text | None:
    """A document as it is stored; None where its metadata cannot be read (`docpipe check` reports that)."""
    place = f"{folder}/{document_id}"
    metadata = _loaded(tree, f"{place}/{METADATA}")
    if not isinstance(name := metadata.get("name"), str):
        return None
    known = {key: value for key in ("title", "author", "date", "media_type") if (value := metadata.get(key))}
    text = ""
    if f"{document_id}/{_TEXT}" in listing.files:
        text = tree.read(f"{place}/{_TEXT}")[:INDEXED].decode(errors="replace")
    return Text(document_id=document_id, name=name, text=text, **{k: str(v) for k, v in known.items()})


def _loaded(tree: Tree, path: str) -> dict[str, Any]:
    """A JSON object, empty where it cannot be read as one."""
    try:
        loaded = json.loads(tree.read(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
