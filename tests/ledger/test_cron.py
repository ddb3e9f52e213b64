"""Cron expressions against verdicts and fire times of the real Quartz, and against looking at each second or day."""

from __future__ import annotations

import json
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobledger.ledger.domain.cron import LONGEST_EXPRESSION, CronExpression, InvalidExpressionError
from jobledger.ledger.domain.timing import read_timing

KEPT = json.loads((Path(__file__).parents[1] / "data" / "quartz_vectors.json").read_text())
AFTER = datetime.fromisoformat(KEPT["after"])
# Here Quartz's W moved a day forward, and lost all fires of that day but the first.
LOSING = {
    "44-54,27 0 6-8,7-10,12 1W JAN-JUN ? 2026/2",
    "0 8-38 * 1W 5 ?",
    "5,12 18-25 11,23 17W MAY ? 2099",
    "2-54 56,13-59 7 1W JAN ? 2026/2",
    "19-30 14-21 1 18W * ? 2099",
    "45 0 */6 1W 11,5,3-12 ? 2099",
}


def fires(expression: str, after: datetime, most: int = 4) -> list[str]:
    cron = CronExpression.parse(expression)
    found: list[str] = []
    at: datetime | None = after
    while len(found) < most and at is not None:
        at = cron.next_after(at)
        found += [] if at is None else [at.strftime("%Y-%m-%dT%H:%M:%SZ")]
    return found


@pytest.mark.parametrize("vector", KEPT["vectors"], ids=lambda it: it["expression"])
def test_the_verdict_and_the_next_four_fires_are_quartzs(vector: dict[str, Any]) -> None:
    expression = vector["expression"]
    if not vector["valid"]:
        with pytest.raises(InvalidExpressionError) as refused:
            CronExpression.parse(expression)
        assert refused.value.facts["field"] in refused.value.detail
        return

    found = fires(expression, AFTER)

    if expression in LOSING:
        assert found[0] == vector["next"][0]
        for at in map(datetime.fromisoformat, vector["next"]):
            assert CronExpression.parse(expression).next_after(at - timedelta(seconds=1)) == at
    else:
        assert found == vector["next"]
    cron = CronExpression.parse(expression)
    assert cron.search_after(AFTER) == cron.next_after(AFTER), "found here or by croniter it is the same"


@pytest.mark.parametrize(
    ("expression", "field"),
    [
        ("", "seconds"),
        ("0 0 12", "day-of-month"),
        ("0 0 0 ? * 2#0", "day-of-week"),
        ("0 0 0 ? * 2#1,3#2", "day-of-week"),
        ("0 0 0 ? * SUN,MONL", "day-of-week"),
        ("0 0 0 ? * 0", "day-of-week"),
        ("0 0 0 32W * ?", "day-of-month"),
        ("0 0 0 L- * ?", "day-of-month"),
        ("0 0 0 1W-3 * MON", "day-of-week"),
        ("0 0 5L ? * *", "hours"),
        ("0 ? 0 ? * *", "minutes"),
        ("0 */60 0 ? * *", "minutes"),
        ("0 5/ 0 ? * *", "minutes"),
        ("0 5/7x 0 ? * *", "minutes"),
        ("-1 0 0 ? * *", "seconds"),
        ("0 0 0 ? JAN-MAX *", "month"),
        ("0 0 0 ? * * 2030-2020", "year"),
        ("0 0 0 ? * * 99999999999999999999", "year"),
        ("0 0 0 ? * * " + "9" * 1_900, "year"),
    ],
)
def test_what_quartz_refuses_names_the_field(expression: str, field: str) -> None:
    with pytest.raises(InvalidExpressionError) as refused:
        CronExpression.parse(expression)

    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("5x 0 0 ? * *", "2026-11-22T00:00:05Z"),
        ("0 0 0 ? * monday", "2026-11-23T00:00:00Z"),
        ("\t0  0 0 ? * * * what follows", "2026-11-22T00:00:00Z"),
        ("*/+20 * * ? * *", "2026-11-21T12:35:00Z"),
        ("0 0 22-2 ? * *", "2026-11-21T22:00:00Z"),
        ("0 0 0 1 NOV-FEB ?", "2026-12-01T00:00:00Z"),
        ("0 0 0 8-8 * ?", "2026-12-08T00:00:00Z"),
        ("0 0 0 31W * ?", "2026-12-31T00:00:00Z"),
        ("0 0 0 L-3W * ?", "2026-11-27T00:00:00Z"),
        ("0 0 0 29 2 ? 2200-2300", "2204-02-29T00:00:00Z"),
        ("0 0 0 1 1 ? 2999", "2999-01-01T00:00:00Z"),
    ],
)
def test_what_quartz_takes_fires_when_quartz_does(expression: str, first: str) -> None:
    assert fires(expression, AFTER, 1) == [first]


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 0 30 2 ?",
        "L 0 0 ? * *",
        "0 0 0 ? * * 2020",
        "0 0 0 , * ?",
        "0 0 0 0W * ?",
        "0 0 0 1 1 ? 3000",
        "0 0 0 ? 2 1#5 2027",
    ],
)
def test_an_expression_may_be_valid_and_never_fire(expression: str) -> None:
    began = perf_counter()

    assert fires(expression, AFTER) == []
    assert perf_counter() - began < 2


