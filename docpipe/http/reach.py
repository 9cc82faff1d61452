"""Protects internal addresses where an exchange names other origins (SSRF): only public ones are allowed.

Otherwise a file of an internal server, which only this machine reaches, would be stored as a document. The
check is made for the address of each connection.
"""

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from docpipe.errors import ServiceError
from docpipe.http.redirects import origin_of

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_KEPT_S: Final = 30.0
"""How long the addresses of the exchange itself are cached."""
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "100.100.100.200"),
            *("168.63.129.16", "192.0.0.192"),  # of Azure, which is a public address, and of Oracle
            *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe"),
        ),
    )
)
"""Where cloud machines get their credentials. No exchange has such an address."""
_INSIDE: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
_NAT64: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))
"""IPv4 addresses as the last 32 bits: RFC 6052, RFC 8215, RFC 2765."""
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA gives out for the internet."""
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)
"""Hosts that end in a number are IPv4 addresses for whoever connects: 127.1, 2130706433, 0x7f000001."""
_ANY: Final = ipaddress.IPv4Network("0.0.0.0/8")


def place_of(text: str) -> str | None:
    """The internal network that an IP address belongs to; None for a public address."""
    ip = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    if ip in _METADATA:
        return "metadata"
    if ip.is_loopback or ip.is_unspecified or ip in _ANY:
        return "loopback"
    if ip.is_link_local:
        return "link-local"
    inside = next((network for network in _INSIDE if ip in network), None)
    if inside is not None:
        return str(inside)
    unicast = isinstance(ip, ipaddress.IPv4Address) or ip in _UNICAST
    return None if unicast and ip.is_global and not ip.is_multicast else "reserved"


def _unwrapped(ip: Ip) -> Ip:
    """The IPv4 address within an IPv6 address."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if inner is None and any(ip in network for network in _NAT64):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    if inner is None and int(ip) >> 32 == 0 and int(ip) > 1:  # IPv4-compatible
        inner = ipaddress.IPv4Address(int(ip))
    return inner or ip


@dataclass(frozen=True)
class Reach:
    """The addresses that files of one exchange may come from."""

    home: str
    """An address of the exchange."""
    listed: tuple[str, ...] = ()
    """Origins that the configuration names."""
    allow_http: bool = False
    resolver: type[AbstractResolver] = ThreadedResolver
    _known: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict, compare=False, repr=False)

    def trusted(self, origin: str) -> bool:
        """Whether an origin is the exchange's own, or named in the configuration."""
        return origin == origin_of(self.home) or origin in self.listed

    async def check(self, url: URL) -> None:
        """Check an untrusted address, as far as its text shows.

        Raises:
            ServiceError: if it is not allowed.
        """
        host = url.host or ""
        literal = _is_ip(host)
        if not literal and _NUMBER.fullmatch(host):
            raise ServiceError(f"The exchange names a host that is a number and no IP address ({host}).")
        if URL(self.home).scheme == "https" and url.scheme == "http" and not self.allow_http:
            here = place_of(host) == "loopback" if literal else host == "localhost"
            if not here:
                raise ServiceError(
                    f"The exchange names an address without encryption ({host}); set docex.allow_http = true "
                    "if that is right."
                )
        if literal and not await self.permits(host):
            raise ServiceError(refusal(host))

    async def permits(self, ip: str) -> bool:
        """Whether an IP address may be connected to: in the internet, or where the exchange itself is."""
        place = place_of(ip)
        return place is None or (place != "metadata" and place in await self._homes())

    async def _homes(self) -> frozenset[str]:
        """The networks of the exchange itself."""
        host = URL(self.home).host or ""
        if _is_ip(host):
            return frozenset(filter(None, [place_of(host)]))
        if host in self._known and self._known[host][0] > time.monotonic():
            return self._known[host][1]
        resolver = self.resolver()
        try:
            infos = await resolver.resolve(host, 0, family=socket.AF_UNSPEC)
        except OSError:
            infos = []
        finally:
            await resolver.close()
        places = frozenset(filter(None, (place_of(each["host"]) for each in infos)))
        self._known[host] = time.monotonic() + _KEPT_S, places
        return places


class GuardedResolver(AbstractResolver):
    """Resolves names to allowed addresses."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = reach.resolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name, without internal ones.

        Raises:
            ServiceError: if there are no others.
            OSError: if there are none.
        """
        infos: Sequence[ResolveResult] = await self._inner.resolve(host, port, family)
        permitted = await asyncio.gather(*(self._reach.permits(each["host"]) for each in infos))
        kept = [each for each, good in zip(infos, permitted, strict=True) if good]
        if infos and not kept:
            raise ServiceError(refusal(host))
        return kept

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def refusal(host: str) -> str:
    """The sentence for an internal address."""
    return (
        f"The exchange names an address inside of a private network ({host}); list its origin in "
        "docex.archive_origins if that is right."
    )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
