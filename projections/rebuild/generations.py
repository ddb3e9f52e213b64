"""Generations of a projection's rows in Postgres: comparing two of them, and deleting those that are not live.

Rows are compared one by one, by all their columns but the generation; what comes out is which differ. The *hash* of rows is the
sum, modulo 2^64, of ``hash_record_extended(ROW(columns), 0)``: it does not depend on any order, so that rows can be hashed in parts
and a changed row exchanged. It tells equal rows to whoever sees them at different times. It is not made to withstand an adversary:
the comparison is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import ProjectedTable

HASH_MODULUS = 2**64
# So many rows are compared, or deleted, in one transaction.
ROWS_A_COMPARISON = 10_000
ROWS_A_DELETION = 2_000
# So many of those that differ are told of, and so many are remembered to be looked at again.
MOST_TOLD = 5

COLUMNS = """
SELECT attname FROM pg_attribute
 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'org' AND attname <> 'gen' ORDER BY attnum
"""
# $1 org, $2 live generation, $3 the other one, and what the condition takes. See ``COMPARED``.
COMPARE = """
WITH live AS MATERIALIZED (
  SELECT {row}, ROW({columns}) AS told FROM {table} AS t
   WHERE org = (SELECT $1::text) AND gen = (SELECT $2::integer) AND ({condition}) AND {which}
), made AS MATERIALIZED (
  SELECT {row}, ROW({columns}) AS told FROM {table} AS t
   WHERE org = (SELECT $1::text) AND gen = (SELECT $3::integer) AND ({condition}) AND {which}
)
SELECT (SELECT count(*) FROM live) AS live_rows,
       (SELECT coalesce(sum(hash_record_extended(told, 0)), 0) FROM live) AS live_hash,
       (SELECT count(*) FROM made) AS made_rows,
       (SELECT coalesce(sum(hash_record_extended(told, 0)), 0) FROM made) AS made_hash,
       ARRAY(SELECT DISTINCT {told}
               FROM live FULL JOIN made USING ({row})
              WHERE live.told IS DISTINCT FROM made.told) AS differing
"""
BETWEEN = "($4::text IS NULL OR {key} > {fourth}) AND ($5::text IS NULL OR {key} <= {fifth})"
AMONG = "{key} {among}"
# The key that so many rows lie before, from one on: $1 org, $2 gen, $3 after which key or null, $4 how many.
BOUND = """
SELECT {told} FROM {table}
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND ($3::text IS NULL OR {key} > {third})
 ORDER BY {order} OFFSET $4::integer LIMIT 1
"""
# A row of each generation, of one key: $1 org, $2 gen, $3 key.
ROWS = """
SELECT (to_jsonb(t) - 'org' - 'gen')::text AS row FROM {table} AS t
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND {key} = {third} AND ({condition}) ORDER BY {row} LIMIT 100
"""
# $1 org, $2 the live generation.
OTHER_GENERATION = (
    "SELECT gen FROM {table} WHERE org = (SELECT $1::text) AND gen < $2::integer ORDER BY gen LIMIT 1",
    "SELECT gen FROM {table} WHERE org = (SELECT $1::text) AND gen > $2::integer ORDER BY gen DESC LIMIT 1",
)
# $1 org, $2 gen, $3 how many.
DELETE = """
DELETE FROM {table}
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE org = (SELECT $1::text) AND gen = $2::integer LIMIT $3::integer))
"""


@dataclass(slots=True)
class Hashed:
    """How many rows, and their hash."""

    rows: int = 0
    hash: int = 0

    def add(self, other: Hashed, sign: int = 1) -> None:
        """These rows more; with the sign -1, fewer."""
        self.rows += sign * other.rows
        self.hash = (self.hash + sign * other.hash) % HASH_MODULUS


@dataclass(frozen=True, slots=True)
class Compared:
    """Some rows of two generations: what they come to, and the keys of those that are not the same in both."""

    live: Hashed
    made: Hashed
    differing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of a table that are not what the events make: how many keys, the first few, and the columns that differ there."""

    table: str
    count: int
    keys: Sequence[str]
    columns: Mapping[str, Sequence[str]]


