"""The activities of a run, with their states and results kept as the JSON that they are in the database.

As objects, the results of a run with 10,000 documents would take 50 MB until the run ends.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self, TypeVar

from docpipe.checkpoints.schema import StoredStep
from docpipe.util.json import to_json

Key = tuple[str, str]
"""The name of an activity, and its item."""
_K = TypeVar("_K")
_T = TypeVar("_T")


class _Kept(NamedTuple):
    attempts: int
    started_at: float
    finished_at: float | None
    state: bytes | None
    result: bytes | None


class _Lazy(Mapping[_K, _T]):
    """A mapping whose values are made when they are requested, and not kept."""

    _kept: Mapping[_K, Any]

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def __iter__(self) -> Iterator[_K]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class PackedSteps(_Lazy[Key, StoredStep]):
    """Steps by activity and item; each is made of its JSON when it is requested."""

    def __init__(self, steps: Iterable[StoredStep] = ()) -> None:
        self._kept: dict[Key, _Kept] = {}
        for step in steps:
            self.put(step)

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[Any, ...]]) -> Self:
        """The same of rows of `schema.STEPS`."""
        made = cls()
        for activity, item, *times, state, result in rows:
            made._kept[activity, item] = _Kept(*times, *(text and text.encode() for text in (state, result)))
        return made

    def put(self, step: StoredStep) -> None:
        """Keep a step, in place of an earlier attempt at it."""
        times = (step.attempts, step.started_at, step.finished_at)
        self._kept[step.activity, step.item] = _Kept(*times, _packed(step.state), _packed(step.result))

    def outline(self, activities: Container[str], word: str) -> dict[Key, StoredStep]:
        """All steps, with results of some activities and those that contain a word; of others an empty one.

        The list of files of a large archive takes a hundred times as long as its step.
        """
        wanted = to_json(word).encode()
        made = {}
        for (activity, item), kept in self._kept.items():
            text, times = kept.result, (kept.started_at, kept.finished_at)
            if text is not None and activity not in activities and wanted not in text:
                text = b"{}"
            made[activity, item] = StoredStep(activity, item, kept.attempts, *times, None, _unpacked(text))
        return made

    def __getitem__(self, key: Key) -> StoredStep:
        kept = self._kept[key]
        activity, item = key
        return StoredStep(
            activity,
            item,
            kept.attempts,
            kept.started_at,
            kept.finished_at,
            _unpacked(kept.state),
            _unpacked(kept.result),
        )

    def results(self, activity: str, unless: Callable[[Any], bool]) -> "Results[Any]":
        """The results of an activity by item, without those of which `unless` is true."""
        return Results(
            {
                item: kept.result
                for (name, item), kept in self._kept.items()
                if name == activity and kept.result is not None and not unless(json.loads(kept.result))
            },
            json.loads,
        )


class Results(_Lazy[str, _T]):
    """Results by item.

    Args:
        kept: by item, what a result is made of.
        make: makes it.
    """

    def __init__(self, kept: Mapping[str, Any], make: Callable[[Any], _T]) -> None:
        self._kept = kept
        self._make = make

    def __getitem__(self, item: str) -> _T:
        return self._make(self._kept[item])


def _packed(value: object) -> bytes | None:
    return None if value is None else to_json(value).encode()


def _unpacked(text: bytes | None) -> Any:
    return None if text is None else json.loads(text)
