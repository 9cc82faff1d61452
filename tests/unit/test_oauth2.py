"""OAuth2 client credentials: tokens are kept, renewed in time, asked for once, whatever the server does."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import structlog

import fakes
from docpipe.config.config import Docex
from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError, ServiceError
from docpipe.http import Grant, OAuth2
from docpipe.http.oauth2 import lifetime
from docpipe.model import Rate, Ticket, WaitKind
from docpipe.plan.virtual import EPOCH_S
from docpipe.wiring.credentials import grant_of
from tests import virtual
from tests.gate_world import Process
from tests.oauth2_support import jwk, jwks, pem, private

pytestmark = pytest.mark.virtual
SECRET = "cl:ient s%cret"  # noqa: S105 -- of no service; it bears what has to be escaped in Basic


@dataclass
class Desk:
    """An OAuth2 server, and credentials that come from it."""

    running: fakes.Running
    process: Process
    oauth2: OAuth2

    @property
    def server(self):
        return self.running.oauth2

    @property
    def issued(self):
        return [f"Bearer {token}" for token in self.server.tokens.issued]

    async def header(self, run="r"):
        return await self.oauth2.header(Ticket(run))


def remote(url, **given):
    usual = {"token_url": url, "client_id": "docpipe", "scope": "system/*.read"}
    return Docex(**({**usual, "client_secret": Secret(SECRET)} | given))


@contextlib.asynccontextmanager
async def desk(given=None, **options):
    settled = {"oauth2_port": 0, "oauth2_secret": SECRET, "wall_clock": virtual.wall_clock}
    async with (
        fakes.serve(fakes.FakeOptions(**(settled | options))) as running,
        Process(Rate(1000, 1.0)) as process,
    ):
        grant = grant_of("docex", remote(running.oauth2.url, **(given or {})), virtual.wall_clock)
        assert isinstance(grant, Grant)
        yield Desk(running, process, OAuth2(process.http, process.gate, grant))


async def test_a_token_is_kept_and_renewed_before_it_expires():
    """Of 300 s a token is used 270, and then another is had: in eight hours as many as that takes."""
    async with desk() as d:
        for _ in range(8 * 60):
            header = await d.header()
            assert d.server.tokens.good(header.removeprefix("Bearer "))
            await asyncio.sleep(60)
        assert len(d.issued) == 8 * 60 / 5
        assert (await d.header()) != d.issued[0]


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        (300, 300),
        ("300", 300),
        (" 59.5 ", 59.5),
        (None, 300),
        ("soon", 300),
        ([], 300),
        (True, 300),
        (float("nan"), 300),
        (float("inf"), 300),
        (10**400, 300),
        (10**30, 86_400),
        (0, 5),
        (-7, 5),
    ],
)
def test_lifetimes_that_servers_tell(expected, seconds):
    """A number, a text, nothing or nonsense: a token is neither used for ever nor asked for all the time."""
    assert lifetime(expected) == seconds


@pytest.mark.parametrize("form", ["text", "missing", "absurd"])
async def test_however_the_lifetime_is_reported(form):
    """The token is used whatever form its lifetime comes in."""
    async with desk(oauth2_expires_in=form) as d:
        assert [await d.header(), await d.header()] == d.issued * 2


async def test_a_thousand_callers_cost_one_token():
    """At the start, and after a refusal: everybody waits for the one request, and says for what."""
    async with desk(latency=0.5) as d:
        tickets = [Ticket(str(n)) for n in range(1000)]
        tasks = [asyncio.ensure_future(d.oauth2.header(ticket)) for ticket in tickets]
        await asyncio.sleep(0.1)
        assert sum(1 for t in tickets if t.wait and t.wait.kind is WaitKind.TOKEN) == 999
        headers = await asyncio.gather(*tasks)
        assert set(headers) == set(d.issued)
        assert len(d.issued) == 1
        await asyncio.sleep(10)
        d.server.tokens.revoke()
        again = await asyncio.gather(*(d.oauth2.refused(headers[0], ticket, 401) for ticket in tickets))
        assert all(again)
        assert len(d.issued) == 2
        assert all(ticket.wait is None for ticket in tickets)


async def test_an_old_token_serves_while_another_is_had():
    """Within the margin one asks, and the others continue with what is still good."""
    async with desk(latency=10.0) as d:
        first = await d.header()
        await asyncio.sleep(272)
        asking = asyncio.ensure_future(d.header("asks"))
        await asyncio.sleep(1)
        assert await d.header("others") == first
        assert await asking == d.issued[1] != first


async def test_a_service_that_refuses_every_token_costs_one_a_second():
    """It starts no stampede at the server of the tokens; a 403, which is about rights, costs none at all."""
    async with desk() as d:
        for second in range(10):
            header = await d.header()
            refusals = (d.oauth2.refused(header, Ticket(str(n)), 401) for n in range(100))
            assert all(await asyncio.gather(*refusals))
            assert len(d.issued) == 2 + second
        assert virtual.wall_clock() - EPOCH_S >= 10
        assert not await d.oauth2.refused(await d.header(), Ticket(), 403)
        assert len(d.issued) == 11


async def test_an_outage_of_the_server_is_waited_out():
    """Two hours of 503 cost a request per probe, and the asking ticket says what it waits for."""
    async with desk(faults=(fakes.Fault.parse("oauth2.token 503 until=7200"),)) as d:
        ticket = Ticket("first")
        first = asyncio.ensure_future(d.oauth2.header(ticket))
        rest = [asyncio.ensure_future(d.header(str(n))) for n in range(100)]
        await asyncio.sleep(3600)
        assert (ticket.wait.kind, ticket.wait.what) == (WaitKind.OUTAGE, "exchange")
        assert set(await asyncio.gather(first, *rest)) == set(d.issued)
        assert len(d.issued) == 1
        assert len(d.server.requests) < 7200 / 45 + 10


async def test_whoever_asks_may_be_cancelled():
    """The next in line asks instead."""
    async with desk(latency=5.0) as d:
        first, second = (asyncio.ensure_future(d.header(run)) for run in ("first", "second"))
        await asyncio.sleep(1)
        first.cancel()
        assert await second == d.issued[-1]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            {"client_secret": Secret("wrong")},
            {},
            r"401 invalid_client; check docex\.client_id",
        ),
        ({"client_id": "other"}, {}, r"401 invalid_client; check docex\.client_id"),
        ({}, {"faults": ("oauth2.token 404",)}, r"answered 404; check docex\.token_url"),
        (
            {},
            {"oauth2_refusal": 200, "oauth2_secret": "another"},
            r"answered 200 invalid_client; check docex",
        ),
        ({"client_secret": Secret("a", SimpleNamespace(read_text=lambda _: ""))}, {}, r"file has to hold"),
    ],
)
async def test_a_refusal_is_reported_with_its_cure(given, options, message):
    """Nothing is tried again soon; the sentence names the keys and bears no secret."""
    options = options | {"faults": tuple(map(fakes.Fault.parse, options.get("faults", ())))}
    async with desk(given, **options) as d:
        with structlog.testing.capture_logs() as logs:
            for _ in range(100):
                with pytest.raises(ServiceError, match=message):
                    await d.header()
        asked = len(d.server.requests)
        assert asked <= 1
        await asyncio.sleep(10)
        with pytest.raises(ServiceError):
            await d.header()
        assert len(d.server.requests) == 2 * asked
    assert [entry["event"] for entry in logs].count("token_refused") == 1
    assert "wrong" not in repr(logs)


async def test_a_secret_is_read_anew_for_each_token(tmp_path):
    """Rotated at the server and in the file, the next token is had with the new secret."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    async with desk({"client_secret": Secret(SECRET, file, Secret)}) as d:
        await d.header()
        file.write_text("another\n")
        d.server.secret = "another"  # noqa: S105 -- of no service
        await asyncio.sleep(600)
        assert await d.header() == d.issued[1]


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
@pytest.mark.parametrize("form", ["PEM", "JWK", "set"])
async def test_signed_assertions(algorithm, form):
    """A key as PEM or JWK authenticates docpipe, each time anew; the fake checks every claim."""
    key = private(algorithm)
    given = {
        "PEM": (pem(key), "k1"),
        "JWK": (json.dumps(jwk(key, "k1")), ""),
        "set": (json.dumps({"keys": [jwk(private("ES384", 7), "k0"), jwk(key, "k1")]}), "k1"),
    }[form]
    signing = {"client_secret": None, "client_assertion_key": Secret(given[0]), "key_id": given[1]}
    async with desk(signing) as d:
        d.server.use_keys(jwks(k1=key))
        await d.header()
        await asyncio.sleep(3600)
        await d.header()
        assert (len(d.issued), d.server.refusals) == (2, [])


