"""OpenTelemetry's exporter: its warnings go through docpipe's log, and it delays no process's end."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:  # the extra may be missing, and costs time to load
    from opentelemetry.sdk.trace import TracerProvider

log = structlog.get_logger(__name__)

LAST_S: Final = 2.0
"""How long the last spans may take to be sent at the end."""
_LIBRARY: Final = "opentelemetry"
_EVERY_S: Final = 60.0
_LONGEST: Final = 200
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN: Final = "http/protobuf"


class LibraryWarnings(logging.Handler):
    """Collects the library's warnings from its threads, and logs them once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._logged: float | None = None
        self.listener: Callable[[], None] | None = None
        """Called at each warning."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if self.listener is not None:
            self.listener()
        now = self._clock()
        if self._logged is None or now >= self._logged + _EVERY_S:
            self._logged = now
            log.warning("traces_not_sent", reason=record.getMessage()[:_LONGEST], cure="check the collector")


@contextlib.contextmanager
def library_warnings() -> Iterator[LibraryWarnings]:
    """Handle the library's warnings, which would go to standard error unformatted."""
    library, warnings = logging.getLogger(_LIBRARY), LibraryWarnings()
    before = library.propagate
    library.addHandler(warnings)
    library.propagate = False
    try:
        yield warnings
    finally:
        library.removeHandler(warnings)
        library.propagate = before


def check_protocol(env: Mapping[str, str]) -> None:
    """Log that the environment names a protocol that docpipe does not support."""
    asked = next((env[name] for name in _PROTOCOLS if env.get(name)), _SPOKEN)
    if asked != _SPOKEN:
        cure = f"set {_PROTOCOLS[1]}={_SPOKEN}, and the endpoint of the collector for that (port 4318)"
        log.warning("traces_protocol_unknown", protocol=asked, cure=cure)


async def shut_down(provider: "TracerProvider", warnings: LibraryWarnings, within: float = LAST_S) -> None:
    """Send what is left; return when that is done, at the first warning, or after this many seconds.

    The library tries again for up to a minute. That happens in a thread which ends with the process.
    """
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def done() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(over.set)

    def work() -> None:
        try:
            provider.shutdown()
        finally:
            done()

    warnings.listener = done
    with contextlib.suppress(TimeoutError, RuntimeError):  # no time is left, or there is no thread
        threading.Thread(target=work, name="traces", daemon=True).start()
        await asyncio.wait_for(over.wait(), within)
    warnings.listener = None
