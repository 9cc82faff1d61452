"""`docpipe check` tries each part: what can be used, what cannot, and the cure; nothing is waited out."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

import fakes
from docpipe.check import TRIALS, Bench, Finding, Fit
from docpipe.check import parts as parts_of
from docpipe.check.services import services as services_of
from docpipe.checkpoints import open_database
from docpipe.config.config import Config, Convert, Docex, Patients, Storage
from docpipe.config.parsing import Secret
from docpipe.convert.ocr import rapid, tesseract
from docpipe.model import Rate
from docpipe.runtime.state_folder import StateFolder
from docpipe.workers.inline import InlineWorkers
from tests import virtual
from tests.gate_world import Server
from tests.simulation.world import Plan, config_of, options_of

SECRET = "a-secret-of-no-service"  # noqa: S105 -- of fakes


def inline(_config: Config) -> InlineWorkers:
    return InlineWorkers("docpipe.convert.document:convert", clock=virtual.wall_clock)


async def tried(config: Config, trial=services_of, workers=inline) -> list[Fit | Finding]:
    return [reported async for reported in trial(Bench(config, workers, virtual.wall_clock))]


def problems(expected: list[Fit | Finding]) -> list[str]:
    return [finding.problem for finding in expected if isinstance(finding, Finding)]


@pytest.fixture
async def running() -> AsyncIterator[fakes.Running]:
    async with fakes.serve(options_of(Plan(Path()))) as running:
        yield running


def config_in(folder: Path, running: fakes.Running) -> Config:
    return config_of(Plan(folder), running)


def with_docex(config: Config, **more: object) -> Config:
    return replace(config, docex=replace(config.docex, **more))


@pytest.mark.virtual
async def test_services_that_are_fit(tmp_path: Path, running: fakes.Running) -> None:
    """One question to each, none of them a search, and both in the memory of what is spent."""
    config = config_in(tmp_path, running)
    results = await tried(config)
    assert [(part.check, type(part)) for part in results] == [("exchange", Fit), ("tracker", Fit)]
    assert [seen.operation for seen in running.docex.requests] == ["docex.status"]
    assert [seen.operation for seen in running.tracker.requests] == ["tracker.find"]
    async with open_database(config.state_dir, virtual.wall_clock) as checkpoints:
        assert await checkpoints.ledger.last_alive() is None
        assert len(await checkpoints.ledger.grants("tasktracker", 0.0)) == len(running.tracker.requests)
    assert problems(await tried(config)) == []
    assert running.count_429() == 0


@pytest.mark.virtual
async def test_a_slow_quota_is_charged(tmp_path: Path, running: fakes.Running) -> None:
    """A question a minute is written down; the next check finds no room, and asks nothing."""
    config = with_docex(config_in(tmp_path, running), status_rate=Rate(1, 60.0))
    assert problems(await tried(config)) == []
    assert problems(await tried(config)) == ["it was not asked: its quota leaves no room"]
    assert len(running.docex.requests) == 1


@pytest.mark.virtual
@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("docex.* 503", "status 503"),
        ("docex.* html200", "a web page instead of an answer (200)"),
        ("docex.* html404", "a web page instead of an answer"),
        ("docex.* hang", "no answer in time"),
        ("docex.* reset", "the connection broke off"),
        ("docex.* 401", "it refuses the token, or requires one (401)"),
        ("docex.* 405", "it answers a poll with status 405"),
    ],
)
async def test_troubles_are_distinguished(
    tmp_path: Path, running: fakes.Running, fault: str, problem: str
) -> None:
    """Each with a cure, after one question, and the other service is asked all the same."""
    running.add_fault(fault)
    began = virtual.wall_clock()
    exchange, tracker = await tried(config_in(tmp_path, running))
    assert isinstance(exchange, Finding)
    assert (exchange.problem, exchange.wrong, bool(exchange.cure)) == (problem, True, True)
    assert isinstance(tracker, Fit)
    assert len(running.docex.requests) == 1 + fault.endswith("reset")  # which the HTTP client itself repeats
    assert virtual.wall_clock() - began < 30


async def tried_with_oauth2(
    folder: Path, *faults: str, secret: str = SECRET
) -> tuple[fakes.Running, list[Fit | Finding]]:
    options = options_of(Plan(Path(), faults=faults))
    async with fakes.serve(replace(options, oauth2_port=0, oauth2_secret=SECRET)) as running:
        given = {"token_url": running.oauth2.url, "client_id": "docpipe", "client_secret": Secret(secret)}
        config = with_docex(config_in(folder, running), **given)
        return running, await tried(replace(config, tasktracker=replace(config.tasktracker, **given)))


@pytest.mark.virtual
@pytest.mark.parametrize(
    ("fault", "problem", "cure"),
    [
        ("503", "no token can be had there: status 503", "docpipe waits until it is up again"),
        ("hang", "no token can be had there: no answer in time", "docpipe waits until it answers"),
        ("429", "it gives no token now: its quota is used up (429)", "check again later"),
    ],
)
async def test_a_token_server_that_is_down(tmp_path: Path, fault: str, problem: str, cure: str) -> None:
    """It is reported with its address after one question a service; the services are not asked."""
    running, reported = await tried_with_oauth2(tmp_path, f"oauth2.token {fault}")
    assert [part.check for part in reported] == ["exchange", "tracker"]
    for part in reported:
        assert isinstance(part, Finding)
        assert (part.where, part.problem, part.wrong) == (running.oauth2.url, problem, True)
        assert cure in part.cure
    assert (len(running.oauth2.requests), running.docex.requests, running.tracker.requests) == (2, [], [])


@pytest.mark.virtual
async def test_tokens_that_are_refused(tmp_path: Path) -> None:
    """By the server of the tokens or by the service: the cure names the keys of OAuth2, and no token."""
    running, reported = await tried_with_oauth2(tmp_path / "good")
    assert problems(reported) == []
    assert len(running.oauth2.requests) == 2
    _, (exchange, tracker) = await tried_with_oauth2(tmp_path / "refused", "docex.* 401")
    assert isinstance(exchange, Finding)
    assert exchange.cure == "check docex.client_id, its secret or key, and scope: the token came by them"
    assert isinstance(tracker, Fit)
    running, (exchange, tracker) = await tried_with_oauth2(tmp_path / "wrong", secret="wrong")  # noqa: S106
    assert isinstance(exchange, Finding)
    assert (exchange.where, exchange.cure, exchange.wrong) == (running.oauth2.url, "", True)
    cure = "check docex.client_id, its secret or key, and docex.client_auth."
    assert f"401 invalid_client; {cure}" in exchange.problem
    assert isinstance(tracker, Finding)
    assert "check tasktracker.client_id" in tracker.problem


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("token", [True, False])
async def test_secrets_without_encryption(tmp_path: Path, scheme: str, token: bool) -> None:
    """Tokens and credentials of OAuth2 go over plain http to this machine only; else that is reported."""
    oauth2 = {"token_url": f"{scheme}://login.example", "client_id": "me", "client_secret": Secret(SECRET)}
    given = {"token": Secret(SECRET)} if token else oauth2
    config = Config(docex=Docex(base_url=f"{scheme}://exchange.example", **given))
    valid, *results = await tried(config, parts_of.configuration)
    assert isinstance(valid, Fit)
    where = (
        [] if scheme == "https" else ["docex.base_url"] if token else ["docex.base_url", "docex.token_url"]
    )
    assert [finding.where for finding in results] == where
    here = replace(config.docex, base_url="http://127.0.0.1:1", token_url="http://localhost")  # noqa: S106
    assert len(await tried(replace(config, docex=here), parts_of.configuration)) == 1


@pytest.mark.virtual
async def test_another_program_at_the_address(tmp_path: Path, running: fakes.Running) -> None:
    """JSON that is none of the contract is seen in the tracker's list."""

    async def behave(_request: web.Request) -> web.Response:
        return web.json_response(["hello"])

    async with Server(behave) as server:
        config = config_in(tmp_path, running)
        config = replace(config, tasktracker=replace(config.tasktracker, base_url=server.url))
        assert problems(await tried(config)) == ["an answer that breaks the contract (200)"]


