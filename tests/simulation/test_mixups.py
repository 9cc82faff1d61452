"""Answers that are somebody else's, in virtual time: no byte of one patient comes to another."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from docpipe.model import RunState
from docpipe.sources.fhir.people import OTHERS
from fakes import FhirOptions
from tests import virtual
from tests.simulation.world import Plan, Story, simulate

DOCEX = ("docex.status", "docex.link", "docex.archive")
FHIR = ("fhir.patient", "fhir.search", "fhir.status", "fhir.page", "fhir.file")
TRACKER = ("tracker.create", "tracker.find", "tracker.get", "tracker.update", "tracker.report")
ANSWERS = ("swapped", "cached", "unfiltered")
MIXUP_S = 400
"""So long at most answers are mixed up; all that has not ended continues afterwards."""


PLANS = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a plan takes seconds, and is short as it is
)


def strangers(story: Story, folder: Path) -> list[str]:
    """Where the id of a patient stands in what belongs to another one."""
    patients = [run.patient_id for run in story.runs]
    places = []
    for run in story.runs:
        others = [other.encode() for other in patients if other != run.patient_id]
        belongings = {
            str(path): path.name.encode() + path.read_bytes()
            for path in (folder / "storage" / run.patient_id).rglob("*")
            if path.is_file()
        }
        for task in story.running.tracker.tasks.values():
            if task.external_ref == run.run_id:
                reports = [
                    f"{report.body} {report.link}"
                    for report in story.running.tracker.reports.get(task.id, ())
                ]
                belongings[task.id] = " ".join([task.title, *task.notes, *reports]).encode()
        places += [name for name, content in belongings.items() if any(other in content for other in others)]
    return places


def kept_apart(plan: Plan) -> Story:
    story = virtual.run(simulate(plan))
    assert strangers(story, plan.folder) == []
    assert all(run.state.finished for run in story.runs)
    tracker = story.running.tracker
    for run in story.runs:
        tasks = tracker.tasks_of(run.run_id)
        assert len(tasks) == 1
        if "for this request alone" in str(run.error):  # its status or report never came through
            continue
        assert tasks[0].history[-1] == ("failed" if run.state is RunState.FAILED else run.state)
        assert len(tracker.reports[tasks[0].id]) == 1
    return story


def fault(operations: tuple[str, ...]) -> st.SearchStrategy[str]:
    """A mix-up, now and then for a while, or each time for so many times."""
    often = st.sampled_from(("probability=0.5", "probability=0.9", "times=1", "times=2", "times=5", ""))
    lists = (*FHIR, "tracker.find")
    pairs = [
        (one, answer) for one in operations for answer in ANSWERS if answer != "unfiltered" or one in lists
    ]
    return st.builds(
        lambda pair, since, often: f"{' '.join(pair)} from={since} until={MIXUP_S} {often}",
        st.sampled_from(pairs),
        st.sampled_from((0, 1, 3, 20)),
        often,
    )


@st.composite
def searches(draw: st.DrawFn) -> str:
    """A mix-up of answers to new searches, of which one at most is swapped.

    With more, a patient could get another's search before that one does: nothing in the contract shows it.
    """
    if draw(st.booleans()):
        return f"docex.search swapped from={draw(st.sampled_from((0, 1, 6)))} times=1"
    return f"docex.search cached until={MIXUP_S} {draw(st.sampled_from(('probability=0.5', 'times=3', '')))}"


def options(*, seconds: tuple[float, float] = (1.0, 30.0), **fhir: Any) -> dict[str, Any]:
    return {"search_seconds": seconds, "fhir": FhirOptions(**fhir)}


@PLANS
@given(
    st.lists(fault((*DOCEX, *TRACKER)), min_size=1, max_size=4),
    st.lists(searches(), max_size=1),
    st.lists(st.sampled_from((2.0, 15.0, 60.0)), max_size=2),
    st.integers(0, 99),
)
def test_whatever_an_exchange_and_a_tracker_mix_up(
    faults: list[str], searches: list[str], lives: list[float], seed: int
) -> None:
    """Swapped, stale and unfiltered answers, kills too: folders, tasks and reports hold their own alone."""
    with TemporaryDirectory() as name:
        faults = [*searches, *faults]
        lives = [] if searches else lives  # a killed process forgets whose the searches of ended runs were
        kept_apart(Plan(Path(name), seed=seed, patients=4, faults=faults, options=options(), lives=lives))


@PLANS
@given(
    st.lists(fault((*FHIR, *TRACKER)), min_size=1, max_size=3),
    st.sampled_from(("absolute", "relative", "data", "contained")),
    st.sampled_from(("manifest", "bundle", "at once")),
    st.sampled_from(("raw", "json")),
    st.booleans(),
    st.integers(0, 99),
)
def test_whatever_a_fhir_server_mixes_up(  # noqa: PLR0917 -- drawn by Hypothesis
    faults: list[str], content: str, result: str, binaries: str, by_identifier: bool, seed: int
) -> None:
    """The same of lists, jobs, manifests, pages, files and documents of a FHIR server."""
    given = {"content": content, "at_once": result == "at once", "page": 3, "binaries": binaries}
    # Bytes that bear no id are known by size and checksum alone, and three times wrong they may be the truth.
    faults = [*faults, f"fhir.binary cached times={2 if binaries == 'raw' else 99}"]
    given |= {"by_identifier": by_identifier} | ({} if result == "at once" else {"result": result})
    docex = {"fhir_mode": "auto" if seed % 2 else "export"}
    with TemporaryDirectory() as name:
        plan = Plan(
            Path(name),
            seed=seed,
            patients=3,
            kind="fhir",
            docex=docex,
            faults=faults,
            options=options(**given),
        )
        kept_apart(plan)


@pytest.mark.parametrize(
    ("faults", "own"),
    [
        (["tracker.create lost from=0 times=2", "tracker.find unfiltered"], "tracker.find"),
        (["tracker.create swapped times=3"], "tracker.create"),
        (["tracker.get cached until=300"], "tracker.get"),
        (["docex.status cached until=300"], "docex.status"),
        (["docex.search cached times=3"], "docex.search"),
        (["docex.link cached until=60"], "docex.link"),
        (["docex.link swapped times=2"], "docex.link"),
    ],
)
def test_mixed_up_answers_are_asked_for_again(tmp_path: Path, faults: list[str], own: str) -> None:
    """Everybody completes with the own documents, and each mix-up did happen."""
    story = kept_apart(Plan(tmp_path, patients=4, faults=faults, options=options()))
    assert {(run.state, run.error) for run in story.runs} == {(RunState.COMPLETED, None)}
    seen = [seen for server in (story.running.docex, story.running.tracker) for seen in server.requests]
    assert [one for one in seen if one.operation == own and one.fault]


def test_resources_of_others_are_refused_without_a_name(tmp_path: Path) -> None:
    """A server that overlooks the patient: the own documents are stored, the rest is a warning."""
    plan = Plan(
        tmp_path,
        patients=2,
        kind="fhir",
        faults=["fhir.search unfiltered"],
        options=options(at_once=True),
    )
    story = kept_apart(plan)
    states = {run.patient_id: (run.state, run.counts.get("refused", 0) > 0) for run in story.runs}
    assert (RunState.COMPLETED_WITH_ERRORS, True) in states.values()
    assert all(run.counts["converted"] == 4 for run in story.runs)


def test_another_patient_than_asked_for_is_nobody(tmp_path: Path) -> None:
    """An answer with others only is asked for again, and in the end the run fails rather than take one."""
    plan = Plan(
        tmp_path,
        patients=2,
        kind="fhir",
        docex={"patient_system": "urn:oid:2.999.1"},
        faults=["fhir.patient cached"],
        options=options(by_identifier=True),
    )
    story = kept_apart(plan)
    assert sorted(run.state for run in story.runs) == [RunState.COMPLETED, RunState.FAILED]
    assert OTHERS in {run.error for run in story.runs}


def test_another_binary_than_asked_for_is_not_kept(tmp_path: Path) -> None:
    """A Binary that bears another id is failed, and not stored."""
    plan = Plan(
        tmp_path,
        patients=2,
        kind="fhir",
        faults=["fhir.binary cached"],
        options=options(at_once=True, binaries="json"),
    )
    story = kept_apart(plan)
    assert RunState.COMPLETED_WITH_ERRORS in {run.state for run in story.runs}
