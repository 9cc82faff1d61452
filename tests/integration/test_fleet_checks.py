"""What makes a machine part of no fleet, or of the wrong one, is refused at the start: by real servers."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.check.fleet import fleet
from docpipe.checkpoints import open_database
from docpipe.config.config import Config, Docex, State, Storage, Tasktracker
from docpipe.config.fleet import Fleet as Section
from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError, StateError, UnreachableError, UsageError
from docpipe.fleet.checks import refuse_local_runs, refuse_unfit
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.forgetting import count_histories, remove_histories
from docpipe.fleet.opening import open_fleet
from docpipe.fleet.queues import PIPELINE
from docpipe.gates.shared import QuotaStore
from docpipe.wiring.fleet import open_store
from docpipe.workers.inline import InlineWorkers
from tests import fleet_servers, quota_store
from tests.memory import folder as memory_folder

ONE, TWO = "0a" * 64, "1b" * 64


@pytest.fixture(scope="module")
def temporal() -> Iterator[str]:
    """The address of a Temporal."""
    with memory_folder() as folder, fleet_servers.running(folder) as server:
        yield server.address


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Valkey."""
    with quota_store.running() as server:
        yield server.url


@pytest.fixture
def config(temporal: str, redis: str, tmp_path: Path) -> Config:
    """A machine of a fleet that no other test knows."""
    prefix = f"fleet-{secrets.token_hex(4)}"
    return Config(
        docex=Docex(base_url="https://exchange.example"),
        tasktracker=Tasktracker(base_url="https://tracker.example"),
        storage=Storage(url=str(tmp_path / "storage")),
        state=State(dir=str(tmp_path / "state")),
        fleet=Section(redis=redis, prefix=prefix, temporal=temporal, key=Secret(ONE)),
        source=tmp_path / "config.toml",
    )


def other(config: Config, **fleet: object) -> Config:
    """The same but for some keys of `fleet`."""
    return replace(config, fleet=replace(config.fleet, **fleet))


async def try_(config: Config) -> None:
    """What a worker does first."""
    async with contextlib.AsyncExitStack() as stack:
        store = await open_store(config, stack)
        opened = await stack.enter_async_context(open_fleet(config))
        await refuse_unfit(config, opened, store)


@contextlib.asynccontextmanager
async def submitted(config: Config, pipeline: int = PIPELINE) -> AsyncIterator[FleetRuns]:
    """A run that waits for a worker of a release."""
    async with open_fleet(config) as opened:
        runs = FleetRuns(opened.client, opened.keys, config.fleet.prefix, pipeline=pipeline)
        (run,) = await runs.submit(["P100"])
        yield runs
        await opened.client.get_workflow_handle(run.workflow).terminate()


async def test_machines_that_share_all_are_let_in(config: Config) -> None:
    """One after the other, with runs under way, and while the key is rotated."""
    await try_(config)
    await try_(config)
    async with submitted(config):
        await try_(config)
        await try_(other(config, key=Secret(f"{TWO}\n{ONE}")))
    await try_(other(config, key=Secret(TWO)))  # the old key may be taken away then


async def test_a_namespace_that_is_not_there(config: Config) -> None:
    """Is named, with the command that makes it."""
    with pytest.raises(ConfigError, match=r"no namespace 'clinic'.*namespace create -n clinic --retention"):
        await try_(other(config, namespace="clinic"))


async def test_another_key(config: Config) -> None:
    """Is refused by what lies in the storage; and by the runs under way, where that is another, too."""
    await try_(config)
    with pytest.raises(ConfigError, match=r"fleet\.key.*all machines of a fleet need the same keys"):
        await try_(other(config, key=Secret(TWO)))
    moved = replace(config, storage=Storage(url=str(config.folder / "elsewhere")))
    async with submitted(config):
        with pytest.raises(ConfigError, match=r"another fleet's, give this one a fleet\.prefix of its own"):
            await try_(other(moved, key=Secret(TWO)))


async def test_a_folder_that_is_not_shared(config: Config) -> None:
    """Each machine has made one of the same name on its own disk."""
    await try_(config)
    unshared = replace(config, storage=Storage(url=str(config.folder / "mount")))
    with pytest.raises(ConfigError, match=r"mount/\.fleet is not what the other machines .* have as storage"):
        await try_(unshared)
    await try_(config)


async def test_two_fleets_with_one_prefix(config: Config) -> None:
    """Processes that call different services are distinguished by what they note in Redis."""
    await try_(config)
    clinic = replace(config, docex=Docex(base_url="https://another.example"))
    with pytest.raises(ConfigError, match=r"fleet\.prefix.*belongs to a fleet with another docex"):
        await try_(clinic)
    await try_(other(clinic, prefix=f"{config.fleet.prefix}-2", key=Secret(TWO)))


