"""Searching for jobs by what is said of them, in any order: a condition of the asker's own, over known members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.jobs import shown_job

PACKAGE = "jobledger.projections"
# What stands in the statement where a search's own condition goes, and its own order.
ANY_JOB, BY_ID = "true /* condition */", "org, gen, id /* order */"
TEXT, NUMBER, INSTANT, BOOLEAN = "text", "double precision", "timestamptz", "boolean"
CONTAINS, BEGINS = "CONTAINS", "BEGINS"
OPERATORS = frozenset({"=", "<>", "<", "<=", ">", ">=", "LIKE", CONTAINS, BEGINS})


@dataclass(frozen=True, slots=True)
class Member:
    """A member that a search can name: how a row has it, and of what type it is."""

    expression: str
    type: str
    # Whether every job has it: what is asked of it then goes by its index.
    is_everywhere: bool = False


def _detail(name: str, kind: str = TEXT) -> Member:
    return Member(f"(decisions::json -> 'details' ->> '{name}')::{kind}", kind)


def _workflow(name: str, kind: str = TEXT) -> Member:
    return Member(f"(decisions::json -> 'workflow' ->> '{name}')::{kind}", kind)


MEMBERS: Mapping[str, Member] = MappingProxyType(
    {
        "id": Member("id", NUMBER, is_everywhere=True),
        "type": Member("type", TEXT, is_everywhere=True),
        "state": Member("state", TEXT, is_everywhere=True),
        "domain": Member("domain", TEXT, is_everywhere=True),
        "scheduled_at": Member("scheduled_at", INSTANT),
        "summary": Member("coalesce(course::json ->> 'reason', course::json ->> 'message')", TEXT),
        "name": Member("registration::json ->> 'name'", TEXT),
        # Of two digits, as it is shown.
        "percent": Member(
            "round((100 * coalesce((course::json ->> 'progress')::double precision, 0))::numeric, 2)::double precision",
            NUMBER,
        ),
        "begins_or_registered": Member(
            "coalesce(scheduled_at, (registration::json ->> 'registered_at')::timestamptz)", INSTANT
        ),
        "space_name": Member(
            "(registration::json ->> 'name')"
            " || CASE WHEN type = 'Archive/Purge Jobs' AND right(registration::json ->> 'name', length(id::text) + 1) <> '-' || id"
            " THEN '-' || id ELSE '' END",
            TEXT,
        ),
        "priority": Member("registration::json ->> 'priority'", TEXT),
        "registered_at": Member("(registration::json ->> 'registered_at')::timestamptz", INSTANT),
        "started_at": Member("started_at", INSTANT),
        "ended_at": Member("ended_at", INSTANT),
        "progress": Member("(course::json ->> 'progress')::double precision", NUMBER),
        "closed": Member("coalesce((decisions::json ->> 'closed')::boolean, false)", BOOLEAN),
        **{it: _detail(it) for it in ("description", "notes", "owned_by", "assigned_type", "assigned_to")},
        **{it: _detail(it, INSTANT) for it in ("start_date", "due_date")},
        "parent_job_id": _detail("parent_job_id", NUMBER),
        **{it: _workflow(it, NUMBER) for it in ("template_id", "diagram_id", "diagram_version")},
        **{it: _workflow(it) for it in ("template_name", "diagram_name")},
    }
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A member compared with a value of its type, by one of ``OPERATORS``. LIKE goes without regard to case.

    ``CONTAINS`` and ``BEGINS`` look for a text in a text as it is.
    """

    member: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """A member that is one of some values."""

    member: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class IsAbsent:
    """A member that is not there."""

    member: str


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """What all holds; nothing holds always."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Any_:
    """Of what some holds."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | OneOf | IsAbsent | Not | Every | Any_"


@dataclass(frozen=True, slots=True)
class Order:
    """A member to sort by; what lacks it comes last."""

    member: str
    is_descending: bool = False


class JobSearch:
    """The jobs of every org as the projection has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def jobs(
        self,
        org: str,
        domains: frozenset[str] | None,
        condition: Condition,
        order: Sequence[Order],
        *,
        words: str | None = None,
        start: int = 0,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Up to *limit* jobs from the *start*-th on, as the native API shows them; of the same rank by id.

        Raises DatabaseIsAwayError, also where the search takes longer than a reader may.
        """
        arguments: list[Any] = [org, None if domains is None else sorted(domains), start, limit]
        job_id = int(words) if words is not None and words.isascii() and words.isdecimal() and len(words) < 10 else None
        arguments += [None if words is None else words.lower(), job_id]
        told = _sql(condition, arguments)
        ranks = [f"{MEMBERS[it.member].expression} {'DESC' if it.is_descending else 'ASC'} NULLS LAST" for it in order]
        # Without an order of its own a search goes by the key, and stops where it has enough.
        ranks += ["id"] if ranks else ["org", "gen", "id"]
        # Only names and expressions of this module are put into the text; whatever was asked is a parameter.
        template = statement(PACKAGE, "search_jobs")
        sql = template.replace(ANY_JOB, told).replace(BY_ID, ", ".join(ranks))
        return [shown_job(record) for record in await self._database.fetch(sql, *arguments)]

    async def found(
        self,
        org: str,
        domains: frozenset[str] | None,
        condition: Condition,
        order: Order,
        *,
        start: int,
        limit: int,
    ) -> tuple[list[dict[str, Any]], int]:
        """Up to *limit* jobs from the *start*-th on, and how many are found in all, both of one moment; of the same rank by id.

        Raises DatabaseIsAwayError, also where the search takes longer than a reader may.
        """
        arguments: list[Any] = [org, None if domains is None else sorted(domains), start, limit]
        template = statement(PACKAGE, "found_jobs").replace(ANY_JOB, _sql(condition, arguments))
        direction = "DESC" if order.is_descending else "ASC"
        sql = template.replace("id /* rank */", MEMBERS[order.member].expression)
        sql = sql.replace("ASC /* direction */", f"{direction} NULLS LAST")
        records = await self._database.fetch(sql, *arguments)
        return [shown_job(it) for it in records if it["id"] is not None], records[0]["count"]


def _sql(condition: Condition, arguments: list[Any]) -> str:
    """The condition as SQL; its values are added to *arguments*."""
    match condition:
        case Comparison(member, operator, value):
            assert operator in OPERATORS
            arguments.append(value)
            it = MEMBERS[member]
            value_sql = f"${len(arguments)}::{it.type}"
            if operator == "LIKE":
                # No character escapes another: a pattern that ended in one would be an error.
                return f"coalesce({it.expression} ILIKE {value_sql} ESCAPE '', false)"
            if operator in (CONTAINS, BEGINS):
                asked = f"strpos({it.expression}, {value_sql})"
                return f"coalesce({asked} {'= 1' if operator == BEGINS else '> 0'}, false)"
            told = f"{it.expression} {operator} {value_sql}"
            return told if it.is_everywhere else f"coalesce({told}, false)"
        case OneOf(member, values):
            arguments.append(list(values))
            it = MEMBERS[member]
            told = f"{it.expression} = ANY (${len(arguments)}::{it.type}[])"
            return told if it.is_everywhere else f"coalesce({told}, false)"
        case IsAbsent(member):
            return f"({MEMBERS[member].expression}) IS NULL"
        case Not(inner):
            return f"NOT {_sql(inner, arguments)}"
        case Every(conditions):
            return f"({' AND '.join(_sql(it, arguments) for it in conditions)})" if conditions else "true"
        case Any_(conditions):
            return f"({' OR '.join(_sql(it, arguments) for it in conditions)})"
