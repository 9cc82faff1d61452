"""The exporter of traces: what it says goes through the log, and a dead collector holds nobody up."""

import asyncio
import logging
import threading

import pytest
from structlog.testing import capture_logs

from docpipe.engine import exporting
from docpipe.engine.exporting import LibraryWarnings, check_protocol, library_warnings, shut_down


class Provider:
    """A provider whose shutdown takes until `go` is set; it complains first where it is to."""

    def __init__(self, complaint=None):
        self.complaint = complaint
        self.go = threading.Event()

    def shutdown(self):
        if self.complaint is not None:
            logging.getLogger("opentelemetry.exporter").warning(self.complaint)
        self.go.wait(60)


def test_complaints_come_through_the_log_once_a_minute(capfd):
    """Nothing of the library goes to standard error by itself, and its loggers are left as they were."""
    library = logging.getLogger("opentelemetry.exporter.otlp")
    with capture_logs() as logs, library_warnings() as warnings:
        times = iter((0.0, 1.0, 59.0, 60.0, 61.0))
        warnings._clock = lambda: next(times)
        for _ in range(5):
            library.warning("Transient error %s", "Connection refused")
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("traces_not_sent", "Transient error Connection refused")
    ] * 2
    assert "Transient" not in capfd.readouterr().err
    parent = logging.getLogger("opentelemetry")
    assert parent.propagate
    assert not any(isinstance(handler, LibraryWarnings) for handler in parent.handlers)


async def test_a_collector_that_is_down_holds_no_end_up():
    """The first complaint ends the wait; the library tries on in a thread that nobody waits for."""
    provider = Provider("Transient error")
    with library_warnings() as warnings:
        await asyncio.wait_for(shut_down(provider, warnings, within=60), 30)
    provider.go.set()


async def test_what_is_sent_is_waited_for_and_no_longer():
    """A collector that answers has the time it needs; one that does not answer has no more than its share."""
    quick, stuck = Provider(), Provider()
    quick.go.set()
    with library_warnings() as warnings:
        await asyncio.wait_for(shut_down(quick, warnings, within=60), 30)
        await asyncio.wait_for(shut_down(stuck, warnings, within=0.01), 30)
    stuck.go.set()


async def test_no_thread_is_no_reason_to_fail(monkeypatch):
    """A machine at its limit costs the last spans, not the end of the command."""

    def refused(*_args, **_more):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(exporting.threading.Thread, "start", refused)
    with library_warnings() as warnings:
        await shut_down(Provider(), warnings)


@pytest.mark.parametrize(
    ("env", "warned"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            False,
        ),
    ],
)
def test_protocols_that_are_not_spoken(env, warned):
    """A configuration for gRPC gets a warning that HTTP is sent, and where to."""
    with capture_logs() as logs:
        check_protocol(env)
    assert [line["event"] for line in logs] == (["traces_protocol_unknown"] if warned else [])