async def test_a_redis_that_is_away_is_waited_for(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """The machine begins, and says what it could not look at."""
    await try_(other(config, redis="redis://127.0.0.1:1/0"))
    out = capsys.readouterr()
    assert "shared_storage_not_checked" in out.out + out.err


async def test_runs_of_the_state_folder_are_not_begun_twice(config: Config) -> None:
    """They are named, with what to do; finished ones are in nobody's way."""
    config.state_dir.mkdir(parents=True)
    async with open_database(config.state_dir, lambda: 1e9) as checkpoints:
        runs = await checkpoints.create_runs({f"P{n}": f"01MCC5RM00V3RS3DTR98H6BCF{n}" for n in range(5)}, 0)
    with pytest.raises(
        StateError, match=r"patients P\d, P\d, P\d and 2 more\).*fleet\.temporal away"
    ) as refused:
        refuse_local_runs(config)
    assert str(config.state_dir) in str(refused.value)
    async with open_database(config.state_dir, lambda: 1e9) as checkpoints:
        for run in runs:
            await checkpoints.finish_run(run.run_id, run.state.COMPLETED, {}, None, None)
    refuse_local_runs(config)


async def test_runs_of_a_release_without_workers_are_named(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would stand still without a word."""
    async with submitted(config, PIPELINE + 1):
        for _ in range(600):  # until the run is listed
            await try_(config)
            out = capsys.readouterr()
            if "runs_of_another_release" in out.out + out.err:
                return
    pytest.fail("nothing was said of the run")


async def test_two_begin_at_once(config: Config) -> None:
    """Both have the token that is there in the end."""
    async with open_fleet(config) as one, open_fleet(config) as two:
        from docpipe.fleet.checks import shared_token  # noqa: PLC0415 -- beside its use

        await one.blobs.remove("token")
        assert await shared_token(config, one) == await shared_token(config, two)


async def test_what_all_agree_on(redis: str) -> None:
    """The first value stays."""
    async with QuotaStore(redis, f"fleet-{secrets.token_hex(4)}") as store:
        assert [await store.agree("storage", value) for value in ("a", "b", "a")] == ["a", "a", "a"]


async def test_check_tries_the_fleet(config: Config) -> None:
    """What can be used, and what cannot, in the same words; nothing where there is no fleet."""

    def unused(_config: Config) -> InlineWorkers:
        raise AssertionError

    async def results(config: Config) -> list[Fit | Finding]:
        return [result async for result in fleet(Bench(config, unused))]

    (fit,) = await results(config)
    assert isinstance(fit, Fit)
    assert fit.evidence == "can be used: namespace default, 0 workers running"
    (finding,) = await results(other(config, namespace="clinic"))
    assert isinstance(finding, Finding)
    assert "has no namespace 'clinic'" in finding.problem
    (finding,) = await results(other(config, temporal="127.0.0.1:1"))
    assert "nothing listens there" in finding.problem
    assert await results(other(config, temporal="")) == []


async def test_a_storage_that_is_away_is_waited_for(
    config: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As runs wait for it."""

    async def away(*_words: object) -> bytes:
        raise OSError(5, "the store does not answer as it should")

    monkeypatch.setattr("docpipe.storage.blobs.FolderBlobs.get", away)
    await try_(config)
    out = capsys.readouterr()
    assert "shared_storage_not_checked" in out.out + out.err


async def test_histories_of_a_patient_are_forgotten(config: Config) -> None:
    """Those of one patient, once they have ended, with their large payloads; another's stay."""
    async with open_fleet(config) as opened:
        runs = FleetRuns(opened.client, opened.keys, config.fleet.prefix)
        one, another = await runs.submit(["P100", "P101"])
        for run in (one, another):
            await opened.blobs.put(f"payloads/{run.workflow}/0", b"x")
        await until(lambda: count_histories(config, "P101"), UsageError)
        with pytest.raises(UsageError, match=r"unfinished run in the fleet: `docpipe cancel P100`"):
            await remove_histories(config, "P100")
        for run in (one, another):
            await opened.client.get_workflow_handle(run.workflow).terminate()
        await until(lambda: count_histories(config, "P100"), 1)
        await until(lambda: count_histories(config, "P101"), 1)
        assert await remove_histories(config, "P100") == 1
        await until(lambda: count_histories(config, "P100"), 0)
        assert await count_histories(config, "P101") == 1
        assert await opened.blobs.names("payloads") == [f"payloads/{another.workflow}/0"]
        with pytest.raises(UnreachableError, match="does not answer"):
            await count_histories(other(config, temporal="127.0.0.1:1"), "P100")


async def until(ask: Callable[[], Awaitable[int]], wanted: object) -> None:
    """Ask until it is so: what Temporal lists is a little behind, by 35 s for what it deletes."""
    answer: object = None
    for _ in range(6000):
        try:
            answer = await ask()
        except UsageError:
            answer = UsageError
        if answer == wanted:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{answer} is not {wanted}")
