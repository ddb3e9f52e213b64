"""One field of a cron expression, as Quartz reads it: a list of terms, each a value, a range, a step, or a word for days.

A term is read from its left until it is understood; what stands behind that is passed over, as Quartz does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

LARGEST_INTEGER = 2**31 - 1
# Years that can fire: what lies outside is read, and never comes.
YEARS = range(1970, 3000)
LARGEST_OFFSET = 30
SECOND_FIELD, MINUTE_FIELD, HOUR_FIELD, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR = range(7)


class Field(NamedTuple):
    """A field: its place, its name, the values that it takes, the largest step."""

    number: int
    name: str
    values: range
    largest_step: int
    names: tuple[str, ...] = ()


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    Field(SECOND_FIELD, "seconds", range(60), 59),
    Field(MINUTE_FIELD, "minutes", range(60), 59),
    Field(HOUR_FIELD, "hours", range(24), 23),
    Field(DAY_OF_MONTH, "day-of-month", range(1, 32), 31),
    Field(MONTH, "month", range(1, 13), 12, MONTHS),
    Field(DAY_OF_WEEK, "day-of-week", range(1, 8), 7, WEEKDAYS),
    Field(YEAR, "year", YEARS, LARGEST_INTEGER),
)

LAST = re.compile(r"L(-[0-9]*)?W?")
LAST_OFFSET = re.compile(r"L(?:-([0-9]*))?(W?)")
DIGITS = re.compile(r"([0-9]+)(.*)", re.DOTALL)
# Its first digit may be one of any script: so reads Java.
RANGE_END = re.compile(r"-(\d[0-9]*)(?:/(\d?[0-9]*))?", re.DOTALL)
STEP = re.compile(r"/(\d)([0-9]*)(.*)", re.DOTALL)
INTEGER = re.compile(r"[+-]?\d+")


@dataclass(slots=True)
class Values:
    """What a field lets through.

    ``plain`` values; of days of the month also ``from_last`` (L is 0, L-3 is 3), ``nearest`` (15W) and ``nearest_from_last`` (LW);
    of days of the week ``is_last`` (6L) and ``nth`` (6#3), which concern the first of them.
    """

    plain: set[int] = field(default_factory=set)
    is_any: bool = False
    is_unspecified: bool = False
    from_last: set[int] = field(default_factory=set)
    nearest: set[int] = field(default_factory=set)
    nearest_from_last: set[int] = field(default_factory=set)
    is_last: bool = False
    nth: int = 0


def read_field(what: Field, text: str, days: Values | None) -> Values:
    """The field's values; *days* are those of the month, where that field was read before. ValueError says what is wrong."""
    if what.number == DAY_OF_WEEK:
        if "L" in text and "," in text:
            raise ValueError("L stands alone among days of the week")
        if text.count("#") > 1:
            raise ValueError("# stands once at most")
    values = Values()
    for term in filter(None, text.split(",")):
        _read_term(what, term, values, days)
    return values


def _read_term(what: Field, term: str, values: Values, days: Values | None) -> None:
    first = term[0]
    if "A" <= first <= "Z" and not LAST.fullmatch(term):
        _read_name(what, term, values)
    elif first == "?":
        _read_unspecified(what, term, values, days)
    elif first in "*/":
        _read_any(what, term, values)
    elif first == "L":
        _read_last(what, term, values)
    elif "0" <= first <= "9":
        _read_number(what, term, values)
    else:
        raise ValueError(f"{first} is no value")


def _read_name(what: Field, term: str, values: Values) -> None:
    if not what.names:
        raise ValueError(f"{term} is no number")
    value = _named(what, term[:3])
    match term[3:4]:
        case "-":
            _add(what, values, value, _named(what, term[4:7]), 1)
            return
        case "#" if what.number == DAY_OF_WEEK:
            values.nth = _nth(term[4:])
        case "L" if what.number == DAY_OF_WEEK:
            values.is_last = True
    _add(what, values, value)


def _named(what: Field, name: str) -> int:
    if name not in what.names:
        raise ValueError(f"{name or 'nothing'} is none of {', '.join(what.names)}")
    return what.names.index(name) + 1


def _read_unspecified(what: Field, term: str, values: Values, days: Values | None) -> None:
    if len(term) > 2:
        raise ValueError("nothing may follow ?")
    if what.number not in (DAY_OF_MONTH, DAY_OF_WEEK):
        raise ValueError("? is for day-of-month and day-of-week alone")
    if days is not None and days.is_unspecified:
        raise ValueError("day-of-month is ? already")
    values.is_unspecified = True


def _read_any(what: Field, term: str, values: Values) -> None:
    rest = term.removeprefix("*")
    step = 1
    if rest.startswith("/"):
        if not INTEGER.fullmatch(rest[1:]):
            raise ValueError("a whole number must follow /")
        step = _integer(rest[1:])
        _must_be_step(what, step)
    if step <= 1:
        values.is_any = True
    values.plain.update(what.values[:: max(step, 1)])


def _read_last(what: Field, term: str, values: Values) -> None:
    if what.number == DAY_OF_WEEK:
        values.plain.add(7)
    if what.number != DAY_OF_MONTH:
        return
    match = LAST_OFFSET.fullmatch(term)
    assert match is not None
    if term == "L-":
        raise ValueError("a number must follow L-")
    offset = _integer(match[1] or "0")
    if offset > LARGEST_OFFSET:
        raise ValueError(f"L- is followed by {LARGEST_OFFSET} at most")
    (values.nearest_from_last if match[2] else values.from_last).add(offset)


def _read_number(what: Field, term: str, values: Values) -> None:
    match = DIGITS.fullmatch(term)
    assert match is not None
    value, rest = _integer(match[1]), match[2]
    match rest[:1]:
        case "L":
            if what.number != DAY_OF_WEEK:
                raise ValueError("L does not follow a number here")
            _must_be_in(what, value)
            values.is_last = True
            values.plain.add(value)
        case "W":
            if what.number != DAY_OF_MONTH:
                raise ValueError("W is for day-of-month alone")
            if value > what.values[-1]:
                raise ValueError("no month has more than 31 days")
            values.nearest.add(value)
        case "#":
            if what.number != DAY_OF_WEEK:
                raise ValueError("# is for day-of-week alone")
            values.nth = _nth(rest[1:])
            values.plain.add(value)
        case "-":
            _read_range(what, value, rest, values)
        case "/":
            _read_steps(what, value, rest, values)
        case _:
            _add(what, values, value)


def _read_range(what: Field, value: int, rest: str, values: Values) -> None:
    match = RANGE_END.match(rest)
    if match is None or match[2] == "":
        raise ValueError("a number must follow - and /")
    step = 1 if match[2] is None else _integer(match[2])
    _add(what, values, value, _integer(match[1]), step)


def _read_steps(what: Field, value: int, rest: str, values: Values) -> None:
    match = STEP.fullmatch(rest)
    if match is None:
        raise ValueError("a number must follow /")
    if not match[2] and match[3]:
        raise ValueError(f"{match[3][0]} follows /{match[1]}")
    step = _integer(match[1] + match[2])
    _must_be_step(what, step)
    _add(what, values, value, what.values[-1] if step else None, step)


def _add(what: Field, values: Values, value: int, end: int | None = None, step: int = 0) -> None:
    """Add a value, or each *step* of those up to *end*, beyond the largest going on with the smallest."""
    _must_be_in(what, value)
    if end is not None and what.number != YEAR and end > what.values[-1]:
        raise ValueError(f"{end} is not between {what.values[0]} and {what.values[-1]}")
    if end is None or step == 0:
        if value in what.values:
            values.plain.add(value)
        return
    if what.number == YEAR:
        if end < value:
            raise ValueError("a range of years does not end before it begins")
        inside = range(value, min(end, YEARS[-1]) + 1, step)
        values.plain.update(it for it in inside if it in YEARS)
        return
    if end < value:
        end += len(what.values)
    smallest, size = what.values[0], len(what.values)
    values.plain.update((it - smallest) % size + smallest for it in range(value, end + 1, step))


def _must_be_in(what: Field, value: int) -> None:
    if what.number != YEAR and value not in what.values:
        raise ValueError(f"{value} is not between {what.values[0]} and {what.values[-1]}")


def _must_be_step(what: Field, step: int) -> None:
    if step > what.largest_step:
        raise ValueError(f"a step is {what.largest_step} at most")


def _nth(text: str) -> int:
    if not INTEGER.fullmatch(text) or not 1 <= _integer(text) <= 5:
        raise ValueError("1 to 5 must follow #")
    return _integer(text)


def _integer(text: str) -> int:
    """The number, if Java's int holds it."""
    # Longer ones take long to read, and are no int.
    digits = text.lstrip("+-0")
    value = int(text) if len(digits) <= 10 else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise ValueError("a number is too large")
    return value
