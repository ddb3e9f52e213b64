"""Query parameters and headers of the native API."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from aiohttp import web

from jobledger.http.members import Reader, integer, read_members
from jobledger.ledger.domain.command import Idempotency
from jobledger.ledger.errors import InvalidCommandError

LARGEST_LIMIT = 1000
DEFAULT_LIMIT = 100
LONGEST_KEY = 255

limit: Reader = integer(1, LARGEST_LIMIT)


def read_parameters(
    request: web.Request, readers: Mapping[str, Reader], *, lists: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The query's parameters, each once but those in *lists*. Raises InvalidCommandError."""
    given: dict[str, Any] = {}
    for name in request.query:
        values = request.query.getall(name)
        if name in lists:
            given[name] = values
        elif len(values) > 1:
            raise InvalidCommandError(f"{name} is given more than once.", parameter=name)
        else:
            given[name] = values[0]
    return read_members(given, readers)


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
    """What tells one request from another under the same key: SHA-256, 32 bytes."""
    return sha256(b"\0".join((method.encode(), path.encode(), body))).digest()
