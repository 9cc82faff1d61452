"""The conformance kit passes on the fakes, and names each fault that they can plant."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import pytest

import fakes
from fakes.conformance import Result, Target, Verdict, docex, examine, tracker
from fakes.conformance.__main__ import main
from fakes.faults import OPERATIONS, WORDS
from fakes.tracker import TaskTracker
from tests import virtual

PATIENT = {"id": "P123", "given": "Ann", "family": "Test", "birth_date": "1970-01-01"}
CHECKS = {"docex": docex.CHECKS, "tracker": tracker.CHECKS}


async def examined(running: fakes.Running, name: str, *, write: bool = True, **words: Any) -> list[Result]:
    """Every result of one service; what takes long takes a second here."""
    address = running.docex_url if name == "docex" else running.tracker_url
    target = Target(name, address, write=write, patient=PATIENT, seconds=5, **{"timeout": 1.0} | words)
    return [result async for result in examine(target, CHECKS[name])]


def broken(results: list[Result]) -> list[str]:
    """The rules that are broken; each with what was seen, and a cure."""
    actual = [result for result in results if result.verdict is Verdict.BROKEN]
    assert all(result.seen and result.cure for result in actual)
    return [result.rule for result in actual]


def options(**words: Any) -> fakes.FakeOptions:
    """Fast searches."""
    return fakes.FakeOptions(search_seconds=(0.1, 0.2), mix="tiny", **words)


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("words", [{}, {"absolute_urls": True, "redirect": 302}], ids=["plain", "redirects"])
async def test_the_fakes_keep_the_contract(name: str, words: dict[str, Any]) -> None:
    """Nothing is broken, and all is tried but what needs a token."""
    async with fakes.serve(options(**words)) as running:
        results = await examined(running, name, quota=True)
    assert broken(results) == []
    skipped = [result.rule for result in results if result.verdict is Verdict.SKIPPED]
    assert len(skipped) == 1


@pytest.mark.parametrize("name", CHECKS)
async def test_without_write_nothing_is_created(name: str) -> None:
    """No search is begun, no task is made."""
    async with fakes.serve(options()) as running:
        results = await examined(running, name, write=False)
        assert not running.docex.searches
        assert not running.tracker.tasks
    assert broken(results) == []
    assert {result.seen for result in results if result.verdict is Verdict.SKIPPED} >= {"only with --write"}


async def test_a_server_that_says_little_is_lived_with() -> None:
    """What the contract leaves open is noted, and is no fault."""
    async with fakes.serve(options(sparse=True, ranges=False)) as running:
        results = await examined(running, "docex")
    assert broken(results) == []
    noted = " ".join(result.seen for result in results if result.verdict is Verdict.NOTED)
    assert "no size or sha256" in noted
    assert "ranges are ignored" in noted


PAGES = ("html", "plain", "away", "empty", "fhir", "fhirbad")
"""What stands before the status of an answer that is not in the form of the contract."""
FEW = ("200", "404", "503")
"""Statuses of such answers in the inner loop."""
MANY = ("204", "302", "400", "401", "403", "410", "413", "429", "500", "502")
REFUSALS = ("400", "401", "403", "404", "409", "410", "412", "413", "422", "429", "500", "503")
TIMES = {"delay": " seconds=2", "late": " seconds=2", "slow": " seconds=2", "remake": " seconds=9"}
EXAMINED = tuple(operation for operation in OPERATIONS if operation.partition(".")[0] in CHECKS)
KEPT = {
    "docex.delete": {"empty202", "empty204", "html204", "plain204", "away204", "fhir204", "fhirbad204"},
}
"""Answers that keep the contract: 204 has no body, whatever its headers are."""
NOTED = {"docex.delete cached"}
"""A deletion that is accepted and never made: the contract has it as a courtesy, so it is only noted."""


def plantable(operation: str, answers: Iterable[str]) -> list[str]:
    """The faults of these answers that the fakes can plant at an operation."""
    faults = []
    for answer in answers:
        fault = f"{operation} {answer}{TIMES.get(answer, '')}"
        try:
            fakes.Fault.parse(fault)
        except ValueError as refused:
            assert "is no fault at" in str(refused)  # noqa: PT017 -- it is not what is tested
        else:
            faults.append(fault)
    return faults


async def walked(fault: str) -> list[Result]:
    """Every result with a fault, with tokens that can be revoked; in virtual time."""
    planted = fakes.Fault.parse(fault)
    guard = {"oauth2_port": 0, "oauth2_secret": "secret"} if planted.answer == "revoke" else {}
    given = options(faults=(planted,), wall_clock=virtual.wall_clock, **guard)
    async with fakes.serve(given) as running:
        token = running.oauth2.tokens.issue() if guard else None
        return await examined(running, planted.operation.partition(".")[0], token=token)


def unnamed(operation: str, answers: Iterable[str]) -> list[str]:
    """The faults that the kit does not name."""
    kept = {f"{operation} {answer}" for answer in KEPT.get(operation, ())}
    unnamed = []
    for fault in plantable(operation, answers):
        results = virtual.run(walked(fault))
        noted = fault in NOTED and any(result.verdict is Verdict.NOTED for result in results)
        if fault not in kept and not noted and not broken(results):
            unnamed.append(fault)
    return unnamed


@pytest.mark.parametrize("operation", EXAMINED)
def test_every_fault_that_the_fakes_can_plant_is_named(operation: str) -> None:
    """Each answer at each operation breaks at least one rule."""
    pages = (page + status for page in PAGES for status in FEW)
    assert unnamed(operation, (*WORDS, *REFUSALS, *pages)) == []


@pytest.mark.parametrize("operation", EXAMINED)
def test_every_status_of_a_stranger_is_named(operation: str) -> None:
    """Pages, texts, redirects and bare statuses of what stands before a service."""
    assert unnamed(operation, (page + status for page in PAGES for status in MANY)) == []


def test_all_that_is_not_examined_has_a_reason() -> None:
    """FHIR servers have test kits of their own (Inferno), and the kit is given tokens, it fetches none."""
    assert {one.partition(".")[0] for one in set(OPERATIONS) - set(EXAMINED)} == {"fhir", "oauth2"}


@pytest.mark.parametrize("name", CHECKS)
async def test_a_quota_that_is_kept_is_no_fault(name: str) -> None:
    """One request over the quota is repeated when there is room."""
    fault = fakes.Fault.parse(f"{name}.* 429 retry_after=1 times=1")
    async with fakes.serve(options(faults=(fault,))) as running:
        assert broken(await examined(running, name)) == []


def _everybodys(self: TaskTracker, _: str) -> list[Any]:
    return list(self.tasks.values())


async def test_a_filter_that_is_overlooked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a list would lead one patient's report to another patient's task."""
    monkeypatch.setattr(TaskTracker, "tasks_of", _everybodys)
    async with fakes.serve(options()) as running:
        await examined(running, "tracker")
        assert any("external_ref" in rule for rule in broken(await examined(running, "tracker")))


async def test_a_missing_document_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed has to be in the archive."""
    facts = fakes.server.Shelf.facts

    async def more(self: Any, person: Any) -> Any:
        made = await facts(self, person)
        return dataclasses.replace(made, documents=(*made.documents, {"path": "not-there.pdf"}))

    monkeypatch.setattr(fakes.server.Shelf, "facts", more)
    async with fakes.serve(options()) as running:
        assert broken(await examined(running, "docex")) == ["the archive holds the documents that are listed"]


@pytest.mark.parametrize(
    "arguments", [(), ("--docex", "http://127.0.0.1:9", "--write", "--patient", "none.json")]
)
def test_bad_usage_is_refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Without an address, or a test patient where one is needed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule says so, and the exit status is 1."""
    assert main(["--tracker", "http://127.0.0.1:9", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["broken"] == 2
    assert {result["verdict"] for result in body["results"]} == {"broken", "skipped"}


def test_what_is_not_examined_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody takes the last line for a verdict about FHIR or OAuth2."""
    main(["--tracker", "http://127.0.0.1:9"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Not examined: FHIR servers, OAuth2 token endpoints")
