"""`docpipe serve` as its users run it: a process of its own, spoken to by HTTP, stopped by signals."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

import fakes
from docpipe.runtime.state_folder import address
from tests.acceptance.conftest import Box

SLOW = {"search_seconds": (600.0, 600.0)}
TOKEN = "a-token"  # noqa: S105 -- of no service but this one


@dataclass
class Serving:
    """A process that serves."""

    process: asyncio.subprocess.Process
    first_line: str
    session: aiohttp.ClientSession
    log: "asyncio.Task[bytes]"
    """What it writes to standard error, read all the time: a pipe that is full would hold it up."""

    @property
    def address(self) -> str:
        return self.first_line.split()[3]

    async def ask(self, method: str, path: str, status: int, **words: Any) -> Any:
        async with self.session.request(method, f"{self.address}{path}", **words) as response:
            assert response.status == status, await response.text()
            return await response.json() if "json" in response.content_type else await response.text()

    async def submit(self, *patients: str) -> list[str]:
        body = await self.ask("POST", "/api/runs", 202, json={"patients": patients})
        return [run["run_id"] for run in body["runs"]]

    async def until(self, run: str, *states: str) -> Any:
        while (reported := await self.ask("GET", f"/api/runs/{run}", 200))["state"] not in states:
            await asyncio.sleep(0.1)
        return reported

    async def ended(self) -> tuple[int, str]:
        status = await asyncio.wait_for(self.process.wait(), 60)
        return status, (await self.log).decode()


@contextlib.asynccontextmanager
async def serving(box: Box, *words: str) -> AsyncIterator[Serving]:
    """A service on any free port."""
    process = await box.start("serve", "--port", "0", *words)
    assert process.stdout is not None
    assert process.stderr is not None
    log = asyncio.create_task(process.stderr.read())
    async with aiohttp.ClientSession() as session:
        try:
            line = (await process.stdout.readline()).decode()
            assert line, await log
            yield Serving(process, line, session, log)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            await log


async def test_a_patient_by_http(box: Box, services: fakes.Running) -> None:
    """From a fresh folder to the report; one line says where; the log has JSON and names nobody."""
    async with serving(box) as service:
        assert service.first_line.startswith("docpipe serves at http://127.0.0.1:")
        assert address(box.state) == service.address
        assert await service.ask("GET", "/healthz", 200) == "ok"
        assert await service.ask("GET", "/readyz", 200) == {"ready": True}
        (run,) = await service.submit("P123")
        reported = await service.until(run, "completed", "completed_with_errors")
        assert reported["documents"]["converted"] > 5
        documents = (await service.ask("GET", f"/api/runs/{run}/documents", 200))["documents"]
        texts = [document["files"]["text.md"] for document in documents if document["outcome"] == "converted"]
        assert all([len(await service.ask("GET", path, 200)) > 10 for path in texts])
        assert "<html" in await service.ask("GET", f"/api/runs/{run}/files/report.html", 200)
        metrics = await service.ask("GET", "/metrics", 200)
        assert "docpipe_" in metrics
        service.process.terminate()
        status, err = await service.ended()
    assert status == 143
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert {"request", "run_finished"} <= {line["event"] for line in lines}
    assert not [line for line in lines if "P123" in json.dumps(line)]
    assert "Traceback" not in err
    assert address(box.state) is None


@pytest.mark.parametrize("services", [SLOW], indirect=True)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_it(box: Box, services: fakes.Running, number: int, status: int) -> None:
    """Cleanly, listeners included; the next start continues with what was unfinished, paused as it was."""
    async with serving(box) as service:
        (run,) = await service.submit("P123")
        while not any(seen.operation == "docex.status" for seen in services.docex.requests):
            await asyncio.sleep(0.01)
        await service.ask("POST", "/api/services/tasktracker/pause", 204)
        async with service.session.get(f"{service.address}/api/events") as events:
            await events.content.readuntil(b"event: reset")
            service.process.send_signal(number)
            while not events.content.at_eof():
                await events.content.readany()
        ended, err = await service.ended()
        assert ended == status
        assert "1 run is unfinished: `docpipe serve` continues" in err
    services.skip(600.0)
    async with serving(box) as service:
        body = await service.ask("GET", "/api/services", 200)
        assert body["services"][1]["state"] == "paused"
        await service.ask("POST", "/api/services/tasktracker/resume", 204)
        await service.until(run, "completed", "completed_with_errors")
        assert len(services.docex.searches_of("P123")) == 1


async def test_who_does_not_read_holds_up_no_stop(box: Box, services: fakes.Running) -> None:
    """Neither a reader of events nor one of a large file; nothing is left open."""
    async with serving(box) as service:
        (run,) = await service.submit("P123")
        await service.until(run, "completed", "completed_with_errors")
        documents = (await service.ask("GET", f"/api/runs/{run}/documents", 200))["documents"]
        url = next(document["files"]["text.md"] for document in documents if "text.md" in document["files"])
        (box.storage / url.removeprefix("/api/documents/")).write_bytes(bytes(64 << 20))
        port = int(service.address.rpartition(":")[2])
        writers = []
        for path in ("/api/events", url):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()
            writers.append(writer)
        service.process.terminate()
        status, err = await service.ended()
        for writer in writers:
            writer.transport.abort()
    assert status == 143
    assert "Exception ignored" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_second_signal_leaves_at_once(box: Box, services: fakes.Running) -> None:
    """Whatever is under way."""
    services.add_fault("docex.status hang")
    async with serving(box) as service:
        await service.submit("P123")
        while not services.docex.requests:
            await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGTERM)
        status, _ = await service.ended()
        assert status in (143, -signal.SIGTERM)


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_killed_and_started_again(box: Box, services: fakes.Running) -> None:
    """What was accepted continues, and the key of the submission still has its answer."""
    words = {"json": {"patients": ["P123", "P124"]}, "headers": {"Idempotency-Key": "k"}}
    async with serving(box) as service:
        first = await service.ask("POST", "/api/runs", 202, **words)
        service.process.kill()
        await service.ended()
    async with serving(box) as service:
        assert await service.ask("POST", "/api/runs", 202, **words) == first
        assert (await service.ask("GET", "/api/runs", 200))["total"] == 2
        await service.until(first["runs"][0]["run_id"], "running")


async def test_without_a_configured_token_one_is_made(box: Box) -> None:
    """In the state folder, for its owner alone; commands have it, and the printed link signs in once."""
    del box.env["DOCPIPE_SERVICE__TOKEN"]
    async with serving(box) as service:
        assert service.process.stdout is not None
        link = (await service.process.stdout.readline()).decode().split()[-1]
        file = box.state / "service-token"
        assert file.stat().st_mode & 0o777 == 0o600
        await service.ask("GET", "/api/runs", 401)
        token = file.read_text().strip()
        await service.ask("GET", "/api/runs", 200, headers={"Authorization": f"Bearer {token}"})
        assert (await box.run("status", "--service", service.address)).status == 0, "the command has it"
        assert token not in link
        form = {"data": {"token": link.partition("#")[2]}, "allow_redirects": False}
        await service.ask("POST", "/login", 303, **form)
        await service.ask("POST", "/login", 401, **form)
    async with serving(box) as service:
        await service.ask("GET", "/api/runs", 200, headers={"Authorization": f"Bearer {token}"})


async def test_a_token_for_others(box: Box) -> None:
    """On an address that others can reach it is asked for, and never printed."""
    box.env["DOCPIPE_SERVICE__TOKEN"] = TOKEN
    async with serving(box, "--host", "0.0.0.0") as service:  # noqa: S104 -- with a token
        assert "a token is needed" in service.first_line
        await service.ask("GET", "/api/runs", 401)
        await service.ask("GET", "/api/runs", 200, headers={"Authorization": f"Bearer {TOKEN}"})
        await service.ask("GET", "/healthz", 200)
        service.process.terminate()
        _, err = await service.ended()
    assert TOKEN not in err + service.first_line


async def test_a_token_may_lie_in_a_file(box: Box) -> None:
    """As secrets of containers do."""
    (box.folder / "token").write_text(f"{TOKEN}\n", "utf-8")
    del box.env["DOCPIPE_SERVICE__TOKEN"]
    box.env["DOCPIPE_SERVICE__TOKEN_FILE"] = "token"  # noqa: S105 -- a file
    async with serving(box) as service:
        await service.ask("GET", "/api/runs", 200, headers={"Authorization": f"Bearer {TOKEN}"})


async def test_an_address_that_cannot_be_had(box: Box) -> None:
    """Is refused before anything is opened, with the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = await box.run("serve", "--port", str(port))
    assert refused.status == 2
    assert "--port" in refused.err
    assert not box.state.exists()
    unknown = await box.run("serve", "--host", "no.such.host.invalid")
    assert unknown.status == 2
    assert "service.host" in unknown.err


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_a_service_holds_the_folder(box: Box, services: fakes.Running) -> None:
    """A second one is refused, with the address of the first."""
    async with serving(box) as service:
        second = await box.run("serve", "--port", "0")
        assert second.status == 2
        assert f"process {service.process.pid}" in second.err
        assert service.address in second.err


@pytest.mark.parametrize("services", [SLOW], indirect=True)
async def test_rates_change_on_sighup(box: Box, services: fakes.Running) -> None:
    """As in `docpipe run`; the service shows the new one."""
    del box.env["DOCPIPE_DOCEX__SEARCH_RATE"]
    config = box.folder / "config.toml"
    async with serving(box) as service:
        text = config.read_text("utf-8")
        config.write_text(text.replace("[docex]", '[docex]\nsearch_rate = "7/min"'), "utf-8")
        service.process.send_signal(signal.SIGHUP)
        rates: list[str] = []
        while "7/min" not in rates:
            body = await service.ask("GET", "/api/services", 200)
            rates = [quota["rate"] for quota in body["services"][0]["quotas"]]
