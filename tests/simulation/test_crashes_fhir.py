"""Kill it anywhere while it retrieves from a FHIR server: nothing is lost, nothing fetched again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import FhirOptions
from tests.simulation.crashes import Failure, Plan, stage, tell, tried
from tests.simulation.lives import prepared

OPTIONS = (("fhir", FhirOptions(page=2, content="relative")),)
SITES = {
    "before request: docex.search",
    "after request: docex.status",
    "after request: archives",
    "before download",
    "within the download",
    "before rename: answer",
    "before rename: 00001",
    "before extract",
    "after finish_step: DocEx_DownloadAndExtract",
}
"""Some of the points that must be among those passed, lest a change of names in docpipe disarms the test."""
SITES_OF_FHIR = ("request", "download", "rename: 0", "rename: answer", "folder of FHIR", "extract", "DocEx")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with stage(("P1",)) as folder, prepared():
        yield folder


@pytest.mark.parametrize("mode", ["documents", "export"])
def test_dead_at_every_point_of_the_exchange(folder: Path, mode: str) -> None:
    """A crash at the first and the last of each kind of point, and one recovery, leave what is to be left."""
    plan = Plan(kind="fhir", mode=mode, options=OPTIONS)
    whole = tell(plan, folder).lives[0]
    assert set(whole) >= SITES
    points = [point for point in set(whole) if any(site in point for site in SITES_OF_FHIR)]
    last = len(whole) - 1
    kills = sorted({n for p in points for n in (whole.index(p) + 1, last - whole[::-1].index(p) + 1)})
    kills = kills[:: 1 if mode == "export" else 3]
    assert len(kills) > 20
    results = [
        tried(Plan(kills=(kill,), gaps=(0.5,), kind="fhir", mode=mode, options=OPTIONS), folder)
        for kill in kills
    ]
    assert [one for one in results if isinstance(one, Failure)] == []


def test_a_file_that_is_there_is_not_fetched_again(folder: Path) -> None:
    """A life that dies after some documents leaves the others to fetch for the next."""
    plan = Plan(kind="fhir", mode="documents", options=OPTIONS)
    whole = tell(plan, folder).lives[0]
    undisturbed = whole.count("before request: archives")
    kill = [number for number, point in enumerate(whole, 1) if point == "before request: archives"][-1]
    reported = tell(Plan(kills=(kill,), kind="fhir", mode="documents", options=OPTIONS), folder)
    assert undisturbed > 3
    assert reported.lives[1].count("before request: archives") == 1
