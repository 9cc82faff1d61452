"""Tracked changes of OpenDocument files (ODF 1.3, part 3, 5.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from docpipe.convert.core.xmltree import Element, local
from docpipe.convert.readers.office.ooxml import attribute
from docpipe.convert.readers.office.runs import CHANGED


@dataclass(frozen=True, slots=True)
class Changes:
    """The tracked changes of a file: the ids of those that insert text, and what others deleted, by id."""

    inserted: frozenset[str] = frozenset()
    deleted: Mapping[str, Element] = field(default_factory=dict)


def changes_of(root: Element, warnings: list[str]) -> Changes:
    """The tracked changes of a file; warns where there are any."""
    inserted = set()
    deleted: dict[str, Element] = {}
    for region in root.iter("{*}changed-region"):
        warnings.append(CHANGED)
        id_ = attribute(region, "id") or ""
        for change in region:
            if local(change) == "insertion":
                inserted.add(id_)
            elif local(change) == "deletion":
                deleted[id_] = change
    return Changes(frozenset(inserted), deleted)
