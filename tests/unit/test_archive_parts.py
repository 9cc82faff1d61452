"""Archives that break off, come in parts that nobody asked for, or whose links are refused."""

import asyncio
import gzip
import hashlib
import zlib
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from aiohttp import web

from docpipe.errors import ArchiveError
from docpipe.http import Download, DownloadError, Http
from docpipe.model import Ticket
from docpipe.results.search import ArchiveLink
from docpipe.sources.docex import download as downloads
from docpipe.sources.docex.download import TRIES_LINK
from docpipe.sources.docex.partial import Part, Verified, write
from docpipe.sources.fhir.arrived import Source
from docpipe.sources.fhir.doubts import Experience
from docpipe.sources.fhir.files import Files, Patience
from tests import virtual
from tests.gate_world import Server
from tests.steps import MemoryStep
from tests.unit.test_archive_moved import downloader
from tests.unit.test_http_downloads import Origins

pytestmark = pytest.mark.virtual
BODY = bytes(range(256)) * 6000 + b"not a whole block"
HALF = 2**20 + 100_003
FACTS = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}
LYING = {
    "another start": {"Content-Range": f"bytes {HALF - 1}-{len(BODY) - 2}/{len(BODY)}"},
    "no range": {},
    "another ETag": {"Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", "ETag": '"2"'},
    "an end before the end": {"Content-Range": f"bytes {HALF}-{len(BODY) - 2}/{len(BODY)}"},
}


async def broken_at(request, sent):
    """The first bytes, and then a connection that ends."""
    response = web.StreamResponse(headers={"Content-Length": str(len(BODY)), "ETag": '"1"'})
    await response.prepare(request)
    await response.write(BODY[:sent])


def whole():
    return web.Response(body=BODY, headers={"ETag": '"1"'})


async def no_link():
    raise AssertionError("no link is asked for")


async def downloaded(behave, path, fresh_link=no_link, archive=FACTS):
    """The result of a download, and the headers of each request."""
    async with Server(behave) as server, Http() as http:
        link = ArchiveLink(url=f"{server.url}/a.zip", **archive)
        work = downloader(http, server.url).fetch(MemoryStep(), link, path, fresh_link)
        return asdict(await work), [request.headers for request in server.requests]


async def test_an_archive_that_arrives_whole_is_not_read_again(tmp_path, monkeypatch):
    """It is hashed as it is written; what an earlier attempt has left is read."""
    read, real = [], downloads._digest
    monkeypatch.setattr(downloads, "_digest", lambda path: read.append(path) or real(path))

    async def behave(_):
        return whole()

    assert (await downloaded(behave, tmp_path / "a.zip"))[0] == FACTS
    assert read == []
    assert (await downloaded(behave, tmp_path / "a.zip"))[0] == FACTS
    assert read == [tmp_path / "a.zip"]


async def test_a_digest_is_that_of_the_whole_file(tmp_path):
    """Of blocks and the rest together; none where the beginning is from an earlier attempt."""

    async def chunks(data):
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    file = tmp_path / "a"
    assert await write(file, 0, chunks(BODY)) == Verified(**FACTS)
    assert await write(file, HALF, chunks(BODY[HALF:])) is None
    assert file.read_bytes() == BODY
    empty = Verified(0, hashlib.sha256().hexdigest())
    assert await write(file, 0, chunks(b"")) == empty


@pytest.mark.parametrize("sent", [1, 1000, 2**20 - 1, 2**20 + 1, len(BODY) - 1])
async def test_what_came_before_a_break_is_kept_to_the_byte(tmp_path, sent):
    """The rest is asked for from the very byte on that did not come."""

    async def behave(request):
        if "Range" not in request.headers:
            seen.append(1)
            return whole() if len(seen) > 1 else await broken_at(request, sent)
        body, where = BODY[sent:], f"bytes {sent}-{len(BODY) - 1}/{len(BODY)}"
        return web.Response(status=206, body=body, headers={"ETag": '"1"', "Content-Range": where})

    seen = []
    actual, requests = await downloaded(behave, tmp_path / "a.zip")
    assert actual == FACTS
    assert [headers.get("Range") for headers in requests] == [None, f"bytes={sent}-"]
    assert (tmp_path / "a.zip").read_bytes() == BODY


