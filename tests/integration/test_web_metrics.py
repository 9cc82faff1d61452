"""/metrics in virtual time: what it tells is what happened, and nothing of a patient."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from docpipe.model import Activity, Outcome, Rate
from tests.virtual import wall_clock
from tests.web_support import Served, serving

pytestmark = pytest.mark.virtual
PATIENTS = 10


async def scraped(served: Served) -> dict[tuple, float]:
    """Name and labels to value."""
    answer = await served.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_what_happened_is_reported(tmp_path: Path) -> None:
    """Activities, documents, requests, quotas, services and queues add up with what the fakes saw."""
    async with serving(tmp_path, wall_clock) as served:
        served.docpipe.quotas["docex.search"].set_rate(Rate(10, 60.0))
        before = await scraped(served)
        assert before["docpipe_runs", ("state", "queued")] == 0
        await served.submit(*(f"S{number}" for number in range(PATIENTS)))
        served.fakes.add_fault("docex.status 503 times=4")
        await asyncio.sleep(1.0)
        early = await scraped(served)
        assert early["docpipe_quota_waiting", ("endpoint", "docex.search")] > 0
        assert early["docpipe_quota_limit", ("endpoint", "docex.search")] == 10
        await served.docpipe.engine.wait()
        metrics = await scraped(served)
        assert metrics["docpipe_runs", ("state", "completed")] == PATIENTS
        assert metrics["docpipe_runs_ended_total", ("state", "completed")] == PATIENTS
        for activity in (Activity.CREATE_TASK, Activity.SEARCH, Activity.APPEND_REPORT):
            assert metrics["docpipe_activities_total", ("activity", activity), ("outcome", "ok")] == PATIENTS
            assert metrics["docpipe_activity_duration_seconds_count", ("activity", activity)] == PATIENTS
        converted = metrics["docpipe_activities_total", ("activity", Activity.CONVERT), ("outcome", "ok")]
        assert (
            sum(metrics["docpipe_documents_total", ("outcome", outcome)] for outcome in Outcome) == converted
        )
        assert metrics["docpipe_documents_total", ("outcome", "converted")] >= PATIENTS
        for endpoint, server in (("docex.search", served.fakes.docex), ("docex.status", served.fakes.docex)):
            seen = sum(request.operation == endpoint for request in server.requests)
            sent = [
                value
                for (name, *labels), value in metrics.items()
                if name == "docpipe_requests_total" and ("endpoint", endpoint) in labels
            ]
            assert sum(sent) == seen
        assert metrics["docpipe_requests_total", ("endpoint", "docex.status"), ("status", "503")] == 4
        assert metrics["docpipe_service_outages_total", ("service", "docex")] == 1
        assert metrics["docpipe_service_up", ("service", "docex")] == 1
        assert metrics["docpipe_checkpoint_commit_seconds_count",] > PATIENTS
        assert (
            metrics["docpipe_conversions",]
            == metrics["docpipe_quota_waiting", ("endpoint", "docex.search")]
            == 0
        )
        assert metrics["docpipe_disk_free_bytes", ("folder", "state")] > 0


def promtool() -> str:
    """Prometheus' own checker; tests are skipped where it is not, but fail in CI."""
    if (result := shutil.which("promtool")) is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to have promtool (Debian: prometheus)")
        pytest.skip("SKIPPED LOUDLY: promtool is not installed (Debian: prometheus)")
    return result


def complaints(tool: str, metrics: bytes) -> str:
    done = subprocess.run([tool, "check", "metrics"], input=metrics, capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode()
    return text or ("" if done.returncode == 0 else f"exit status {done.returncode}")


async def test_prometheus_reads_it_without_a_complaint(tmp_path: Path) -> None:
    """Names, types, units and help are as Prometheus wants them, before the first run and after some."""
    tool = promtool()
    async with serving(tmp_path, wall_clock) as served:
        early = (await served.get("/metrics")).body
        await served.submit("S0", "S1")
        await served.docpipe.engine.wait()
        late = (await served.get("/metrics")).body
    assert b"_created" not in late
    assert [complaints(tool, text) for text in (early, late)] == ["", ""]


async def test_nothing_of_a_patient(tmp_path: Path) -> None:
    """No label bears a patient's or a run's id, and the number of series does not grow with patients."""
    async with serving(tmp_path, wall_clock) as served:
        (run,) = await served.submit("S0")
        await served.docpipe.engine.wait()
        few = await scraped(served)
        await served.submit(*(f"S{number}" for number in range(1, PATIENTS)))
        await served.docpipe.engine.wait()
        many = await scraped(served)
        assert many.keys() == few.keys()
        text = (await served.get("/metrics")).body.decode()
        assert run not in text
        assert '"S0"' not in text


async def test_pause_and_a_full_line(tmp_path: Path) -> None:
    """What stands still shows: a pause, a service left alone, runs that wait for their turn."""
    async with serving(tmp_path, wall_clock) as served:
        await served.post("/api/pause")
        await served.post("/api/services/tasktracker/pause")
        await served.submit(*(f"S{number}" for number in range(PATIENTS)))
        metrics = await scraped(served)
        assert metrics["docpipe_paused",] == 1
        assert metrics["docpipe_service_paused", ("service", "tasktracker")] == 1
        assert metrics["docpipe_runs_waiting",] == PATIENTS
