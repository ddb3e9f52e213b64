"""Columns of many rows as a statement's parameters.

asyncpg checks and encodes each element of an array by itself, which costs more than anything else in writing a batch. A literal
is joined in one go; bytes are sent as one piece, with where each begins and how long it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Any, TypeAlias

import orjson

# All bytes in one piece, and the literals of where each begins, from 1, and how long it is: what ``substr`` takes.
Packed: TypeAlias = tuple[bytes, str, str]


def plain_array(values: Iterable[int | str | date]) -> str:
    """The literal of an array of integers, of days, or of words of letters, digits, ``-``, ``_`` and ``.``, which need no quotes.

    A statement takes it as ``$1::text::integer[]``: the parameter is text, cast by Postgres.
    """
    return "{" + ",".join(map(str, values)) + "}"


def null_array(values: Iterable[str | datetime | None]) -> str:
    """As ``plain_array`` of words or instants, where some may be None."""
    # As a JSON array has them, the literal of an array has them, too; and that is written in a tenth of the time.
    return f"{{{orjson.dumps(list(values)).decode()[1:-1]}}}"


def quoted_array(values: Iterable[str]) -> str:
    """The literal of an array of texts, at least one, of any characters but NUL, which Postgres has not."""
    joined = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{joined}"}}'


def packed(values: Sequence[bytes]) -> Packed:
    """Bytes for a statement that takes ``substr($1::bytea, start, length)`` of each."""
    lengths = list(map(len, values))
    starts = list(accumulate(lengths, initial=1))
    return b"".join(values), plain_array(starts[:-1]), plain_array(lengths)


def sparse_array(values: Sequence[Any]) -> Sequence[Any]:
    """The values, or nothing where none is set: beside longer arrays ``unnest`` fills a shorter one up with nulls."""
    return [] if values.count(None) == len(values) else values