@pytest.mark.virtual
async def test_ids_that_are_numbers_are_named(tmp_path: Path, running: fakes.Running) -> None:
    """People read which member breaks the contract, and how."""

    async def behave(_request: web.Request) -> web.Response:
        return web.json_response({"tasks": [{"id": 7, "status": "open"}]})

    async with Server(behave) as server:
        config = config_in(tmp_path, running)
        config = replace(config, tasktracker=replace(config.tasktracker, base_url=server.url))
        (problem,) = problems(await tried(config))
    assert problem.startswith("an answer that breaks the contract: its member `id` is a number, not a text")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://no-such-exchange.invalid", "its name is not known"),
        ("http://127.0.0.1:1", "no connection: it was refused"),
        ("https://{netloc}", "no secure connection: what listens there does not speak TLS as it should"),
    ],
)
async def test_no_way_to_the_exchange(tmp_path: Path, running: fakes.Running, url: str, problem: str) -> None:
    """An unknown name, nobody there, and no TLS."""
    url = url.format(netloc=running.docex_url.removeprefix("http://"))
    exchange, tracker = await tried(with_docex(config_in(tmp_path, running), base_url=url))
    assert isinstance(exchange, Finding)
    assert (exchange.problem, bool(exchange.cure)) == (problem, True)
    assert isinstance(tracker, Fit)