@pytest.mark.parametrize("change", ["kid", "key", "aud", "clock", "replay"])
async def test_the_fake_refuses_bad_assertions(change, monkeypatch):
    """The judge judges: a wrong kid, key, audience or time, or one that was used before, is refused."""
    key, other = private("ES384"), private("ES384", 1)
    signing = {"client_secret": None, "client_assertion_key": Secret(pem(key)), "key_id": "k1"}
    async with desk(signing) as d:
        d.server.use_keys(jwks(k2=key) if change == "kid" else jwks(k1=other if change == "key" else key))
        if change == "aud":
            d.server.url += "/other"
        if change == "clock":
            d.running.skip(600)
        if change == "replay":
            monkeypatch.setattr("secrets.token_urlsafe", lambda _: "same")
            await d.header()
            await asyncio.sleep(3600)
        with pytest.raises(ServiceError, match="401 invalid_client"):
            await d.header()
        assert len(d.server.refusals) == 1


async def test_a_signing_key_is_read_anew(tmp_path):
    """Rotated in its file and at the server, the next assertion is signed with the new key."""
    old, new = private("RS384"), private("ES384")
    file = tmp_path / "key.json"
    file.write_text(json.dumps(jwk(old, "2025")))
    signing = {"client_secret": None, "client_assertion_key": Secret(file.read_text(), file, Secret)}
    async with desk(signing) as d:
        d.server.use_keys(jwks(**{"2025": old}))
        await d.header()
        file.write_text(json.dumps(jwk(new, "2026")))
        d.server.use_keys(jwks(**{"2026": new}))
        await asyncio.sleep(600)
        assert await d.header() == d.issued[1]
        assert d.server.refusals == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"token_url": "", "token": None}, r"docex\.token_url is missing, where docex\.client_id"),
        ({"token": Secret("x")}, r"docex\.token and docex\.token_url: give one"),
        ({"client_id": ""}, r"docex\.client_id is missing"),
        ({"client_secret": None}, "either client_secret or client_assertion_key"),
        ({"client_assertion_key": Secret("x")}, "either client_secret or client_assertion_key"),
        ({"client_secret": None, "client_assertion_key": Secret("CANARY")}, "as PEM without a password"),
        ({"client_secret": None, "client_assertion_key": Secret('{"kty": "CANARY"}')}, "as JWK"),
        (
            {"client_secret": None, "client_assertion_key": Secret(pem(private("ES384")))},
            "key_id` has to be set",
        ),
        (
            {
                "client_secret": None,
                "client_assertion_key": Secret(pem(private("ES384"))),
                "key_id": "k",
                "client_auth": "post",
            },
            r"docex\.client_auth is for client_secret",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(given, message):
    """Keys that exclude each other, are missing, or hold no key, are refused before anything is sent."""
    with pytest.raises(ConfigError, match=message) as refused:
        grant_of("docex", remote("https://login.example/token", **given), virtual.wall_clock)
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("algorithm", ["", "RS384"])
async def test_the_endpoint_is_read_from_a_well_known_document(algorithm):
    """Once, and an assertion is made for that endpoint; an outage of the document is waited out."""
    options = {"faults": (fakes.Fault.parse("oauth2.token 503 times=3"),)}
    async with desk(**options) as d:
        document = d.server.url.removesuffix("/token") + "/.well-known/smart-configuration"
        given = {}
        if algorithm:
            key = private(algorithm)
            d.server.use_keys(jwks(k1=key))
            given = {"client_secret": None, "client_assertion_key": Secret(pem(key)), "key_id": "k1"}
        grant = grant_of("docex", remote(document, **given), virtual.wall_clock)
        oauth2 = OAuth2(d.process.http, d.process.gate, grant)
        assert await oauth2.header(Ticket("r")) in d.issued
        await asyncio.sleep(3600)
        assert await oauth2.header(Ticket("r")) in d.issued
        paths = [seen.path for seen in d.server.requests if seen.status == 200]
        assert paths == ["/.well-known/smart-configuration", "/token", "/token"]


@pytest.mark.parametrize("where", ["basic", "post"])
async def test_the_secret_is_sent_where_the_server_wants_it(where):
    """As its document says, or as the configuration does; never in both places."""
    async with desk({"client_auth": where}, oauth2_auth=where) as d:
        assert await d.header() in d.issued
        document = d.server.url.removesuffix("/token") + "/.well-known/smart-configuration"
        grant = grant_of("docex", remote(document), virtual.wall_clock)
        assert await OAuth2(d.process.http, d.process.gate, grant).header(Ticket("r")) in d.issued
        assert len(d.issued) == 2
        assert d.server.refusals == []


async def test_a_secret_in_the_wrong_place_is_reported_with_its_key():
    """A server without a document, that wants the form: the sentence names the key for it."""
    async with desk(oauth2_auth="post") as d:
        with pytest.raises(ServiceError, match=r"401 invalid_client; .*docex\.client_auth"):
            await d.header()
        assert d.server.refusals == ["the secret has to be in the form"]


async def test_a_document_that_is_not_there_is_reported_with_its_cure():
    """The message for a mistyped address names the key to check."""
    async with desk() as d:
        document = d.server.url.removesuffix("/token") + "/.well-known/nothing"
        oauth2 = OAuth2(
            d.process.http, d.process.gate, grant_of("docex", remote(document), virtual.wall_clock)
        )
        with pytest.raises(ServiceError, match=r"answers 404; check docex.token_url"):
            await oauth2.header(Ticket("r"))
