"""What all tests share: virtual time, the sample documents, Hypothesis profiles."""

import gc
import itertools
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests import memory, virtual
from tests.azurite import azure, azurite  # noqa: F401 -- fixtures
from tests.gcs import gcs, gcs_server  # noqa: F401 -- fixtures
from tests.mariadb import MariaDB
from tests.object_stores import moto, s3, storage  # noqa: F401 -- fixtures
from tests.postgres import Postgres

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLES = _ROOT.parent / "shared" / "samples"
_IN_CI = bool(os.environ.get("CI"))

_SLOW = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("dev", deadline=None, suppress_health_check=_SLOW, print_blob=True)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("dev"), derandomize=True)
hypothesis.settings.register_profile("inner", hypothesis.settings.get_profile("dev"), max_examples=25)
hypothesis.settings.load_profile("ci" if _IN_CI else "dev")


def _plain_tracebacks() -> None:
    """Without the values of local variables: to draw them takes seconds, a thousand times in a simulation."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


_plain_tracebacks()
_SLOW_PLACES = (
    "acceptance/",
    "integration/test_conformance.py",
    "integration/test_fakes_state.py::test_program_refuses_nonsense",
    "integration/test_fleet",
    "integration/test_output.py::test_a_full_disk",
    "integration/test_patients_mariadb.py",
    "integration/test_patients_pgbouncer.py",
    "integration/test_patients_postgres.py",
    "integration/test_quota_store_service.py",
    "integration/test_shared_quota.py",
    "integration/test_unpacking.py::test_an_archive_in_its_directory_is_no_burden_of_this_process",
    "integration/test_web_events.py::test_a_reader_that_does_not_read_is_cut_off",
    "integration/test_web_fuzz.py",
    "integration/test_web_safety.py::test_a_session_ends_by_itself",
    "integration/test_web_safety.py::test_no_path_leaves_the_storage",
    "integration/test_web_schedules.py::test_runs_below_all_others_are_listed",
    "integration/test_workers_attacked.py",
    "integration/test_workers_deaths.py",
    "simulation/test_crashes",
    "simulation/test_fhir.py::test_a_server_that_fails_at_every_document_is_waited_for",
    "simulation/test_fhir.py::test_questions_are_paced_as_the_server_asks",
    "simulation/test_full_disk.py",
    "simulation/test_gates_outages.py::test_flapping_service_ends_nobody",
    "simulation/test_gates_outages.py::test_two_hours_down",
    "simulation/test_long_life.py",
    "simulation/test_lost_answers.py::test_a_lost_or_late_answer",
    "simulation/test_lost_answers.py::test_dead_before_the_answer",
    "simulation/test_mixups.py::test_mixed_up_answers_are_asked_for_again",
    "simulation/test_mixups.py::test_whatever",
    "simulation/test_notifications.py::test_an_outage_of_the_receiver_is_waited_out",
    "simulation/test_outages.py::test_a_thousand_patients_and_two_hours_of_outage",
    "simulation/test_outages.py::test_forty_patients_through",
    "simulation/test_outages.py::test_restarts_in_the_middle_of_an_outage",
    "simulation/test_outages.py::test_the_same_seed_is_the_same_story",
    "simulation/test_pausing.py::test_a_pause_of_everything_holds_who_stands_in_line",
    "simulation/test_pausing.py::test_one_service_is_paused",
    "simulation/test_plan.py::test_within_five_percent",
    "simulation/test_polling.py::test_a_restart_neither_hurries_nor_forgets",
    "simulation/test_polling.py::test_three_hundred_searches_in_flight",
    "simulation/test_schedules.py",
    "simulation/test_soak.py",
    "simulation/test_stopping.py",
    "simulation/test_strangers_paths.py",
    "simulation/test_strangers_words.py::test_a_404_is_believed_the_second_time",
    "simulation/test_strangers_words.py::test_a_service_that_is_not_there_is_never_final",
    "simulation/test_strangers_words.py::test_a_strangers_word_is_an_outage",
    "simulation/test_strangers_words.py::test_refused_links_do_not_use_up_fresh_ones_at_once",
    "simulation/test_token_rotation.py",
    "simulation/test_tracing.py::test_a_collector_that_is_down",
    "simulation/test_tracing.py::test_spans_reach_a_collector",
    "unit/convert/test_convert_cda.py::test_deflate_bomb_is_refused",
    "unit/convert/test_convert_document.py::test_every_sample_has_its_outcome",
    "unit/convert/test_convert_document.py::test_large_documents_are_set_in_parts",
    "unit/convert/test_convert_document.py::test_made_documents_convert_to_the_same_bytes_twice",
    "unit/convert/test_convert_document.py::test_mutated_documents_never_escape",
    "unit/convert/test_convert_document.py::test_samples_convert_to_the_same_bytes_twice",
    "unit/convert/test_convert_long.py::test_elements_that_are_nested_too_deep_leave_their_text",
    "unit/convert/test_convert_ocr",
    "unit/convert/test_convert_pdf.py::test_every_word_that_pdfium_sees_is_in_the_text",
    "unit/convert/test_convert_scanned.py::test_scanned_table_is_a_table",
    "unit/test_fhir_bounds.py::test_a_page_is_bounded",
    "unit/test_one_process.py::test_a_fleet_is_not_imported_without_one",
    "unit/test_plan.py::test_simulations_side_by_side_are_the_same",
    "unit/test_quota_places.py::test_a_hundred_thousand_waiters_are_small",
    "unit/test_report_activity.py::test_no_file_of_a_report_is_in_memory_as_a_whole",
    "unit/test_schedule_rounds.py::test_both_directions_agree_around_each_change_of_the_clock",
    "unit/test_storage_shared_folder.py::test_two_that_never_agree_are_named",
    "unit/test_web_markdown.py::test_the_work_is_linear",
)
_LONGEST = (
    "acceptance/test_image.py",
    "acceptance/test_web_access.py::test_axe",
    "acceptance/test_sigkill_everywhere.py",
    "acceptance/test_fleet_up.py",
    "acceptance/test_fifty_patients.py",
    "acceptance/test_small_machine.py",
    "acceptance/test_report_page.py",
    "acceptance/test_power_loss.py",
    "acceptance/test_terminal.py",
    "integration/test_shared_quota.py",
    "simulation/test_crashes",
)
"""Half a minute and more each, the longest first: so no worker is left alone with one at the end."""
_QUICK_PLACES = (
    "acceptance/test_first_try.py::test_a_patient_from_database_to_report",
    "integration/test_output.py::test_a_full_disk[words0-",
    "simulation/test_lost_answers.py::test_a_lost_or_late_answer[tracker.create-",
    "simulation/test_mixups.py::test_mixed_up_answers_are_asked_for_again[faults4-",
    "simulation/test_notifications.py::test_an_outage_of_the_receiver_is_waited_out[503]",
    "simulation/test_outages.py::test_forty_patients_through[all]",
    "simulation/test_stopping.py::test_a_stop_takes_no_more_than_ten_seconds[docex.* 503",
    "simulation/test_strangers_words.py::test_a_404_is_believed_the_second_time[docex.status-404]",
    "unit/test_fhir_bounds.py::test_a_page_is_bounded[deep",
    "unit/test_fhir_bounds.py::test_a_page_is_bounded[long number]",
)
"""What shows that an installation works belongs to the inner loop, although it stands among the slow."""
_INNER_LOOP = "not slow"
"""The default of `-m`, as pyproject.toml has it."""


def _load_profile(name: str) -> None:
    hypothesis.settings.load_profile(name)


def _compile_once() -> None:
    """Keep compiled modules: where that is forbidden, each process that a test starts compiles docpipe."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Run slow tests of a file that is named; let Ctrl-C work where a script's background ignores it.

    Properties have a quarter of their examples in the inner loop.
    """
    given = [str(arg) for arg in config.invocation_params.args]
    named = any(Path(arg.partition("::")[0]).is_file() for arg in config.args)
    if named and not any(arg.startswith("-m") for arg in given):  # so does each worker, by the same arguments
        config.option.markexpr = ""
    if config.option.markexpr == _INNER_LOOP and not _IN_CI:
        _load_profile("inner")
    _compile_once()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # processes of tests would inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the inner loop leaves out, and begin with the longest."""
    for item in items:
        where = item.nodeid.removeprefix("tests/")
        if where.startswith(_SLOW_PLACES) and not where.startswith(_QUICK_PLACES):
            item.add_marker("slow")
    items[:] = dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests in an order in which each worker begins with its share of the longest.

    A worker first gets as many tests in a row as any other, and takes from the others when it has none left.
    """
    turns = {
        item: turn
        for item in items
        for turn, longest in enumerate(_LONGEST)
        if item.nodeid.removeprefix("tests/").startswith(longest)
    }
    long = sorted(turns, key=lambda item: turns[item])
    others = (item for item in items if item not in turns)
    order: list[pytest.Item] = []
    for worker in range(workers):
        share = long[worker::workers]
        order += share
        size = (len(items) - len(order) + len(share)) // (workers - worker)
        order += itertools.islice(others, max(0, size - len(share)))
    return [*order, *others]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let no collection of garbage traverse the tests and modules, which stay until the end."""
    gc.collect()
    gc.freeze()


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
        text = "the sample documents are missing: expected at ../shared/samples beside the repository"
        if _IN_CI:
            pytest.fail(text)
        pytest.skip(f"SKIPPED LOUDLY: {text}")
    return _SAMPLES


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL; a test that stops it starts it again."""
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
