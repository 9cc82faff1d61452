"""What an exchange names comes from the internet or from where the exchange is, and from nowhere inside."""

import socket
from dataclasses import replace

import pytest
from aiohttp.abc import AbstractResolver
from yarl import URL

from docpipe.config.loading import load
from docpipe.errors import ConfigError, ServiceError
from docpipe.http import Http, Reach
from docpipe.http.reach import GuardedResolver, place_of
from docpipe.model import Ticket
from tests import virtual
from tests.gate_world import Server
from tests.unit.test_http_downloads import BODY, Origins, read, redirect, whole

pytestmark = pytest.mark.virtual
PUBLIC = "https://exchange.example/v1"
NAMES = {
    "exchange.example": ["93.184.216.34"],
    "files.example": ["2606:2800:220:1::1", "93.184.216.35"],
    "inside.example": ["10.1.2.3"],
    "both.example": ["127.0.0.1", "93.184.216.34"],
    "here.example": ["127.0.0.1"],
    "me": ["::1", "127.0.0.1"],
}


class Names(AbstractResolver):
    """Names of a test; each list of addresses may be changed under way."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        if host not in NAMES:
            raise OSError(f"no {host}")
        return [
            {"hostname": host, "host": ip, "port": port, "family": family, "proto": 0, "flags": 0}
            for ip in NAMES[host]
        ]

    async def close(self):
        pass


def reach(home=PUBLIC, **more):
    return Reach(home, resolver=Names, **more)


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("93.184.216.34", None),
        ("2606:2800:220:1::1", None),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("0.0.0.0", "loopback"),  # noqa: S104 -- where nobody listens
        ("0.1.2.3", "loopback"),
        ("::1", "loopback"),
        ("::", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b:1::7f00:1", "loopback"),
        ("64:ff9b:1::5db8:d822", None),
        ("::ffff:0:7f00:1", "loopback"),
        ("fec0::1", "reserved"),
        ("5f00::1", "reserved"),
        ("4000::1", "reserved"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("169.254.170.23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("169.254.1.1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("10.0.0.1", "10.0.0.0/8"),
        ("172.31.255.255", "172.16.0.0/12"),
        ("172.32.0.1", None),
        ("192.168.0.1", "192.168.0.0/16"),
        ("100.64.0.1", "100.64.0.0/10"),
        ("fd12::1", "fc00::/7"),
        ("192.0.2.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("224.0.0.1", "reserved"),
        ("ff02::1", "reserved"),
    ],
)
def test_where_an_address_belongs(ip, place):
    """By its network, however it is written or wrapped."""
    assert place_of(ip) == place


@pytest.mark.parametrize(
    ("home", "ip", "permitted"),
    [
        (PUBLIC, "93.184.216.35", True),
        (PUBLIC, "127.0.0.1", False),
        (PUBLIC, "10.1.1.1", False),
        (PUBLIC, "169.254.169.254", False),
        ("http://127.0.0.1:1", "127.0.0.1", True),
        ("http://[::1]:1", "127.0.0.1", True),
        ("http://me:1", "127.0.0.1", True),
        ("http://me:1", "10.1.1.1", False),
        ("https://inside.example", "10.200.1.1", True),
        ("https://inside.example", "192.168.1.1", False),
        ("https://inside.example", "127.0.0.1", False),
        ("http://169.254.169.254", "169.254.169.254", False),
        ("https://unknown.example", "10.1.1.1", False),
        ("https://unknown.example", "93.184.216.34", True),
    ],
)
async def test_what_may_be_connected_to(home, ip, permitted):
    """The internet, and the network that the exchange is in itself; metadata of clouds never."""
    assert await reach(home).permits(ip) is permitted


@pytest.mark.parametrize(
    ("home", "address", "refused"),
    [
        (PUBLIC, "https://127.0.0.1/x", "private network"),
        (PUBLIC, "https://[::ffff:10.0.0.1]/x", "private network"),
        (PUBLIC, "https://127.1/x", "a number"),
        (PUBLIC, "https://127.0.0.01/x", "a number"),
        (PUBLIC, "https://127.0.0.1./x", "a number"),
        (PUBLIC, "https://2130706433/x", "a number"),
        (PUBLIC, "https://0x7f000001/x", "a number"),
        (PUBLIC, "https://0x7f.1/x", "a number"),
        (PUBLIC, "https://0177.0.0.1/x", "a number"),
        (PUBLIC, "https://0/x", "a number"),
        (PUBLIC, "https://files1.example/x", None),
        (PUBLIC, "https://93.184.216.34/x", None),
        (PUBLIC, "https://files.example/x", None),
        (PUBLIC, "http://files.example/x", "without encryption"),
        ("http://exchange.example", "http://files.example/x", None),
        ("https://localhost", "http://localhost:1/x", None),
        ("https://127.0.0.1", "http://127.0.0.1:1/x", None),
    ],
)
async def test_what_can_be_seen_from_the_address(home, address, refused):
    """Numbers inside, and links without encryption under an exchange that has it."""
    if refused is None:
        await reach(home).check(URL(address))
    else:
        with pytest.raises(ServiceError, match=refused):
            await reach(home).check(URL(address))


async def test_plain_http_may_be_allowed():
    """By a key of the configuration."""
    await reach(allow_http=True).check(URL("http://files.example/x"))


async def test_names_lose_their_addresses_inside():
    """Of several addresses those outside stay; where there are none, the name is refused."""
    resolver = GuardedResolver(reach())
    assert [each["host"] for each in await resolver.resolve("both.example", 1)] == ["93.184.216.34"]
    assert len(await resolver.resolve("files.example", 1)) == 2
    with pytest.raises(ServiceError, match=r"private network \(here.example\)"):
        await resolver.resolve("here.example", 1)
    with pytest.raises(OSError, match="no "):
        await resolver.resolve("nobody.example", 1)


async def test_a_name_is_judged_each_time_it_is_resolved(monkeypatch):
    """A name that leads outside first and inside then (rebinding) is refused then."""
    resolver = GuardedResolver(reach())
    await resolver.resolve("files.example", 1)
    monkeypatch.setitem(NAMES, "files.example", ["127.0.0.1"])
    with pytest.raises(ServiceError, match="private network"):
        await resolver.resolve("files.example", 1)


def fetch(http, reach):
    return http.fetch(Ticket("r"), gate_of=Origins(), home=reach.home, reach=reach)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "here.example"])
async def test_nothing_inside_is_asked(host):
    """A link to this machine, by number or by name, is refused before anything is sent."""
    async with Server(whole) as inside, Http() as http:
        address = inside.url.replace("127.0.0.1", host).replace("http:", "https:")
        with pytest.raises(ServiceError, match="private network"):
            await read(fetch(http, reach()), address)
    assert not inside.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "here.example"])
async def test_no_redirect_leads_inside(host, monkeypatch):
    """Each hop is judged, also that of a server that is trusted itself."""
    async with Server(whole) as inside, Http() as http:
        there = inside.url.replace("127.0.0.1", host) + "/latest/meta-data"
        async with Server(redirect(there)) as home:
            known = reach("http://exchange.example", listed=(home.url,))
            with pytest.raises(ServiceError, match="private network"):
                await read(fetch(http, known), home.url + "/a")
        assert len(home.requests) == 1
        assert not inside.requests


async def test_rebinding_between_two_connections(monkeypatch):
    """A name that was fetched from is judged anew at the next connection, and nothing is remembered of it."""
    async with Server(whole) as server, Http() as http:
        monkeypatch.setitem(NAMES, "turning.example", ["127.0.0.1"])
        home = "http://127.0.0.1:1"
        address = server.url.replace("127.0.0.1", "turning.example")
        known = reach(home)
        assert await read(fetch(http, known), address) == (200, BODY)
        monkeypatch.setitem(NAMES, "turning.example", ["10.0.0.1"])
        await http.foreign(known).connector.close()
        http._foreign.clear()
        with pytest.raises(ServiceError, match="private network"):
            await read(fetch(http, known), address)
    assert len(server.requests) == 1


async def test_connections_of_trusted_origins_are_not_shared():
    """A link to another service of this docpipe does not ride on the connection that is open to it."""
    async with Server(whole) as tracker, Http() as http:
        assert (await read(fetch(http, reach(tracker.url)), tracker.url))[0] == 200
        with pytest.raises(ServiceError, match="private network"):
            await read(fetch(http, reach("http://exchange.example")), tracker.url)
    assert len(tracker.requests) == 1


async def test_listed_origins_are_where_they_are():
    """What the configuration names may lie inside, and be without encryption."""
    async with Server(whole) as inside, Http() as http:
        known = reach(listed=(inside.url,))
        assert await read(fetch(http, known), inside.url + "/a") == (200, BODY)


async def test_an_exchange_on_this_machine_has_its_archives_there():
    """As the fakes have it: another port of the same machine."""
    async with Server(whole) as away, Server(redirect(away.url)) as home, Http() as http:
        assert await read(fetch(http, reach(home.url)), home.url + "/a") == (200, BODY)
    assert virtual


@pytest.mark.parametrize("key", ["base_url", "token_url"])
@pytest.mark.parametrize("service", ["docex", "tasktracker"])
def test_credentials_need_tls(tmp_path, service, key):
    """A token, or a client secret, over plain http is refused, unless that is wanted or it stays here."""
    env = {
        "DOCPIPE_DOCEX__BASE_URL": "https://a.example",
        "DOCPIPE_TASKTRACKER__BASE_URL": "https://b.example",
        f"DOCPIPE_{service.upper()}__TOKEN_URL": "https://c.example",
        f"DOCPIPE_{service.upper()}__CLIENT_ID": "me",
        f"DOCPIPE_{service.upper()}__{key.upper()}": "http://d.example/x",
    }
    (tmp_path / "c.toml").write_text("")
    with pytest.raises(ConfigError, match=rf"{service}\.{key}: credentials .* {service}\.allow_http = true"):
        load(tmp_path / "c.toml", env)
    load(tmp_path / "c.toml", env | {f"DOCPIPE_{service.upper()}__ALLOW_HTTP": "true"})
    for here in ("localhost:1", "127.0.0.1:1", "[::1]:1"):
        load(tmp_path / "c.toml", env | {f"DOCPIPE_{service.upper()}__{key.upper()}": f"http://{here}"})


def test_plain_http_without_credentials_is_no_matter(tmp_path):
    """There is nothing to steal."""
    (tmp_path / "c.toml").write_text("")
    env = {"DOCPIPE_DOCEX__BASE_URL": "http://a.example", "DOCPIPE_TASKTRACKER__BASE_URL": "http://b.example"}
    config = load(tmp_path / "c.toml", env)
    assert replace(config.docex).allow_http is False
