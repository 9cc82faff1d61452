"""Tokens that are refused: read anew, once for everybody, and shown once more."""

import asyncio

import pytest
import structlog
from aiohttp import web

from docpipe.config.parsing import Secret
from docpipe.http import Http, bearer
from docpipe.http.credentials import NoCredentials
from docpipe.model import Rate, Ticket
from docpipe.plan.virtual import EPOCH_S
from tests import virtual
from tests.gate_world import Process, Server

pytestmark = pytest.mark.virtual
FAST = Rate(1000, 1.0)


class Guarded:
    """A server's behaviour: 401 to every token but one, which can be changed."""

    def __init__(self, good):
        self.good = good
        self.sent = []

    async def __call__(self, request):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.sent.append(token)
        if token != self.good:
            return web.json_response({}, status=401)
        return web.Response(body=b"PK") if request.path == "/archive" else web.json_response({"ok": True})


def in_file(path, text="old"):
    path.write_text(f"{text}\n")
    return Secret(text, path)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_rotated_token_is_read_anew(tmp_path, method):
    """After a 401 the token's file is read again, and the request goes out once more, through the quota."""
    guarded = Guarded("new")
    credentials = bearer(in_file(tmp_path / "token"), "docex.token")
    (tmp_path / "token").write_text("new\n")
    async with Server(guarded) as server, Process(FAST) as process:
        with structlog.testing.capture_logs() as logs:
            answer = await process.call(server.url, method, credentials=credentials)
        assert answer.ok
        assert process.quota.view().used == 2
        assert (await process.call(server.url, credentials=credentials)).ok
    assert guarded.sent == ["old", "new", "new"]
    assert {"event": "token_renewed", "log_level": "info", "key": "docex.token"} in logs


async def test_a_second_refusal_is_final(tmp_path):
    """Where the new token is refused, too, the 401 is the answer."""
    guarded = Guarded("other")
    credentials = bearer(in_file(tmp_path / "token"))
    (tmp_path / "token").write_text("new")
    async with Server(guarded) as server, Process(FAST) as process:
        assert (await process.call(server.url, credentials=credentials)).status == 401
    assert guarded.sent == ["old", "new"]


@pytest.mark.parametrize("now", ["old", "", "has space", None])
async def test_without_another_token_nothing_is_tried(tmp_path, now):
    """A file that holds the same, nothing of use, or is gone: the 401 is the answer, and the log says why."""
    guarded = Guarded("new")
    credentials = bearer(in_file(tmp_path / "token"))
    (tmp_path / "token").unlink() if now is None else (tmp_path / "token").write_text(now)
    async with Server(guarded) as server, Process(FAST) as process:
        with structlog.testing.capture_logs() as logs:
            assert (await process.call(server.url, credentials=credentials)).status == 401
    assert guarded.sent == ["old"]
    assert ("token_not_read" in [entry["event"] for entry in logs]) == (now != "old")


async def test_a_token_without_a_file_is_final():
    """What was given by the environment cannot be read anew."""
    guarded = Guarded("new")
    async with Server(guarded) as server, Process(FAST) as process:
        assert (await process.call(server.url, credentials=bearer(Secret("old")))).status == 401
        assert (await process.call(server.url)).status == 401
    assert guarded.sent == ["old", ""]


@pytest.mark.parametrize("renewed", ["new", "old"])
async def test_a_thousand_refusals_cost_one_reading(tmp_path, monkeypatch, renewed):
    """All requests refused at the same time share one reading, whatever it brings."""
    readings = []
    again = Secret.again

    def counted(self):
        readings.append(self)
        return again(self)

    monkeypatch.setattr(Secret, "again", counted)
    credentials = bearer(in_file(tmp_path / "token"))
    (tmp_path / "token").write_text(renewed)
    refusals = (credentials.refused("Bearer old", Ticket(str(n)), 401) for n in range(1000))
    assert await asyncio.gather(*refusals) == [renewed == "new"] * 1000
    assert len(readings) == 1


async def test_the_token_is_taken_when_the_turn_has_come():
    """A request that waited an hour in line uses the credentials of then, not those of its arrival."""
    asked = []

    class Clockwork(NoCredentials):
        async def header(self, _ticket):
            asked.append(virtual.wall_clock() - EPOCH_S)
            return f"Bearer {asked[-1]:.0f}"

    guarded = Guarded("")
    async with Server(guarded) as server, Process(Rate(1, 3600.0)) as process:
        await process.call(server.url)
        await process.call(server.url, credentials=Clockwork())
    before, then = asked
    assert before < 1
    assert then > 3600
    assert guarded.sent == ["", f"{then:.0f}"]


async def test_downloads_are_tried_with_the_new_token(tmp_path):
    """The same for an archive: one more try after a 401, at each opening of it."""
    guarded = Guarded("new")
    credentials = bearer(in_file(tmp_path / "token"))
    (tmp_path / "token").write_text("new")
    async with Server(guarded) as server, Process(FAST) as process, Http() as http:
        fetch = http.fetch(
            Ticket("r"), gate_of=lambda _: process.gate, credentials=credentials, home=server.url
        )
        async with fetch.open(f"{server.url}/archive") as download:
            assert download.status == 200
            assert b"".join([chunk async for chunk in download.chunks()]) == b"PK"
        guarded.good = "newer"
        async with fetch.open(f"{server.url}/archive") as download:
            assert download.status == 401
    assert guarded.sent == ["old", "new", "new"]


async def test_a_foreign_refusal_is_not_ours(tmp_path):
    """A 401 of another origin, which was shown nothing, is no reason to read a token anew."""
    away = Guarded("never")
    credentials = bearer(in_file(tmp_path / "token"))
    (tmp_path / "token").write_text("new")

    async def lead_away(_request):
        return web.Response(status=302, headers={"Location": f"{server.url}/archive"})

    async with Server(away) as server, Server(lead_away) as home, Process(FAST) as process, Http() as http:
        fetch = http.fetch(
            Ticket("r"), gate_of=lambda _: process.gate, credentials=credentials, home=home.url
        )
        async with fetch.open(f"{home.url}/archive") as download:
            assert download.status == 401
    assert away.sent == [""]
    assert [request.headers["Authorization"] for request in home.requests] == ["Bearer old"]
