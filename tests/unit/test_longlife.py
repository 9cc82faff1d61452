"""What a long life of a service is judged by."""

from dataclasses import replace

import pytest

from tests.longlife import Sample, faults

FLAT = [
    Sample(
        patients=100 * number,
        seconds=10.0 * number,
        memory=100 * 2**20,
        workers=0,
        descriptors=30 + number % 2,
        threads=11,
        database=10 * 2**20,
        runs=100,
    )
    for number in range(1, 11)
]


def test_what_stays_the_same_has_no_fault() -> None:
    """One descriptor more now and then is none."""
    assert faults(FLAT, warm=0) == []


@pytest.mark.parametrize("name", ["memory", "database", "descriptors", "threads"])
def test_what_grows_is_named(name: str) -> None:
    """By 2% a batch: 11% between the halves."""
    samples = [
        replace(sample, **{name: int(getattr(sample, name) * (1 + number / 50))})
        for number, sample in enumerate(FLAT, 5)
    ]
    assert [sentence.partition(":")[0] for sentence in faults(samples, warm=0)] == [name]


def test_the_warm_up_is_not_judged() -> None:
    """Caches fill, libraries are loaded."""
    samples = [replace(sample, memory=2**20) for sample in FLAT[:4]] + FLAT[4:]
    assert faults(samples, warm=0)
    assert faults(samples, warm=500) == []


def test_too_few_samples_are_no_verdict() -> None:
    """A run that is too short does not pass."""
    with pytest.raises(ValueError, match="four samples"):
        faults(FLAT[:3], warm=0)