async def test_what_arrived_and_was_not_read_is_kept(tmp_path):
    """A reader that is slower than the network gets all that came before the break, and then the error."""

    async def slowly(fetch, url):
        async with fetch.open(url) as answer:
            await asyncio.sleep(5)
            async for chunk in answer.chunks():
                got.extend(chunk)

    got = bytearray()
    async with Server(lambda request: broken_at(request, 50_000)) as server, Http() as http:
        with pytest.raises(DownloadError):
            await slowly(http.fetch(Ticket("r"), gate_of=Origins()), server.url)
    assert bytes(got) == BODY[:50_000]


async def test_what_came_before_an_error_is_written(tmp_path):
    """Whatever ends the chunks, those before are in the file; what is too large is an error of its own."""

    async def chunks():
        yield b"a" * 2**20
        yield b"bc"
        raise DownloadError

    with pytest.raises(DownloadError):
        await write(tmp_path / "a", 0, chunks())
    assert (tmp_path / "a").read_bytes() == b"a" * 2**20 + b"bc"
    with pytest.raises(ArchiveError):
        await write(tmp_path / "b", 0, chunks(), 2**20 + 1)


@pytest.mark.parametrize("lie", LYING)
@pytest.mark.parametrize("known", [True, False])
async def test_a_part_that_is_not_the_rest_is_discarded(tmp_path, lie, known):
    """The whole is fetched anew, also where neither size nor checksum would give the lie away."""

    async def behave(request):
        if "Range" in request.headers:
            return web.Response(status=206, body=BODY[HALF:], headers=LYING[lie])
        return whole() if len(seen) else await first(request)

    async def first(request):
        seen.append(request)
        return await broken_at(request, HALF)

    seen = []
    actual, requests = await downloaded(behave, tmp_path / "a.zip", archive=FACTS if known else {})
    assert actual == FACTS
    assert [headers.get("Range") for headers in requests] == [None, f"bytes={HALF}-", None]
    assert (tmp_path / "a.zip").read_bytes() == BODY


@pytest.mark.parametrize("whole_size", [str(len(BODY)), "*"])
async def test_a_part_that_nobody_asked_for_is_discarded(tmp_path, whole_size):
    """It is no archive, whatever it says; a server that sends nothing else ends the download."""

    async def behave(_request):
        seen.append(1)
        where = f"bytes 0-{HALF - 1}/{whole_size}"
        part = web.Response(status=206, body=BODY[:HALF], headers={"Content-Range": where})
        return whole() if len(seen) == turns else part

    seen, turns = [], 2
    actual, requests = await downloaded(behave, tmp_path / "a.zip", archive={})
    assert (actual, len(requests)) == (FACTS, 2)
    (tmp_path / "a.zip").unlink()
    seen, turns = [], 0

    async def fresh_link():
        links.append(1)
        return ArchiveLink(url="/a.zip")

    links = []
    with pytest.raises(ArchiveError, match="damaged 4 times"):
        await downloaded(behave, tmp_path / "a.zip", fresh_link, archive={})
    assert (len(seen), len(links)) == (4, 2)


