"""The files of a run in the pipeline: which are settled, their entries in the manifest, how the run ends."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Final

from msgspec.structs import replace

from docpipe.engine.budget import Budget, of_run
from docpipe.model import OUTCOMES, Outcome, RunState
from docpipe.results.files import Converted, Member, item_of
from docpipe.results.report import Entry

_NOT_KEPT: Final = (Outcome.DUPLICATE, Outcome.IGNORED, Outcome.REFUSED)


def counts(files: Sequence[Entry]) -> dict[str, int]:
    """How many files have each outcome."""
    return dict(Counter(file.outcome for file in files))


def final_state(counts: dict[str, int], error: str | None) -> RunState:
    """How a run ends that has files of these outcomes, or was stopped by an error."""
    if error is not None:
        return RunState.FAILED
    if counts.get(Outcome.FAILED) or counts.get(Outcome.REFUSED):
        return RunState.COMPLETED_WITH_ERRORS
    return RunState.COMPLETED


def note(counts: dict[str, int], error: str | None) -> str:
    """The sentence that the care team sees beside the status."""
    if error is not None:
        return error
    outcomes = ", ".join(f"{counts[each]} {OUTCOMES[each]}" for each in Outcome if counts.get(each))
    return f"Documents: {outcomes}." if outcomes else "The exchange holds no documents for this patient."


def seen(members: Sequence[Member]) -> dict[str | None, str]:
    """The name under which each document of an archive came first, by its id."""
    return {member.id: member.path for member in members if member.file and member.outcome not in _NOT_KEPT}


def is_settled(member: Member) -> bool:
    """Whether what becomes of a file is decided without converting it."""
    return member.outcome in _NOT_KEPT or (member.outcome is not None and not member.file)


def parts(
    left: Budget, first_paths: dict[str | None, str], item: str, member: Member, done: Converted
) -> list[Member]:
    """The documents in a converted document, as members of their own."""
    inner = left.parts(item, member.path, done.embedded)
    return [part if part.outcome else _part_or_duplicate(part, first_paths) for part in inner]


def _part_or_duplicate(part: Member, first_paths: dict[str | None, str]) -> Member:
    """A document within a document; a duplicate where the same bytes are there already."""
    first = first_paths.setdefault(part.id, part.path)
    if first == part.path:
        return part
    return replace(part, outcome=Outcome.DUPLICATE, duplicate_of=first)


def walk(
    members: Sequence[Member], converted: Mapping[str, Converted], within: Container[str] | None = None
) -> Iterator[tuple[str, Member, Converted | None]]:
    """Every file of an archive with what is in it, by item, in order; with its conversion, if there is one.

    Duplicates and what is beyond the budget are there as the pipeline has them. Where `within` is given, only
    the documents in these items are gone through.
    """
    walker = _Walk(converted, within, of_run(members, converted), seen(members))
    for number, member in enumerate(members, 1):
        yield from walker.of(item_of(number), member)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over the files of one archive; see `walk`."""

    converted: Mapping[str, Converted]
    within: Container[str] | None
    left: Budget
    first_paths: dict[str | None, str]

    def of(self, item: str, member: Member) -> Iterator[tuple[str, Member, Converted | None]]:
        """A file, and those that are embedded in it."""
        done = None if is_settled(member) else self.converted.get(item)
        yield item, member, done
        if done is not None and (self.within is None or item in self.within):
            for number, part in enumerate(parts(self.left, self.first_paths, item, member, done), 1):
                yield from self.of(f"{item}.{number}", part)


@lru_cache(maxsize=64)
def _same(names: tuple[str, ...]) -> list[str]:
    """One list for all documents with these outputs; nobody changes it."""
    return list(names)


def entry(member: Member) -> Entry:
    """A file in the manifest and the report."""
    return Entry(
        path=member.path,
        id=member.id,
        size=member.size,
        sha256=member.sha256,
        outcome=member.outcome or Outcome.FAILED,
        reason=member.reason,
        duplicate_of=member.duplicate_of,
        parent=member.parent,
        derived_from=member.derived_from,
    )


def stored_entry(member: Member, done: Converted, key: str | None) -> Entry:
    """The same of a document that is converted; `key` where it is stored."""
    metadata, declared = done.metadata, member.declared
    language = metadata.get("language")
    return replace(
        entry(member),
        outcome=intern(str(done.outcome)),  # 10,000 documents share a few of these texts
        reason=done.reason,
        media_type=intern(done.media_type),
        title=metadata.get("title") or declared.title,
        author=metadata.get("author") or declared.author,
        date=metadata.get("date") or declared.created,
        language=language and intern(language),
        **{name: metadata.get(name) for name in ("custodian", "loinc", "pages", "words", "ocr")},
        warnings=metadata.get("warnings") or [],
        key=key,
        original=intern(f"original{done.extension}"),
        outputs=_same(tuple(done.outputs)),
        reused=done.reused,
    )
