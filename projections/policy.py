"""The projection of orgs: one row each, with the policy by which its jobs are retained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.policy import NO_POLICY, Policy
from jobledger.ledger.store.codec import wire_time
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


def policy_row(org: Org) -> tuple[Any, ...]:
    """The row of an org, in the order of ``write_policies``."""
    policy = None if org.policy == NO_POLICY else orjson.dumps(org.policy.data).decode()
    return org.version, org.created_on, policy


def read_policy(text: str | None) -> Policy:
    """The policy in a row."""
    return NO_POLICY if text is None else Policy.read(orjson.loads(text))


def org_from_row(org: str, row: asyncpg.Record) -> Org:
    """The aggregate that the row was rendered from."""
    made = Org.__new__(Org)
    made.__base_init__(ORG_STREAM, row["version"], row["begun_at"])
    made.name = org
    made.policy = read_policy(row["policy"])
    if row["fork"] is not None:
        made.fork = row["fork"]
    made.public_key = row["public_key"]
    return made


class PolicyProjection(AnswersNothing):
    """See ``InlineProjection``."""

    name = "policy"
    fold_version = 1
    aggregate_class: type[Aggregate] = Org
    write_statements = MappingProxyType({"write_policies": statement(PACKAGE, "write_policies")})
    loaded_by = None
    tables = (ProjectedTable("org_policy", key=("begun_at",), key_types=("timestamptz",)),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        return [("org_policy", wire_time(changed.after.created_on))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [policy_row(it.after) for it in changes if isinstance(it.after, Org)]
        return [("write_policies", list(zip(*rows, strict=True)))]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        if ORG_STREAM not in streams:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_policy"), org, generation)
        return {it.id: it for it in (org_from_row(org, record) for record in records)}
