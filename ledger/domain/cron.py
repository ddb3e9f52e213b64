"""Cron expressions as Quartz takes them: six or seven fields, seconds first. Their times are UTC.

    seconds minutes hours day-of-month month day-of-week [year]        0 30 4 ? * MON-FRI 2026-2030

Source: the tables of ``org.quartz.CronExpression`` 2.5, and verdicts and fire times of the real one, which the tests hold. What
it reads over without a word (``5x`` is 5, an eighth field is nothing) is read over here too. Of a day that ``15W`` moves forward it
fires once; we fire all day.

croniter finds the next fire of what it is right about, once every field is a list of values; days that it does not know
(``LW``, ``L-3``, ``15W``) and years from 2100 are found here, and so is how many fires lie between two instants.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from croniter import CroniterBadDateError, croniter

from jobledger.ledger.domain.cron_field import DAY_OF_MONTH, DAY_OF_WEEK, FIELDS, Field, Values, read_field
from jobledger.ledger.errors import InvalidCommandError

# No list of every value that counts is longer.
LONGEST_EXPRESSION = 2_000
LONGEST_SHOWN = 100
LAST_YEAR = 2999
# The calendar repeats itself: what does not come in so many years never does.
CYCLE_YEARS = 400
# croniter knows no years beyond.
FIRST_OWN_YEAR = 2100
MOST_YEARS_APART = 200
SECOND = timedelta(seconds=1)


class InvalidExpressionError(InvalidCommandError):
    """The expression names no time, or none that ever comes."""

    code = "invalid_expression"


@dataclass(frozen=True, slots=True)
class CronExpression:
    """When something recurs. Made by ``CronExpression.parse``."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    # Either of the two is "?".
    days: Values | None
    weekdays: Values | None
    # None: any.
    years: tuple[int, ...] | None
    _croniter: croniter | None = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> CronExpression:
        """The expression. Raises InvalidExpressionError naming the field."""
        if len(text) > LONGEST_EXPRESSION:
            raise InvalidExpressionError(
                f"An expression has at most {LONGEST_EXPRESSION} characters.", limit=LONGEST_EXPRESSION
            )
        return _parse(text)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first fire after *instant*, in UTC; None where there is none."""
        instant = instant.astimezone(UTC)
        if self._croniter is not None and instant.year < FIRST_OWN_YEAR - 1:
            try:
                found: datetime = self._croniter.get_next(datetime, start_time=instant)
            except CroniterBadDateError:
                # Perhaps there is one in a year that it does not know.
                pass
            else:
                if found.year < FIRST_OWN_YEAR:
                    return found
        return self.search_after(instant)

    def search_after(self, instant: datetime) -> datetime | None:
        """As ``next_after``, of any expression, found here."""
        start = instant.astimezone(UTC).replace(microsecond=0) + SECOND
        begin = (start.hour, start.minute, start.second)
        for day in self._days_from(start.date()):
            time = self._time_from(begin if day == start.date() else (0, 0, 0))
            if self._keeps_time and day > start.date() and (day.year, day.month) == (start.year, start.month):
                time = self._time_from(begin) or time
            if time is not None:
                return datetime(day.year, day.month, day.day, *time, tzinfo=UTC)
        return None

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many fires there are after *after*, up to and with *until*."""
        after, until = after.astimezone(UTC), until.astimezone(UTC)
        if until <= after:
            return 0
        count = 0
        for day in self._days_from(after.date()):
            if day > until.date():
                break
            count += self._times_up_to(until) if day == until.date() else self._times_a_day
            if day == after.date():
                count -= self._times_up_to(after)
        return count

    def last_until(self, after: datetime, until: datetime) -> datetime | None:
        """The last fire after *after*, up to and with *until*; None where there is none."""
        low, high = after.astimezone(UTC), until.astimezone(UTC)
        if not self.count_between(low, high):
            return None
        # Halved until one second is left, in which the fire lies.
        while high - low > SECOND:
            middle = low + (high - low) / 2
            if self.count_between(middle, high):
                low = middle
            else:
                high = middle
        return self.next_after(low)

    @property
    def _keeps_time(self) -> bool:
        """Whether, as in Quartz, a search that begins earlier in its month finds no time of the day before that it began at."""
        return self.days is not None and bool(self.days.nearest_from_last)

    @property
    def _times_a_day(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def _times_up_to(self, instant: datetime) -> int:
        hours, minutes, seconds = self.hours, self.minutes, self.seconds
        count = bisect_left(hours, instant.hour) * len(minutes) * len(seconds)
        if instant.hour in hours:
            count += bisect_left(minutes, instant.minute) * len(seconds)
            if instant.minute in minutes:
                count += bisect_right(seconds, instant.second)
        return count

    def _time_from(self, time: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """The first time of a day that is not before *time*."""
        hour, minute, second = time
        if hour in self.hours:
            if minute in self.minutes:
                place = bisect_left(self.seconds, second)
                if place < len(self.seconds):
                    return hour, minute, self.seconds[place]
            place = bisect_right(self.minutes, minute)
            if place < len(self.minutes):
                return hour, self.minutes[place], self.seconds[0]
        place = bisect_right(self.hours, hour)
        return (self.hours[place], self.minutes[0], self.seconds[0]) if place < len(self.hours) else None

    def _days_from(self, first: date) -> Iterator[date]:
        """The days that it fires on, from *first* on."""
        if not self._times_a_day:
            return
        years = self.years
        if years is None:
            years = tuple(range(first.year, min(LAST_YEAR, first.year + CYCLE_YEARS) + 1))
        for year in years[bisect_left(years, first.year) :]:
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for day in self._days_of(year, month):
                    found = date(year, month, day)
                    if found >= first:
                        yield found

    def _days_of(self, year: int, month: int) -> list[int]:
        """Its days in that month, in order."""
        weekday_of_first, last = monthrange(year, month)
        # Sunday is 1, as in the expressions.
        first = (weekday_of_first + 1) % 7 + 1
        if self.days is not None:
            return _days_of_month(self.days, first, last)
        assert self.weekdays is not None
        return _days_of_weekdays(self.weekdays, first, last)


def _days_of_month(days: Values, first: int, last: int) -> list[int]:
    found = {day for day in days.plain if day <= last}
    found |= {last - offset for offset in days.from_last if offset < last}
    moved = {day for day in days.nearest if 1 <= day <= last}
    moved |= {last - offset for offset in days.nearest_from_last if offset < last}
    return sorted(found | {_nearest_weekday(day, first, last) for day in moved})


def _nearest_weekday(day: int, first: int, last: int) -> int:
    """The weekday nearest to *day* in its month."""
    match (first + day - 2) % 7 + 1:
        case 7:
            return day - 1 if day > 1 else day + 2
        case 1:
            return day + 1 if day < last else day - 2
    return day


def _days_of_weekdays(weekdays: Values, first: int, last: int) -> list[int]:
    if weekdays.is_last or weekdays.nth:
        # Of several the first counts alone.
        begin = 1 + (min(weekdays.plain) - first) % 7
        of_it = range(begin, last + 1, 7)
        if weekdays.is_last:
            return [of_it[-1]]
        return [of_it[weekdays.nth - 1]] if weekdays.nth <= len(of_it) else []
    return [day for day in range(1, last + 1) if (first + day - 2) % 7 + 1 in weekdays.plain]


@lru_cache(maxsize=4_096)
def _parse(text: str) -> CronExpression:
    tokens = [
        token.strip("".join(map(chr, range(33)))) for token in text.upper().replace("\t", " ").split(" ") if token
    ]
    read: list[Values] = []
    for what, token in zip(FIELDS, tokens, strict=False):
        days = read[DAY_OF_MONTH] if what.number == DAY_OF_WEEK else None
        read.append(_read(what, token, days))
    if len(read) <= DAY_OF_WEEK:
        missing = FIELDS[len(read)].name
        raise InvalidExpressionError(
            f"The field {missing} is missing: an expression has six fields, or seven with the year.", field=missing
        )
    seconds, minutes, hours, days, months, weekdays = read[:6]
    if days.is_unspecified == weekdays.is_unspecified:
        raise InvalidExpressionError(
            "Exactly one of day-of-month and day-of-week is ?: of both at once Quartz makes nothing.",
            field=FIELDS[DAY_OF_WEEK].name,
        )
    years = read[6] if len(read) > 6 else None
    expression = CronExpression(
        text=text,
        seconds=tuple(sorted(seconds.plain)),
        minutes=tuple(sorted(minutes.plain)),
        hours=tuple(sorted(hours.plain)),
        months=frozenset(months.plain),
        days=None if days.is_unspecified else days,
        weekdays=None if weekdays.is_unspecified else weekdays,
        years=None if years is None or years.is_any else tuple(sorted(years.plain)),
        _croniter=None,
    )
    object.__setattr__(expression, "_croniter", _made_croniter(expression))
    return expression


def _read(what: Field, token: str, days: Values | None) -> Values:
    try:
        return read_field(what, token, days)
    except ValueError as error:
        shown = token if len(token) <= LONGEST_SHOWN else f"{token[:LONGEST_SHOWN]}…"
        raise InvalidExpressionError(f"The field {what.name}, {shown}: {error}.", field=what.name) from None


def _made_croniter(expression: CronExpression) -> croniter | None:
    """What finds its next fires, None where that is none of croniter's: minutes first there, Sunday is 0, seconds follow."""
    days, weekdays = expression.days, expression.weekdays
    own = days is not None and (days.from_last or days.nearest or days.nearest_from_last)
    years = [it for it in expression.years or () if it < FIRST_OWN_YEAR]
    is_empty = not expression.seconds or not expression.minutes or not expression.hours or not expression.months
    if own or is_empty or (expression.years is not None and not years):
        return None
    day, weekday = "*", "*"
    if days is not None:
        if not days.plain:
            return None
        day = _listed(days.plain)
    if weekdays is not None:
        if not weekdays.plain:
            return None
        chosen = sorted({(it - 1) % 7 for it in weekdays.plain})
        if weekdays.is_last or weekdays.nth:
            first = (min(weekdays.plain) - 1) % 7
            weekday = f"L{first}" if weekdays.is_last else f"{first}#{weekdays.nth}"
        elif len(chosen) < 7:
            weekday = _listed(chosen)
    parts = (expression.minutes, expression.hours)
    told = (
        *(_listed(it) for it in parts),
        *(day, _listed(expression.months), weekday, _listed(expression.seconds)),
        *(() if expression.years is None else (_listed(years),)),
    )
    return croniter(" ".join(told), max_years_between_matches=MOST_YEARS_APART)


def _listed(values: object) -> str:
    return ",".join(map(str, sorted(values)))  # type: ignore[call-overload]
