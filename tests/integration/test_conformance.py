"""The conformance kit passes on the fakes, and names each fault that they can plant."""

import dataclasses
import json
from typing import Any

import pytest

import fakes
from fakes.conformance import Result, Target, Verdict, docex, examine, tracker
from fakes.conformance.__main__ import main
from fakes.faults import OPERATIONS
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


WALKED = (
    *("400", "404", "503", "html200", "html403", "html404", "html502", "plain404", "away302", "empty502"),
    *("fhir503", "fhirbad500", "reset", "close", "hang", "lost", "delay seconds=2", "late seconds=2"),
    *("truncate", "corrupt", "slow seconds=2", "swapped", "cached"),
)
OF_ONE = {
    "docex.search": ("forget",),
    "docex.link": ("remake seconds=9",),
    "tracker.create": ("forget",),
    "tracker.find": ("unfiltered",),
    "tracker.report": ("forget",),
}
WITHOUT_BODY = {
    "docex.delete": ("404", "truncate", "corrupt", "slow seconds=2", "swapped", "cached"),
    "docex.link": ("truncate", "corrupt", "slow seconds=2", "swapped", "cached"),
}
"""A redirect and a deletion have no body to damage or to mix up; what was deleted before is gone."""


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.partition(".")[0] in CHECKS])
def test_every_fault_that_the_fakes_can_plant_is_named(operation: str) -> None:
    """Each answer at each operation breaks at least one rule."""

    async def walk(fault: str) -> list[str]:
        given = options(faults=(fakes.Fault.parse(fault),), wall_clock=virtual.wall_clock)
        async with fakes.serve(given) as running:
            return broken(await examined(running, operation.partition(".")[0]))

    walked = [word for word in WALKED if word not in WITHOUT_BODY.get(operation, ())]
    words = (*walked, *OF_ONE.get(operation, ()))
    assert [word for word in words if not virtual.run(walk(f"{operation} {word}"))] == []


FAULTS = [
    "docex.search 503",
    "docex.search html200",
    "docex.search lost",
    "docex.search forget",
    "docex.search 404",
    "docex.status html404",
    "docex.status html200",
    "docex.status plain404",
    "docex.status away302",
    "docex.status empty502",
    "docex.status hang",
    "docex.status reset",
    "docex.status truncate",
    "docex.status delay seconds=2",
    "docex.link 403",
    "docex.link remake seconds=1",
    "docex.archive corrupt",
    "docex.archive truncate",
    "docex.archive slow seconds=2",
    "docex.archive html200",
    "docex.delete html403",
    "tracker.create 500",
    "tracker.create forget",
    "tracker.create late seconds=2",
    "tracker.find html200",
    "tracker.find html403",
    "tracker.find unfiltered",
    "tracker.find swapped",
    "tracker.find cached",
    "tracker.get swapped",
    "tracker.get cached",
    "tracker.update swapped",
    "tracker.get html404",
    "tracker.get close",
    "tracker.update 409",
    "tracker.report 413",
    "tracker.report forget",
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_named(fault: str) -> None:
    """A service with a fault breaks at least one rule, and the kit comes to its end all the same."""
    async with fakes.serve(options(faults=(fakes.Fault.parse(fault),))) as running:
        results = await examined(running, fault.partition(".")[0])
    assert len(results) == len(CHECKS[fault.partition(".")[0]])
    assert broken(results)


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
