"""What ``filter`` and ``sortby`` say of jobs, as conditions over what the ledger has of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from jobledger.http.members import EARLIEST, LATEST, instant
from jobledger.http.space.domains import DomainNumbers
from jobledger.http.space.expressions import Expression, Token
from jobledger.http.space.job_documents import JOB_STATE, JOB_STATUS, MO_STATE, WORDS
from jobledger.projections.job_search import BEGINS, CONTAINS, Any_, Comparison, Condition, Every, OneOf

STATES = {"job-state": JOB_STATE, "job-status": JOB_STATUS, "mo-state": MO_STATE}
TEXTS = {"name": "space_name", "job-type": "type", "domain-name": "domain", "summary": "summary"}
TIMES = {"scheduled-start-time": "begins_or_registered", "start-time": "started_at", "end-time": "ended_at"}
NUMBERS = {"id": "id", "percent-complete": "percent"}
DOMAIN_ID = "domain-id"
MEMBERS: Mapping[str, str] = {**TEXTS, **TIMES, **NUMBERS}
SORTABLE = frozenset({*MEMBERS, *STATES, DOMAIN_ID})
# By what a list is sorted that is of several fields in the ledger.
SORTED_BY: Mapping[str, str] = {**MEMBERS, **dict.fromkeys(STATES, "state"), DOMAIN_ID: "domain"}
SQL = {"eq": "=", "ne": "<>", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "contains": CONTAINS, "starts-with": BEGINS}
ON_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    **{it: getattr(operator, it) for it in ("eq", "ne", "lt", "gt", "le", "ge")},
    "contains": operator.contains,
    "starts-with": str.startswith,
}
OF_TEXTS = ("contains", "starts-with")
LARGEST_NUMBER = 15


def read_filter(text: str, numbers: DomainNumbers) -> Condition:
    """The condition. Raises InvalidCommandError naming the place."""
    if not text.strip():
        return Every()
    read = Expression("filter", text)

    def compared(read: Expression, field: Token, asked: str, value: Token) -> Condition:
        name = field.text
        if name in STATES:
            states = [it for it, words in WORDS.items() if ON_TEXTS[asked](words[STATES[name]], value.text)]
            return OneOf("state", tuple(str(it) for it in states))
        if name in TEXTS:
            return Comparison(TEXTS[name], SQL[asked], value.text)
        if asked in OF_TEXTS and (name in MEMBERS or name == DOMAIN_ID):
            raise read.fault(f"{name} is no text", field)
        if name in TIMES:
            return compared_as_shown(TIMES[name], asked, read_time(read, value))
        if name in NUMBERS:
            return Comparison(NUMBERS[name], SQL[asked], read_number(read, value))
        if name == DOMAIN_ID:
            number = read_number(read, value)
            found = [it for it in numbers.names if ON_NUMBERS[asked](numbers.number(it), number)]
            return OneOf("domain", tuple(found))
        raise read.fault(f"{name[:40]} cannot be filtered by", field)

    return read.condition(compared)


ON_NUMBERS: Mapping[str, Callable[[Any, Any], bool]] = {
    it: getattr(operator, it) for it in ("eq", "ne", "lt", "gt", "le", "ge")
}


def compared_as_shown(member: str, asked: str, moment: datetime) -> Condition:
    """A time compared as it is shown, which is in whole seconds: it equals what a client was shown of it."""
    second = moment.replace(microsecond=0)
    following = second + timedelta(seconds=1)
    first = second if second == moment else following
    match asked:
        case "lt":
            return Comparison(member, "<", first)
        case "le":
            return Comparison(member, "<", following)
        case "gt":
            return Comparison(member, ">=", following)
        case "ge":
            return Comparison(member, ">=", first)
        case "eq":
            return Every((Comparison(member, ">=", first), Comparison(member, "<", following)))
        case _:
            return Any_((Comparison(member, "<", first), Comparison(member, ">=", following)))


def read_number(read: Expression, value: Token) -> float:
    """A number."""
    try:
        number = float(value.text) if len(value.text) <= LARGEST_NUMBER else float("nan")
    except ValueError:
        number = float("nan")
    if not abs(number) < 10**LARGEST_NUMBER:
        raise read.fault("a number is due", value)
    return number


def read_time(read: Expression, value: Token) -> datetime:
    """A time as RFC 1123 or RFC 3339 has it, or as milliseconds since 1970."""
    text = value.text
    try:
        if text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal() and len(text) <= LARGEST_NUMBER:
            moment = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            moment = parsedate_to_datetime(text).astimezone(UTC) if text[:3].isalpha() else instant.read(text)
        if not EARLIEST <= moment < LATEST:
            raise ValueError("is out of reach")
        return moment
    except (ValueError, TypeError, OverflowError, OSError):
        raise read.fault("a time is due, such as 'Thu, 17 Mar 2011 05:29:00 GMT'", value) from None