def test_a_huge_expression_is_refused_at_once() -> None:
    for huge in ("0," * 500_000 + " 0 0 ? * *", " " * 1_000_000, "9" * 1_000_000):
        began = perf_counter()
        with pytest.raises(InvalidExpressionError):
            CronExpression.parse(huge)
        assert perf_counter() - began < 0.05
    assert fires("0" + ",0" * (LONGEST_EXPRESSION // 2 - 20) + " 0 0 ? * *", AFTER, 1) == ["2026-11-22T00:00:00Z"]


@st.composite
def plain_field(draw: st.DrawFn, least: int, most: int) -> tuple[str, set[int]]:
    """A field without words for days, and the values that it stands for."""
    size = most - least + 1
    text, values = [], set[int]()
    for _ in range(draw(st.integers(1, 3))):
        first, last = draw(st.integers(least, most)), draw(st.integers(least, most))
        step = draw(st.integers(1, min(size, 12) - 1))
        match draw(st.sampled_from("*vrsS/")):
            case "*":
                text.append("*")
                values |= set(range(least, most + 1))
            case "v":
                text.append(f"{first}")
                values.add(first)
            case "r":
                text.append(f"{first}-{last}")
                values |= {least + (first - least + it) % size for it in range((last - first) % size + 1)}
            case "s":
                text.append(f"{first}-{last}/{step}")
                values |= {least + (first - least + it) % size for it in range(0, (last - first) % size + 1, step)}
            case "S":
                text.append(f"{first}/{step}")
                values |= set(range(first, most + 1, step))
            case "/":
                text.append(f"*/{step}")
                values |= set(range(least, most + 1, step))
    return ",".join(text), values


DAYS = st.sampled_from(["*", "15", "1,28-31", "L", "L-4", "LW", "1W", "30W", "31W", "L,1", "15W,3", "31"])
WEEKDAYS = st.sampled_from(["*", "2-6", "FRI-MON", "1", "6L", "SATL", "L", "3#1", "SUN#5"])


def is_day(at: datetime, days: str, weekdays: str) -> bool:
    """Whether it fires on that day, told from the words' meaning."""
    last = monthrange(at.year, at.month)[1]
    weekday = at.isoweekday() % 7 + 1
    if days == "?":
        match weekdays:
            case "*":
                return True
            case "6L" | "SATL":
                return weekday == {"6L": 6, "SATL": 7}[weekdays] and at.day + 7 > last
            case "3#1" | "SUN#5":
                wanted, nth = {"3#1": (3, 1), "SUN#5": (1, 5)}[weekdays]
                return weekday == wanted and (at.day + 6) // 7 == nth
        return weekday in {"2-6": {2, 3, 4, 5, 6}, "FRI-MON": {6, 7, 1, 2}, "1": {1}, "L": {7}}[weekdays]

    def nearest(day: int) -> int:
        if not 1 <= day <= last:
            return 0
        by_distance = sorted(range(1, last + 1), key=lambda it: (abs(it - day), it))
        return next(it for it in by_distance if at.replace(day=it).isoweekday() < 6)

    def listed(word: str) -> set[int]:
        match word:
            case "*":
                return set(range(1, 32))
            case "L":
                return {last}
            case "L-4":
                return {last - 4}
            case "LW":
                return {nearest(last)}
            case "28-31":
                return {28, 29, 30, 31}
        return {nearest(int(word[:-1]))} if word.endswith("W") else {int(word)}

    return at.day in set().union(*map(listed, days.split(",")))


@settings(max_examples=60)
@given(
    seconds=plain_field(0, 59),
    minutes=plain_field(0, 59),
    hours=plain_field(0, 23),
    months=plain_field(1, 12),
    days=DAYS,
    weekdays=WEEKDAYS,
    by_weekday=st.booleans(),
    after=st.integers(0, 74 * 366 * 86_400_000).map(
        lambda it: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=it)
    ),
)
def test_no_fire_is_missed_and_none_is_made_up(
    seconds: Any, minutes: Any, hours: Any, months: Any, days: str, weekdays: str, by_weekday: bool, after: datetime
) -> None:
    """Against looking at each day and at each time of it; found by croniter or here; and counted."""
    days, weekdays = ("?", weekdays) if by_weekday else (days, "?")
    # Of a day that W names Quartz forgets the times before that at which the search began, once: that has its own test.
    assume("LW" not in days)
    cron = CronExpression.parse(f"{seconds[0]} {minutes[0]} {hours[0]} {days} {months[0]} {weekdays}")

    first = cron.next_after(after)

    times = [(h, m, s) for h in sorted(hours[1]) for m in sorted(minutes[1]) for s in sorted(seconds[1])]
    expected, looked_at = None, after.replace(hour=0, minute=0, second=0, microsecond=0)
    while expected is None and looked_at < after + timedelta(days=366 * 9):
        if looked_at.month in months[1] and is_day(looked_at, days, weekdays):
            found = (looked_at.replace(hour=h, minute=m, second=s) for h, m, s in times)
            expected = next((it for it in found if it > after), None)
        looked_at += timedelta(days=1)
    assert first == expected or (expected is None and first is not None and first > looked_at - timedelta(days=1))
    assert cron.search_after(after) == first
    if first is not None:
        second = cron.next_after(first)
        assert cron.count_between(after, first) == 1
        assert cron.count_between(after, first - timedelta(microseconds=1)) == 0
        if second is not None:
            assert cron.count_between(after, second) == 2
            assert cron.last_until(after, second) == second
            assert cron.last_until(after, second - timedelta(microseconds=1)) == first


def test_a_long_time_is_counted_without_walking_through_it() -> None:
    each_second = CronExpression.parse("* * * ? * *")
    began = perf_counter()

    assert each_second.count_between(AFTER, AFTER + timedelta(days=3650)) == 3650 * 86_400
    assert each_second.last_until(AFTER, AFTER + timedelta(days=3650, seconds=0.5)) == AFTER + timedelta(days=3650)
    assert perf_counter() - began < 1


def test_a_search_that_begins_before_a_last_weekday_leaves_out_earlier_times_of_it() -> None:
    """As Quartz does, once: the month after has them all."""
    assert fires("0 0 9,15 LW * ?", AFTER, 3) == [
        "2026-11-30T15:00:00Z",
        "2026-12-31T09:00:00Z",
        "2026-12-31T15:00:00Z",
    ]


def test_the_schedules_of_space_are_once_after_or_recurring() -> None:
    once = read_timing(" ( at( 0 30 14 9 5 ? 2027 ) ) ", AFTER)
    daily = read_timing("(at(5 0 0 * * ? *))", AFTER)
    after = read_timing("(after(01 30))", AFTER)

    assert isinstance(once, CronExpression)
    assert isinstance(daily, CronExpression)
    assert fires(once.text, AFTER) == ["2027-05-09T14:30:00Z"]
    assert len(fires(daily.text, AFTER)) == 4
    assert after == AFTER + timedelta(minutes=90)


@pytest.mark.parametrize(
    "text",
    ["",
     "at(0 0 0 ? * *)", "(at(0 0 0 * * *))", "(at(0 30 14 9 5 ? 2020))", "(after(1))", "(after(1 60))", "(after(-1 0))", "(at())",
     "(" * 100_000, "(at(" + "1" * 1_000_000 + "))"],
)  # fmt: skip
def test_a_schedule_of_space_that_says_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpressionError):
        read_timing(text, AFTER)
