"""Requests: what counts as an answer, what is tried again, and what never leaves."""

import asyncio
import json

import pytest
import structlog
from aiohttp import web

from docpipe.config.parsing import Secret
from docpipe.errors import ServiceError
from docpipe.http import Answer, Http, about, bearer
from docpipe.model import Rate, Ticket, WaitKind
from tests import virtual
from tests.gate_world import Process, Server

pytestmark = pytest.mark.virtual
FAST = Rate(1000, 1.0)


def now() -> float:
    return asyncio.get_running_loop().time()


def script(*answers):
    """A behaviour that gives these answers in turn, and the last one for ever; None drops the connection."""
    left = list(answers)

    async def behave(_request):
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer() if callable(answer) else answer

    return behave


def status(code, **more):
    return lambda: web.Response(status=code, **more)


def ok(body=None):
    return lambda: web.json_response({"ok": True} if body is None else body)


async def ask(behave, method="GET", path="/v1/thing", rate=FAST, **more):
    """One call to a server that behaves so; the answer, the server and the process."""
    async with Server(behave) as server, Process(rate) as process:
        answer = await process.call(server.url + path, method, **more)
    return answer, server, process


async def test_sends_what_it_is_given():
    """Method, query, body, headers and token arrive as given; nothing else goes with them."""
    bodies = []

    async def behave(request):
        bodies.append(await request.json())
        return web.json_response(
            {"id": 1}, status=201, headers={"Location": "/v1/thing/1", "Set-Cookie": "a=b"}
        )

    answer, server, _ = await ask(
        behave,
        "POST",
        params={"external_ref": "a b&c"},
        json={"x": "ü"},
        headers={"Idempotency-Key": "k1"},
        credentials=bearer(Secret("secret")),
    )
    [request] = server.requests
    assert (answer.status, answer.body, answer.headers["location"]) == (201, {"id": 1}, "/v1/thing/1")
    assert answer.ok
    assert bodies == [{"x": "ü"}]
    assert request.query["external_ref"] == "a b&c"
    assert request.headers["Idempotency-Key"] == "k1"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"].startswith("docpipe/")
    assert "Cookie" not in request.headers


async def test_no_cookies_are_kept():
    """A cookie from one answer does not go with the next request."""
    async with Server(_cookie) as server, Process(FAST) as process:
        await process.call(server.url)
        await process.call(server.url)
    assert all("Cookie" not in request.headers for request in server.requests)


async def _cookie(_request):
    return web.json_response({}, headers={"Set-Cookie": "a=b"})


def is_thing(body):
    return about(body["id"], "thing")


async def test_an_answer_about_something_else_is_asked_for_again():
    """What keeps the contract and is about another thing is a failure of the service, with its own reason."""
    answer, server, process = await ask(script(ok({"id": "other"}), ok({"id": "thing"})), check=is_thing)
    assert answer.body == {"id": "thing"}
    assert len(server.seen) == 2
    assert process.service._all.failures == 1


async def test_three_answers_about_other_things_are_an_outage():
    """A service that mixes everything up counts as down, and its reason says so."""
    async with Server(script(ok({"id": "other"}))) as server, Process(FAST) as process:
        task = process.start(process.call(server.url, check=is_thing, run="r"))
        await asyncio.sleep(100)
        assert process.service.view().outage.reason == "an answer to another request"
        assert not task.done()


