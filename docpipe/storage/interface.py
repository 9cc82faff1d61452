"""The interface of a storage of documents and reports.

    {patient}/{document id}/    original.<ext>, document.pdf, text.md, thumbnail.png, metadata.json
    {patient}/runs/{run id}/    manifest.json, report.html, report.json

A document is complete once its metadata.json is there, which is written last; a run's manifest.json is
written after its reports.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from docpipe.model import Ticket
from docpipe.storage.names import Content
from docpipe.storage.tree import Tree


class Storage(Protocol):
    """Keeps documents and reports.

    With a `ticket`, a method waits while the storage is down, and the ticket's `wait` says so; without one it
    makes one attempt. Where no other error is named, a method raises OSError, whose `strerror` is for people,
    when the storage cannot be read or written; the call may be repeated.
    """

    @property
    def folder(self) -> Path | None:
        """The folder, None for an object store."""

    async def check(self) -> None:
        """Check that it can be written.

        Raises: StateError with cause and cure when it cannot; UnreachableError where that may pass.
        """

    def tree(self) -> Tree:
        """All that it holds, for reading in a thread.

        Raises: ConfigError if it cannot be opened.
        """

    async def close(self) -> None:
        """Close connections."""

    def folder_of(self, patient_id: str) -> str:
        """The name of a patient's folder; two patients never share one."""

    def key(self, patient_id: str, document_id: str) -> str:
        """Where a document is, relative to the storage."""

    def location(self, patient_id: str, *, run_id: str | None = None, document_id: str | None = None) -> str:
        """Where a patient's documents, one of them, or the report of a run are, for people."""

    async def put_document(
        self,
        patient_id: str,
        document_id: str,
        files: Mapping[str, Path],
        metadata: Mapping[str, Any],
        ticket: Ticket | None = None,
        *,
        outputs: Path | None = None,
    ) -> dict[str, Any]:
        """Store a document with its metadata, in place of an earlier version.

        Args:
            patient_id: whose it is.
            document_id: its id.
            files: the files to store, by their names there; their bytes are on the disk already. They stay
                where they are, and may share these bytes with the storage afterwards: they must not be
                changed in place.
            metadata: plain JSON; the names and sizes of the files are added to it as `files`.
            ticket: of the caller.
            outputs: a private folder with nothing but some of these files, whose names are on the disk. The
                caller gives it away: where that spares work, it becomes the document's own, once.

        Returns: {"key", "files": {name: bytes}}, and "moved": where that folder is now, if it was taken.
        """

    async def find_document(
        self, patient_id: str, document_id: str, ticket: Ticket | None = None
    ) -> dict[str, Any] | None:
        """The metadata of a document that is stored completely, else None."""

    async def get_document_file(
        self, patient_id: str, document_id: str, name: str, ticket: Ticket | None = None
    ) -> bytes | None:
        """A file of a document, such as its thumbnail, None when there is none."""

    async def put_run_files(
        self, patient_id: str, run_id: str, files: Mapping[str, Content], ticket: Ticket | None = None
    ) -> None:
        """Store files of a run, such as its reports, by name, in place of earlier ones.

        The last one is written after the others: its presence shows that they are there. They are made one
        after the other in a thread, again for each attempt.
        """

    async def get_run_file(
        self, patient_id: str, run_id: str, name: str, ticket: Ticket | None = None
    ) -> bytes | None:
        """A file of a run, None when there is none."""

    async def size(
        self, patient_id: str, name: str, *, document_id: str | None = None, run_id: str | None = None
    ) -> int | None:
        """Bytes of a file of a document or of a run, None when there is none.

        Raises: ValueError for a name that no file here can have.
        """

    def read(
        self,
        patient_id: str,
        name: str,
        *,
        document_id: str | None = None,
        run_id: str | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> AsyncIterator[bytes]:
        """The bytes of such a file from `start` up to `end`, in chunks, never the whole in memory.

        Raises: ValueError for a name that no file here can have.
        """
