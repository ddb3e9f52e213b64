"""Which hosts archives may be copied to: by address, so that no name leads anywhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from jobledger.ledger.errors import InvalidCommandError

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

# A resolver that is silent.
RESOLVING_S = 10.0
MOST_ADDRESSES = 8
# Where nothing is set: all but loopback, link-local, multicast, unspecified and broadcast addresses.
REFUSED: tuple[Network, ...] = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")),
    *map(IPv6Network, ("::/128", "::1/128", "fe80::/10", "ff00::/8")),
)
# Where an IPv4 address stands in an IPv6 one, and leads to it: it is what is judged.
NAT64 = IPv6Network("64:ff9b::/96")


class HostNotAllowedError(InvalidCommandError):
    """Archives may not be copied to this host."""

    code = "host_not_allowed"


class RemoteHosts:
    """The hosts within *allowed*; None: all but those that ``REFUSED`` names."""

    def __init__(self, allowed: Sequence[Network] | None = None) -> None:
        self._allowed = None if allowed is None else tuple(allowed)

    def permits(self, address: str) -> bool:
        """Whether a host at this address is one of them."""
        plain = _plain(ip_address(address))
        if self._allowed is None:
            return not any(plain in network for network in REFUSED)
        return any(plain in network for network in self._allowed)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of *host* that are permitted, as the resolver gives them now; at least one.

        Raises HostNotAllowedError, also where the name does not resolve: whoever asks learns no more of names than of hosts.
        """
        try:
            async with asyncio.timeout(RESOLVING_S):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
        except (OSError, TimeoutError, UnicodeError):
            found = []
        addresses = dict.fromkeys(str(told[4][0]) for told in found)
        # An address with a scope (fe80::1%eth0) is link-local.
        permitted = [it for it in addresses if "%" not in it and self.permits(it)]
        if not permitted:
            raise HostNotAllowedError("Archives may not be copied to this host.", host=host)
        return permitted[:MOST_ADDRESSES]


def _plain(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