BROKEN = {
    "html": status(200, text="<html>maintenance</html>", content_type="text/html"),
    "not JSON": status(200, text="{", content_type="application/json"),
    "empty": status(200),
    "another shape": ok([1, 2]),
    "other values": ok({"ok": 1}),
    "deep": status(200, text="[" * 100_000, content_type="application/json"),
    "long": status(200, body=b" " * (4 * 2**20 + 1)),
    "500": status(500),
    "503 html": status(503, text="<html>"),
    "504": status(504),
    "408": status(408),
    "dropped": None,
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_broken_answers_are_tried_again(broken):
    """5xx, dropped connections and answers that break the contract are the service's failure: tried again."""
    answer, server, process = await ask(
        script(BROKEN[broken], BROKEN[broken], ok()), "POST", check=lambda body: body["ok"] is True
    )
    assert answer.body == {"ok": True}
    assert len(server.seen) == 3
    assert process.service.up


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 412, 413, 422])
@pytest.mark.parametrize("body", ['{"title": "no"}', "<html>no</html>", ""])
async def test_refusals_are_answers(code, body):
    """A 4xx is returned at once, whatever its body: the service is up."""
    answer, server, process = await ask(script(status(code, text=body)), check=lambda body: "id" in body)
    assert answer.status == code
    assert not answer.ok
    assert answer.body == (json.loads(body) if body.startswith("{") else None)
    assert len(server.seen) == 1
    assert process.service._health.in_a_row == 0


async def test_good_answer_without_body_where_none_is_checked():
    """Where nothing is relied on, an empty body is fine; HTML still is not."""
    answer, _, _ = await ask(script(status(202)), "DELETE")
    assert (answer.status, answer.body) == (202, None)
    _, server, _ = await ask(
        script(status(200, text="<html>", content_type="text/html"), status(204)), "DELETE"
    )
    assert len(server.seen) == 2


async def test_cut_off_body_is_tried_again():
    """An answer whose body ends before its length is not an answer."""

    async def cut(request):
        response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"ok": true}')

    async def behave(request):
        return await (cut(request) if len(server_seen) < 3 else answer_late(request))

    async def answer_late(_request):
        return web.json_response({"ok": True})

    async with Server(behave) as server, Process(FAST) as process:
        server_seen = server.seen
        answer = await process.call(server.url)
    assert answer.body == {"ok": True}
    assert len(server.seen) == 3


async def test_attempt_times_out_but_waiting_in_line_does_not():
    """The timeout is for one attempt: a caller may stand in line far longer."""

    async def slow(_request):
        if len(seen) == 1:
            await asyncio.sleep(100)
        return web.json_response({"ok": True})

    async with Server(slow) as server, Process(Rate(1, 3600.0)) as process:
        seen, start = server.seen, now()
        tasks = [process.start(process.call(server.url)) for _ in range(4)]
        answers = await asyncio.gather(*tasks)
    assert all(answer.ok for answer in answers)
    assert len(seen) == 5
    assert now() - start > 4 * 3600


async def test_429_closes_the_endpoint_for_everybody_and_is_no_failure():
    """After a 429 nobody is sent until Retry-After, and the service is not blamed."""
    async with (
        Server(script(status(429, headers={"Retry-After": "20"}), ok())) as server,
        Process(FAST) as process,
    ):
        await asyncio.gather(
            *(process.start(process.call(server.url)) for _ in range(3)), _late(process, server)
        )
    assert all(later - server.seen[0] >= 20 for later in server.seen[3:])
    assert process.turns == []


async def _late(process, server):
    await asyncio.sleep(1)
    return await process.call(server.url)


@pytest.mark.parametrize(
    ("rate", "header", "least", "most"),
    [
        (Rate(10, 1.0), {}, 1.0, 1.2),
        (Rate(10, 3600.0), {}, 60.0, 361.0),
        (None, {}, 5.0, 5.1),
        (None, {"Retry-After": "0"}, 1.0, 1.1),
        (FAST, {"Retry-After": "1800000000"}, 300.0, 300.1),
    ],
)
async def test_429_without_a_usable_retry_after(rate, header, least, most):
    """Without Retry-After the endpoint closes for a window, a minute at most; an absurd one is capped."""
    _, server, _ = await ask(script(status(429, headers=header), ok()), rate=rate)
    assert least <= server.seen[1] - server.seen[0] <= most


