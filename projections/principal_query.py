"""Asking who there is, and whose a credential is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from jobledger.ledger.domain.access import principal_stream
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.gathering import Gathering
from jobledger.ledger.store.statement import statement
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"
PLACE_BITS = 32


@dataclass(frozen=True, slots=True)
class KnownPrincipal:
    """A principal as the projection has it, and the credential by which it was looked up.

    ``password_hash`` is argon2id's encoded form, ``credential`` the id of the token or the password; both None where it has no
    password. ``valid_s`` says for how many seconds the token counts, None for ever, or until something is changed;
    ``access_at`` is the ledger's size when who may do what in the org was last changed, by what is told here.
    """

    number: int
    name: str
    roles: tuple[str, ...]
    capabilities: tuple[str, ...]
    home_domain: str
    domains: frozenset[str] | None
    is_disabled: bool
    credential: str | None
    access_at: int
    password_hash: str | None = None
    valid_s: float | None = None

    @property
    def stream(self) -> str:
        """Its stream."""
        return principal_stream(self.number)


class PrincipalQuery:
    """The principals of every org."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_token = Gathering(self._ask_by_token)
        self._by_name = Gathering(self._ask_by_name)

    async def by_token(self, org: str, token_hash: bytes) -> KnownPrincipal | None:
        """Whose token has this SHA-256, None if nobody's, revoked or expired, or disabled. Raises DatabaseIsAwayError."""
        return await self._by_token.answer((org, token_hash))

    async def by_name(self, org: str, name: str) -> KnownPrincipal | None:
        """The principal of that name, disabled or not. Raises DatabaseIsAwayError."""
        return await self._by_name.answer((org, name))

    async def _ask_by_token(self, asked: Sequence[tuple[str, bytes]]) -> Mapping[tuple[str, bytes], KnownPrincipal]:
        orgs, hashes = zip(*asked, strict=True)
        records = await self._database.fetch(statement(PACKAGE, "principal_by_token"), orgs, hashes)
        return {(it["org"], it["hash"]): _principal(it, valid_s=it["valid_s"]) for it in records}

    async def _ask_by_name(self, asked: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], KnownPrincipal]:
        orgs, names = zip(*asked, strict=True)
        records = await self._database.fetch(statement(PACKAGE, "principal_by_name"), orgs, names)
        return {(it["org"], it["name"]): _principal(it, it["hash"], is_disabled=it["is_disabled"]) for it in records}

    async def principal(self, org: str, number: int) -> dict[str, Any]:
        """One principal as a document. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.principals(org, number=number, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no principal {number}.", id=number)
        return page.documents[0]

    async def principals(
        self, org: str, *, after: int = 0, limit: int, number: int | None = None, name: str | None = None
    ) -> Page:
        """Up to *limit* principals with a number beyond *after*. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "list_principals"), org, after, limit + 1, number, name)
        shown = records[:limit]
        return Page([_shown(it) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def token(self, org: str, credential: UUID) -> dict[str, Any]:
        """One token that has not expired, as a document. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.tokens(org, limit=1, credential=credential)
        if not page.documents:
            raise NotFoundError(f"There is no token {credential}.", token=str(credential))
        return page.documents[0]

    async def tokens(
        self, org: str, *, after: int = 0, limit: int, principal: int | None = None, credential: UUID | None = None
    ) -> Page:
        """Up to *limit* tokens that have not expired, beyond a page's *after*. Raises DatabaseIsAwayError."""
        principal_id, version = after >> PLACE_BITS, after & ((1 << PLACE_BITS) - 1)
        records = await self._database.fetch(
            statement(PACKAGE, "list_tokens"), org, principal_id, version, limit + 1, principal, credential
        )
        shown = records[:limit]
        last = shown[-1] if len(records) > limit else None
        return Page(
            [_shown_token(it) for it in shown],
            None if last is None else (last["principal_id"] << PLACE_BITS) | last["version"],
        )

    async def orgs(self) -> list[tuple[str, int, datetime]]:
        """Every org: its name, how many events it has, when the last was recorded. Raises DatabaseIsAwayError."""
        return [tuple(it) for it in await self._database.fetch(statement(PACKAGE, "list_orgs"))]


def _principal(
    record: asyncpg.Record,
    password_hash: bytes | None = None,
    *,
    is_disabled: bool = False,
    valid_s: float | None = None,
) -> KnownPrincipal:
    return KnownPrincipal(
        number=record["id"],
        name=record["name"],
        roles=tuple(record["roles"]),
        capabilities=tuple(record["capabilities"]),
        home_domain=record["home_domain"],
        domains=None if record["domains"] is None else frozenset(record["domains"]),
        is_disabled=is_disabled,
        credential=None if record["credential"] is None else str(record["credential"]),
        access_at=record["access_at"],
        password_hash=None if password_hash is None else password_hash.decode(),
        valid_s=valid_s,
    )


def _shown(record: asyncpg.Record) -> dict[str, Any]:
    names = ("id", "name", "roles", "capabilities", "home_domain", "domains", "is_disabled", "has_password")
    return {
        **{name: record[name] for name in names},
        "tokens": record["token_count"],
        "version": record["version"],
        "added_at": record["added_at"],
    }


def _shown_token(record: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": record["credential"],
        **{
            name: record[name] for name in ("principal_id", "principal", "label", "is_login", "issued_at", "expires_at")
        },
    }
