"""The client and its commands against a real service: processes, HTTP, documents."""

import asyncio
import json

import pytest

import fakes
from docpipe.client import Client, ConflictError, NotFoundError, SignInError
from tests.acceptance.conftest import Box
from tests.acceptance.test_serve import TOKEN, serving

SLOW = {"search_seconds": (600.0, 600.0)}


async def test_a_notebook(box: Box, services: fakes.Running, tmp_path) -> None:
    """Submit, wait, documents, a download, the report, a retry: as the README shows it."""
    async with serving(box) as service:

        def work() -> None:
            with Client(service.address) as client:
                (run,) = client.submit(["P123"], key="k")
                assert client.submit(["P123"], key="k") == [run]
                seen = []
                (ended,) = client.wait([run], timeout=60, each=seen.append)
                assert ended.state == "completed_with_errors"
                assert ended.documents["converted"] > 5
                assert len(seen) > 1
                documents = client.documents(run.run_id)
                texts = [result for result in documents if "text.md" in result.files]
                path = client.download(texts[0].files["text.md"], tmp_path / "text.md")
                assert len(path.read_text()) > 10
                assert json.loads(client.report(run.run_id))
                assert [result.run_id for result in client.runs(prefix="P12")] == [run.run_id]
                assert client.summary().counts["completed_with_errors"] == 1
                with pytest.raises(ConflictError):
                    client.cancel(run.run_id)
                with pytest.raises(NotFoundError):
                    client.run("01M868ZHM7Z1KWSYY26F858HZ1")
                client.pause("docex")
                assert {one.name: one.state for one in client.services().services}["docex"] == "paused"
                client.unpause("docex")
                client.retry(run.run_id, "GenerateReport")
                (again,) = client.wait([run.run_id], timeout=60)
                assert (again.retries, again.state) == (1, "completed_with_errors")

        await asyncio.to_thread(work)


async def test_commands(box: Box, services: fakes.Running) -> None:
    """submit, watch and status find the service by the state folder; others name what to use instead."""
    async with serving(box) as service:
        submitted = await box.run("submit", "--patient", "P123", "--wait", "--json")
        assert submitted.status == 0, submitted.err
        (run,) = submitted.json["runs"]
        assert run["state"] == "completed_with_errors"
        reported = await box.run("status", "--service", service.address)
        assert f"{run['run_id']}  P123          completed with errors, 20" in reported.out
        assert (await box.run("status", "P123", "--json", "--service")).json["runs"] == [run]
        again = await box.run("retry", "P123", "--from", "GenerateReport", "--service")
        assert again.status == 0, again.err
        assert "completed with errors" in again.out.splitlines()[-1]
        assert "Nothing to watch" in (await box.run("watch")).out
        assert (await box.run("watch", "P123")).status == 0
        for words, cure in (
            (("run", "--patient", "P124"), "use `docpipe submit` to hand the work to it"),
            (("resume",), "by itself, `docpipe watch` shows them"),
            (("cancel", "P123"), "use `docpipe cancel P123 --service` to have that service do it"),
            (("retry", "P123"), "use `docpipe retry P123 --service` to have that service do it"),
            (("check", "--repair"), "stop it before a repair"),
        ):
            refused = await box.run(*words)
            assert refused.status == 2
            assert f"A service at {service.address}" in refused.err
            assert cure in refused.err
        local = await box.run("status")
        assert service.address in local.err
        assert run["run_id"] in local.out


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_cancel_by_the_service(box: Box, services: fakes.Running) -> None:
    """A run is cancelled through the service; the exit status says so."""
    async with serving(box):
        assert (await box.run("submit", "--patient", "P123")).status == 0
        ended = await box.run("cancel", "P123", "--service")
        assert (ended.status, "cancelled" in ended.out) == (0, True), ended.err
        unknown = await box.run("cancel", "P999", "--service")
        assert (unknown.status, "no run P999" in unknown.err) == (2, True)


async def test_the_token(box: Box, services: fakes.Running) -> None:
    """Commands take the token of the configuration; a wrong one is reported with the cure."""
    box.env["DOCPIPE_SERVICE__TOKEN"] = TOKEN
    async with serving(box) as service:
        assert (await box.run("status", "--service")).status == 0
        box.env["DOCPIPE_SERVICE__TOKEN"] = TOKEN[:-1]
        refused = await box.run("status", "--service", service.address)
        assert (refused.status, "DOCPIPE_SERVICE__TOKEN" in refused.err) == (1, True)
        assert "Traceback" not in refused.err
        (box.folder / "token").write_text(TOKEN, "utf-8")
        box.env |= {"DOCPIPE_SERVICE__TOKEN": "", "DOCPIPE_SERVICE__TOKEN_FILE": "token"}
        assert (await box.run("status", "--service", service.address)).status == 0

        def ask() -> None:
            with Client(service.address, "wrong") as client, pytest.raises(SignInError):
                client.summary()

        await asyncio.to_thread(ask)


async def test_nobody_there(box: Box) -> None:
    """Without a service the commands say how to start one."""
    box.env["DOCPIPE_SERVICE__PORT"] = "1"
    reported = await box.run("submit", "--patient", "P123")
    assert (reported.status, "`docpipe serve` starts one" in reported.err) == (1, True)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_pause_outlives_the_service(box: Box, services: fakes.Running) -> None:
    """`docpipe resume` says what is paused, and takes it back where that is asked for."""
    async with serving(box) as service:
        await service.submit("P123")
        await service.ask("POST", "/api/pause", 204)
    process = await box.start("resume")
    while b"paused: everything" not in (line := await process.stderr.readline()):
        assert line
    process.kill()
    await process.communicate()
    process = await box.start("resume", "--unpause")
    while not any(seen.operation == "docex.status" for seen in services.docex.requests):
        await asyncio.sleep(0.02)
    process.kill()
    await process.communicate()
