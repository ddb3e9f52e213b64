"""Parameters and headers that many resources take."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from aiohttp import web

from jobledger.http.members import integer, text
from jobledger.ledger.domain.command import Idempotency
from jobledger.ledger.errors import InvalidCommandError

LARGEST_LIMIT = 1000
DEFAULT_LIMIT = 100
LONGEST_KEY = 255
IDEMPOTENCY_KEY = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"}
# What lists say in their heads.
LINK = {"Link": '`rel="next"`: where the list goes on, if it does.'}

limit = integer(1, LARGEST_LIMIT).about(f"At most so many; {DEFAULT_LIMIT} where it is not said.")
cursor = text(100).about("`next` of the page before; good for the same list alone.")


def idempotency(request: web.Request, body: bytes) -> Idempotency | None:
    """The request's Idempotency-Key with its hash, None where it has none. Raises InvalidCommandError."""
    key = header_key(request)
    return None if key is None else Idempotency(key, request_hash(request.method, request.path, body))


def header_key(request: web.Request) -> str | None:
    """The request's Idempotency-Key, None where it has none. Raises InvalidCommandError."""
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1:
        raise InvalidCommandError("Idempotency-Key is given more than once.", header="Idempotency-Key")
    return checked_key(keys[0]) if keys else None


def checked_key(key: Any) -> str:
    """*key*, if it can be an Idempotency-Key. Raises InvalidCommandError."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidCommandError(
            f"An Idempotency-Key is 1 to {LONGEST_KEY} printable ASCII characters.", header="Idempotency-Key"
        )
    return key


def request_hash(method: str, path: str, body: bytes) -> bytes:
    """What tells one request from another under the same key: SHA-256, 32 bytes. A slash at the path's end does not."""
    return sha256(b"\0".join((method.encode(), path.removesuffix("/").encode(), body))).digest()
