"""What a schedule does when it fires: the closed registry of actions. Each registers a job that the ledger does itself.

An action is plain data, ``{"kind": "maintenance", "full_build": false}``,
``{"kind": "archive", "older_than_days": 90, "purge": true, "type": "Backup", "domains": ["Sales"], "reason": "…"}`` or
``{"kind": "export", "last_days": 7, "private": false, "type": "Backup", "domain": "Sales", "render": "csv"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from jobledger.ledger.domain.archive import instant_text
from jobledger.ledger.domain.archive_commands import ARCHIVE, PURGE_JOBS, RequestArchive
from jobledger.ledger.domain.command import Caller, UnitOfWork
from jobledger.ledger.domain.export_commands import CREATE_EXPORTS, EXPORT, RENDERINGS, RequestExport
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.errors import InvalidCommandError

MAINTENANCE = "maintenance"
MAINTENANCE_TYPE = "Aggregate Maintenance"
# A hundred years and some.
MOST_DAYS = 36_600

Action: TypeAlias = Mapping[str, Any]
Request: TypeAlias = RegisterJobs | RequestArchive | RequestExport


class Occasion(NamedTuple):
    """When an action is done, for a schedule: its spans count back from ``at``.

    ``due_at`` is the due time that it is fired for, None where somebody runs it by hand; ``since`` the one it was fired for
    before, None for none.
    """

    schedule_id: UUID
    at: datetime
    due_at: datetime | None
    since: datetime | None


class Member(NamedTuple):
    """A member of an action: whether a value may be it, and what it is where it is not given; None for nothing."""

    takes: Callable[[Any], bool]
    default: Any = None
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class ActionKind:
    """A kind of action.

    ``capability``: who makes a schedule of it must have that, and still when it fires; None where what it does is the org's own
    affair, whoever asked for it. ``request`` is what it asks for at an occasion, None for one of no schedule.
    """

    members: Mapping[str, Member]
    request: Callable[[Caller, Action, Occasion | None], Request]
    capability: str | None = None


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value))


def _days(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= MOST_DAYS


def request_maintenance(caller: Caller, action: Action, occasion: Occasion | None) -> RegisterJobs:
    """Maintain the org's aggregates: by a job of the org as a whole, in the domain that jobs lie in by default."""
    order = {"full_build": bool(action.get("full_build"))}
    spec = JobSpec(
        type=MAINTENANCE_TYPE,
        name=MAINTENANCE_TYPE,
        attributes=order if occasion is None else {**order, "schedule": str(occasion.schedule_id)},
        scheduled_at=None if occasion is None else occasion.due_at,
        work={"kind": MAINTENANCE, "order": order},
    )
    return RegisterJobs(caller=replace(caller, domains=None, home_domain=DEFAULT_DOMAIN), jobs=[spec])


def request_archive(caller: Caller, action: Action, occasion: Occasion | None) -> RequestArchive:
    """Archive, and perhaps purge, what ended ``older_than_days`` before the occasion or longer ago."""
    assert occasion is not None
    domains = action.get("domains")
    return RequestArchive(
        caller=caller,
        ended_before=occasion.at - timedelta(days=action["older_than_days"]),
        job_type=action.get("type"),
        domains=None if domains is None else tuple(domains),
        purge=action["purge"],
        reason=action.get("reason"),
        scheduled_at=occasion.due_at,
        schedule_id=occasion.schedule_id,
    )


def request_export(caller: Caller, action: Action, occasion: Occasion | None) -> RequestExport:
    """Export what was recorded in the ``last_days`` before the occasion; where these are not given, since the due time that was
    fired for before, or from the first event on: so that all such exports together leave nothing out.
    """
    assert occasion is not None
    days = action.get("last_days")
    begin = occasion.since if days is None else occasion.at - timedelta(days=days)
    return RequestExport(
        caller=caller,
        order={
            "recorded_from": None if begin is None else instant_text(begin),
            "recorded_to": instant_text(occasion.at),
            **{name: action.get(name) for name in ("private", "type", "domain", "render")},
        },
        scheduled_at=occasion.due_at,
        schedule_id=occasion.schedule_id,
    )


ACTIONS: Mapping[str, ActionKind] = MappingProxyType(
    {
        MAINTENANCE: ActionKind(members={"full_build": Member(_truth, False)}, request=request_maintenance),
        ARCHIVE: ActionKind(
            members={
                "older_than_days": Member(_days(0), is_needed=True),
                "purge": Member(_truth, False),
                "type": Member(_text),
                "domains": Member(_texts),
                "reason": Member(_text),
            },
            request=request_archive,
            capability=PURGE_JOBS,
        ),
        EXPORT: ActionKind(
            members={
                "last_days": Member(_days(1)),
                "private": Member(_truth, False),
                "type": Member(_text),
                "domain": Member(_text),
                "render": Member(lambda value: value in RENDERINGS),
            },
            request=request_export,
            capability=CREATE_EXPORTS,
        ),
    }
)


def read_action(given: Action) -> dict[str, Any]:
    """The action, with all its members that are something. Raises InvalidCommandError."""
    name = given.get("kind")
    kind = ACTIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidCommandError(f"An action's kind is one of {', '.join(ACTIONS)}.", member="action")
    for member, value in given.items():
        if member != "kind" and member not in kind.members:
            raise InvalidCommandError(f"The action {name} has no {member}.", member="action")
        if member != "kind" and value is not None and not kind.members[member].takes(value):
            raise InvalidCommandError(f"The action {name} takes no such {member}.", member="action")
    action = {"kind": name}
    for member, known in kind.members.items():
        value = given.get(member)
        value = known.default if value is None else value
        if value is None and known.is_needed:
            raise InvalidCommandError(f"The action {name} needs {member}.", member="action")
        if value is not None:
            action[member] = value
    return action


def needs_leave(action: Action) -> bool:
    """Whether only some may do it: then it is done as the principal that made the schedule."""
    return ACTIONS[action["kind"]].capability is not None


def settle(caller: Caller, action: Action, occasion: Occasion, now: datetime) -> dict[str, Any]:
    """The action as *caller* may let it recur: what it reaches is said in it, and does not grow by who runs it.

    Raises InvalidCommandError, NotAllowedError.
    """
    kind = ACTIONS[action["kind"]]
    if kind.capability is not None:
        caller.must(kind.capability)
    request = kind.request(caller, action, occasion)
    if not isinstance(request, RegisterJobs):
        request.asked(now)
    if action["kind"] == ARCHIVE and action.get("domains") is None and caller.domains is not None:
        return {**action, "domains": sorted(caller.domains)}
    return dict(action)


def do_action(unit: UnitOfWork, caller: Caller, action: Action, occasion: Occasion | None) -> int:
    """Do it as *caller*: the id of the job that was registered. Raises NotAllowedError, InvalidCommandError."""
    kind = ACTIONS[action["kind"]]
    if kind.capability is not None:
        caller.must(kind.capability)
    result = kind.request(caller, action, occasion).decide(unit)
    job_id: int = result["id"] if "id" in result else result["jobs"][0]["id"]
    return job_id
