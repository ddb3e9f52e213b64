"""The projection of principals: who there is in an org, with what roles and domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from jobledger.ledger.domain.access import PRINCIPALS_BY_NAME, Principal
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


class AccessProjection:
    """See ``InlineProjection``."""

    name = "access"
    fold_version = 1
    aggregate_class: type[Aggregate] = Principal
    write_statements = MappingProxyType({"write_principals": statement(PACKAGE, "write_principals")})
    finds = frozenset({PRINCIPALS_BY_NAME})

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        return [("write_principals", list(zip(*map(self._row, changes), strict=True)))]

    def _row(self, change: Changed) -> tuple[Any, ...]:
        principal = change.after
        assert isinstance(principal, Principal)
        grants = {"roles": principal.roles, "home_domain": principal.home_domain, "domains": principal.domains}
        return (principal.principal_id, principal.version, principal.name, orjson.dumps(grants).decode())

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Principals by name: ``{name: id}``."""
        names = [subject for find in finds for subject in find.subjects]
        records = await connection.fetch(statement(PACKAGE, "principals_by_name"), org, generation, names)
        known = {record["name"]: record["id"] for record in records}
        return [{name: known[name] for name in find.subjects if name in known} for find in finds]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """Nothing: a principal's stream is short, and is read whole."""
        return {}
