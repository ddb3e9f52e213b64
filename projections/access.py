"""The projection of principals: who there is in an org, what they may do, and which of their credentials count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.domain.access import Principal, Token, principal_stream
from jobledger.ledger.domain.access_commands import ADMINISTRATORS, PRINCIPALS_BY_NAME
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.credential_commands import PRINCIPALS_BY_CREDENTIAL
from jobledger.ledger.store.codec import wire_time
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
PREFIX = principal_stream(0)[:-1]


def rendered_row(principal: Principal) -> tuple[Any, ...]:
    """The row of a principal, in the order of ``write_principals``."""
    grants = {
        "roles": principal.roles,
        "capabilities": principal.capabilities,
        "home_domain": principal.home_domain,
        "domains": principal.domains,
    }
    return (
        principal.principal_id,
        principal.version,
        principal.name,
        orjson.dumps(grants).decode(),
        principal.is_disabled,
        principal.has_standing_to_manage,
        None if principal.password is None else UUID(principal.password),
        orjson.dumps({name: _rendered_token(it) for name, it in principal.tokens.items()}).decode(),
        principal.created_on,
    )


def _rendered_token(token: Token) -> dict[str, Any]:
    return {
        "version": token.version,
        "issued_at": wire_time(token.issued_at),
        "expires_at": None if token.expires_at is None else wire_time(token.expires_at),
        "is_login": token.is_login,
        "label": token.label,
    }


def principal_from_row(row: asyncpg.Record) -> Principal:
    """The aggregate that the row was rendered from."""
    principal = Principal.__new__(Principal)
    principal.__base_init__(principal_stream(row["id"]), row["version"], row["added_at"])
    principal.principal_id = row["id"]
    principal.name = row["name"]
    principal.roles = list(row["roles"])
    principal.capabilities = list(row["capabilities"])
    principal.home_domain = row["home_domain"]
    principal.domains = None if row["domains"] is None else list(row["domains"])
    principal.is_disabled = row["is_disabled"]
    principal.password = None if row["password"] is None else str(row["password"])
    tokens = {name: _token(members) for name, members in orjson.loads(row["tokens"]).items()}
    # JSON in Postgres keeps no order of its own.
    principal.tokens = dict(sorted(tokens.items(), key=lambda it: it[1].version))
    return principal


def _token(members: Mapping[str, Any]) -> Token:
    expires_at = members["expires_at"]
    return Token(
        version=members["version"],
        issued_at=datetime.fromisoformat(members["issued_at"]),
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        is_login=members["is_login"],
        label=members["label"],
    )


class AccessProjection:
    """See ``InlineProjection``."""

    name = "access"
    fold_version = 2
    aggregate_class: type[Aggregate] = Principal
    write_statements = MappingProxyType({"write_principals": statement(PACKAGE, "write_principals")})
    finds = frozenset({PRINCIPALS_BY_NAME, PRINCIPALS_BY_CREDENTIAL, ADMINISTRATORS})
    loaded_by = None
    tables = (ProjectedTable("principal"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Principal)
        return [("principal", str(changed.after.principal_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [rendered_row(it.after) for it in changes if isinstance(it.after, Principal)]
        return [("write_principals", list(zip(*rows, strict=True)))]

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``.

        Principals by name: ``{name: id}``; by credential: ``{credential: id}``, also of one that counts no longer.
        Administrators: ``[id]``.
        """
        if kind == ADMINISTRATORS:
            records = await connection.fetch(statement(PACKAGE, "administrators"), org, generation)
            return [[record["id"] for record in records]] * len(finds)
        subjects = [subject for find in finds for subject in find.subjects]
        if kind == PRINCIPALS_BY_NAME:
            records = await connection.fetch(statement(PACKAGE, "principals_by_name"), org, generation, subjects)
            known = {record["name"]: record["id"] for record in records}
        else:
            records = await connection.fetch(statement(PACKAGE, "principals_by_credential"), org, subjects)
            known = {record["id"]: record["principal_id"] for record in records}
        return [{it: known[it] for it in find.subjects if it in known} for find in finds]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. A principal that logs in daily has a long stream."""
        ids = [int(it.removeprefix(PREFIX)) for it in streams if it.startswith(PREFIX)]
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_principals"), org, generation, ids)
        principals = map(principal_from_row, records)
        return {it.id: it for it in principals}
