"""What a schedule does when it fires: the closed registry of actions. Each registers a job that the ledger does itself.

An action is plain data, ``{"kind": "maintenance", "full_build": false}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.ledger.errors import InvalidCommandError

MAINTENANCE = "maintenance"
MAINTENANCE_TYPE = "Aggregate Maintenance"


@dataclass(frozen=True, slots=True)
class ActionKind:
    """A kind of action: its members with what each is where it is not given, and the job that it comes to."""

    members: Mapping[str, Any]
    job: Callable[[Mapping[str, Any]], JobSpec]


def maintenance_job(action: Mapping[str, Any]) -> JobSpec:
    """The job that maintains the org's aggregates."""
    order = {"full_build": bool(action.get("full_build"))}
    return JobSpec(
        type=MAINTENANCE_TYPE,
        name=MAINTENANCE_TYPE,
        attributes=order,
        work={"kind": MAINTENANCE, "order": order},
    )


ACTIONS: Mapping[str, ActionKind] = {
    MAINTENANCE: ActionKind(members={"full_build": False}, job=maintenance_job),
}


def read_action(given: Mapping[str, Any]) -> dict[str, Any]:
    """The action, with all its members. Raises InvalidCommandError."""
    name = given.get("kind")
    kind = ACTIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidCommandError(f"An action's kind is one of {', '.join(ACTIONS)}.", member="action")
    for member, value in given.items():
        if member != "kind" and member not in kind.members:
            raise InvalidCommandError(f"The action {name} has no {member}.", member="action")
        if member != "kind" and type(value) is not type(kind.members[member]):
            raise InvalidCommandError(f"The action {name} takes no such {member}.", member="action")
    return {"kind": name, **kind.members, **given}


def job_of(action: Mapping[str, Any]) -> JobSpec:
    """The job that the action comes to."""
    return ACTIONS[action["kind"]].job(action)
