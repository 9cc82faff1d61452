"""`docpipe plan`: what it takes for granted, what it finds, how it says so."""

import asyncio
import gc
import json
import re
import signal
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from docpipe.checkpoints import open_database
from docpipe.cli import main
from docpipe.config.config import Config, Convert, State
from docpipe.model import Activity, Rate, RunState
from docpipe.plan.forecast import forecast
from docpipe.plan.hours import SEARCHES, hours
from docpipe.plan.inputs import inputs_of
from docpipe.plan.parallel import simulated
from docpipe.plan.picture import drawn
from docpipe.plan.setup import Before, Given, Mix, Outage, Setup
from docpipe.plan.simulate import simulate
from docpipe.plan.trace import Trace
from docpipe.plan.virtual import Deadlock, NoEventLoop

MIX = Mix(search_s=(5.0, 5.0), documents=(2.0, 2.0), convert_s=(0.1, 0.1), archive_b=(1000.0, 1000.0))


def setup(patients: int = 30, **more) -> Setup:
    given = {"patients": patients, "config": Config(), "workers": 2, "mix": MIX}
    return Setup(**(given | more))


def docex(**keys) -> Config:
    return replace(Config(), docex=replace(Config().docex, **keys))


def busiest(expected) -> set[str]:
    return {hour.bottleneck for hour in expected.course.hours}


def test_the_search_quota_paces_it() -> None:
    """Thirty patients at 10 a minute search in three bursts, and the last of them end a search later."""
    estimate = forecast(setup())
    assert estimate.course.done_s == pytest.approx(2 * 60 + 5, abs=5)
    assert busiest(estimate) == {"search quota", SEARCHES}  # in the minute of the last burst the searches
    assert [change.what for change in estimate.changes] == ["search quota 20/min"]
    assert estimate.changes[0].course.done_s == pytest.approx(60 + 5, abs=5)


def test_conversion_paces_it() -> None:
    """Where documents come faster than workers convert them, more workers help."""
    mix = replace(MIX, convert_s=(10.0, 10.0))
    estimate = forecast(setup(20, mix=mix, config=docex(search_rate=None)))
    assert estimate.course.done_s == pytest.approx(20 * 2 * 10 / 2 + 5, abs=5)
    assert "conversion" in busiest(estimate)
    (more,) = (change for change in estimate.changes if change.what == "4 conversion workers")
    assert more.course.done_s == pytest.approx(20 * 2 * 10 / 4 + 5, abs=5)


def test_patients_take_turns_of_two_seconds_at_the_workers() -> None:
    """As in the real pool: of four documents of 1 s each, the first patient's end after six, not seven."""
    mix = Mix(search_s=(10.0, 10.0), documents=(4.0, 4.0), convert_s=(1.0, 1.0))
    trace = simulate(setup(2, config=docex(search_rate=None), workers=1, mix=mix, report_s=0.0))
    first, second = trace.ended
    assert second - first == pytest.approx(2.0, abs=0.5)


def test_nothing_holds_it_up_but_the_exchange() -> None:
    """Without quotas a forecast is as long as the search and what follows it."""
    mix = replace(MIX, search_s=(600.0, 600.0))
    estimate = forecast(setup(3, mix=mix, config=docex(search_rate=None)))
    assert 600 < estimate.course.done_s < 760
    assert busiest(estimate) == {SEARCHES}
    assert estimate.changes == []


def test_an_outage_costs_its_time_where_the_quota_paces_it() -> None:
    """While the exchange is down nothing is searched; the forecast without the outage stands beside it."""
    estimate = forecast(setup(60, outages=(Outage("docex", 300.0, 60.0),)))
    assert estimate.undisturbed is not None
    lost = estimate.course.done_s - estimate.undisturbed.done_s
    assert 270 < lost < 400
    assert "outage of docex" in busiest(estimate)
    assert estimate.course.failed == 0


@pytest.mark.parametrize(
    ("down_s", "searches", "bottleneck"), [(18.0, 7, "search quota"), (40.0, 3, "outage of docex")]
)
def test_a_short_outage_hides_no_bottleneck(down_s: float, searches: int, bottleneck: str) -> None:
    """A quota that is spent as long as the service is up holds up, until the outage is most of the time."""
    trace = Trace(ended=[360.0], requests={"docex.search": []})
    for minute in range(6):
        number = searches if minute == 1 else 10
        trace.requests["docex.search"] += [60.0 * minute + 0.5 + second for second in range(number)]
    actual = hours(setup(outages=(Outage("docex", down_s, 70.0),)), trace)
    assert [hour.bottleneck for hour in actual] == [
        bottleneck if minute == 1 else "search quota" for minute in range(6)
    ]


