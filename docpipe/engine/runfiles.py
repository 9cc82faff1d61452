"""The files of an unfinished run's archive, from its checkpoints."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from docpipe.checkpoints import StoredStep
from docpipe.engine.files import walk
from docpipe.engine.restart import failed
from docpipe.model import Activity
from docpipe.results.files import Archive, Converted, Member, Stored


@dataclass(frozen=True, slots=True)
class File:
    """A file of the archive, or a document in one."""

    item: str
    """What its activities are known by."""
    member: Member
    converted: Converted | None
    """The result of its conversion, None before."""
    stored: Stored | None


def files_in(steps: Iterable[StoredStep]) -> Iterator[File]:
    """All of them, in the order of the archive; none before it was unpacked."""
    archives: list[Archive] = []
    converted: dict[str, Converted] = {}
    stored: dict[str, Stored] = {}
    for step in steps:
        if step.result is None or failed(step.result):
            continue
        if step.activity == Activity.DOWNLOAD:
            archives.append(msgspec.convert(step.result, Archive))
        elif step.activity == Activity.CONVERT:
            converted[step.item] = msgspec.convert(step.result, Converted)
        elif step.activity == Activity.STORE:
            stored[step.item] = msgspec.convert(step.result, Stored)
    members = next((archive.members for archive in archives if not archive.expired), [])
    for item, member, done in walk(members, converted):
        yield File(item, member, done, stored.get(item))
