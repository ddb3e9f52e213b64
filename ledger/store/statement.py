"""SQL statements, one a file beside the code that runs them, named like the call."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources


@cache
def statement(package: str, name: str) -> str:
    """The text of ``sql/<name>.sql`` of a package."""
    return resources.files(package).joinpath("sql", f"{name}.sql").read_text("utf-8")


@cache
def ledger_statement(name: str) -> str:
    """A statement of the store's own."""
    return statement("jobledger.ledger.store", name)


def shift_parameters(sql: str, by: int) -> str:
    """The statement with each ``$n`` made ``$(n + by)``, to stand in a larger one."""
    return re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + by}", sql)


def parameter_count(sql: str) -> int:
    """The highest ``$n`` in the statement."""
    return max(int(number) for number in re.findall(r"\$(\d+)", sql))