async def test_503_with_retry_after_is_obeyed():
    """A 503 that says when to come again is not asked before."""
    _, server, _ = await ask(script(status(503, headers={"Retry-After": "100"}), ok()))
    assert server.seen[1] - server.seen[0] >= 100


async def test_hidden_retries_of_aiohttp_pass_the_gate():
    """A GET that aiohttp sends again by itself is charged and observed like any other attempt."""
    _, server, process = await ask(script(None, ok()), rate=Rate(10, 10.0))
    assert len(server.seen) == 2
    assert server.seen[1] - server.seen[0] >= 1.0
    assert process.quota.view().used == 2
    assert process.service._all.failures == 1


async def test_connection_never_made_costs_nothing():
    """Where nobody listens nothing was sent, so no place is held."""
    async with Server() as server:
        url = server.url
    async with Process(Rate(5, 3600.0)) as process:
        task = process.start(process.call(url, run="r"))
        await asyncio.sleep(3600 * 3)
        assert process.quota.view().used == 0
        assert not process.service.up
        assert process.service.view().outage.reason == "no connection: it was refused"
        assert not task.done()


async def test_lost_post_is_looked_up_before_it_is_sent_again():
    """After an answer was lost, the adapter may find that the effect is there."""
    looked = []

    async def look():
        looked.append(True)
        return Answer(201, {}, {"id": "found"}) if len(looked) == 2 else None

    answer, server, _ = await ask(script(None), "POST", before_retry=look)
    assert answer.body == {"id": "found"}
    assert len(server.seen) == 2


async def test_nothing_is_looked_up_when_nothing_was_sent_or_the_answer_was_429():
    """Before a first effect is possible there is nothing to look for."""

    async def look():
        raise AssertionError("looked up for nothing")

    answer, _, _ = await ask(script(status(429), ok()), "POST", before_retry=look)
    assert answer.ok


async def test_long_headers_are_read():
    """A policy, or a signed address, of some 60 KiB; one without end is no answer."""
    value = "x" * 60_000
    answer, server, _ = await ask(script(status(500, headers={"X": "x" * 70_000}), ok()))
    assert (answer.status, len(server.seen)) == (200, 2)
    answer, _, process = await ask(script(lambda: web.json_response({}, headers={"X-Policy": value})))
    assert answer.headers["X-Policy"] == value
    assert process.service._all.failures == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_follows_redirects_within_the_origin(code):
    """A GET follows each kind of redirect; every hop passes the gate."""

    async def behave(request):
        if request.path == "/v1/thing":
            return web.Response(status=code, headers={"Location": "elsewhere?x=%2F"})
        return web.json_response({"path": request.raw_path})

    answer, server, process = await ask(behave, credentials=bearer(Secret("secret")))
    assert answer.body == {"path": "/v1/elsewhere?x=%2F"}
    assert process.quota.view().used == 2
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer secret"] * 2


@pytest.mark.parametrize("code", [307, 308])
async def test_post_is_redirected_with_its_body(code):
    """307 and 308 repeat a POST as it was."""
    bodies = []

    async def behave(request):
        bodies.append(await request.json())
        if request.path == "/v1/thing":
            return web.Response(status=code, headers={"Location": "/other"})
        return web.json_response({"ok": request.method})

    answer, _, _ = await ask(behave, "POST", json={"a": 1})
    assert answer.body == {"ok": "POST"}
    assert bodies == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize(
    ("method", "code", "location"),
    [
        ("POST", 302, "/other"),
        ("POST", 303, "/other"),
        ("PATCH", 301, "/other"),
        ("GET", 302, "http://localhost:1/other"),
        ("GET", 302, "//127.0.0.2/other"),
        ("GET", 302, "ftp://127.0.0.1/other"),
        ("GET", 302, "http://user:pw@127.0.0.1/other"),
        ("GET", 302, "http://127.0.0.1:99999/"),
        ("GET", 302, "/v1/thing"),  # for ever
        ("GET", 302, ""),
    ],
)
async def test_redirects_that_are_not_followed(method, code, location):
    """Elsewhere, in a circle, or with a method that must not be repeated: the call ends with the reason."""
    headers = {"Location": location} if location else {}
    async with Server(script(status(code, headers=headers))) as server, Process(FAST) as process:
        with pytest.raises(ServiceError, match=r"redirect|address|without saying") as error:
            await process.call(server.url + "/v1/thing", method, credentials=bearer(Secret("secret")))
        assert len(server.seen) <= (6 if method == "GET" else 1)
    assert "secret" not in str(error.value)
    assert "pw" not in str(error.value)


