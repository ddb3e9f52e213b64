"""Arrays as literals: asyncpg checks and encodes each element by itself, a literal is joined in one go at half the cost."""

from __future__ import annotations

from collections.abc import Iterable


def plain_array(values: Iterable[int | str]) -> str:
    """The literal of an array of integers, or of words of letters, digits, ``-``, ``_`` and ``.``, which need no quotes.

    A statement takes it as ``$1::text::integer[]``: the parameter is text, cast by Postgres.
    """
    return "{" + ",".join(map(str, values)) + "}"
