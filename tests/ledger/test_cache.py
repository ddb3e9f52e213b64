"""What a server remembers of aggregates is bounded, and an org's part can be forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.aggregate import USUAL_WEIGHT_BYTES
from jobledger.ledger.domain.job import Job
from jobledger.ledger.store.cache import Cache, Memory

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def job(number: int, **members: Any) -> Job:
    return Job.begin(Job.Registered, f"job-{number}", NOW, [], type="copy", name="n", domain="Global", **members)


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = Memory(3 * USUAL_WEIGHT_BYTES)
    cache = Cache(memory)
    cache.put([job(1), job(2), job(3)])
    assert cache.get("job-1") is not None

    cache.put([job(4)])

    assert [cache.get(f"job-{n}") is not None for n in (1, 2, 3, 4)] == [True, False, True, True]


def test_a_job_with_large_attributes_weighs_more() -> None:
    memory = Memory(10 * USUAL_WEIGHT_BYTES)
    cache = Cache(memory)
    cache.put(job(n) for n in range(5))

    cache.put([job(9, attributes={"large": "x" * 2 * USUAL_WEIGHT_BYTES})])

    assert cache.get("job-9") is not None
    assert cache.get("job-0") is None


def test_what_is_larger_than_the_memory_is_not_remembered() -> None:
    cache = Cache(Memory(USUAL_WEIGHT_BYTES))

    cache.put([job(1, attributes={"large": "x" * USUAL_WEIGHT_BYTES})])
    assert cache.get("job-1") is None

    cache.put([job(2)])
    assert cache.get("job-2") is not None


def test_an_org_forgets_its_own_part_only() -> None:
    memory = Memory(1_000_000)
    mine, others = Cache(memory), Cache(memory)
    mine.put([job(1)])
    others.put([job(1)])

    mine.clear()

    assert mine.get("job-1") is None
    assert mine.head is None
    assert others.get("job-1") is not None


def test_what_is_newer_replaces_what_was_remembered() -> None:
    cache = Cache(Memory(1_000_000))
    older = job(1)
    cache.put([older])
    newer = older.working_copy([])
    newer.start(NOW)

    cache.put([newer])

    assert cache.get("job-1") is newer


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3 * USUAL_WEIGHT_BYTES)), max_size=60))
def test_the_memory_never_holds_more_than_its_limit(puts: list[tuple[int, int]]) -> None:
    """Counted anew, whatever was put in which order and size."""
    limit = 8 * USUAL_WEIGHT_BYTES
    memory = Memory(limit)
    cache = Cache(memory)
    for number, size in puts:
        cache.put([job(number, attributes={"large": "x" * size})])

        held = [it for n in range(10) if (it := cache.get(f"job-{n}")) is not None]
        assert sum(it.weight_bytes for it in held) <= limit
        assert memory._weight_bytes == sum(it.weight_bytes for it in held)


def test_jobs_that_are_gone_make_room() -> None:
    """However many are purged, others stay remembered, and those that were known are not taken to be there."""
    memory = Memory(2 * USUAL_WEIGHT_BYTES)
    cache = Cache(memory)
    cache.put([job(1), job(2)])

    for number in range(2, 9):
        purged = job(number)
        purged.gone = "purged"
        cache.put([purged])
    assert [cache.get(f"job-{n}") is not None for n in (1, 2, 8)] == [True, False, False]

    cache.put([job(9)])
    assert cache.get("job-1") is not None
