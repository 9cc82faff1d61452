"""Downloads: over origins, with the token for the server alone, each failure counted at the right gate."""

import asyncio
import contextlib
import random
from types import SimpleNamespace

import pytest
from aiohttp import web
from yarl import URL

from docpipe.config.parsing import Secret
from docpipe.errors import PoisonedError, ServiceError
from docpipe.gates import Failure, Gate, Quota, Service
from docpipe.http import DownloadError, Http, bearer, origin_of
from docpipe.http.redirects import follow
from docpipe.model import Ticket
from tests import virtual
from tests.gate_world import Server

pytestmark = pytest.mark.virtual
BODY = bytes(range(256)) * 4096
TOKEN = "secret"  # noqa: S105 -- a test's


class Origins:
    """A gate for each origin, as the service builds them."""

    def __init__(self):
        self.gates: dict[str, Gate] = {}

    def __call__(self, origin):
        if origin not in self.gates:
            clock = virtual.wall_clock
            service = Service(f"archive {origin}", clock=clock, rng=random.Random(1))
            self.gates[origin] = Gate(service, Quota.local(service.name, None, clock=clock))
        return self.gates[origin]


async def whole(_request):
    return web.Response(body=BODY, content_type="application/zip", headers={"ETag": '"1"'})


async def breaking(request):
    """Sends half and drops the connection."""
    response = web.StreamResponse(
        headers={"Content-Length": str(len(BODY)), "Content-Type": "application/zip"}
    )
    await response.prepare(request)
    await response.write(BODY[: len(BODY) // 2])


def redirect(to, code=302):
    async def behave(_request):
        return web.Response(status=code, headers={"Location": to})

    return behave


async def read(fetch, url, headers=None, into=None):
    got = bytearray() if into is None else into
    async with fetch.open(url, headers) as download:
        async for chunk in download.chunks():
            got += chunk
        return download.status, bytes(got)


async def persist(fetch, url):
    """Read until it comes whole; how many tries it took."""
    tries = 0
    while True:
        tries += 1
        with contextlib.suppress(DownloadError):
            assert await read(fetch, url) == (200, BODY)
            return tries


def fetch_of(http, origins, server, **more):
    given = {"credentials": bearer(Secret(TOKEN))} | more
    return http.fetch(Ticket("r"), gate_of=origins, home=server.url + "/v1", **given)


async def test_downloads_with_the_token_of_its_home():
    """At home the token goes along, and the whole body comes."""
    async with Server(whole) as home, Http() as http:
        assert await read(fetch_of(http, Origins(), home), home.url + "/a?sig=%2Fx") == (200, BODY)
    [request] = home.requests
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.raw_path == "/a?sig=%2Fx"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_token_never_goes_to_another_origin(code):
    """A redirect to another origin is followed without the token; both gates see their hop."""
    async with Server(whole) as away, Server(redirect(away.url + "/b", code)) as home, Http() as http:
        origins = Origins()
        headers = {"Range": "bytes=5-", "If-Range": '"1"'}
        assert await read(fetch_of(http, origins, home), home.url + "/a", headers) == (200, BODY)
    assert "Authorization" not in away.requests[0].headers
    assert away.requests[0].headers["Range"] == "bytes=5-"
    assert set(origins.gates) == {home.url, away.url}
    assert [gate.service._all.answers for gate in origins.gates.values()] == [1, 1]


async def test_token_comes_back_only_at_home():
    """Home, away, and home again: only the hops at home bear the token."""

    async def to_and_fro(request):
        return await (redirect(away.url)(request) if request.path == "/a" else whole(request))

    async with (
        Server(to_and_fro) as home,
        Server(redirect(home.url + "/b")) as away,
        Http() as http,
    ):
        await read(fetch_of(http, Origins(), home), home.url + "/a")
    assert [r.headers.get("Authorization") for r in [*home.requests, *away.requests]] == [
        f"Bearer {TOKEN}",
        f"Bearer {TOKEN}",
        None,
    ]


async def test_origins_that_are_not_allowed():
    """Neither the first address nor a redirect may lead to an origin that is not allowed."""
    async with Server(whole) as away, Server(redirect(away.url)) as home, Http() as http:
        fetch = fetch_of(http, Origins(), home, allowed=lambda origin: origin == home.url)
        for url in (home.url + "/a", away.url):
            with pytest.raises(ServiceError, match="not allowed"):
                await read(fetch, url)
        assert away.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "no address",
        "http://",
        "http://a:b@x/",
        "http://x:99999/",
        "\x00",
        "http://[::1",
        "http://[::1/x",
        "http://℀.example/",
        "http://a..b.example/x",
        "http://[fe80::1%eth0/x",
        f"http://{'a' * 70}.example/x",
    ],
)
async def test_addresses_that_cannot_be_used(url):
    """An address that is none ends the download with a clear word."""
    async with Server(whole) as home, Http() as http:
        with pytest.raises(ServiceError, match="address"):
            await read(fetch_of(http, Origins(), home), url)