class Generations:
    """The rows of an org in one table."""

    def __init__(self, org: str, table: ProjectedTable) -> None:
        self.org = org
        self.table = table
        self._statements: dict[str, str] = {}

    async def _statement(self, connection: Connection, template: str) -> str:
        if template not in self._statements:
            columns = [record[0] for record in await connection.fetch(COLUMNS, self.table.name)]
            known = {
                "table": self.table.name,
                "key": f"({', '.join(self.table.key)})",
                "order": ", ".join(self.table.key),
                "told": " || ',' || ".join(f"{it}::text" for it in self.table.key),
                "third": self._read_key("$3::text"),
                "fourth": self._read_key("$4::text"),
                "fifth": self._read_key("$5::text"),
                "among": self._among(),
                "row": ", ".join((*self.table.key, *self.table.row)),
                "columns": ", ".join(columns),
                "condition": self.table.condition,
            }
            # What a template takes may be a template itself.
            self._statements[template] = template.format(**known)
        return self._statements[template]

    def _read_key(self, text: str) -> str:
        """The key that a text tells."""
        if len(self.table.key) == 1:
            return f"{text}::{self.table.key_types[0]}"
        return f"({', '.join(self._key_parts(text))})"

    def _key_parts(self, text: str) -> list[str]:
        return [f"split_part({text}, ',', {n})::{it}" for n, it in enumerate(self.table.key_types, 1)]

    def _among(self) -> str:
        """That a key is one of those that ``$4`` tells."""
        if len(self.table.key) == 1:
            return f"= ANY ($4::text[]::{self.table.key_types[0]}[])"
        return f"IN (SELECT {', '.join(self._key_parts('told'))} FROM unnest($4::text[]) AS asked (told))"  # noqa: S608  # of names in code

    async def bound(self, connection: Connection, live: int, made: int, after: str | None) -> str | None:
        """Up to which key to compare next; None for all there is."""
        sql = await self._statement(connection, BOUND)
        keys = [
            await connection.fetchval(sql, self.org, generation, after, ROWS_A_COMPARISON - 1)
            for generation in (live, made)
        ]
        # Where only one has so many more rows, that one counts; of two keys either leaves fewer of the other's.
        return next((it for it in keys if it is not None), None)

    async def compare_between(
        self, connection: Connection, live: int, made: int, after: str | None, until: str | None
    ) -> Compared:
        """Compare all rows with a key beyond *after*, up to *until*."""
        sql = await self._statement(connection, COMPARE.replace("{which}", BETWEEN))
        return _compared(await connection.fetchrow(sql, self.org, live, made, after, until))

    async def compare_among(self, connection: Connection, live: int, made: int, keys: Collection[str]) -> Compared:
        """Compare the rows with these keys."""
        sql = await self._statement(connection, COMPARE.replace("{which}", AMONG))
        return _compared(await connection.fetchrow(sql, self.org, live, made, sorted(keys)))

    async def difference(self, connection: Connection, live: int, made: int, keys: Collection[str]) -> Difference:
        """What differs in the rows with these keys; told by names alone, as rows may hold what is private."""
        told = sorted(keys, key=lambda it: (len(it), it))[:MOST_TOLD]
        sql = await self._statement(connection, ROWS)
        columns: dict[str, Sequence[str]] = {}
        for key in told:
            both = [
                [orjson.loads(it["row"]) for it in await connection.fetch(sql, self.org, generation, key)]
                for generation in (live, made)
            ]
            columns[key] = _differing_columns(*both)
        return Difference(self.table.name, len(keys), told, columns)

    async def delete_others(self, connection: Connection, live: int) -> int:
        """Delete the rows of all generations but the live one, some at a time; how many there were."""
        deleted = 0
        sql = await self._statement(connection, DELETE)
        for template in OTHER_GENERATION:
            other = await self._statement(connection, template)
            while (generation := await connection.fetchval(other, self.org, live)) is not None:
                count = int((await connection.execute(sql, self.org, generation, ROWS_A_DELETION)).split()[1])
                deleted += count
                if count == 0:
                    break
        return deleted


def _compared(record: Any) -> Compared:
    return Compared(
        Hashed(record["live_rows"], int(record["live_hash"]) % HASH_MODULUS),
        Hashed(record["made_rows"], int(record["made_hash"]) % HASH_MODULUS),
        frozenset(record["differing"]),
    )


def _differing_columns(live: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]]) -> list[str]:
    if not made:
        return ["a row that no event makes"]
    if not live:
        return ["no row"]
    if len(live) != len(made):
        return [f"{len(live)} rows instead of {len(made)}"]
    return sorted({name for a, b in zip(live, made, strict=True) for name in a if a[name] != b[name]})