async def test_cancelled_call_gives_everything_back():
    """A call that is cancelled under way leaves neither a connection nor a place taken for good."""

    async def slow(_request):
        await asyncio.sleep(10)
        return web.json_response({})

    async with Server(slow) as server, Process(Rate(1, 1.0)) as process:
        ticket = Ticket("r")
        task = process.start(process.call(server.url, ticket=ticket))
        waiting = process.start(process.call(server.url, ticket=(behind := Ticket("s"))))
        await asyncio.sleep(1)
        assert behind.wait.kind is WaitKind.QUOTA
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await waiting).ok
        assert process.quota.view().waiting == 0


async def test_logs_know_no_address_and_no_body():
    """Log lines bear neither queries nor bodies nor tokens."""
    with structlog.testing.capture_logs() as logs:
        await ask(
            script(
                status(500, text="SECRET-B"),
                None,
                status(200, text="SECRET-C", content_type="text/html"),
                status(429),
                ok(),
            ),
            "POST",
            path="/v1/SECRET-P",
            params={"q": "SECRET-Q"},
            json={"name": "SECRET-J"},
            credentials=bearer(Secret("SECRET-T")),
        )
    assert {entry["event"] for entry in logs} >= {
        "request_failed",
        "quota_closed",
        "service_down",
        "service_up",
    }
    assert "SECRET" not in repr(logs)


async def test_is_used_as_a_context_manager():
    """Outside its context the client refuses with a clear word."""
    with pytest.raises(RuntimeError, match="context manager"):
        _ = Http().session


async def test_retry_tells_its_wait():
    """While a call waits for its own next try, its ticket says so."""
    async with Server(script(status(500), ok())) as server, Process(FAST) as process:
        ticket = Ticket("r")
        task = process.start(process.call(server.url, ticket=ticket))
        while ticket.wait is None or ticket.wait.kind is not WaitKind.RETRY:
            await asyncio.sleep(0.01)
        assert ticket.wait.what == "exchange"
        assert ticket.wait.until > virtual.wall_clock()
        assert (await task).ok


async def test_a_pause_that_begins_while_a_token_is_got_holds_the_request():
    """The request has passed its gate and waits for a token: a pause meanwhile sends it back into line."""
    began = asyncio.Event()

    class Slow:
        """A token that takes a minute, the second time it is asked for."""

        asked = 0

        async def header(self, _ticket):
            self.asked += 1
            if self.asked == 2:
                began.set()
                await asyncio.sleep(60)
            return "Bearer x"

        async def refused(self, *_):
            return False

    async with Server() as server, Process(FAST) as process:
        task = process.start(process.call(server.url, credentials=Slow()))
        await began.wait()
        process.service.pause()
        await asyncio.sleep(600)
        assert server.seen == []
        process.service.unpause()
        assert (await task).status == 200
        assert process.quota.view().used == 1


async def test_an_answer_above_the_limit_of_its_request_is_final():
    """What a request allows is read, beyond the usual 4 MiB; more is no outage, but fails this request."""
    large = {"ok": "x" * 5 * 2**20}
    answer, _, _ = await ask(script(ok(large)), limit=8 * 2**20)
    assert answer.body == large
    with pytest.raises(ServiceError, match="larger"):
        await ask(script(ok(large)), limit=2**20)
