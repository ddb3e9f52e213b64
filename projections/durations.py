"""A histogram of durations that can be added to another: how percentiles of any number of jobs come from few numbers.

Bounds are the same for all, in whole numbers, so that it makes no difference on which machine, in which order or in how many
pieces durations are counted. Below 128 ms each millisecond is a bucket of its own; above, each doubling is divided into 64. A
percentile is told as the middle of its bucket: within 1/128 (0.8 %) of the true one, or a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

EXACT_BITS = 7
EACH_DOUBLING = 1 << (EXACT_BITS - 1)
MILLISECOND = timedelta(milliseconds=1)


def milliseconds(duration: timedelta) -> int:
    """The duration in whole milliseconds, of one that is negative 0."""
    return max(0, duration // MILLISECOND)


def bucket_of(duration_ms: int) -> int:
    """The bucket of a duration, which is not negative."""
    shift = max(0, duration_ms.bit_length() - EXACT_BITS)
    return shift * EACH_DOUBLING + (duration_ms >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The first millisecond of a bucket, and the first after it."""
    shift = max(0, bucket // EACH_DOUBLING - 1)
    first = (bucket - shift * EACH_DOUBLING) << shift
    return first, first + (1 << shift)


def percentile_s(buckets: Mapping[int, int], fraction: Fraction) -> float | None:
    """The duration, in seconds, that at least this fraction did not exceed; None of none."""
    total = sum(buckets.values())
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen and seen >= fraction * total:
            first, end = bounds_of(bucket)
            # A millisecond's bucket holds what was cut off below it.
            return (first + end) / 2 / 1000 if end - first > 1 else first / 1000
    return None
