"""Pauses of a fleet: in Redis, and in the state folders of all that obey them."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from docpipe.config.config import Config, Docex, Tasktracker
from docpipe.config.fleet import Fleet
from docpipe.fleet.board import Board, Presence
from docpipe.fleet.noledger import Nothing
from docpipe.wiring.fleet import open_store
from docpipe.wiring.gates import Gates, open_gates
from tests.quota_store import QuotaServer, running

ME = Presence(name="me")


@pytest.fixture
def server() -> Iterator[QuotaServer]:
    with running() as server:
        yield server


@contextlib.asynccontextmanager
async def machine(server: QuotaServer, folder: Path) -> AsyncIterator[tuple[Board, Gates]]:
    """One that has just started, with a state folder."""
    folder.mkdir(exist_ok=True)
    config = Config(
        docex=Docex(base_url="https://exchange.example"),
        tasktracker=Tasktracker(base_url="https://tracker.example"),
        fleet=Fleet(redis=server.url),
    )
    async with contextlib.AsyncExitStack() as stack:
        store = await open_store(config, stack)
        assert store is not None
        gates = await open_gates(config, Nothing(), time.time, random.Random(1), stack, store=store)
        yield Board(store, gates, folder), gates


@pytest.mark.parametrize("name", ["docex", ""])
async def test_a_pause_survives_the_end_of_all(server: QuotaServer, tmp_path: Path, name: str) -> None:
    """Redis and every process: it stands in the state folder of each that has obeyed it."""
    async with machine(server, tmp_path / "serve") as (board, _):
        await board.pause(name, 7.0)
    async with machine(server, tmp_path / "worker") as (board, gates):
        await board.post(ME)
        assert gates.pauses == {name: 7.0}
    server.empty()
    async with machine(server, tmp_path / "new") as (new, new_gates):
        await new.post(ME)
        assert new_gates.pauses == {}
        async with machine(server, tmp_path / "worker") as (board, gates):
            assert gates.pauses == {}
            await board.post(ME)
            assert gates.pauses == {name: 7.0}
            paused = gates.services["docex"].view().paused_since is not None
            assert paused == bool(name)  # where everything is, no service is by itself
        await new.post(ME)
        assert new_gates.pauses == {name: 7.0}


async def test_what_is_in_a_folder_may_be_old(server: QuotaServer, tmp_path: Path) -> None:
    """A pause that was taken back while a machine was off is not brought back by it, then or later."""
    async with machine(server, tmp_path / "off") as (board, _):
        await board.pause("docex", 7.0)
    async with machine(server, tmp_path / "on") as (board, gates):
        await board.post(ME)
        await board.unpause("docex")
        assert gates.pauses == {}
    async with machine(server, tmp_path / "off") as (board, gates):
        await board.post(ME)
        assert gates.pauses == {}
    server.empty()
    async with machine(server, tmp_path / "off") as (board, gates):
        await board.post(ME)
        assert gates.pauses == {}
