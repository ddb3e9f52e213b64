"""What an org's ledger says of its own evidence: that another history began, and that another key signs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.policy_commands import must_give_reason
from jobledger.ledger.errors import ConflictError, NotFoundError


class Forked(Org.Event):
    """The ledger is not the one that was shown: from here on its checkpoints are of another origin.

    ``fork`` counts the org's histories, from 1; ``note`` is the newest checkpoint that was shown of the one before. ``kept`` is
    of how many of the first events what was signed still holds: all that was signed of more is given up.
    """

    type_name: ClassVar[str] = "org.forked"
    fork: int
    reason: str
    note: str
    kept: int | None = None

    def apply(self, aggregate: Org) -> None:
        """What was signed of the history before stays true of that."""
        aggregate.fork = self.fork


class KeyChanged(Org.Event):
    """From here on checkpoints are signed by another key.

    ``public_key`` is its public half in hex; ``note`` names the verifier keys before and after, and is signed by both.
    """

    type_name: ClassVar[str] = "org.key_changed"
    public_key: str
    note: str

    def apply(self, aggregate: Org) -> None:
        """What the key before signed stays signed."""
        aggregate.public_key = self.public_key


@dataclass(slots=True, kw_only=True, eq=False)
class RecordFork(Command):
    """Say that the history that *note* was signed of is lost, and go on with what is there: as it was signed up to the size
    *kept*. The result is ``{"fork"}``.
    """

    capability: ClassVar[str] = "orgs.manage"
    fork: int
    note: str
    reason: str
    kept: int = 0

    def streams(self) -> Iterable[str]:
        """The org."""
        return (ORG_STREAM,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, NotFoundError, and ConflictError where that was said already."""
        must_give_reason(self.reason)
        org = org_of(unit, self.caller.org)
        if self.fork <= org.fork:
            raise ConflictError(f"The ledger is already in its history {org.fork}.", fork=org.fork)
        org.trigger_event(
            Forked, timestamp=unit.now, fork=self.fork, reason=self.reason, note=self.note, kept=self.kept
        )
        return {"fork": self.fork}


@dataclass(slots=True, kw_only=True, eq=False)
class ChangeSigningKey(Command):
    """Sign by another key from here on. *before* is the one that did until now, None where no event has said so.

    As it is already: done, nothing appended.
    """

    capability: ClassVar[str] = "orgs.manage"
    before: str | None
    public_key: str
    note: str

    def streams(self) -> Iterable[str]:
        """The org."""
        return (ORG_STREAM,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, and ConflictError where another key was given in between."""
        org = org_of(unit, self.caller.org)
        if org.public_key == self.public_key:
            return {"public_key": self.public_key}
        if org.public_key != self.before:
            raise ConflictError("The key was changed meanwhile.")
        org.trigger_event(KeyChanged, timestamp=unit.now, public_key=self.public_key, note=self.note)
        return {"public_key": self.public_key}


def org_of(unit: UnitOfWork, name: str) -> Org:
    """The org itself. Raises NotFoundError."""
    org = unit.get(Org, ORG_STREAM)
    if org is None:
        raise NotFoundError(f"There is no org {name}.", org=name)
    return org
