"""Traces for OpenTelemetry: one a run, with a span for each activity and each attempt on the wire.

Needs the extra `docpipe[otel]`, and is set up by OpenTelemetry's own environment variables: it is on where
OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a collector. No span holds anything
of a patient.

A run's ULID has as many bits as a trace's id, and becomes it. So a run that is resumed in another process
continues in the same trace, and the id of a run leads to its trace.
"""

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from docpipe import __version__
from docpipe.engine.engine import Change, Engine
from docpipe.engine.exporting import check_protocol, library_warnings, shut_down
from docpipe.gates import Attempt
from docpipe.model import RunState

if TYPE_CHECKING:  # the extra may be missing, and costs time to load
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = structlog.get_logger(__name__)

_SWITCHES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OFF: Final = ("true", "1")


def wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces."""
    return any(env.get(name) for name in _SWITCHES) and env.get("OTEL_SDK_DISABLED", "").lower() not in _OFF


@contextlib.asynccontextmanager
async def traced(
    engine: Engine, observers: list[Any], env: Mapping[str, str] = os.environ
) -> AsyncIterator[None]:
    """Send traces of the engine's activities, if the environment configures it and OpenTelemetry is there."""
    if not wanted(env):
        yield
        return
    try:
        provider = _provider()
    except ImportError:
        log.warning("no_traces", cure="install docpipe[otel]")
        yield
        return
    check_protocol(env)
    traces = Traces(engine, provider)
    engine.listeners.append(traces.changed)
    observers.append(traces.attempted)
    with library_warnings() as warnings:
        try:
            yield
        finally:
            await shut_down(provider, warnings)


def _provider() -> "TracerProvider":
    """The exporter sends from a thread of its own, so that a collector that is down delays nothing."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "docpipe"}
    resource = Resource.create({**named, SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traces:
    """Makes spans of the engine's events.

    Args:
        engine: whose runs they are.
        provider: of OpenTelemetry; its generator of ids is replaced.
    """

    def __init__(self, engine: Engine, provider: "TracerProvider") -> None:
        self._engine = engine
        self._ids = _ids(provider)
        self._tracer = provider.get_tracer("docpipe", __version__)
        self._sampler = provider.sampler
        self._activities: dict[tuple[str, str, str], Span] = {}

    def changed(self, change: Change) -> None:
        """An activity begins or ends, or a run ends."""
        if change.activity is None:
            self._run(change)
            return
        key = (change.run_id, change.activity, change.item)
        if change.outcome is None:
            # Items are numbers; the patient's id may say who it is, and stays out.
            attributes = {"docpipe.run_id": change.run_id, "docpipe.item": change.item}
            self._activities[key] = self._tracer.start_span(
                change.activity, self._parent(change.run_id), attributes=attributes, start_time=self._now()
            )
        elif (span := self._activities.pop(key, None)) is not None:
            span.set_attribute("docpipe.outcome", change.outcome)
            if change.outcome == "failed":
                span.set_status(_error())
            span.end(self._now())

    def attempted(self, attempt: Attempt) -> None:
        """An attempt on the wire is over."""
        if not attempt.run_id:
            return
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415 - an extra

        open_ones = [span for key, span in self._activities.items() if key[0] == attempt.run_id]
        parent = set_span_in_context(open_ones[-1]) if open_ones else self._parent(attempt.run_id)
        attributes: dict[str, str | float] = {
            "docpipe.endpoint": attempt.endpoint,
            "docpipe.waited_s": attempt.waited,
            "http.request.method": attempt.method,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        began = _nanoseconds(attempt.sent)
        span = self._tracer.start_span(
            f"{attempt.method} {attempt.endpoint}",
            parent,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=began,
        )
        if attempt.failure is not None:
            span.set_attribute("error.type", attempt.failure)
            span.set_status(_error())
        span.end(began + _nanoseconds(attempt.seconds))

    def _run(self, change: Change) -> None:
        """The span around all the others is made at the end, with the id that they name as their parent's."""
        run = self._engine.runs.get(change.run_id)
        if run is None:
            return
        from opentelemetry.context import Context  # noqa: PLC0415 - an extra

        stored = run.stored
        self._ids.next = (_trace_id(stored.run_id), _span_id(stored.run_id, stored.retries))
        attributes: dict[str, str | int] = {
            "docpipe.run_id": stored.run_id,
            "docpipe.state": change.outcome or "",
        }
        began = _nanoseconds(stored.started_at or stored.created_at)
        span = self._tracer.start_span("run", Context(), attributes=attributes, start_time=began)
        if change.outcome == RunState.FAILED:
            span.set_status(_error())
        span.end(self._now())

    def _parent(self, run_id: str) -> Any:
        from opentelemetry.context import Context  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.sampling import Decision  # noqa: PLC0415 - an extra
        from opentelemetry.trace import (  # noqa: PLC0415 - an extra
            NonRecordingSpan,
            SpanContext,
            TraceFlags,
            set_span_in_context,
        )

        run = self._engine.runs.get(run_id)
        trace_id = _trace_id(run_id)
        decision = self._sampler.should_sample(None, trace_id, "run").decision
        sampled = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        span_id = _span_id(run_id, run.stored.retries if run else 0)
        return set_span_in_context(
            NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)), Context()
        )

    def _now(self) -> int:
        return _nanoseconds(self._engine.clock())


def _ids(provider: "TracerProvider") -> Any:
    """Give a provider ids that are the run's where one asks for that."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - an extra

    class Ids(RandomIdGenerator):
        next: tuple[int, int] | None = None
        """Trace and span id of the next span without a parent."""

        def generate_trace_id(self) -> int:
            return super().generate_trace_id() if self.next is None else self.next[0]

        def generate_span_id(self) -> int:
            taken, self.next = self.next, None
            return super().generate_span_id() if taken is None else taken[1]

    provider.id_generator = Ids()
    return provider.id_generator


def _error() -> Any:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    return Status(StatusCode.ERROR)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _trace_id(run_id: str) -> int:
    value = 0
    for letter in run_id:
        value = value << 5 | _CROCKFORD.index(letter)
    return value


def _span_id(run_id: str, retries: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{run_id}:{retries}".encode()).digest()[:8], "big") or 1
