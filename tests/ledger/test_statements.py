"""That every statement is one, by itself and where it joins others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib import resources
from itertools import combinations

import pytest

from jobledger.ledger.store.appender import Appender
from jobledger.ledger.store.database import Connection, Database
from jobledger.ledger.store.statement import parameter_count, shift_parameters, statement
from tests.world import projections

PACKAGES = (
    *("jobledger.ledger.store", "jobledger.ledger.work", "jobledger.projections"),
    *("jobledger.projections.rebuild", "jobledger.ledger.evidence"),
)
STATEMENTS = [
    (package, file.name.removesuffix(".sql"))
    for package in PACKAGES
    for file in sorted(resources.files(package).joinpath("sql").iterdir(), key=lambda it: it.name)
    if file.name.endswith(".sql")
]
# What stands in a larger statement only.
COMPOSED = {"append"}


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Connection]:
    """A serving connection, as writers have it."""
    connection = await database.take_writer()
    yield connection
    # Who only prepares is not done: a session is idle after a statement.
    await connection.execute("SELECT")
    database.give_back_writer(connection)


@pytest.mark.parametrize(("package", "name"), STATEMENTS)
async def test_every_statement_prepares(writer: Connection, package: str, name: str) -> None:
    """Against the migrated schema, with as many parameters as its header lists."""
    sql = statement(package, name)
    comments = "\n".join(line for line in sql.splitlines() if line.startswith("--"))
    assert comments, "a statement's header says what it is for"
    parameters = parameter_count(sql) if "$" in sql else 0
    assert {f"${n}" for n in range(1, parameters + 1)} <= set(re.findall(r"\$\d+", comments))
    if name in COMPOSED:
        sql += " SELECT"

    prepared = await writer.prepare(sql)

    assert len(prepared.get_parameters()) == parameters


HEADS = frozenset({"write_head", "move_head"})
ANSWERS = frozenset({"remember_answers", "replace_answers"})


async def test_the_append_prepares_with_whatever_joins_it(writer: Connection) -> None:
    """A batch is one statement: with those of the projections, of the answers and of the effects that have rows.

    Whether two can stand beside each other is seen of any two, and of all; each part's parameters are shifted by those before it.
    """
    appender = Appender(projections())
    count = len(appender._parts)
    for size in (1, 2, 3, *range(count - 2, count + 1)):
        for names in combinations(appender._parts, size):
            if len(HEADS.intersection(names)) != 1 or set(names) >= ANSWERS:
                continue
            parts = [(name, [None] * parameter_count(appender._parts[name])) for name in names]
            sql, arguments = appender._joined(parts, "SELECT")
            await writer.prepare(sql)
            assert parameter_count(sql) == len(arguments)


def test_parameters_are_shifted_whole() -> None:
    assert shift_parameters("$1 + $10 - $2", 10) == "$11 + $20 - $12"
    assert parameter_count("$2 $11 $3") == 11
