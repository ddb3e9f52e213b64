"""When something is to happen, as clients of Space write it: ``(at(0 30 14 9 5 ? 2027))`` or ``(after(01 30))``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from jobledger.ledger.domain.cron import LONGEST_EXPRESSION, CronExpression, InvalidExpressionError

TIMING = re.compile(r"\s*\(\s*(at|after)\s*\(([^()]*)\)\s*\)\s*")
HOURS_AND_MINUTES = re.compile(r"\s*([0-9]{1,4})\s+([0-5]?[0-9])\s*")


def read_timing(text: str, now: datetime) -> CronExpression | datetime:
    """The expression in ``(at(…))``, or the one instant that lies HH hours and MM minutes after *now*.

    Raises InvalidExpressionError, also where the expression never fires after *now*.
    """
    match = TIMING.fullmatch(text) if len(text) <= LONGEST_EXPRESSION else None
    if match is None:
        raise InvalidExpressionError("A schedule is (at(SEC MIN HOUR DOM MON DOW YEAR)) or (after(HH MM)).")
    if match[1] == "at":
        return must_fire(CronExpression.parse(match[2]), now)
    after = HOURS_AND_MINUTES.fullmatch(match[2])
    if after is None:
        raise InvalidExpressionError("After takes hours and minutes: (after(HH MM)).", field="after")
    return now + timedelta(hours=int(after[1]), minutes=int(after[2]))


def must_fire(expression: CronExpression, now: datetime) -> CronExpression:
    """*expression*, if it ever fires after *now*. Raises InvalidExpressionError."""
    if expression.next_after(now) is None:
        raise InvalidExpressionError("This expression never fires.")
    return expression
