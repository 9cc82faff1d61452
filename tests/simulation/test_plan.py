"""The forecast of `docpipe plan`, held against what the real client does with the real fakes."""

from pathlib import Path

import pytest

from docpipe.config.config import Config, Docex, State, Tasktracker
from docpipe.model import Rate
from docpipe.plan.inputs import inputs_of
from docpipe.plan.setup import Given
from docpipe.plan.simulate import simulate as planned
from tests import virtual
from tests.benchmarks.makespan import WORKERS, TimedWorkers
from tests.simulation.world import Plan, Story, simulate

RATES = {
    "search quota": {"search_rate": Rate(60, 60.0), "status_rate": None, "tracker_rate": None},
    "tracker quota": {"search_rate": None, "status_rate": None, "tracker_rate": Rate(10, 1.0)},
}


def real(folder: Path, patients: int, seed: int, rates: dict[str, Rate | None]) -> Story:
    """What becomes of so many patients; conversion takes no time."""
    folder.mkdir()
    return virtual.run(
        simulate(Plan(folder, seed, patients, options={"search_seconds": (2.0, 8.0)}, **rates))
    )


def forecast(state: Path, rates: dict[str, Rate | None], **given) -> float:
    """When all is done, as `plan` sees it with this state folder."""
    config = Config(
        docex=Docex(search_rate=rates["search_rate"], status_rate=rates["status_rate"]),
        tasktracker=Tasktracker(rate=rates["tracker_rate"]),
        state=State(dir=str(state)),
    )
    wanted = Given(**{"patients": 200, "latency_s": 0.0, "convert_s": (0.0, 0.0), **given})
    return planned(inputs_of(config, wanted, lambda: 0.0).setup).done_s


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_within_five_percent_of_two_hundred_patients(tmp_path: Path, rates: dict[str, Rate | None]) -> None:
    """With what is given, and with the history of other patients, the forecast is within 5%."""
    seconds = real(tmp_path / "real", 200, 1, rates).seconds
    given = forecast(tmp_path / "nothing", rates, search_s=(2.0, 8.0), documents=(4.0, 4.0))
    assert given == pytest.approx(seconds, rel=0.05)
    real(tmp_path / "history", 40, 2, rates)
    learnt = forecast(tmp_path / "history" / "state", rates)
    assert learnt == pytest.approx(seconds, rel=0.05, abs=5.0)  # the end of a burst may slip by a few windows


def test_within_five_percent_where_conversion_paces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are busy all the time; the history says how long documents take, not how long they wait."""
    rates = dict.fromkeys(RATES["search quota"])
    monkeypatch.setattr("tests.benchmarks.makespan.CONVERT_S", (1.0, 2.0))
    monkeypatch.setattr("docpipe.app.make_workers", lambda _config, clock, *_, **__: TimedWorkers(clock))
    seconds = real(tmp_path / "real", 200, 1, rates).seconds
    real(tmp_path / "history", 40, 2, rates)
    assert seconds > 0.95 * 200 * 4 * 1.5 / WORKERS
    learnt = forecast(tmp_path / "history" / "state", rates, convert_s=None, workers=WORKERS)
    assert learnt == pytest.approx(seconds, rel=0.05)
