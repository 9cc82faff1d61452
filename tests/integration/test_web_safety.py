"""What the service does not let happen, sentence by sentence: strangers, other sites, paths, sizes."""

import asyncio
import io
import ipaddress
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from docpipe.web import server
from docpipe.web.app import ROUTES
from docpipe.web.guard import COOKIE
from tests.virtual import wall_clock
from tests.web_support import NEVER, TOKEN, Answer, Served, serving

pytestmark = pytest.mark.virtual

OPEN = {"/healthz", "/readyz", "/login", "/static/{file}", "/static/{version}/{file}"}
CSRF = {"X-Docpipe-CSRF": "1"}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "docpipe",
}


@pytest.fixture
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """A service with a token; the client shows none by itself."""
    options = getattr(request, "param", None)
    async with serving(tmp_path, wall_clock, token=TOKEN, options=options) as running:
        running.headers.clear()
        yield running


@pytest.fixture
async def unguarded(tmp_path: Path) -> AsyncIterator[Served]:
    """A service without a token."""
    async with serving(tmp_path, wall_clock, hosts=("docpipe.example",)) as running:
        yield running


def bearing(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def session_of(served: Served) -> dict[str, str]:
    answer = await served.post("/login", data={"token": TOKEN})
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"]
    return {"Cookie": cookie.partition(";")[0]}


# The token


@pytest.mark.parametrize(("method", "path"), [(route.method, route.path) for route in ROUTES])
async def test_every_route_asks_for_the_token(served: Served, method: str, path: str) -> None:
    """But those that tell nothing of patients; a bad token is as none."""
    for headers in ({}, bearing("wrong"), {"Cookie": f"{COOKIE}=wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = await served.ask(method, re.sub(r"\{.*?\}", "x", path), headers=headers)
        if path in OPEN:
            assert answer.status != 401
        else:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_paths_that_are_none_ask_for_the_token_too(served: Served) -> None:
    """A stranger cannot tell which there are, nor go around by the paths that are open."""
    paths = ("/nothing", "/static/../api/runs", "/login/../api/runs", "//api/runs", "/healthz/", "/API/runs")
    for path in paths:
        answer = await served.raw(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 401 "), path
    assert (await served.ask("DELETE", "/api/runs")).status == 401


async def test_the_token_opens(served: Served) -> None:
    """As a bearer token, whatever the case of the scheme."""
    assert (await served.get("/api/runs", headers=bearing())).status == 200
    assert (await served.get("/api/runs", headers={"Authorization": f"bearer  {TOKEN}"})).status == 200


async def test_a_session_opens(served: Served) -> None:
    """Its cookie is no script's and no other site's, tells nothing of the token, and ends at logout."""
    answer = await served.post("/login", data={"token": TOKEN})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert "Secure" not in attributes
    assert TOKEN not in cookie
    headers = {"Cookie": cookie}
    assert (await served.get("/api/runs", headers=headers)).status == 200
    assert (await served.post("/logout", headers=headers | CSRF)).status == 204
    assert (await served.get("/api/runs", headers=headers)).status == 401
    behind = await served.post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in behind.headers["Set-Cookie"]
    assert behind.headers["Set-Cookie"].startswith("__Host-")
    inside = {"Cookie": behind.headers["Set-Cookie"].partition(";")[0], "X-Forwarded-Proto": "https"}
    assert (await served.get("/api/runs", headers=inside)).status == 200


async def test_a_session_ends_by_itself(served: Served) -> None:
    """Half a day after its login."""
    headers = await session_of(served)
    await asyncio.sleep(12 * 3600 - 1)
    assert (await served.get("/api/runs", headers=headers)).status == 200
    await asyncio.sleep(2)
    assert (await served.get("/api/runs", headers=headers)).status == 401


async def test_a_bad_login(served: Served) -> None:
    """Is a problem for programs, and the form again for people."""
    answer = await served.post("/login", data={"token": "wrong"})
    assert (answer.status, "Set-Cookie" in answer.headers) == (401, False)
    redirected = await served.post("/login", data={"token": "wrong"}, headers={"Accept": "text/html,*/*"})
    assert (redirected.status, redirected.headers["Location"]) == (303, "/login?problem=401")
    assert (await served.post("/login", json={"token": TOKEN})).status == 415
    for body in (b"", b"other=1", b"token=\xff", b"&".join(b"a=1" for _ in range(20))):
        words = {"data": body, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
        assert (await served.post("/login", **words)).status in (400, 401)


async def test_people_are_shown_the_way_in(served: Served) -> None:
    """From the page to the form; programs get a 401 that asks for a token."""
    answer = await served.get("/", headers={"Accept": "text/html"})
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert (await served.get("/")).status == 401
    inside = await served.get("/login", headers=await session_of(served))
    assert (inside.status, inside.headers["Location"]) == (303, "/")


async def test_guessing_is_limited(served: Served) -> None:
    """After ten bad tokens others wait; the right one and sessions are never locked out."""
    cookie = await session_of(served)
    for number in range(10):
        answer = (
            await served.get("/api/runs", headers=bearing(f"wrong{number}"))
            if number % 2
            else await served.post("/login", data={"token": f"wrong{number}"})
        )
        assert answer.status == 401
    for answer in (
        await served.get("/api/runs", headers=bearing("wrong")),
        await served.post("/login", data={"token": "wrong"}),
    ):
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert (await served.get("/api/runs", headers=cookie)).status == 200
    assert (await served.get("/healthz")).status == 200
    assert (await served.get("/api/runs", headers=bearing())).status == 200
    assert (await served.post("/login", data={"token": TOKEN})).status == 303
    await asyncio.sleep(int(answer.headers["Retry-After"]))
    assert (await served.get("/api/runs", headers=bearing("wrong"))).status == 401


async def test_callers_behind_a_proxy_are_apart(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the proxy is trusted, each caller has guesses of its own; else the header says nothing."""

    async def guess(address: str) -> int:
        headers = bearing("wrong") | {"X-Forwarded-For": f"198.51.100.7, {address}"}
        return (await served.get("/api/runs", headers=headers)).status

    assert [await guess(f"192.0.2.{number}") for number in range(11)][-1] == 429
    monkeypatch.setattr(served.web.guard, "_proxies", (ipaddress.ip_network("127.0.0.0/8"),))
    assert [await guess("192.0.2.1") for _ in range(11)] == [401] * 10 + [429]
    assert await guess("192.0.2.2") == 401


async def test_a_one_time_code_signs_in_once(served: Served) -> None:
    """For a quarter of an hour; it is no token."""
    codes = served.web.guard.codes
    code = codes.issue()
    assert (await served.get("/api/runs", headers=bearing(code))).status == 401
    assert (await served.post("/login", data={"token": code})).status == 303
    assert (await served.post("/login", data={"token": code})).status == 401
    late = codes.issue()
    await asyncio.sleep(901)
    assert (await served.post("/login", data={"token": late})).status == 401


async def test_connections_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed; those before it are served on."""
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    first = await asyncio.open_connection("127.0.0.1", served.port)
    second = await asyncio.open_connection("127.0.0.1", served.port)
    third = await asyncio.open_connection("127.0.0.1", served.port)
    assert await third[0].read() == b""
    first[1].write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    assert (await first[0].readline()).startswith(b"HTTP/1.1 200")
    for _, writer in (first, second, third):
        writer.close()


# Other sites


async def test_a_change_by_cookie_needs_the_header(served: Served) -> None:
    """Which no form can send; looking needs none, nor do programs."""
    cookie = await session_of(served)
    refused = await served.post("/api/pause", headers=cookie)
    assert (refused.status, refused.json["type"]) == (403, "urn:docpipe:problem:csrf")
    assert served.docpipe.engine.paused_since is None
    assert (await served.post("/api/pause", headers=cookie | CSRF)).status == 204
    assert (await served.post("/api/resume", headers=bearing())).status == 204
    assert (await served.get("/api/runs", headers=cookie)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[evil"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "SELF"}, 204),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 204),
        ({}, 204),
    ],
)
async def test_other_sites_change_nothing(unguarded: Served, headers: dict[str, str], status: int) -> None:
    """Also where there is no token, and so no cookie: a browser names the origin of a request."""
    reported = {name: unguarded.address if value == "SELF" else value for name, value in headers.items()}
    assert (await unguarded.post("/api/pause", headers=reported)).status == status
    assert (unguarded.docpipe.engine.paused_since is not None) == (status == 204)


async def test_no_site_may_read(served: Served) -> None:
    """There is no CORS: a preflight is refused, and no answer invites."""
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"} | bearing()
    preflight = await served.ask("OPTIONS", "/api/runs", headers=headers)
    assert preflight.status == 405
    looked = await served.get("/api/runs", headers=headers)
    for answer in (preflight, looked):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:PORT", 200),
        ("localhost:PORT", 200),
        ("LocalHost:PORT", 200),
        ("[::1]:PORT", 200),
        ("docpipe.example", 200),
        ("docpipe.example:8443", 200),
        ("127.0.0.1", 421),
        ("127.0.0.1:1", 421),
        ("evil.example:PORT", 421),
        ("docpipe.example.evil.example", 421),
        ("127.0.0.1:PORT.evil.example", 421),
        ("127.0.0.1:PORT@evil.example", 421),
        ("[::1", 421),
        ("", 421),
        (None, 400),
        ("127.0.0.1:PORT\r\nHost: evil.example", 400),
    ],
)
async def test_the_host_has_to_be_ours(unguarded: Served, host: str | None, status: int) -> None:
    """A name that somebody else points at this address (DNS rebinding) is not."""
    line = "" if host is None else f"Host: {host.replace('PORT', str(unguarded.port))}\r\n"
    answer = await unguarded.raw(f"GET /api/runs HTTP/1.1\r\n{line}Connection: close\r\n\r\n".encode())
    assert int(answer.split()[1]) == status


# Headers


async def test_every_answer_bears_the_headers(served: Served) -> None:
    """Errors, redirects and what is no HTTP at all included."""
    (run,) = (await served.post("/api/runs", json={"patients": ["S0"]}, headers=bearing())).json["runs"]
    looks = [
        await served.get("/healthz"),
        await served.get("/api/runs"),
        await served.get("/nothing", headers=bearing()),
        await served.ask("DELETE", "/api/runs", headers=bearing()),
        await served.get("/api/runs?limit=x", headers=bearing()),
        await served.get(f"/api/runs/{run['run_id']}", headers=bearing()),
        await served.get("/", headers={"Accept": "text/html"}),
        await served.post("/api/pause", headers=bearing()),
        await served.get("/api/runs", headers={"Host": "evil.example"}),
        await served.get("/metrics", headers=bearing()),
    ]
    for answer in looks:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (answer.status, name)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for nonsense in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ):
        head = (await served.raw(nonsense)).decode("latin-1")
        assert head.startswith("HTTP/1."), nonsense[:20]
        assert "X-Content-Type-Options: nosniff" in head
        assert "application/problem+json" in head
        assert "aiohttp" not in head


async def test_what_went_wrong_inside_is_not_reported(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer reports the failure, the log its place."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Anna Lee, born 1957")

    monkeypatch.setattr(type(served.docpipe.checkpoints.listing), "page", broken)
    with capture_logs() as lines:
        answer = await served.get("/api/runs", headers=bearing())
    assert answer.status == 500
    assert b"Anna" not in answer.body
    assert [line["route"] for line in lines if line["event"] == "request_failed"] == ["/api/runs"]


async def test_the_access_log_tells_of_no_patient(served: Served) -> None:
    """Method, template, status, time and bytes; no path, no query, no address."""
    paths = (
        "/api/runs?q=Lee%2DAnn",
        "/api/documents/Lee-Ann/0123456789abcdef/text.md",
        "/api/runs/Lee-Ann",
        "/Lee-Ann",
        "/api/services/Lee-Ann",
    )
    with capture_logs() as lines:
        for path in paths:
            await served.get(path, headers=bearing())
        await served.ask("LEEANN", "/", headers=bearing())
        await served.raw(b"Lee-Ann\r\n\r\n")
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["route"] for line in requests] == [
        "/api/runs",
        "/api/documents/{patient_id}/{document_id}/{name}",
        "/api/runs/{run_id}",
        "-",
        "-",
        "-",
        "-",
    ]
    assert requests[0].keys() == {"event", "log_level", "method", "route", "status", "ms", "bytes"}
    assert requests[0]["bytes"] > 0
    reported = json.dumps(lines).lower()
    assert "lee" not in reported
    assert "127.0.0.1" not in reported


# Paths


async def test_no_path_leaves_the_storage(served: Served, tmp_path: Path) -> None:
    """However it is written."""
    (tmp_path / "metadata.json").write_text("secret")
    (tmp_path / "storage" / "metadata.json").write_text("secret")
    (tmp_path / "storage" / "S0").mkdir()
    (tmp_path / "storage" / "S0" / "0123456789abcdef").mkdir()
    (tmp_path / "storage" / "S0" / "0123456789abcdef" / "text.md").symlink_to("/etc/passwd")
    (tmp_path / "storage" / "S0" / "0123456789abcdef" / ".tmp-text.md").write_text("secret")
    up = ("..", "%2e%2e", "..%2f..", "%2e%2e%2f%2e%2e", "..\\..", "%5c..", "%00", ".", "%2f", "/etc", "S0%00")
    names = (
        "metadata.json",
        "text.md",
        "passwd",
        "%2e%2e%2fmetadata.json",
        ".tmp-text.md",
        "original.",
        "x%00.pdf",
    )
    for patient in ("S0", *up):
        for document in ("0123456789abcdef", "runs", *up):
            for name in (*names, *up):
                path = f"/api/documents/{patient}/{document}/{name}"
                answer = await served.raw(
                    f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
                    f"Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode("latin-1")
                )
                assert answer[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 400"), path
                assert b"secret" not in answer
                assert b"root:" not in answer


async def test_no_path_leaves_the_page(served: Served) -> None:
    """Its files are named as files of a page are, and lie in one folder."""
    for name in (
        "..%2fapp.py",
        "%2e%2e%2fapp.py",
        "app.py",
        "a%00.js",
        "x.js",
        ".html",
        "a\\b.js",
        "a%2fb.js",
    ):
        assert (await served.get(f"/static/{name}")).status == 404, name


# Sizes and patience


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "limit"), [("/api/runs", 4 << 20), ("/api/runs/RUN/retry", 64 << 10), ("/login", 64 << 10)]
)
async def test_bodies_are_limited(served: Served, path: str, limit: int, *, chunked: bool) -> None:
    """With a length or without one; one that is just not too large is read."""
    (run,) = (await served.post("/api/runs", json={"patients": ["UNKNOWN"]}, headers=bearing())).json["runs"]
    await served.docpipe.engine.wait()
    media_type = "application/x-www-form-urlencoded" if path == "/login" else "application/json"

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), 60_000):
            yield data[start : start + 60_000]

    async def sent(size: int) -> Answer:
        data = b" " * (size - 2) + b"{}"
        headers = {"Content-Type": media_type} | bearing()
        body = pieces(data) if chunked else io.BytesIO(data)
        return await served.post(path.replace("RUN", run["run_id"]), data=body, headers=headers)

    assert (await sent(limit)).status in (202, 400, 409)
    try:
        answer = await sent(limit + 1)
    except ConnectionError:
        assert chunked, "the answer may be lost when the sender continues"
    else:
        assert (answer.status, answer.json["type"]) == (413, "urn:docpipe:problem:body-too-large")


