"""What a process keeps of the activities of a run: the same steps, in a fraction of their memory."""

import tracemalloc

import msgspec

from docpipe.checkpoints import PackedSteps, StoredStep
from docpipe.engine.restart import ERROR, failed, failure
from docpipe.errors import RunError
from docpipe.model import Activity
from docpipe.results.files import Converted


def step(item: str, result: object, state: object = None) -> StoredStep:
    return StoredStep(Activity.CONVERT, item, 1, 2.0, 3.0, state, result)  # type: ignore[arg-type]


def converted(number: int) -> dict[str, object]:
    metadata = {
        "title": f"Letter {number}",
        "converter": {"name": "plain", "versions": {"docpipe": "1.0", "typst": "0.13"}},
        **{name: f"{name} {number}" for name in ("author", "custodian", "date", "language")},
    }
    made = Converted(outcome="converted", media_type="text/plain", metadata=metadata)
    return msgspec.to_builtins(made)  # type: ignore[no-any-return]


def test_steps_are_as_they_were() -> None:
    """Half of a surrogate pair too, which only an escape in JSON can hold."""
    steps = [step("1", {"title": "é \ud800"}, {"sent": 1.0}), step("2", None)]
    kept = PackedSteps(steps)
    assert list(kept.values()) == steps
    assert (Activity.CONVERT, "1") in kept
    assert kept.get((Activity.STORE, "1")) is None


def test_rows_of_the_database_are_kept_as_they_are() -> None:
    """Without a state or result there is none."""
    kept = PackedSteps.of_rows([("Convert", "1", 2, 1.0, None, '{"sent":1.0}', None)])
    assert kept["Convert", "1"] == StoredStep("Convert", "1", 2, 1.0, None, {"sent": 1.0}, None)


def test_results_are_those_of_one_activity_that_did_not_fail() -> None:
    """Neither errors, nor steps that have not ended."""
    broken = failure(RunError("no"))
    kept = PackedSteps([step("1", {"a": 1}), step("2", broken), step("3", None)])
    kept.put(StoredStep(Activity.STORE, "1", 1, 2.0, 3.0, None, {"key": "k"}))
    results = kept.results(Activity.CONVERT, unless=failed)
    assert (dict(results), len(results), "2" in results) == ({"1": {"a": 1}}, 1, False)


def test_results_take_a_fraction_of_the_memory_of_objects() -> None:
    """10,000 documents would keep 50 MB until the run ends."""
    count = 500

    def held(*, keep: bool) -> int:
        tracemalloc.start()
        steps = (step(str(number), converted(number)) for number in range(count))
        made = PackedSteps(steps) if keep else list(steps)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(made) == count
        return size

    assert held(keep=True) < held(keep=False) / 2


def test_an_outline_has_results_that_are_wanted_and_errors() -> None:
    """Of others that there is one: a list of 10,000 files is not decoded for the time of its step."""
    broken = failure(RunError("no"))
    steps = [step("1", {"a": 1}), step("2", broken), step("3", None)]
    search = StoredStep(Activity.SEARCH, "", 1, 1.0, 2.0, None, {"at": 5.0})
    made = PackedSteps([*steps, search]).outline((Activity.SEARCH,), ERROR)
    assert [one.result for one in made.values()] == [{}, broken, None, {"at": 5.0}]
    assert [one[:5] for one in made.values()] == [one[:5] for one in (*steps, search)]