@pytest.mark.virtual
async def test_beside_another_docpipe(tmp_path: Path, running: fakes.Running) -> None:
    """Nothing is sent: the other process may have spent the quota. Paused services are left alone, too."""
    config = config_in(tmp_path, running)
    with StateFolder(config.state_dir) as state:
        state.announce("http://127.0.0.1:8080")
        results = await tried(config)
    assert problems(results) == ["it was not asked: another docpipe is running and owns the quota"] * 2
    assert not any(finding.wrong for finding in results if isinstance(finding, Finding))
    assert "http://127.0.0.1:8080" in results[0].cure
    async with open_database(config.state_dir, virtual.wall_clock) as checkpoints:
        await checkpoints.pause("docex")
    assert problems(await tried(config)) == ["it was not asked: it is paused"]
    assert running.docex.requests == []


@pytest.mark.virtual
async def test_with_a_damaged_database(tmp_path: Path, running: fakes.Running) -> None:
    """What is spent is not known, so nobody is asked."""
    config = config_in(tmp_path, running)
    config.state_dir.mkdir()
    (config.state_dir / "checkpoints.db").write_bytes(b"SQLite format 3\0" + b"\xee" * 4096)
    assert all("cannot be used" in problem for problem in problems(await tried(config)))
    assert running.docex.requests == running.tracker.requests == []


async def test_the_patients_database(tmp_path: Path) -> None:
    """No file, no table, nobody in it, a URL that is none: each is reported, and no password is."""
    file = tmp_path / "patients.db"
    config = Config(patients=Patients(url=f"sqlite:///{file}"))

    async def problem(config: Config = config) -> str:
        (results,) = await tried(config, parts_of.patients)
        assert isinstance(results, Finding)
        return results.problem

    assert (await problem()).startswith(f"There is no patients database {file}: `docpipe patients import")
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE others (id)")
    database.close()
    assert "no table patients that may be read: set patients.table" in await problem()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE patients (id, given, family, birth_date, sex, postal_code)")
    database.close()
    assert await problem() == "it has no patients"
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO patients (id) VALUES ('P1')")
    database.close()
    (results,) = await tried(config, parts_of.patients)
    assert isinstance(results, Fit)
    assert results.evidence == "has 1 patient"
    bad = replace(config, patients=Patients(url="nodb://user:canary@host/name"))
    (results,) = await tried(bad, parts_of.patients)
    assert isinstance(results, Finding)
    assert "canary" not in str(results)
    away = replace(config, patients=Patients(url="postgresql://user:canary@127.0.0.1:1/name"))
    assert await problem(away) == "it cannot be used: the connection was refused"


