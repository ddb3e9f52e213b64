"""What a request came from and was sent to, where proxies stand in between: only those that are trusted are believed.

A trusted proxy *appends* the address that it was asked from to ``X-Forwarded-For``, and *sets* ``X-Forwarded-Proto`` and
``X-Forwarded-Host``. What stands further left than a trusted proxy's word may be anybody's.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 3986, section 3.2, without user information: a name or an address, and perhaps a port.
AUTHORITY = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
HEADERS_OF_PROXIES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via")


@dataclass(frozen=True, slots=True)
class Edge:
    """How the server is reached.

    ``public_url`` is what every absolute URL begins with, without a slash at its end; ``None``: the request's own scheme and
    host. ``is_behind_proxy``: that a proxy stands in front was said on the command line, whether or not it is trusted.
    """

    public_url: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    is_behind_proxy: bool = False

    def trusts(self, address: Address | None) -> bool:
        """Whether this is the address of a trusted proxy."""
        return address is not None and any(address in network for network in self.trusted_proxies)


# No proxy, no name of its own.
DIRECT = Edge()
EDGE = web.AppKey("edge", Edge)
ORIGIN = web.RequestKey("origin", str)


@lru_cache(maxsize=1_000)  # a connection's is read for each of its requests
def read_address(text: str) -> Address | None:
    """An address, perhaps with a port, as proxies write it; None for what is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1_000)
def _shown(text: str) -> str | None:
    address = read_address(text)
    return None if address is None else str(address)


def client_address(request: web.BaseRequest, edge: Edge) -> Address | None:
    """The address of whoever asks: the right-most that is no trusted proxy's; None where there is none (a Unix socket).

    What is no address ends the search at the proxy that passed it on.
    """
    client = read_address(request.remote or "")
    if not edge.trusts(client):
        return client
    for word in reversed(_words(request, "X-Forwarded-For")):
        further = read_address(word)
        if further is None:
            return client
        client = further
        if not edge.trusts(client):
            return client
    return client


def shown_address(request: web.BaseRequest, edge: Edge) -> str | None:
    """The same as events and the log have it."""
    if not edge.trusted_proxies:
        return _shown(request.remote or "")
    address = client_address(request, edge)
    return None if address is None else str(address)


def public_url(request: web.Request) -> str:
    """What every absolute URL in an answer begins with: ``https://jobs.example``, without a slash at its end."""
    if ORIGIN not in request:
        request[ORIGIN] = _origin(request, request.app[EDGE])
    return request[ORIGIN]


def is_https(request: web.Request) -> bool:
    """Whether the client speaks TLS with us, or with the proxy in front."""
    edge = request.app[EDGE]
    if edge.public_url is None and not edge.trusted_proxies:
        return request.scheme == "https"
    return public_url(request).startswith("https:")


def is_local(request: web.Request) -> bool:
    """Whether a process of this machine asks, and no proxy on this machine for somebody else."""
    edge = request.app[EDGE]
    client = client_address(request, edge)
    if client is None or not client.is_loopback:
        return False
    if edge.trusts(read_address(request.remote or "")):
        return True
    # A proxy on this machine that nobody told us to trust.
    is_passed_on = any(name in request.headers for name in HEADERS_OF_PROXIES)
    return not is_passed_on and (not edge.is_behind_proxy or bool(edge.trusted_proxies))


def _origin(request: web.Request, edge: Edge) -> str:
    if edge.public_url is not None:
        return edge.public_url
    scheme, host = request.scheme, request.host
    if edge.trusts(read_address(request.remote or "")):
        told_scheme = (_words(request, "X-Forwarded-Proto") or [""])[-1].lower()
        told_host = (_words(request, "X-Forwarded-Host") or [""])[-1]
        scheme = told_scheme if told_scheme in ("http", "https") else scheme
        host = told_host if AUTHORITY.fullmatch(told_host) else host
    if not AUTHORITY.fullmatch(host):
        # Whatever it is, it is no host, and must not come into an answer.
        host = _own_host(request)
    return f"{scheme}://{host}"


def _own_host(request: web.Request) -> str:
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    if not isinstance(name, tuple):
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _words(request: web.BaseRequest, header: str) -> list[str]:
    if not isinstance(request.headers, CIMultiDictProxy):
        # aiohttp's stand-in for a request that it could not read has none.
        return []
    return [word.strip() for value in request.headers.getall(header, []) for word in value.split(",") if word.strip()]
