"""Several processes of docpipe and one Redis: their quotas are one, and nothing is lost when it goes away."""

import asyncio
import json
from collections.abc import Iterator

import pytest

import fakes
from tests.acceptance.conftest import Box, pointed_at
from tests.quota_store import QuotaServer, running

SLOW = {"search_rate": fakes.quota.Rate(10, 1.0), "mix": "tiny", "jitter": 0.3}
PATIENTS = [f"P{number}" for number in range(100, 124)]


@pytest.fixture
def store() -> Iterator[QuotaServer]:
    with running() as server:
        yield server


def boxes(box: Box, services: fakes.Running, store: QuotaServer, number: int) -> list[Box]:
    """Boxes with state folders of their own, one storage and one store of quotas."""
    made = []
    for name in range(number):
        folder = box.folder / str(name)
        folder.mkdir()
        (folder / "config.toml").write_bytes((box.folder / "config.toml").read_bytes())
        env = {"DOCPIPE_STORAGE__URL": str(box.storage), "DOCPIPE_STATE__DIR": "state"}
        made.append(pointed_at(Box(folder, env), services, "10/sec"))
        made[-1].env["DOCPIPE_FLEET__REDIS"] = store.url
    return made


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_three_processes_keep_one_quota(box: Box, services: fakes.Running, store: QuotaServer) -> None:
    """No request is over a quota of the exchange or the tracker, and every patient completes."""
    three = boxes(box, services, store, 3)
    shares = [[word for patient in PATIENTS[n::3] for word in ("--patient", patient)] for n in range(3)]
    ended = await asyncio.gather(
        *(one.run("run", "--json", *share) for one, share in zip(three, shares, strict=True))
    )
    assert [end.status for end in ended] == [0, 0, 0], ended[0].err
    runs = [run for end in ended for run in end.json["runs"]]
    assert sorted(run["patient_id"] for run in runs) == PATIENTS
    assert {run["state"] for run in runs} == {"completed"}
    assert services.count_429() == 0
    assert services.docex.worst_window("docex.search", 1.0) <= 10
    assert services.docex.worst_window("docex.status", 1.0) <= 10


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_status_names_the_store_that_is_down(
    box: Box, services: fakes.Running, store: QuotaServer
) -> None:
    """With its cure; when it is back, empty, the runs complete."""
    (one,) = boxes(box, services, store, 1)
    words = [word for name in PATIENTS[:4] for word in ("--patient", name)]
    process = await one.start("run", "--json", *words)
    while not services.docex.requests:
        assert process.returncode is None
        await asyncio.sleep(0.05)
    store.kill()
    sentence = f"the quota store at 127.0.0.1:{store.port} is down: start it, and docpipe continues"
    while sentence not in (await one.run("status")).out:
        assert process.returncode is None
    store.start()
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert {run["state"] for run in json.loads(out)["runs"]} == {"completed"}
    assert services.count_429() == 0


async def test_a_store_of_another_fleet_is_refused(box: Box, store: QuotaServer) -> None:
    """Before anything is sent."""
    box.env["DOCPIPE_FLEET__REDIS"] = store.url
    store.client.set("{docpipe}:fleet", "another")
    ended = await box.run("run", "--patient", "P100")
    assert ended.status == 2
    assert "belongs to a fleet with another docex or tasktracker" in ended.err
