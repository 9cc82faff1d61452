"""The files of a run's archive, from its checkpoints: what is known of each while the run is under way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from docpipe.checkpoints import StoredStep
from docpipe.engine.restart import failed
from docpipe.model import Activity, Json


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the archive, or a document found in one."""

    item: str
    """What its activities are known by."""
    member: Json
    converted: Json | None
    """The result of its conversion, None before."""
    stored: Json | None


def found_in(steps: Iterable[StoredStep]) -> Iterator[Found]:
    """All of them, in the order of the archive; none before it was unpacked."""
    results = {
        (step.activity, step.item): step.result
        for step in steps
        if step.result is not None and not failed(step.result)
    }
    archives = [result for (activity, _), result in results.items() if activity == Activity.DOWNLOAD]
    members: list[Json] = next((done["members"] for done in archives if done["state"] == "ready"), [])

    def one(item: str, member: Json) -> Iterator[Found]:
        done = results.get((Activity.CONVERT, item))
        yield Found(item, member, done, results.get((Activity.STORE, item)))
        for number, part in enumerate(done["embedded"] if done else (), 1):
            yield from one(f"{item}.{number}", {"outcome": None, "reason": None, "told": {}, **part})

    for number, member in enumerate(members, 1):
        yield from one(f"{number:05d}", member)
