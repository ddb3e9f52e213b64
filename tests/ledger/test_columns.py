"""Columns as parameters come back from Postgres as the values that they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobledger.ledger.store.columns import null_array, packed, plain_array, quoted_array, sparse_array
from tests.cluster import session

WORDS = st.text("abcXYZ019-_.", min_size=1)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    async with session(database_url) as connection:
        yield connection


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.binary(max_size=300), max_size=30))
async def test_packed_bytes_are_cut_where_they_were_joined(
    connection: asyncpg.Connection[asyncpg.Record], values: list[bytes]
) -> None:
    cut = await connection.fetchval(
        "SELECT coalesce(array_agg(substr($1::bytea, start, length) ORDER BY n), '{}')"
        " FROM unnest($2::text::integer[], $3::text::integer[]) WITH ORDINALITY AS p (start, length, n)",
        *packed(values),
    )
    assert cut == values


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(-(2**31), 2**31 - 1)), words=st.lists(WORDS))
async def test_plain_arrays_are_read_as_what_they_were(
    connection: asyncpg.Connection[asyncpg.Record], numbers: list[int], words: list[str]
) -> None:
    read = await connection.fetchrow(
        "SELECT $1::text::integer[], $2::text::text[]", plain_array(numbers), plain_array(words)
    )
    assert read is not None
    assert [*read] == [numbers, words]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1),
    words=st.lists(st.none() | WORDS),
    times=st.lists(st.none() | st.datetimes(timezones=st.just(UTC))),
)
async def test_texts_of_any_characters_and_what_may_be_none_are_read_as_what_they_were(
    connection: asyncpg.Connection[asyncpg.Record],
    texts: list[str],
    words: list[str | None],
    times: list[datetime | None],
) -> None:
    read = await connection.fetchrow(
        "SELECT $1::text::text[], $2::text::text[], $3::text::timestamptz[]",
        *(quoted_array(texts), null_array(words), null_array(times)),
    )
    assert read is not None
    assert [*read] == [texts, words, times]


async def test_a_column_of_nothing_is_filled_up_with_nulls(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    rows = await connection.fetch(
        "SELECT * FROM unnest($1::integer[], $2::text[])", [1, 2, 3], sparse_array([None, None, None])
    )
    assert [tuple(row) for row in rows] == [(1, None), (2, None), (3, None)]
    assert sparse_array([None, "a"]) == [None, "a"]
