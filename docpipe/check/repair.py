"""The remedies of `docpipe check --repair`; the process holds the state folder meanwhile."""

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from docpipe.activities.activities import Activities
from docpipe.activities.spool import write_siblings
from docpipe.check.finding import (
    Document,
    Finding,
    GiveUp,
    Permit,
    Reconversion,
    Remedy,
    Remove,
    RemoveStored,
)
from docpipe.check.storage import MANIFEST
from docpipe.errors import RunError
from docpipe.model import Outcome, Ticket, Wait
from docpipe.results.files import Converted, Declared, Member
from docpipe.storage import RUNS, Tree
from docpipe.util.fsync import sync_folder

_S = TypeVar("_S", bound=Struct)
_PLACE: Final = "check"
"""Where in the spool documents are converted again."""


@dataclass(slots=True)
class _UnresumedStep:
    """A step that is never resumed: the next check reports again what was left undone."""

    key: str = ""
    ticket: Ticket = field(default_factory=Ticket)
    state: Struct | None = None

    def saved(self, kind: type[_S]) -> _S | None:
        return self.state if isinstance(self.state, kind) else None

    async def save(self, state: Struct) -> None:
        self.state = state

    def note(self, state: Struct) -> None:
        self.state = state

    async def until(self, when: float, wait: Wait) -> None:
        """Nothing that is converted again waits for a time."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The result of a repair."""

    well: bool
    action: str
    """What was done, or why nothing could be."""


async def repair(finding: Finding, activities: Activities) -> Mended | None:
    """Apply the remedy of a finding; None where it has none."""
    try:
        return await _repair(finding.remedy, activities)
    except OSError as error:
        return Mended(well=False, action=f"could not be repaired: {error.strerror}")
    except RunError as error:
        return Mended(well=False, action=f"could not be repaired: {error}")


async def _repair(remedy: Remedy | None, activities: Activities) -> Mended | None:
    match remedy:
        case Remove(path):
            await asyncio.to_thread(_remove, path)
            return Mended(well=True, action="removed")
        case RemoveStored(stored):
            await asyncio.to_thread(activities.storage.tree().remove, stored)
            return Mended(well=True, action="removed")
        case Permit(path, mode):
            path.chmod(mode)
            return Mended(well=True, action=f"mode set to {mode:04o}")
        case Reconversion(document, spoiled):
            return await _convert(activities, document, spoiled)
        case GiveUp(metadata):
            await asyncio.to_thread(activities.storage.tree().remove, metadata)
            return Mended(well=False, action="permanently lost here")
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


async def _convert(activities: Activities, document: Document, spoiled: str | None) -> Mended:
    """Convert a document again from its stored original, and store what comes out, as a run would."""
    tree, home = activities.storage.tree(), activities.storage.folder_of(document.patient_id)
    original = f"{home}/{document.id}/{document.original}"
    spool = activities.spool.path(_PLACE)
    if spoiled is not None:
        await asyncio.to_thread(tree.remove, spoiled)
    try:
        await asyncio.to_thread(_copied, tree, original, spool / "files" / "00001")
        member = Member(
            path=document.path,
            file="files/00001",
            size=document.size,
            sha256=document.sha256,
            id=document.id,
            derived_from=document.derived_from,
            declared=msgspec.convert(document.facts, Declared),
        )
        names = await asyncio.to_thread(_siblings, tree, home, document)
        await asyncio.to_thread(write_siblings, spool, names)
        done = await _one(activities, document.patient_id, "00001", member)
    finally:
        await asyncio.to_thread(shutil.rmtree, spool, ignore_errors=True)
    if done.outcome == Outcome.FAILED:
        return Mended(well=True, action=f"converted again, and could not be read: {done.reason}")
    return Mended(well=True, action="converted again")


async def _one(activities: Activities, patient_id: str, item: str, member: Member) -> Converted:
    """Convert and store a document, then those within it that are not there."""
    place = (patient_id, _PLACE, item)
    done = await activities.convert(_UnresumedStep(), place, member)
    await activities.store(_UnresumedStep(), place, member, done)
    for number, part in enumerate(done.embedded, 1):
        if part.file is not None:
            await _one(activities, patient_id, f"{item}.{number}", part)
    return done


def _copied(tree: Tree, path: str, target: Path) -> None:
    """A copy: what converts it must not reach the stored bytes."""
    target.parent.mkdir(mode=0o700, parents=True)
    tree.copy(path, target)


def _siblings(tree: Tree, home: str, document: Document) -> list[str]:
    """The names of the files of the same archive, for documents that refer to them."""
    if document.run_id is None:
        return []
    try:
        manifest = json.loads(tree.read(f"{home}/{RUNS}/{document.run_id}/{MANIFEST}"))
        return [file["path"] for file in manifest["files"] if file.get("key")]
    except (OSError, ValueError, KeyError, TypeError):
        return []