async def test_a_part_without_an_etag_keeps_the_one_it_was_asked_by(tmp_path):
    """The next break is gone on from, too."""
    breaks = [HALF, HALF + 5]

    async def behave(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        length = len(BODY) - start
        headers = {"Content-Length": str(length)} | ({} if start else {"ETag": '"1"'})
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        until = breaks.pop(0) if breaks else None
        await response.write(BODY[start:until])
        return response if until is None else None

    actual, requests = await downloaded(behave, tmp_path / "a.zip")
    assert actual == FACTS
    assert [headers.get("Range") for headers in requests] == [None, f"bytes={HALF}-", f"bytes={HALF + 5}-"]


async def test_bytes_of_another_version_are_gone_before_its_etag_is_noted(tmp_path):
    """A stop between both must not join bytes of two versions."""
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")
    Part(path, 3, '"1"').begin(3)
    assert path.read_bytes() == b"old"
    Part(path, 3, '"1"').begin(0)
    assert not path.exists()


@pytest.mark.parametrize("lie", LYING)
async def test_files_of_fhir_servers_likewise(tmp_path, lie):
    """The same holds for a file that a FHIR server sends."""

    async def behave(request):
        if "Range" in request.headers:
            return web.Response(status=206, body=BODY[HALF:], headers=LYING[lie])
        seen.append(1)
        return whole() if len(seen) > 1 else await broken_at(request, HALF)

    seen, path = [], tmp_path / "a"
    async with Server(behave) as server, Http() as http:
        origins = Origins()

        def fetch(ticket, _url, gate_of, allowed, **_more):
            return http.fetch(ticket, gate_of=gate_of, allowed=allowed)

        wire = SimpleNamespace(
            home="",
            fetch=fetch,
            files=origins,
            allowed=lambda _origin: True,
            polling=SimpleNamespace(timeout=60),
            experience=Experience(),
        )
        files = Files(wire, virtual.wall_clock, 2**30)
        got = await files.get(Ticket("r"), Source(f"{server.url}/a"), path, Patience())
    assert (got.problem, got.warnings) == (None, [])
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 418, 422, 451])
async def test_a_link_that_is_refused_gives_way_to_a_fresh_one(tmp_path, status):
    """Stores have many words for a link that is over; so often as links are asked for, no oftener."""

    async def behave(request):
        refusal = web.Response(status=status, body=b"<Error/>", content_type="application/xml")
        return whole() if request.query_string == "fresh" else refusal

    async def fresh_link():
        asked.append(1)
        return ArchiveLink(url="/a.zip?fresh" if len(asked) == good else "/a.zip", **FACTS)

    asked, good = [], TRIES_LINK
    actual, _ = await downloaded(behave, tmp_path / "a.zip", fresh_link)
    assert (actual, len(asked)) == (FACTS, TRIES_LINK)
    (tmp_path / "a.zip").unlink()
    asked, good = [], 0
    with pytest.raises(ArchiveError, match=str(status)):
        await downloaded(behave, tmp_path / "a.zip", fresh_link)
    assert len(asked) == TRIES_LINK


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_an_archive_that_comes_encoded_is_decoded(tmp_path, encoding):
    """Proxies compress whatever is asked for; size and checksum are those of the archive."""

    async def behave(request):
        asked.append(request.headers.get("Range"))
        packed = gzip.compress(BODY) if encoding == "gzip" else zlib.compress(BODY)
        headers = {"Content-Encoding": encoding, "ETag": '"1"', "Content-Type": "application/zip"}
        if len(asked) > 1:
            return web.Response(body=packed, headers=headers)
        return web.Response(body=packed[: len(packed) // 2], headers=headers)

    asked = []
    actual, _ = await downloaded(behave, tmp_path / "a.zip")
    assert actual == FACTS
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert asked == [None, None]


def test_content_range_is_read_as_rfc_9110_has_it(tmp_path):
    """Units ignore case, and a whole that is not known is a star."""
    part = Part(tmp_path / "a", 5, '"1"')

    def start(where, **headers):
        headers = {"Content-Range": where, **headers}
        return part.start(Download(206, headers, None, None))

    assert start("bytes 5-9/10") == start("Bytes 5-9/*") == start("bytes 5-9/10", ETag='"1"') == 5
    for other in ("bytes 5-9", "bytes */10", "items 5-9/10", "bytes 50-59/60", "bytes 5-8/10", ""):
        assert start(other) is None
    assert start("bytes 5-9/10", ETag='W/"1"') is None
    assert part.start(Download(200, {}, None, None)) == 0