async def test_the_storage(tmp_path: Path) -> None:
    """One that can be written, and one that cannot: a file is in its way."""
    (results,) = await tried(Config(storage=Storage(url=str(tmp_path / "s"))), parts_of.storage)
    assert isinstance(results, Fit)
    (tmp_path / "file").write_text("")
    (results,) = await tried(Config(storage=Storage(url=str(tmp_path / "file"))), parts_of.storage)
    assert isinstance(results, Finding)


def convert_nothing(_job: dict[str, object]) -> dict[str, object]:
    done = {"outcome": "converted", "reason": None, "media_type": "text/plain", "extension": ".txt"}
    metadata = {"media_type": "text/plain", "warnings": []}
    return {**done, "outputs": [], "metadata": metadata, "embedded": [], "warnings": []}


def die(_job: dict[str, object]) -> dict[str, object]:
    raise RuntimeError("no converter")


async def test_converters_that_do_not_work() -> None:
    """One that brings nothing, one that dies; and an extra that is missing."""

    def workers(target: str):
        return lambda _config: InlineWorkers(target, clock=virtual.wall_clock)

    results = await tried(Config(), parts_of.converters, workers(f"{__name__}:convert_nothing"))
    assert any("its text or PDF is missing" in problem for problem in problems(results))
    results = await tried(Config(), parts_of.converters, workers(f"{__name__}:die"))
    assert any("could not be converted" in problem for problem in problems(results))


async def test_an_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is worth a note with the command that installs it."""
    monkeypatch.setattr(parts_of, "_EXTRAS", {"dicom": (("no_such_module",), "DICOM files")})
    results = await tried(Config(), parts_of.converters)
    (note,) = [part for part in results if isinstance(part, Finding)]
    assert (note.wrong, note.cure) == (False, "pip install 'docpipe[dicom]'")


@pytest.mark.parametrize(
    ("installed", "pip", "verdict"),
    [
        (("5.3", frozenset({"eng", "osd"})), False, "reads eng"),
        (("5.3", frozenset({"deu"})), False, "the languages eng of convert.languages are not installed"),
        (None, True, "reads scans"),
        (None, False, "no OCR program is installed"),
    ],
)
async def test_ocr(monkeypatch: pytest.MonkeyPatch, installed: object, pip: bool, verdict: str) -> None:
    """Which engine there is, and which languages it lacks."""
    monkeypatch.setattr(tesseract, "installed", lambda: installed)
    monkeypatch.setattr(rapid, "installed", lambda: pip)
    (results,) = await tried(Config(), parts_of.ocr)
    assert (results.evidence if isinstance(results, Fit) else results.problem).startswith(verdict)
    (off,) = await tried(Config(convert=Convert(ocr=False)), parts_of.ocr)
    assert isinstance(off, Fit)


async def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks with little left, and more workers than the memory bears, are wrong."""
    config = Config(storage=Storage(url=str(tmp_path / "storage")), source=tmp_path / "config.toml")
    assert all(isinstance(reported, Fit) for reported in await tried(config, parts_of.room))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 10**10, 10**8))
    many = replace(config, convert=Convert(workers=1000))
    disk, memory = await tried(many, parts_of.room)
    assert isinstance(disk, Finding)
    assert disk.problem == "only 0.09 GiB are free"
    assert isinstance(memory, Finding)
    assert memory.cure.startswith("set convert.workers to ")


@pytest.mark.virtual
async def test_tokens_without_encryption_are_noted(tmp_path: Path) -> None:
    """It is allowed, for the network may be one's own."""
    secret = Secret("canary")
    config = Config(docex=Docex(base_url="http://exchange.example", token=secret))
    fit, note = await tried(config, parts_of.configuration)
    assert isinstance(fit, Fit)
    assert isinstance(note, Finding)
    assert (note.wrong, note.where, "canary" in str(note)) == (False, "docex.base_url", False)
    assert len(await tried(Config(docex=Docex("http://127.0.0.1:1", secret)), parts_of.configuration)) == 1


def test_every_part_is_tried() -> None:
    """Those that a run needs."""
    assert {trial.__name__ for trial in TRIALS} >= {
        *("configuration", "services", "patients", "storage", "converters", "ocr", "room")
    }
