"""How far a download is, for whoever looks on: on the terminal, as JSON, and on the page."""

import asyncio
from pathlib import Path

import pytest

import fakes
from docpipe.checkpoints import read_runs
from docpipe.cli.phrases import doing_json
from docpipe.cli.status import Presence, line_of
from docpipe.model import Transfer, describe_transfer
from tests.simulation.world import Plan, simulate
from tests.virtual import wall_clock
from tests.web_support import serving


@pytest.mark.virtual
async def test_progress_and_rate_of_a_download(tmp_path: Path) -> None:
    """While the body arrives, bytes so far, the size and the rate are there; afterwards they are gone."""
    seen: list[Transfer] = []

    async def look(running: fakes.Running) -> None:
        while not any(request.operation == "docex.archive" for request in running.archive.requests):
            await asyncio.sleep(0.5)
        for _ in range(3):
            await asyncio.sleep(20)
            (run,) = read_runs(tmp_path / "state")
            assert run.doing is not None
            assert run.doing.transfer is not None
            seen.append(run.doing.transfer)
            line = line_of(run, Presence(at_work=True, now=wall_clock()))
            assert line.endswith(f"; {describe_transfer(seen[-1])}"), line
            assert doing_json(run.doing)["transfer"]["received"] == seen[-1].received

    faults = ["docex.archive slow seconds=100 times=1"]
    story = await simulate(Plan(tmp_path, patients=1, faults=faults, meanwhile=look))
    sizes = [transfer.received for transfer in seen]
    assert 0 < sizes[0] < sizes[1] < sizes[2] < (seen[0].size or 0)
    whole = seen[0].size or 0
    assert all(whole / 200 < transfer.rate < whole / 50 for transfer in seen[1:])
    assert [run.doing for run in story.runs] == [None]


@pytest.mark.virtual
async def test_the_page_gets_it_too(tmp_path: Path) -> None:
    """With words for people."""
    async with serving(tmp_path, wall_clock) as served:
        served.fakes.add_fault("docex.archive slow seconds=100 times=1")
        (run,) = await served.submit("S0")
        while (doing := (await served.get(f"/api/runs/{run}")).json["doing"]).get("transfer") is None:
            await asyncio.sleep(1)
        assert doing["transfer"]["sentence"].endswith("/s")
        await served.docpipe.engine.wait()
        assert (await served.get(f"/api/runs/{run}")).json["doing"] is None


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (Transfer(312_000_000, 1_200_000_000, 3.44e6), "312 MB of 1.2 GB, 3.4 MB/s"),
        (Transfer(900, None, 12.0), "900 bytes, 12 bytes/s"),
        (Transfer(0, 1000, 0.0), "0 bytes of 1.0 kB, 0 bytes/s"),
    ],
)
def test_words(transfer: Transfer, words: str) -> None:
    """Of a download whose size is known, or not."""
    assert describe_transfer(transfer) == words
