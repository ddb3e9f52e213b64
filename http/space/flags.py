"""True and false, as these clients write them."""

from __future__ import annotations

from typing import Any

from jobledger.http.members import reads
from jobledger.http.schema import BOOLEAN, STRING


@reads({"anyOf": [BOOLEAN, {**STRING, "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}]})
def flag(value: Any) -> bool:
    """True or false, or the word in any case."""
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value
