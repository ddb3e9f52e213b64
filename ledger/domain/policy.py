"""The org's retention policy: how long jobs that ended are kept, by their type and final state.

A job's retention is fixed when it ends and only ever lengthened: the days that hold for it are the most that any policy gives
that was in force at its end or later. So a policy keeps, as windows, the rules that were replaced, as far as they give any job
more than those after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from jobledger.ledger.domain.job import FINAL_STATES, NOTHING
from jobledger.ledger.errors import InvalidCommandError

MOST_DAYS = 36_500
MOST_RULES = 200
# More days than the calendar has: without end. And the instant that stands for it.
FOREVER = 3_650_000
WITHOUT_END = datetime.max.replace(tzinfo=UTC)
MEMBERS = frozenset({"type", "state", "basic_days", "extended_days"})


def told_days(days: int) -> int | str:
    """Days as the API and the events say them."""
    return "forever" if days >= FOREVER else days


def read_days(given: Any) -> int:
    """Days from 0 to 36500, or "forever". Raises InvalidCommandError."""
    if given == "forever":
        return FOREVER
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= MOST_DAYS:
        raise InvalidCommandError(f'Days are 0 to {MOST_DAYS}, or "forever".', days=given)
    return given


@dataclass(frozen=True, slots=True)
class Rule:
    """How many days jobs of a type and final state are retained; None: of any."""

    type: str | None
    state: str | None
    basic_days: int
    extended_days: int

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Rule:
        """A rule from its plain members; days that are not given are 0. Raises InvalidCommandError."""
        if not isinstance(data, Mapping) or data.keys() - MEMBERS:
            raise InvalidCommandError(f"A rule's members are {', '.join(sorted(MEMBERS))}.")
        job_type, state = data.get("type"), data.get("state")
        if job_type is not None and (not isinstance(job_type, str) or not 0 < len(job_type) <= 200):
            raise InvalidCommandError("A rule's type is a text of 1 to 200 characters.", type=job_type)
        if state is not None and state not in FINAL_STATES:
            raise InvalidCommandError("A rule's state is a final one.", state=state, states=sorted(FINAL_STATES))
        return cls(job_type, state, read_days(data.get("basic_days", 0)), read_days(data.get("extended_days", 0)))

    @property
    def data(self) -> dict[str, Any]:
        """Its plain members."""
        told = {"basic_days": told_days(self.basic_days), "extended_days": told_days(self.extended_days)}
        names = {"type": self.type, "state": self.state}
        return {**{name: it for name, it in names.items() if it is not None}, **told}

    def matches(self, job_type: str, state: str) -> bool:
        """Whether it is for such jobs."""
        return self.type in (None, job_type) and self.state in (None, state)

    def gives_no_more_than(self, other: Rule) -> bool:
        """Whether each job that this is for gets as much from *other*."""
        return (
            other.type in (None, self.type)
            and other.state in (None, self.state)
            and other.basic_days >= self.basic_days
            and other.extended_days >= self.extended_days
        )


@dataclass(frozen=True, slots=True)
class Window:
    """A rule, and when it was replaced; None for one in force. It holds for jobs whose end was recorded until then."""

    rule: Rule
    replaced_at: datetime | None = None

    def holds_for(self, job_type: str, state: str, final_at: datetime) -> bool:
        """Whether a job that ended so, recorded at *final_at*, is retained by it."""
        return (self.replaced_at is None or self.replaced_at >= final_at) and self.rule.matches(job_type, state)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force, and what was before. ``version`` counts the changes; 0 in a new org, which retains nothing by policy."""

    rules: tuple[Rule, ...] = ()
    is_locked: bool = False
    version: int = 0
    changed_at: datetime | None = None
    reason: str | None = None
    replaced: tuple[Window, ...] = field(default=())

    @property
    def windows(self) -> tuple[Window, ...]:
        """All rules that count for some job."""
        return (*map(Window, self.rules), *self.replaced)

    def changed(
        self, rules: Iterable[Rule], at: datetime, *, is_locked: bool = False, reason: str | None = None
    ) -> Policy:
        """The policy after a change at that instant: locked for ever once it is."""
        now_in_force = tuple(rules)
        kept: list[Window] = []
        for window in (*(Window(it, at) for it in self.rules), *self.replaced):
            # What later rules give any job as well need not be remembered.
            later = (*now_in_force, *(it.rule for it in kept))
            if not any(window.rule.gives_no_more_than(it) for it in later):
                kept.append(window)
        return replace(
            self,
            rules=now_in_force,
            is_locked=self.is_locked or is_locked,
            version=self.version + 1,
            changed_at=at,
            reason=reason,
            replaced=tuple(kept),
        )

    def days(self, job_type: str, state: str) -> tuple[int, int]:
        """Basic and extended days that jobs of today get: the most of all rules that match."""
        matching = [it for it in self.rules if it.matches(job_type, state)]
        return (
            max((it.basic_days for it in matching), default=0),
            max((it.extended_days for it in matching), default=0),
        )

    def shortened_by(self, rules: Iterable[Rule]) -> list[dict[str, str]]:
        """The types and final states whose jobs would get fewer days by *rules*; a type of no rule is told as none."""
        after = Policy(rules=tuple(rules))
        named: set[str | None] = {it.type for it in (*self.rules, *after.rules)} | {None}
        shortened = []
        for job_type, state in product(sorted(named, key=str), sorted(FINAL_STATES)):
            # No type is empty: what this gives is what jobs of all types that no rule names get.
            now, then = self.days(job_type or "", state), after.days(job_type or "", state)
            if then[0] < now[0] or then[1] < now[1]:
                shortened.append({"state": str(state)} if job_type is None else {"type": job_type, "state": str(state)})
        return shortened

    def until(
        self, job_type: str, state: str, counted_from: datetime, final_at: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Until when basic and extended retention last, None for none, WITHOUT_END; in the past where they are over."""
        basic = extended = 0
        for window in self.windows:
            if window.holds_for(job_type, state, final_at):
                basic = max(basic, window.rule.basic_days)
                extended = max(extended, window.rule.extended_days)
        return _after(counted_from, basic), _after(counted_from, extended)

    @property
    def data(self) -> dict[str, Any]:
        """As plain members, windows and all, from which ``read`` makes it again."""
        return {
            "rules": [it.data for it in self.rules],
            "locked": self.is_locked,
            "version": self.version,
            "changed_at": None if self.changed_at is None else self.changed_at.astimezone(UTC).isoformat(),
            "reason": self.reason,
            "windows": [
                {
                    "type": it.rule.type,
                    "state": it.rule.state,
                    "basic_days": it.rule.basic_days,
                    "extended_days": it.rule.extended_days,
                    "replaced_at": None if it.replaced_at is None else it.replaced_at.astimezone(UTC).isoformat(),
                }
                for it in self.windows
            ],
        }

    @classmethod
    def read(cls, data: Mapping[str, Any] = NOTHING) -> Policy:
        """The policy that ``data`` was made of."""
        if not data:
            return NO_POLICY
        changed_at = data["changed_at"]
        return cls(
            rules=tuple(Rule.read(it) for it in data["rules"]),
            is_locked=data["locked"],
            version=data["version"],
            changed_at=None if changed_at is None else datetime.fromisoformat(changed_at),
            reason=data["reason"],
            replaced=tuple(
                Window(
                    Rule(it["type"], it["state"], it["basic_days"], it["extended_days"]),
                    datetime.fromisoformat(it["replaced_at"]),
                )
                for it in data["windows"]
                if it["replaced_at"] is not None
            ),
        )


NO_POLICY = Policy()


def _after(counted_from: datetime, days: int) -> datetime | None:
    if not days:
        return None
    try:
        return WITHOUT_END if days >= FOREVER else counted_from + timedelta(days=days)
    except OverflowError:
        return WITHOUT_END