async def test_https_never_becomes_http():
    """A redirect from https to http is refused before anything is sent."""
    response = SimpleNamespace(status=302, headers={"Location": "http://x.example/a"})
    with pytest.raises(ServiceError, match="https to http"):
        follow(response, "GET", URL("https://x.example/a"), lambda _: True)


async def test_broken_off_body_is_a_failure_of_its_origin():
    """What breaks off in the middle speaks against the origin; the next try waits a little."""
    async with Server(breaking) as home, Http() as http:
        origins = Origins()
        fetch, got, start = fetch_of(http, origins, home), bytearray(), asyncio.get_running_loop().time()
        with pytest.raises(DownloadError):
            await read(fetch, home.url, into=got)
        assert BODY.startswith(got)
        assert got
        service = origins(home.url).service
        assert (service._all.failures, service._all.answers) == (1, 0)
        home.behave = whole
        assert await read(fetch, home.url) == (200, BODY)
        assert asyncio.get_running_loop().time() - start >= 0.5
        assert (service._all.failures, service._all.answers) == (1, 1)


async def test_body_that_falls_silent_is_broken_off():
    """A minute of silence in the middle is the end of the try."""

    async def silent(request):
        await breaking(request)
        await asyncio.sleep(1000)

    async with Server(silent) as home, Http() as http:
        with pytest.raises(DownloadError):
            await asyncio.wait_for(read(fetch_of(http, Origins(), home), home.url), 100)


def drip(chunk, times, seconds):
    """A body that comes in chunks, with pauses between them."""

    async def slow(request):
        response = web.StreamResponse(headers={"Content-Length": str(len(chunk) * times)})
        await response.prepare(request)
        for _ in range(times):
            await response.write(chunk)
            await asyncio.sleep(seconds)
        return response

    return slow


async def test_slow_body_takes_as_long_as_it_takes():
    """There is no limit on the whole of a download at 1,200 bytes a second."""
    async with Server(drip(b"x" * 60_000, 100, 50)) as home, Http() as http:
        assert await read(fetch_of(http, Origins(), home), home.url) == (200, b"x" * 6_000_000)


@pytest.mark.parametrize("seconds", [1, 50])
async def test_a_body_that_trickles_is_broken_off(seconds):
    """Below 1,000 bytes a second over a minute; what came is kept; the reader's own time does not count."""
    got = bytearray()

    async def trickle(fetch, url, pause):
        async with fetch.open(url) as answer:
            async for chunk in answer.chunks():
                got.extend(chunk)
                await asyncio.sleep(pause)

    async with Server(drip(b"x" * 40, 100, seconds)) as home, Http() as http:
        start = asyncio.get_running_loop().time()
        with pytest.raises(DownloadError):
            await trickle(fetch_of(http, Origins(), home), home.url, 0)
        assert 60 <= asyncio.get_running_loop().time() - start <= 60 + seconds + 1
        assert 40 <= len(got) < 4000
    async with Server(drip(b"x" * 40, 3, 0)) as home, Http() as http:
        await trickle(fetch_of(http, Origins(), home), home.url, 100)


