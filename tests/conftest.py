"""What all tests share: virtual time, the sample documents, Hypothesis profiles."""

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests import memory, virtual
from tests.mariadb import MariaDB
from tests.object_stores import moto, s3, storage  # noqa: F401 -- fixtures
from tests.postgres import Postgres

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLES = _ROOT.parent / "shared" / "samples"
_IN_CI = bool(os.environ.get("CI"))

_SLOW = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("dev", deadline=None, suppress_health_check=_SLOW, print_blob=True)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("dev"), derandomize=True)
hypothesis.settings.load_profile("ci" if _IN_CI else "dev")


_SLOW_PLACES = (
    "acceptance/",
    "integration/test_patients_mariadb.py",
    "integration/test_patients_postgres.py",
    "integration/test_web_fuzz.py",
    "simulation/test_crashes",
    "simulation/test_long_life.py",
    "unit/convert/test_convert_ocr.py",
    "unit/test_quota_places.py::test_a_hundred_thousand_waiters_are_small",
)
_QUICK_PLACES = ("acceptance/test_first_try.py",)
"""What shows that an installation works belongs to the inner loop, although it stands among the slow."""


def pytest_configure(config: pytest.Config) -> None:
    """Run slow tests of a file that is named; let Ctrl-C work where a script's background ignores it."""
    given = [str(arg) for arg in config.invocation_params.args]
    named = any(Path(arg.partition("::")[0]).is_file() for arg in config.args)
    controller = not hasattr(config, "workerinput")  # workers get its options, and do not see its arguments
    if controller and named and not any(arg.startswith("-m") for arg in given):
        config.option.markexpr = ""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # processes of tests would inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the inner loop leaves out."""
    for item in items:
        where = item.nodeid.removeprefix("tests/")
        if where.startswith(_SLOW_PLACES) and not where.startswith(_QUICK_PLACES):
            item.add_marker("slow")


def pytest_asyncio_loop_factories(config, item):
    """Tests marked `virtual` run in virtual time, all others on the usual loop."""
    return virtual.loop_factories(item)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs within a test sets logs up for itself alone: their stream ends with the test."""
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the test's own: on the disk for acceptance, in memory for all others."""
    if "acceptance" in request.path.parts:
        yield tmp_path_factory.mktemp(re.sub(r"\W", "_", request.node.name)[:30])
    else:
        with memory.folder() as folder:
            yield folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample documents. Where it is missing its tests are skipped, but never in CI."""
    if not _SAMPLES.is_dir():
        told = "the sample documents are missing: expected at ../shared/samples beside the repository"
        if _IN_CI:
            pytest.fail(told)
        pytest.skip(f"SKIPPED LOUDLY: {told}")
    return _SAMPLES


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL; whoever stops it starts it again."""
    with tempfile.TemporaryDirectory(prefix="docpipe-postgres-") as name:
        cluster = Postgres.made(Path(name))
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB."""
    with (
        tempfile.TemporaryDirectory(prefix="docpipe-mariadb-") as name,
        MariaDB.running(Path(name)) as server,
    ):
        yield server
