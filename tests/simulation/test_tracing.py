"""Traces: one a run, also through a restart; a span for each activity and each attempt on the wire."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import fakes
from docpipe.app import Docpipe
from docpipe.engine.tracing import Traces, traced, wanted
from docpipe.model import Activity
from tests.simulation.test_pausing import opened, prepared
from tests.simulation.world import Plan, ids, options_of

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(run_id: str) -> int:
    return sum(CROCKFORD.index(letter) << 5 * (25 - at) for at, letter in enumerate(run_id))


@pytest.mark.virtual
async def test_one_trace_a_run(tmp_path: Path) -> None:
    """Two lives and two patients: two traces, each a tree under the run, nothing of a patient in them."""
    plan = Plan(tmp_path, patients=2, options={"search_seconds": (60.0, 90.0)})
    exporter = InMemorySpanExporter()

    def listen(docpipe: Docpipe) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        traces = Traces(docpipe.engine, provider)
        docpipe.engine.listeners.append(traces.changed)
        docpipe.observers.append(traces.attempted)

    async with fakes.serve(options_of(plan)) as running:
        config = await prepared(plan, running)
        async with opened(config) as docpipe:
            listen(docpipe)
            runs = await docpipe.engine.submit(ids(2))
            await asyncio.sleep(30.0)
            await docpipe.engine.stop()
        async with opened(config) as docpipe:
            listen(docpipe)
            await docpipe.engine.resume()
            running.add_fault("docex.status 503 times=1")
            await docpipe.engine.wait()
    spans = exporter.get_finished_spans()
    assert {span.context.trace_id for span in spans} == {number(run.run_id) for run in runs}
    for run in runs:
        mine = [span for span in spans if span.context.trace_id == number(run.run_id)]
        (root,) = [span for span in mine if span.parent is None]
        assert (root.name, root.attributes["docpipe.state"]) == ("run", "completed")
        ids_of = {span.context.span_id for span in mine}
        assert all(span.parent.span_id in ids_of for span in mine if span is not root)
        assert {span.name for span in mine} >= {*Activity, "POST docex.search", "GET docex.status"}
        assert all(root.start_time <= span.start_time <= span.end_time <= root.end_time for span in mine)
        assert "stopped" in {span.attributes.get("docpipe.outcome") for span in mine}
    refused = [span for span in spans if span.attributes.get("error.type") == "status 503"]
    assert [span.attributes["http.response.status_code"] for span in refused] == [503]
    text = "".join(span.to_json() for span in spans)
    assert not [word for word in (*ids(2), "Lee", "Ann", "1957") if word in text]


async def test_spans_reach_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the environment's switch set, all spans are at the collector when docpipe has ended."""
    seen: list[str] = []

    async def collect(request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await request.read())
        for resource in message.resource_spans:
            assert "docpipe" in str(resource.resource)
            seen.extend(span.name for scope in resource.scope_spans for span in scope.spans)
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "config.toml").write_text(
        '[docex]\nbase_url = "fake"\n[tasktracker]\nbase_url = "fake"\n[patients]\nurl = "fake"\n'
    )
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "docpipe", "run", "--patient", "P123"),
        cwd=folder,
        env=env | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, output = await process.communicate()
    await runner.cleanup()
    assert process.returncode == 0, output.decode()
    assert {*Activity, "run"} <= set(seen)
    assert seen.count("run") == 1


async def test_a_collector_that_is_down(tmp_path: Path) -> None:
    """A run continues without it; its failure is one line of the log."""
    (tmp_path / "config.toml").write_text(
        '[docex]\nbase_url = "fake"\n[tasktracker]\nbase_url = "fake"\n[patients]\nurl = "fake"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "docpipe", "run", "--patient", "P123"),
        cwd=tmp_path,
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    (line,) = [
        line for line in errors.decode().splitlines() if "error" in line.lower() and "127.0.0.1" in line
    ]
    assert "traces_not_sent" in line
    assert "Traceback" not in errors.decode()


async def test_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded without the switch; without the extra docpipe says how to get it, and continues."""
    assert not wanted({})
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"})
    assert wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"})
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    observers: list = []
    async with traced(None, observers, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}):
        assert observers == []
