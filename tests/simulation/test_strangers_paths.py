"""What a proxy or a firewall answers at one path alone, while others work, ends no run and loses nothing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docpipe.model import RunState
from fakes import FhirOptions
from tests import virtual
from tests.simulation.world import Plan, Story, simulate

PAGES = ("html400", "html401", "html403", "html404", "html405", "html410", "html422", "html451", "away302")
BARE = ("plain403", "plain404", "plain410", "empty404", "empty403")
DOCEX = ("docex.search", "docex.status", "docex.link", "docex.archive")
FHIR = ("fhir.patient", "fhir.search", "fhir.status", "fhir.file", "fhir.binary")
TRACKER = ("tracker.create", "tracker.get", "tracker.update", "tracker.report")
LONG_S = 1200
"""Longer than bare refusals of FHIR servers are doubted."""


def whole(folder: Path, kind: str, fault: str, patients: int = 3) -> Story:
    """The story of some patients with a fault: each completes with everything."""
    options = {"search_seconds": (5.0, 60.0)}
    docex = {}
    if kind == "fhir":
        options["fhir"] = FhirOptions()
        docex = {"fhir_mode": "export"}
    plan = Plan(folder, patients=patients, faults=[fault], options=options, kind=kind, docex=docex)
    story = virtual.run(simulate(plan))
    assert [(run.state, run.error) for run in story.runs] == [(RunState.COMPLETED, None)] * patients, fault
    assert {run.counts.get("failed", 0) for run in story.runs} == {0}
    for run in story.runs:
        searches = story.running.docex.searches_of(run.patient_id)
        jobs = story.running.fhir.jobs_of(run.patient_id)
        assert len(searches) + len(jobs) == 1
    return story


@pytest.mark.parametrize(
    ("kind", "operation"),
    [*(("docex", one) for one in (*DOCEX, *TRACKER)), *(("fhir", one) for one in FHIR)],
)
def test_a_firewalls_page_at_one_path_is_never_believed(tmp_path: Path, kind: str, operation: str) -> None:
    """Twenty minutes of it end no run and begins no second search."""
    story = whole(tmp_path, kind, f"{operation} html403 until={LONG_S}")
    assert story.seconds > LONG_S


@pytest.mark.parametrize("operation", FHIR)
def test_a_text_at_one_path_of_a_fhir_server_is_waited_out(tmp_path: Path, operation: str) -> None:
    """FHIR has refusals without an OperationOutcome: they are believed after a quarter of an hour."""
    whole(tmp_path, "fhir", f"{operation} plain404 until=700")


@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_no_strangers_word_at_any_path_is_final(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever the status, the form and the path, and whatever share of the requests meets it."""
    kind = data.draw(st.sampled_from(("docex", "fhir")))
    operation = data.draw(st.sampled_from((*(DOCEX if kind == "docex" else FHIR), *TRACKER)))
    word = data.draw(st.sampled_from((*PAGES, *BARE)))
    since = data.draw(st.integers(0, 60))
    odds = data.draw(st.sampled_from((1.0, 0.5)))
    until = since + data.draw(st.sampled_from((5, 60, 400)))
    fault = f"{operation} {word} from={since} until={until} probability={odds}"
    whole(tmp_path_factory.mktemp("world"), kind, fault, patients=2)
