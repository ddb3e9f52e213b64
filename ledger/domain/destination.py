"""Where archives are copied to: a folder on another host.

As a job's order holds it, ``secret`` being the id under which the password is kept:

    {"host":"backup.example","port":22,"path":"/srv/archive","user":"archiver","secret":"5f0c2a7e-…"}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, NoReturn
from uuid import UUID

from jobledger.ledger.errors import InvalidCommandError

SSH_PORT = 22
LONGEST_PATH_BYTES = 4096
LONGEST_USER_BYTES = 256
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*\.?")
# Also what ends a line somewhere, and halves of characters.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
HOST_AND_PORT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Destination:
    """``host`` is an address, without brackets, or a name in lower case; ``path`` is absolute."""

    host: str
    port: int
    path: str
    user: str

    @classmethod
    def read(cls, address: str, path: str, user: str) -> Destination:
        """*address* is an address or a name, perhaps with ``:port``, an IPv6 one then in brackets. Raises InvalidCommandError."""
        host, port = _read_address(address)
        if not path.startswith("/") or not _is_plain(path, LONGEST_PATH_BYTES):
            raise InvalidCommandError(
                f"The path is absolute, without control characters, {LONGEST_PATH_BYTES} bytes long at most.",
                member="path",
            )
        if not user or not _is_plain(user, LONGEST_USER_BYTES):
            raise InvalidCommandError(
                f"The user's name has no control characters, and 1 to {LONGEST_USER_BYTES} bytes.", member="user"
            )
        return cls(host, port, path.rstrip("/") or "/", user)

    def told(self, secret: UUID) -> dict[str, Any]:
        """As a job's order holds it."""
        return {"host": self.host, "port": self.port, "path": self.path, "user": self.user, "secret": str(secret)}


def _is_plain(text: str, most_bytes: int) -> bool:
    return not CONTROL.search(text) and len(text.encode()) <= most_bytes


def _read_address(text: str) -> tuple[str, int]:
    try:
        return str(IPv6Address(text)) if "%" not in text else _refuse(), SSH_PORT
    except AddressValueError:
        pass
    match = HOST_AND_PORT.fullmatch(text)
    if match is None:
        _refuse()
    port = SSH_PORT if match["port"] is None else int(match["port"])
    if not 0 < port < 65536:
        _refuse()
    try:
        if match["v6"] is not None:
            return (str(IPv6Address(match["v6"])) if "%" not in match["v6"] else _refuse()), port
        if re.fullmatch(r"[0-9.]+", match["host"], re.ASCII):
            # Otherwise 127.1 and 2130706433 would be names, and resolve.
            return str(IPv4Address(match["host"])), port
    except AddressValueError:
        _refuse()
    if not HOST_NAME.fullmatch(match["host"]):
        _refuse()
    return match["host"].lower().rstrip("."), port


def _refuse() -> NoReturn:
    raise InvalidCommandError(
        "The host is an address or a name, perhaps with a port: 192.0.2.7, backup.example:2222, [2001:db8::7]:22.",
        member="ip",
    )