@pytest.mark.parametrize("code", [403, 404, 410, 416])
async def test_refusals_are_the_archives_to_judge(code):
    """A refusal is handed on: a link may have expired, a range may be wrong."""

    async def refuse(_request):
        return web.Response(status=code)

    async with Server(refuse) as home, Http() as http:
        origins = Origins()
        assert await read(fetch_of(http, origins, home), home.url) == (code, b"")
        assert origins(home.url).service.up


async def test_html_in_place_of_an_archive_is_a_failure():
    """A page of HTML with status 200 is a proxy's apology, not an archive."""

    async def page(_request):
        return web.Response(text="<html>sorry</html>", content_type="text/html")

    async with Server(page) as home, Http() as http:
        with pytest.raises(DownloadError):
            await read(fetch_of(http, Origins(), home), home.url)


async def test_encoded_archive_is_refused():
    """Bytes that are encoded although none were asked for cannot be resumed or verified."""

    async def encoded(_request):
        return web.Response(body=b"x", headers={"Content-Encoding": "br", "Content-Type": "application/zip"})

    async with Server(encoded) as home, Http() as http:
        with pytest.raises(ServiceError, match="encoded"):
            await read(fetch_of(http, Origins(), home), home.url)


async def test_429_and_503_wait_at_the_gate():
    """The next try waits out a 429 or an outage, and succeeds after it."""
    answers = [web.Response(status=429, headers={"Retry-After": "30"}), *[web.Response(status=503)] * 4]

    async def behave(request):
        if not answers:
            return await whole(request)
        reported = answers.pop(0)
        return web.Response(status=reported.status, headers=reported.headers)

    async with Server(behave) as home, Http() as http:
        origins = Origins()
        tries = await persist(fetch_of(http, origins, home), home.url)
    assert tries == 6
    assert home.seen[1] - home.seen[0] >= 30
    assert len(origins(home.url).service.view().past) == 1


async def test_download_that_alone_always_breaks_off_ends():
    """One archive that never comes whole, while others do, fails with the reason, and closes no gate."""

    async def behave(request):
        return await (breaking(request) if request.path == "/bad" else whole(request))

    async with Server(behave) as home, Http() as http:
        origins = Origins()

        async def others():
            while True:
                fetch = http.fetch(Ticket("other"), gate_of=origins)
                assert await read(fetch, home.url + "/good") == (200, BODY)
                await asyncio.sleep(1)

        steady, fetch = asyncio.create_task(others()), fetch_of(http, origins, home)
        with pytest.raises(PoisonedError):
            await persist(fetch, home.url + "/bad")
        assert origins(home.url).service.view().past == ()
        steady.cancel()
        await asyncio.gather(steady, return_exceptions=True)


async def test_a_long_download_as_probe_holds_up_no_others():
    """As soon as an archive begins to come the service is up: nobody waits for its end."""

    async def slow(request):
        response = web.StreamResponse(headers={"Content-Length": "2"})
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.sleep(50)
        await response.write(b"x")
        return response

    async with Server(slow) as home, Http() as http:
        origins = Origins()
        service, start = origins(home.url).service, asyncio.get_running_loop().time()
        call = origins(home.url).call(Ticket("x"))
        for _ in range(3):
            service.failed(call, Failure("status 503"))
        assert not service.up
        fetches = [fetch_of(http, origins, home) for _ in range(5)]
        await asyncio.gather(*(read(fetch, home.url) for fetch in fetches))
        assert asyncio.get_running_loop().time() - start <= 5 + 51


def test_origins_are_written_one_way():
    """The origin of an address, without default ports, in small letters."""
    assert origin_of("https://Exchange.Example:443/a?b") == "https://exchange.example"
    assert origin_of("http://127.0.0.1:8081/v1") == "http://127.0.0.1:8081"
    with pytest.raises(ServiceError):
        origin_of("/v1")
