"""Archives whose host has moved since the link was given."""

import asyncio
import hashlib
import socket
from dataclasses import asdict, replace

import pytest

from docpipe.config.config import Docex
from docpipe.gates.line import Slots
from docpipe.http import Http
from docpipe.http.credentials import NONE
from docpipe.results.search import ArchiveLink
from docpipe.sources.docex.download import MOVED, Downloader
from tests import virtual
from tests.gate_world import Server
from tests.steps import MemoryStep
from tests.unit.test_http_downloads import BODY, Origins, whole

pytestmark = pytest.mark.virtual
FACTS = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


class EnoughError(Exception):
    """Ends a download that would continue for ever."""


def nowhere():
    """The address of an archive on a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip"


def downloader(http, base_url):
    return Downloader(
        http=http,
        config=Docex(base_url=base_url),
        credentials=NONE,
        gate_of=Origins(),
        allowed=lambda _origin: True,
        clock=virtual.wall_clock,
    )


@pytest.mark.parametrize("forgets", [False, True])
async def test_the_exchange_is_asked_where_it_is_now(tmp_path, forgets):
    """A link to where nobody is gives way to a fresh one; while it has none, the old one stays."""
    links = [None, None] if forgets else []

    async def fresh_link():
        asked.append(1)
        return links.pop() if links else ArchiveLink(url=f"{files.url}/a.zip", **FACTS)

    asked = []
    async with Server(whole) as files, Http() as http:
        path = tmp_path / "archive.zip"
        work = downloader(http, "http://127.0.0.1:9").fetch(
            MemoryStep(), ArchiveLink(url=nowhere(), **FACTS), path, fresh_link
        )
        assert asdict(await work) == FACTS
    assert len(asked) == (3 if forgets else 1)
    assert path.read_bytes() == BODY


async def test_a_link_at_the_exchange_itself_is_kept(tmp_path):
    """It is not requested anew: the server there redirects each attempt."""
    gone = nowhere()
    origins, tries = Origins(), []

    def gate_of(origin):
        tries.append(origin)
        if len(tries) > MOVED + 1:
            raise EnoughError
        return origins(origin)

    async def fresh_link():
        raise AssertionError("the exchange is not there to be asked")

    async with Http() as http:
        work = replace(downloader(http, gone.removesuffix("/a.zip")), gate_of=gate_of)
        with pytest.raises(EnoughError):
            await work.fetch(
                MemoryStep(), ArchiveLink(url="/a.zip", **FACTS), tmp_path / "archive.zip", fresh_link
            )


async def test_many_whose_host_has_moved_do_not_wait_for_each_other(tmp_path):
    """Once two tries have reached nobody, whoever comes next asks for a fresh link before it tries."""
    gone, asked = ArchiveLink(url=nowhere(), **FACTS), []
    slots = Slots(4, virtual.wall_clock)

    async with Server(whole) as files, Http() as http:
        downloads = downloader(http, "http://127.0.0.1:9")

        async def fresh_link():
            asked.append(1)
            return ArchiveLink(url=f"{files.url}/a.zip", **FACTS)

        async def download(number):
            step = MemoryStep()
            async with slots.hold(step.ticket):
                return await downloads.fetch(step, gone, tmp_path / f"{number}.zip", fresh_link)

        began = virtual.wall_clock()
        brought = await asyncio.gather(*map(download, range(30)))
        assert [asdict(one) for one in brought] == [FACTS] * 30
        assert virtual.wall_clock() - began < 60
    assert len(asked) == 30