async def test_a_body_that_nobody_reads_is_limited_too(served: Served) -> None:
    """By the length that it says it has."""
    for size, status in ((64 << 10, 204), ((64 << 10) + 1, 413)):
        assert (await served.post("/api/resume", data=bytes(size), headers=bearing())).status == status


async def test_a_compressed_body_is_refused(served: Served) -> None:
    """It could be a bomb."""
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"} | bearing()
    assert (await served.post("/api/runs", data=b"\x1f\x8b", headers=headers)).status == 415


async def test_a_slow_body_is_given_up(served: Served) -> None:
    """After half a minute, with a problem."""
    head = (
        f"POST /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    began = asyncio.get_running_loop().time()
    answer = await served.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert asyncio.get_running_loop().time() - began < 40


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_without_a_request_is_closed(served: Served, data: bytes) -> None:
    """After half a minute, be it silent or in the middle of its head."""
    began = asyncio.get_running_loop().time()
    assert await served.raw(data) == b""
    assert 25 < asyncio.get_running_loop().time() - began < 40


async def test_an_expected_body_is_asked_for(served: Served) -> None:
    """Other expectations are not met, and not minded."""
    head = (
        f"POST /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nConnection: close\r\nContent-Length: 20\r\nExpect: %s\r\n\r\n"
    )
    body = '{"patients": ["S0"]}'
    asked = await served.raw((head % "100-continue" + body).encode())
    assert asked.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")
    assert (await served.raw((head % "a-miracle" + body).encode())).startswith(b"HTTP/1.1 202 ")


async def test_odd_requests_end_well(served: Served) -> None:
    """Targets and methods that no client of ours sends."""
    for line in (
        "GET http://evil.example/api/runs HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /api/runs?q=%ff HTTP/1.1",
    ):
        answer = await served.raw(
            f"{line}\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        assert answer[:10] in (b"HTTP/1.1 2", b"HTTP/1.1 4"), line


@pytest.mark.parametrize("served", [NEVER], indirect=True)
async def test_hostile_ids_do_no_harm(served: Served) -> None:
    """Ids that are markup, SQL, paths or headers are ids."""
    ids = [
        "<script>alert(1)</script>",
        "'; DROP TABLE runs; --",
        "../../etc",
        "a%0d%0ab: c",
        "é/ü",
        "{}",
        '"\\',
    ]
    answer = await served.post("/api/runs", json={"patients": ids}, headers=bearing())
    assert [run["patient_id"] for run in answer.json["runs"]] == ids
    for patient in ids:
        result = await served.get(f"/api/runs?q={quote(patient, safe='')}", headers=bearing())
        assert [run["patient_id"] for run in result.json["runs"]] == [patient]
        assert result.headers["Content-Type"] == "application/json"
