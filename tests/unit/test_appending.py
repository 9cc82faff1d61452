"""A report that its tracker finds too long is sent again, shorter each time."""

from dataclasses import dataclass, field

import pytest

from docpipe.activities.appending import SIZES, append
from docpipe.errors import ServiceError
from docpipe.results.files import Appended, Digest
from docpipe.results.states import ReportIntent
from tests.steps import MemoryStep

DIGEST = "# Completed\n" + "- Letter of the day\n" * 3000


@dataclass
class Tracker:
    """Takes reports up to a length; refuses longer ones with a status."""

    takes: int
    status: int = 413
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def append_report(self, step, task_id, body, link, *, again):
        self.requests.append((step.key, body))
        await step.save(ReportIntent(before=0))
        if len(body) > self.takes:
            raise ServiceError("The tracker refused the report.", self.status)
        return Appended(appended=True, problem=None)


@pytest.mark.parametrize("takes", [65_536, *SIZES, 1_500])
async def test_as_much_as_the_tracker_takes(takes):
    """Each request has its own key, since its body differs; the last one fits and says what is left out."""
    tracker, step = Tracker(takes), MemoryStep()
    made = Digest(DIGEST, "file:///report.html")
    assert (await append(tracker, step, "T1", made, again=False)).appended
    keys, bodies = zip(*tracker.requests, strict=True)
    assert len(set(keys)) == len(keys)
    assert keys[0] == step.key
    assert len(bodies[-1]) <= takes
    assert bodies[-1].startswith("# Completed\n")
    assert (bodies[-1] == DIGEST) or "left out" in bodies[-1]
    assert step.states == [{"sent": 0.0, "before": 0}] * len(bodies)


async def test_a_tracker_that_takes_nothing():
    """After the shortest one the refusal is final."""
    tracker = Tracker(10)
    with pytest.raises(ServiceError):
        await append(tracker, MemoryStep(), "T1", Digest(DIGEST, ""), again=False)
    assert len(tracker.requests) == 1 + len(SIZES)


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_other_refusals_are_final(status):
    """Only a 413 is answered by a shorter report."""
    tracker = Tracker(10, status)
    with pytest.raises(ServiceError):
        await append(tracker, MemoryStep(), "T1", Digest(DIGEST, ""), again=False)
    assert len(tracker.requests) == 1
