"""The native API's schedules: what recurs, when it fires next, and how it fired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from aiohttp import web

from jobledger.http.context import CALLER, LEDGER, SCHEDULES
from jobledger.http.exchange import answer
from jobledger.http.members import Members, boolean, integer, list_of, one_of, reads, text
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.native.schedule_answers import CHANGED_SCHEDULE, RUN_SCHEDULE, SCHEDULE, SCHEDULE_PAGE
from jobledger.http.native.workflow_members import LONGEST_REASON as LONGEST_REASON_IN_QUERY
from jobledger.http.operation import (
    Operation,
    Parameters,
    operation,
    operations,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.http.schema import Schema
from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.cron import LONGEST_EXPRESSION, InvalidExpressionError
from jobledger.ledger.domain.export_commands import RENDERINGS
from jobledger.ledger.domain.schedule_action import ACTIONS, MOST_DAYS
from jobledger.ledger.domain.schedule_commands import (
    MANAGE_SCHEDULES,
    READ_SCHEDULES,
    CreateSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    RunSchedule,
    ScheduleCommand,
)
from jobledger.ledger.errors import GoneError, InvalidCommandError

SCHEDULES_PATH = "/ledger/v1/{org}/schedules"
LONGEST_REASON = 10_000
MOST_DOMAINS = 1_000

schedule_routes = web.RouteTableDef()

# Of all kinds; which of them an action has, its kind decides.
ACTION = Members(
    {
        "kind": one_of(*ACTIONS),
        "full_build": boolean.about(
            "Of maintenance: whether every projection is built anew. false where it is not said."
        ),
        "older_than_days": integer(0, MOST_DAYS).about(
            "Of archive, which needs it: jobs are archived that ended so many days before the due time, or longer ago."
        ),
        "purge": boolean.about(
            "Of archive: whether they are purged once that is verified. false where it is not said."
        ),
        "type": text(200).about("Of archive and export: of jobs of which type."),
        "domains": list_of(text(200), MOST_DOMAINS).about("Of archive: all that the caller sees where none is said."),
        "reason": text(LONGEST_REASON).about("Of archive."),
        "last_days": integer(1, MOST_DAYS).about(
            "Of export: what was recorded in so many days before the due time; where it is not said, since the due time that "
            "was fired for before, at first since the first event."
        ),
        "private": boolean.about("Of export: with private contents. false where it is not said."),
        "domain": text(200).about("Of export: of jobs of which domain."),
        "render": one_of(*RENDERINGS).about("Of export."),
    },
    needed=("kind",),
)


@reads(ACTION.schema)
def action(value: Any) -> dict[str, Any]:
    """An action as it is given; what is wrong in it is told as wrong in it."""
    if not isinstance(value, Mapping):
        raise ValueError("is not an object with a kind")
    try:
        return ACTION.read(value)
    except InvalidCommandError as error:
        told = error.detail.rstrip(".")
        raise ValueError(f"is no action: {told[0].lower()}{told[1:]}") from None


expression = text(LONGEST_EXPRESSION).about("As Quartz takes it: seconds first, perhaps with a year; in UTC.")
NEW_SCHEDULE = Members({"expression": expression, "action": action}, needed=("expression", "action"))
REASON = Members({"reason": text(LONGEST_REASON)})
WHY = Parameters({"reason": text(LONGEST_REASON_IN_QUERY)})
TRUTH = one_of("true", "false")
FILTERS = Parameters(
    {
        "active": TRUTH,
        "deleted": TRUTH.about("true: those that were deleted, instead of those that are there."),
        "kind": one_of(*ACTIONS),
        "limit": limit,
        "cursor": cursor,
    }
)


class Verb(NamedTuple):
    """A verb on one schedule: its command, the members of its body, what it answers, and the line that says what it does."""

    command: Callable[..., ScheduleCommand]
    readers: Members
    answer: Schema
    summary: str


VERBS: dict[str, Verb] = {
    "pause": Verb(PauseSchedule, REASON, CHANGED_SCHEDULE, "Let a schedule not fire until it is resumed."),
    "resume": Verb(
        ResumeSchedule, REASON, CHANGED_SCHEDULE, "Let a schedule fire again, from what falls due after now."
    ),
    "run": Verb(RunSchedule, Members({}), RUN_SCHEDULE, "Run a schedule's action at once; its due times stay."),
}


@schedule_routes.get(SCHEDULES_PATH)
@listing(SCHEDULE_PAGE, parameters=FILTERS, capability=READ_SCHEDULES)
async def list_schedules(request: web.Request) -> web.Response:
    """A page of the org's schedules, in order of creation; with ``deleted=true`` of those that were deleted."""
    caller, parameters = permitted(request), read_parameters(request)
    kind, active = parameters.get("kind"), truth(parameters.get("active"))
    deleted = parameters.get("deleted") == "true"
    list_name = f"schedules of {caller.org}: {kind!r} {active!r} {deleted!r}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[SCHEDULES].schedules(
        caller.org,
        after=after,
        limit=parameters.get("limit", DEFAULT_LIMIT),
        kind=kind,
        active=active,
        deleted=deleted,
    )
    return page_answer(request, "schedules", page, list_name)


