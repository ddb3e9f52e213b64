"""Asking who a credential belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


@dataclass(frozen=True, slots=True)
class KnownPrincipal:
    """A principal as the projection has it; ``password_hash`` is argon2id's encoded form, None where it has none."""

    stream: str
    roles: tuple[str, ...]
    home_domain: str
    domains: frozenset[str] | None
    password_hash: str | None = None


class PrincipalQuery:
    """The principals of every org, by what they show."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_token(self, org: str, token_hash: bytes) -> KnownPrincipal | None:
        """Whose token has this SHA-256, None if nobody's or it expired. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "principal_by_token"), org, token_hash)
        return _principal(records[0]) if records else None

    async def by_name(self, org: str, name: str) -> KnownPrincipal | None:
        """The principal of that name. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "principal_by_name"), org, name)
        return _principal(records[0], records[0]["hash"]) if records else None


def _principal(record: asyncpg.Record, password_hash: bytes | None = None) -> KnownPrincipal:
    return KnownPrincipal(
        stream=f"principal-{record['id']}",
        roles=tuple(record["roles"]),
        home_domain=record["home_domain"],
        domains=None if record["domains"] is None else frozenset(record["domains"]),
        password_hash=None if password_hash is None else password_hash.decode(),
    )
