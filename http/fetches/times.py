"""Times as the fetches dialect reads and writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from jobledger.http.members import INSTANT, instant, reads
from jobledger.http.schema import STRING

DAY = re.compile(r"\d{4}-\d\d-\d\d")
WHAT = "is not a date or a time with a zone, such as 2026-11-21 or 2026-11-21T22:34:05Z"


A_DAY_OR_TIME = {"anyOf": [{**STRING, "format": "date"}, instant.schema]}


class End(NamedTuple):
    """The end of a range, which is in it: its *last* second, and what lies just *beyond*."""

    last: datetime
    beyond: datetime


@reads(A_DAY_OR_TIME)
def read_start(value: Any) -> datetime:
    """The first instant of the day, or the instant, that is named. ValueError for what is neither."""
    if isinstance(value, str) and DAY.fullmatch(value):
        return _day(value)
    return _instant(value)


@reads(A_DAY_OR_TIME)
def read_end(value: Any) -> End:
    """The whole day, the whole second, or, given with a fraction, the instant that is named. ValueError for what is none."""
    if isinstance(value, str) and DAY.fullmatch(value):
        beyond = _day(value) + timedelta(days=1)
        return End(beyond - timedelta(seconds=1), beyond)
    last = _instant(value)
    written = INSTANT.fullmatch(value)
    is_fraction = written is not None and written[1] is not None
    return End(last, last + (timedelta(microseconds=1) if is_fraction else timedelta(seconds=1)))


def shown_time(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_duration(seconds: int) -> str:
    """``0s``, ``4m 3s``, ``1h 2m 3s``: from the largest unit that is needed down to seconds."""
    minutes, second = divmod(max(seconds, 0), 60)
    hour, minute = divmod(minutes, 60)
    if hour:
        return f"{hour}h {minute}m {second}s"
    return f"{minute}m {second}s" if minute else f"{second}s"


def _day(value: str) -> datetime:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a day that exists") from None
    return instant(f"{datetime.combine(day, time()).isoformat()}Z")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError(WHAT)
    return instant(value)