@schedule_routes.post(SCHEDULES_PATH)
@operation(
    CHANGED_SCHEDULE,
    statuses={201: "Created."},
    body=NEW_SCHEDULE,
    capability=MANAGE_SCHEDULES,
    may=(InvalidExpressionError,),
    gives_headers={"Location": "Where the schedule is."},
)
async def create_schedule(request: web.Request) -> web.Response:
    """Create a schedule: 201 with its id and when it fires first. An archive also needs ``jobs.purge``, an export
    ``exports.create``: of who makes it, now and whenever it fires.
    """
    read_parameters(request)
    members, body = await read_body_members(request)
    command = CreateSchedule(
        caller=request[CALLER], idempotency=idempotency(request, body), schedule_id=uuid4(), **members
    )
    outcome = await request.app[LEDGER].execute(command)
    return schedule_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@schedule_routes.get(SCHEDULES_PATH + "/{schedule_id}")
@operation(SCHEDULE, capability=READ_SCHEDULES)
async def get_schedule(request: web.Request) -> web.Response:
    """One schedule, with its next fires."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, await request.app[SCHEDULES].schedule(caller.org, path_schedule_id(request)))


@schedule_routes.post(SCHEDULES_PATH + "/{schedule_id}/{verb:" + "|".join(VERBS) + "}")
@operations(
    "verb",
    {
        word: Operation(
            answer=verb.answer,
            body=verb.readers,
            capability=MANAGE_SCHEDULES,
            may=(GoneError,),
            summary=verb.summary,
        )
        for word, verb in VERBS.items()
    },
)
async def change_schedule(request: web.Request) -> web.Response:
    """Pause a schedule, resume it, or run it at once."""
    read_parameters(request)
    verb, schedule_id = VERBS[request.match_info["verb"]], path_schedule_id(request)
    members, body = await read_body_members(request)
    command = verb.command(
        caller=request[CALLER], idempotency=idempotency(request, body), schedule_id=schedule_id, **members
    )
    return schedule_answer(request, await request.app[LEDGER].execute(command))


@schedule_routes.delete(SCHEDULES_PATH + "/{schedule_id}")
@operation(CHANGED_SCHEDULE, parameters=WHY, capability=MANAGE_SCHEDULES, may=(GoneError,))
async def delete_schedule(request: web.Request) -> web.Response:
    """Delete a schedule: it never fires again."""
    reason = read_parameters(request).get("reason")
    command = DeleteSchedule(caller=request[CALLER], schedule_id=path_schedule_id(request), reason=reason)
    return schedule_answer(request, await request.app[LEDGER].execute(command))


def truth(given: str | None) -> bool | None:
    """What a parameter that is "true" or "false" says; None where it is not given."""
    return None if given is None else given == "true"


def schedule_answer(
    request: web.Request, outcome: Outcome, status: int = 200, *, location: str | None = None
) -> web.Response:
    """The answer to a command on a schedule."""
    next_at = outcome.result["next_at"]
    result = {name: value for name, value in outcome.result.items() if name not in ("created_at", "next_at")}
    return outcome_answer(
        request,
        outcome._replace(result=result),
        status,
        location=location,
        next_at=None if next_at is None else datetime.fromisoformat(next_at),
    )


def path_schedule_id(request: web.Request) -> UUID:
    """The schedule's id in the path. NotFoundError for what can be none."""
    schedule_id: UUID = read_variable(request, "schedule_id")
    return schedule_id