def test_what_the_state_folder_holds_is_counted_in() -> None:
    """Unfinished runs come first: those that have searched wait only for the rest of their search."""
    alone = simulate(setup(10)).done_s
    more = simulate(setup(10, before=Before(queued=5, searched=(2.0, 100.0))))
    assert len(more.ended) == 17
    assert len(more.searched) == 15
    assert more.done_s == pytest.approx(alone + 60, abs=3)  # five more than a window has room for


def test_the_same_seed_gives_the_same_forecast() -> None:
    """Chance is drawn from the seed alone."""
    mix = replace(MIX, search_s=(5.0, 50.0))
    one, same, other = (simulate(setup(mix=mix, seed=seed)).ended for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_bundles_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents in bundles, as where patients are many, keep the forecast within a hundredth."""
    mix = replace(MIX, documents=(20.0, 20.0), convert_s=(0.2, 0.4))
    alone = simulate(setup(mix=mix)).done_s
    monkeypatch.setattr("docpipe.plan.simulate._MANY", 1)
    assert simulate(setup(mix=mix)).done_s == pytest.approx(alone, rel=0.01)


async def history(folder: Path) -> None:
    """Two finished runs, one that waits for its search, and one that has not begun."""
    async with open_database(folder, lambda: 1000.0) as store:
        await store.create_runs({"P1": "R1", "P2": "R2", "P3": "R3", "P4": "R4"}, 0)
        for run in ("R1", "R2", "R3"):
            store.begin_step(run, Activity.SEARCH, "")
            await store.finish_step(run, Activity.SEARCH, "", {"at": 990.0, "ask_after": 3.0})
        for run in ("R1", "R2"):
            for activity, item, result in (
                (Activity.CHECK_STATUS, "", {"asked": [3.0, 20.0, 30.0]}),
                (Activity.DOWNLOAD, "", {"size": 5000, "seconds": 1.5}),
                (Activity.CONVERT, "00001", {"seconds": 0.25}),
                (Activity.CONVERT, "00002", {"seconds": 0.75}),
            ):
                store.begin_step(run, activity, item)
                await store.finish_step(run, activity, item, result)
            await store.finish_run(run, RunState.COMPLETED, {"converted": 2}, "T", None)
        await store.ledger.granted("docex.search", 995.0)
        await store.ledger.begin_life()


def test_it_learns_from_finished_runs(tmp_path: Path) -> None:
    """Search times, archives and conversions are those of the history; what is unfinished is read."""
    asyncio.run(history(tmp_path))
    config = Config(state=State(dir=str(tmp_path)), convert=Convert(workers=3))
    actual = inputs_of(config, Given(patients=5, rates={"docex.status": Rate(5, 1.0)}), lambda: 1010.0)
    assert actual.runs == 2
    (case, _) = actual.setup.mix.history
    assert case.search_s == 25.0
    assert (case.archive_b, case.download_s, case.convert_s) == (5000, 1.5, (0.25, 0.75))
    assert (actual.setup.workers, actual.setup.ask_after) == (3, 3.0)
    assert actual.setup.config.docex.status_rate == Rate(5, 1.0)
    before = actual.setup.before
    assert (before.queued, before.searched, before.alive) == (1, (20.0,), 10.0)
    assert [(name, grant.at) for name, grant in before.grants] == [("docex.search", 15.0)]
    sources = {item.what: item.source for item in actual.assumptions}
    assert sources["search time"] == "history"
    assert sources["quota of docex.status"] == "given"
    assert sources["conversion workers"] == "configuration"


def test_few_runs_make_a_rough_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Two finished runs are better than nothing, and no more than that."""
    asyncio.run(history(tmp_path))
    monkeypatch.setenv("DOCPIPE_STATE__DIR", str(tmp_path))
    assert main(["plan", "--patients", "3"]) == 0
    text = capsys.readouterr().out
    assert f"(2 finished runs in {tmp_path}: so few make a rough forecast)" in text
    assert "Before them come 2 unfinished runs of the state folder" in text


def test_the_picture_shows_every_course() -> None:
    """The drawing has a line for the plan, for the world without the outage, and for each change."""
    estimate = forecast(setup(outages=(Outage("docex", 60.0),)))
    text = drawn(estimate)
    assert text.count("<polyline") == 2 + len(estimate.changes)
    assert "without the outage" in text
    assert "held up by" in text
    assert "docex is down" in text


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """It prints when all is done and why, as text and as JSON, draws, and writes nothing else."""
    monkeypatch.chdir(tmp_path)
    options = "--patients 12 --search-time 5s..9s --documents 3 --convert-time 200ms --workers 2"
    options = f"plan {options} --outage docex:1min@10s".split()
    assert main([*options, "--svg", "plan.svg"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"12 patients take .+, all is done at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.\n", text)
    assert "search quota" in text
    parts = [int(part) for part in re.findall(r"(\d+)%", text)]
    assert max(parts) == 100, "a burst uses no more than all of a quota"
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "docex is down for 1 min from 10 s on." in text
    assert main([*options, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["patients"] == 12
    assert body["undisturbed_s"] < body["done_s"] < body["done_at"] - time.time() + 60
    assert sum(hour["seconds"] for hour in body["hours"]) == pytest.approx(body["done_s"])
    assert body["hours"][-1]["done"] == body["parts"][-1]["done"] == 12
    assert datetime.fromisoformat(body["ends_at"]).timestamp() == pytest.approx(body["done_at"], abs=0.01)
    starts = [datetime.fromisoformat(part["start_at"]) for part in body["parts"]]
    assert starts == sorted(starts)
    assert starts[0].tzinfo is not None
    assert [path.name for path in tmp_path.iterdir()] == ["plan.svg"]


@pytest.mark.parametrize(
    "options",
    [
        "--patients 0",
        "--patients 5 --search-time 9s..5s",
        "--patients 5 --outage mars:2h",
        "--patients 5 --search-rate 0",
    ],
)
def test_nonsense_is_refused(options: str, capsys) -> None:
    """A value that cannot be used is refused with what would be right."""
    with pytest.raises(SystemExit) as stopped:
        main(["plan", *options.split()])
    assert stopped.value.code == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_reported_before_anything_is_simulated(
    tmp_path: Path, capsys
) -> None:
    """A path that cannot be written is reported before the forecast, not after it."""
    assert main(["plan", "--patients", "5", "--svg", str(tmp_path / "nowhere" / "plan.svg")]) == 2
    assert "plan.svg cannot be written" in capsys.readouterr().err


def test_what_more_would_give_is_reported_workers_and_of_the_quota(capsys) -> None:
    """Where one of them holds all up, the text says that more of the other would not help."""
    estimate = forecast(setup())
    assert [change.means for change in estimate.changes] == ["search quota"]
    options = "plan --patients 20 --search-time 5s --documents 2 --convert-time 10s --search-rate 10/sec"
    assert main([*options.split(), "--workers", "2"]) == 0
    text = capsys.readouterr().out
    assert "With 4 conversion workers: " in text
    assert "A higher search quota would not help" in text


def test_a_disk_that_is_too_small_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    """What the archives hold has to fit."""
    monkeypatch.chdir(tmp_path)
    options = ["plan", "--patients", "3", "--search-time", "5s", "--documents", "2", "--convert-time", "1s"]
    assert main([*options, "--archive-size=1MB"]) == 0
    assert "no room" not in capsys.readouterr().out
    assert main([*options, "--archive-size=1000000GB"]) == 0
    assert "There is no room for the originals" in capsys.readouterr().out


def test_a_busy_machine_is_reported() -> None:
    """The forecast takes the CPUs for free, and says so where they are not."""

    def other_work(load: float) -> str:
        actual = inputs_of(Config(), Given(patients=5), time.time, lambda: load)
        return actual.assumptions[-1].value

    assert other_work(0.0) == "none"
    assert "load is 99.0" in other_work(99.0)


def test_simulations_side_by_side_are_the_same() -> None:
    """Each in a process of its own finds what it finds here, and tells how far it is."""
    mix = replace(MIX, convert_s=(0.0, 0.0))
    slow, fast = (setup(500, mix=mix, config=docex(search_rate=Rate(n, 60.0))) for n in (100, 200))
    seen: list[float] = []
    actual = simulated([slow, fast], seen.append)
    assert [course.done_s for course in actual] == [simulate(slow).done_s, simulate(fast).done_s]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_interrupted_it_says_nothing(capfd) -> None:
    """Ctrl-C ends a simulation at once and in silence, with thousands of runs that have not begun."""

    def interrupt(part: float) -> None:
        if part > 0.1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        simulate(setup(300), interrupt)
    gc.collect()
    assert capfd.readouterr().err == ""


def test_a_deadlock_is_reported() -> None:
    """A loop without sockets in which nothing can ever happen says so."""
    with pytest.raises(Deadlock), asyncio.Runner(loop_factory=NoEventLoop) as runner:
        runner.run(asyncio.Event().wait())


def test_the_loop_keeps_the_order_of_things() -> None:
    """What is due at the same time is called in the order in which it was asked for, unless cancelled."""
    seen: list[object] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for name in "abc":
            timer = loop.call_later(5.0, lambda name=name: seen.append((name, loop.time() - began)))
            if name == "b":
                timer.cancel()
        loop.call_later(1.0, seen.append, "first")
        loop.call_soon(seen.append, "soon").cancel()
        loop.call_soon(seen.append, "at once")
        await asyncio.sleep(10.0)

    with asyncio.Runner(loop_factory=NoEventLoop) as runner:
        runner.run(work())
    assert seen == ["at once", "first", ("a", 5.0), ("c", 5.0)]


def test_the_loop_lets_nothing_fail_in_silence() -> None:
    """What a callback raises comes out."""

    async def work() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1.0)

    with asyncio.Runner(loop_factory=NoEventLoop) as runner, pytest.raises(ZeroDivisionError):
        runner.run(work())
