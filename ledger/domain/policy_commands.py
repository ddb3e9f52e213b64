"""Changing the org's retention policy: an event that gives the whole of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.policy import MOST_RULES, Policy, Rule
from jobledger.ledger.errors import InvalidCommandError, PolicyIsLockedError


class PolicyChanged(Org.Event):
    """The org's jobs are retained by these rules from now on; ``locked``: from now on they only grow.

    A rule is ``{"type"?, "state"?, "basic_days", "extended_days"}``, days an integer or "forever".
    """

    type_name: ClassVar[str] = "org.policy_changed"
    rules: list[dict[str, Any]]
    locked: bool | None = None
    reason: str | None = None

    def apply(self, aggregate: Org) -> None:
        """It takes the place of the rules before; what those gave to jobs that ended by now stays theirs."""
        rules = map(Rule.read, self.rules)
        aggregate.policy = aggregate.policy.changed(
            rules, self.timestamp, is_locked=bool(self.locked), reason=self.reason
        )


# Letters and a sign that are drawn as nothing.
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def can_be_seen(text: str) -> bool:
    """Whether there is a letter, figure, mark of punctuation or sign in it: spaces, controls and what only changes others, such
    as marks of direction, say nothing alone.
    """
    return any(unicodedata.category(it)[0] in "LNPS" and it not in BLANKS for it in text)


def must_give_reason(reason: str | None) -> None:
    """Raise InvalidCommandError unless somebody says why."""
    if reason is None or not can_be_seen(reason):
        raise InvalidCommandError("This needs a reason.", member="reason")


@dataclass(slots=True, kw_only=True, eq=False)
class ChangePolicy(Command):
    """Give the org a policy, whole; ``locked`` None leaves that as it is. The result is ``{"version", "locked"}``, the version
    that of the policy.

    As it is already: done, nothing appended.
    """

    capability: ClassVar[str] = "policy.manage"
    rules: Sequence[Mapping[str, Any]]
    locked: bool | None = None
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """The org."""
        return (ORG_STREAM,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, PolicyIsLockedError, NotAllowedError."""
        must_see_all(self.caller)
        must_give_reason(self.reason)
        rules = read_rules(self.rules)
        org = unit.get(Org, ORG_STREAM)
        assert org is not None
        must_be_allowed_change(org.policy, rules, self.locked)
        is_locking = bool(self.locked) and not org.policy.is_locked
        if rules != org.policy.rules or is_locking:
            org.trigger_event(
                PolicyChanged,
                timestamp=unit.now,
                rules=[it.data for it in rules],
                locked=True if is_locking else None,
                reason=self.reason,
            )
        return {"version": org.policy.version, "locked": org.policy.is_locked}


def read_rules(given: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules, each once. Raises InvalidCommandError."""
    if len(given) > MOST_RULES:
        raise InvalidCommandError(f"A policy has at most {MOST_RULES} rules.", limit=MOST_RULES)
    return tuple(dict.fromkeys(map(Rule.read, given)))


def must_be_allowed_change(policy: Policy, rules: Sequence[Rule], locked: bool | None) -> None:
    """Raise PolicyIsLockedError for a change that a locked policy does not take."""
    if not policy.is_locked:
        return
    if locked is False:
        raise PolicyIsLockedError("A locked policy stays locked.")
    shortened = policy.shortened_by(rules)
    if shortened:
        raise PolicyIsLockedError("A locked policy gives no job fewer days.", shortened=shortened)
