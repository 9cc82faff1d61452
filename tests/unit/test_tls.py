"""TLS and proxies over the wire: what is trusted, what is presented, and the messages of failures."""

import contextlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from aiohttp import web
from structlog.testing import capture_logs

from docpipe.config.config import Config, Docex, Tasktracker
from docpipe.config.parsing import Secret
from docpipe.errors import ConfigError
from docpipe.gates import Failure
from docpipe.http import Answer, Http
from docpipe.model import Rate, Ticket
from docpipe.wiring.credentials import open_transports
from tests.gate_world import Process
from tests.proxies import Proxy

pytestmark = pytest.mark.virtual
NGINX = "<html><head><title>400 No required SSL certificate was sent</title></head></html>"
LOGIN = "me:CANARY-p%w"


class Authorities:
    """A private authority, another one, and files that each role would have."""

    def __init__(self, folder):
        self.ours, self.others = trustme.CA(), trustme.CA()
        self.folder = folder
        self.ours.cert_pem.write_to_path(folder / "ca.pem")
        client = self.ours.issue_cert("docpipe@exchange.example")
        client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
        client.private_key_pem.write_to_path(folder / "key.pem")
        client.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        self.others.issue_cert("x@y.example").private_key_pem.write_to_path(folder / "other-key.pem")


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    return Authorities(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def serving(issued, ask_for=None, page=None):
    """An HTTPS server with this certificate; `ask_for` is the authority whose clients it lets in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    if ask_for is not None:
        ask_for.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    seen = []

    async def answer(request):
        seen.append(request)
        if page is not None:
            return web.Response(status=400, text=page, content_type="text/html")
        return web.json_response({"ok": True})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def config_of(folder, url, tracker="https://tracker.example", **docex):
    return Config(
        docex=Docex(base_url=url, **docex),
        tasktracker=Tasktracker(base_url=tracker),
        source=folder / "config.toml",
    )


async def once(config, url):
    async with Http(transports=open_transports(config)) as http, Process(Rate(1000, 1.0)) as process:
        return await http.once(url, gate=process.gate, ticket=Ticket())


async def test_a_private_authority(authorities):
    """With `ca_file` the service is trusted; without it, it is not."""
    async with serving(authorities.ours.issue_cert("localhost")) as (url, seen):
        config = config_of(authorities.folder, url, ca_file="ca.pem")
        assert (await once(config, url)).ok
        assert isinstance(await once(config_of(authorities.folder, url), url), Failure)
    assert len(seen) == 1
    assert seen[0].transport is None or seen[0].url.scheme == "https"


@pytest.mark.parametrize(
    ("kind", "reason", "cure"),
    [
        ("host", "for another host name", "by the name that the certificate has"),
        ("expired", "has expired", "renew it"),
        ("early", "not valid yet", "clock of this machine"),
        ("unknown", "its issuer is not", "`ca_file`"),
        ("nginx", "requires a client certificate", "`client_cert_file`"),
    ],
)
async def test_failures_are_distinguished(authorities, kind, reason, cure):
    """Each is a failure of its own, with the cure; nothing was sent, so the run waits and nothing is lost."""
    now = datetime.now(UTC)
    issued = {
        "host": lambda: authorities.ours.issue_cert("elsewhere.example"),
        "expired": lambda: authorities.ours.issue_cert("localhost", not_after=now - timedelta(days=1)),
        "early": lambda: authorities.ours.issue_cert("localhost", not_before=now + timedelta(days=1)),
        "unknown": lambda: authorities.others.issue_cert("localhost"),
        "nginx": lambda: authorities.ours.issue_cert("localhost"),
    }[kind]()
    async with serving(issued, page=NGINX if kind == "nginx" else None) as (url, seen):
        failure = await once(config_of(authorities.folder, url, ca_file="ca.pem"), url)
    assert isinstance(failure, Failure)
    assert reason in failure.reason
    assert cure in failure.cure
    assert failure.sentence == f"{failure.reason}; {failure.cure}"
    assert not failure.sent
    assert len(seen) == (kind == "nginx")


@pytest.mark.parametrize("files", [("client.pem", ""), ("cert.pem", "key.pem")])
async def test_client_certificates(authorities, files):
    """A service that asks for a certificate gets it, and a foreign origin does not."""
    server = authorities.ours.issue_cert("localhost")
    certificate = {"client_cert_file": files[0], "client_key_file": files[1]}
    asking = serving(server, authorities.ours), serving(server, authorities.ours)
    async with asking[0] as (url, seen), asking[1] as (away, seen_away):
        config = config_of(authorities.folder, url, ca_file="ca.pem", **certificate)
        assert (await once(config, url)).ok
        assert isinstance(await once(config, away), Failure)
    assert len(seen) == 1
    assert seen_away == []


async def test_old_versions_of_tls_are_refused(authorities):
    """TLS 1.1 is not spoken, whatever the server offers."""
    way = open_transports(config_of(authorities.folder, "https://localhost", ca_file="ca.pem")).others
    context = way.tls.context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca_file": "nowhere.pem"}, r"docex: .*nowhere\.pem cannot be read: No such file"),
        ({"ca_file": "key.pem"}, r"key\.pem has to hold certificates as PEM"),
        ({"client_cert_file": "ca.pem", "client_key_file": "key.pem"}, "do not belong together"),
        ({"client_cert_file": "cert.pem", "client_key_file": "other-key.pem"}, "do not belong together"),
        ({"client_cert_file": "cert.pem"}, "a certificate and its private key without a password"),
        ({"client_key_file": "key.pem"}, r"docex\.client_cert_file is missing"),
        ({"proxy_login": Secret(LOGIN)}, r"docex\.proxy is missing"),
    ],
)
async def test_bad_files_are_refused_at_the_start(authorities, given, message):
    """What cannot be used is refused with its name before anything is sent."""
    with pytest.raises(ConfigError, match=message):
        open_transports(config_of(authorities.folder, "https://localhost", **given))


async def test_a_proxy_leads_to_the_service(authorities):
    """Through CONNECT, with its login; TLS is with the service itself, and the tracker goes its own way."""
    server = authorities.ours.issue_cert("localhost")
    async with serving(server) as (url, _), serving(server) as (tracker, _), Proxy(LOGIN) as proxy:
        given = {"ca_file": "ca.pem", "proxy": proxy.url, "proxy_login": Secret(LOGIN)}
        config = config_of(authorities.folder, url, tracker, **given)
        config = replace(config, tasktracker=replace(config.tasktracker, ca_file="ca.pem"))
        assert (await once(config, url)).ok
        assert isinstance(await once(config, tracker), Answer)
    assert len(proxy.asked) == 1
    assert proxy.asked[0].startswith(f"CONNECT {url.removeprefix('https://')} ")


@pytest.mark.parametrize(
    ("scheme", "proxy", "reason", "cure"),
    [
        ("https", Proxy("other:login"), "requires a login (407)", "`proxy_login`"),
        ("http", Proxy("other:login"), "requires a login (407)", "`proxy_login`"),
        ("https", Proxy(refuse=403), "gives no connection (403)", "lets docpipe through"),
        ("https", Proxy(refuse=502), "gives no connection (502)", "ask those who run the proxy"),
        ("https", None, "no connection to the proxy", "`proxy`"),
        ("http", None, "no connection to the proxy", "`proxy`"),
    ],
)
async def test_failures_of_the_proxy(authorities, scheme, proxy, reason, cure):
    """They are reported as the proxy's, and waited out; of plain requests only some are surely its own."""
    async with proxy or contextlib.nullcontext():
        where = "http://127.0.0.1:1" if proxy is None else proxy.url
        given = {"proxy": where, "proxy_login": Secret(LOGIN)}
        url = f"{scheme}://exchange.example"
        failure = await once(config_of(authorities.folder, url, **given), url)
    assert reason in failure.reason
    assert cure in failure.cure
    assert "CANARY" not in failure.sentence


def put(folder, source, name):
    """Replace a file as renewals of certificates do, by a rename."""
    part = folder / "part"
    part.write_bytes((folder / source).read_bytes())
    part.replace(folder / name)


async def test_certificates_are_renewed_under_a_running_docpipe(authorities, tmp_path):
    """New files count for the next request; until all of them fit, the last ones that did are used."""
    for source in authorities.folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    authorities.others.cert_pem.write_to_path(tmp_path / "others.pem")
    put(tmp_path, "others.pem", "trusted.pem")
    async with serving(authorities.ours.issue_cert("localhost"), ask_for=authorities.ours) as (url, seen):
        own = {"client_cert_file": "cert.pem", "client_key_file": "key.pem"}
        config = config_of(tmp_path, url, ca_file="trusted.pem", **own)
        async with Http(transports=open_transports(config)) as http, Process(Rate(1000, 1.0)) as process:

            async def ok():
                answer = await http.once(url, gate=process.gate, ticket=Ticket())
                return isinstance(answer, Answer)

            assert not await ok()
            put(tmp_path, "ca.pem", "trusted.pem")
            assert await ok()
            put(tmp_path, "other-key.pem", "key.pem")
            with capture_logs() as logs:
                assert await ok()
                assert await ok()
            assert [line["event"] for line in logs if "certificates" in line["event"]] == [
                "certificates_not_renewed"
            ]
            (tmp_path / "trusted.pem").unlink()
            assert await ok()
            put(tmp_path, "others.pem", "trusted.pem")
            key = authorities.folder / "key.pem"
            (tmp_path / "key.pem").write_bytes(key.read_bytes())
            assert not await ok()
    assert len(seen) == 4
