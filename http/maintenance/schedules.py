"""The org's maintenance schedules, and maintenance at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web

from jobledger.http.context import CALLER, LEDGER, PRINCIPALS, SCHEDULES
from jobledger.http.exchange import answer
from jobledger.http.maintenance.answers import (
    CREATED_SCHEDULE,
    DELETED_SCHEDULE,
    MAINTENANCE_RUN,
    SCHEDULES_ANSWER,
    STARTED,
)
from jobledger.http.maintenance.dialect import envelope, shown_time
from jobledger.http.members import Members, one_of, reads
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import header_key, request_hash
from jobledger.http.native.schedules import expression, path_schedule_id
from jobledger.http.operation import Parameters, operation, permitted, read_body_members, read_parameters
from jobledger.http.schema import BOOLEAN, STRING
from jobledger.ledger.domain.command import Caller, Idempotency
from jobledger.ledger.domain.cron import InvalidExpressionError
from jobledger.ledger.domain.schedule import execution_id
from jobledger.ledger.domain.schedule_action import MAINTENANCE, MAINTENANCE_TYPE
from jobledger.ledger.domain.schedule_commands import (
    MANAGE_SCHEDULES,
    READ_SCHEDULES,
    CreateSchedule,
    DeleteSchedule,
    RunMaintenance,
)
from jobledger.ledger.errors import InvalidCommandError

PATH = "time-based"
SCHEDULER_TYPE = "time-based/maintenance"
CREATED = "Time-based schedule successfully created."

maintenance_routes = web.RouteTableDef()


@reads({"anyOf": [BOOLEAN, {**STRING, "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}]})
def flag(value: Any) -> bool:
    """True or false, or the word in any case."""
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


ACTIVE = Parameters({"active": flag.about("true: only those that are; false: only those that are not; absent: all.")})
NEW_SCHEDULE = Members(
    {
        "time_expression": expression.about("As Quartz takes it, in UTC. In the query or in the body, which wins."),
        "scheduler_type": one_of(PATH),
        "full_build": flag,
    }
)
RUN = Members({"full_build": flag})


@maintenance_routes.get("/aggregates/maintenance/scheduler/jobs/orgId/{org}")
@operation(SCHEDULES_ANSWER, parameters=ACTIVE, capability=READ_SCHEDULES)
async def list_schedules(request: web.Request) -> web.Response:
    """All of the org's maintenance schedules, those that are active, or those that are not."""
    caller = permitted(request)
    active = read_parameters(request).get("active")
    every = request.app[SCHEDULES].every(caller.org, kind=MAINTENANCE, active=active)
    return answer(request, envelope([shown_schedule(it, caller.org) async for it in every]))


@maintenance_routes.post("/aggregates/maintenance/scheduler/jobs/orgId/{org}")
@operation(
    CREATED_SCHEDULE,
    parameters=Parameters(NEW_SCHEDULE),
    body=NEW_SCHEDULE,
    capability=MANAGE_SCHEDULES,
    may=(InvalidExpressionError,),
)
async def create_schedule(request: web.Request) -> web.Response:
    """Create a maintenance schedule, of what the query and the body say."""
    members, key = await read_request(request)
    if "time_expression" not in members:
        raise InvalidCommandError("time_expression is missing.", member="time_expression")
    caller = request[CALLER]
    outcome = await request.app[LEDGER].execute(
        CreateSchedule(
            caller=caller,
            idempotency=key,
            schedule_id=uuid4(),
            expression=members["time_expression"],
            action={"kind": MAINTENANCE, "full_build": members.get("full_build", False)},
        )
    )
    response = {
        "job_id": outcome.result["id"],
        "time_expression": members["time_expression"],
        "scheduler_type": SCHEDULER_TYPE,
        "created_at": shown_time(datetime.fromisoformat(outcome.result["created_at"])),
        "created_by_user": await name_of(request, caller),
    }
    return answer(request, envelope(response, CREATED), headers=told_of(outcome))


@maintenance_routes.delete("/api/1.0/aggregates/maintenance-schedule/jobs/orgId/{org}/jobId/{schedule_id}")
@operation(DELETED_SCHEDULE, capability=MANAGE_SCHEDULES)
async def delete_schedule(request: web.Request) -> web.Response:
    """Delete a maintenance schedule."""
    caller = permitted(request)
    read_parameters(request)
    schedule_id = path_schedule_id(request)
    await request.app[LEDGER].execute(DeleteSchedule(caller=caller, schedule_id=schedule_id, kind=MAINTENANCE))
    return answer(request, envelope(f"successfully deleted job with Id: [{schedule_id}]"))


@maintenance_routes.post("/api/1.0/aggregates/maintenance/orgId/{org}/run-immediately")
@operation(STARTED, parameters=Parameters(RUN), body=RUN, capability=MANAGE_SCHEDULES)
async def run_immediately(request: web.Request) -> web.Response:
    """Maintain the org's aggregates at once."""
    members, key = await read_request(request)
    command = RunMaintenance(caller=request[CALLER], idempotency=key, **members)
    outcome = await request.app[LEDGER].execute(command)
    message = f"Maintenance successfully started for {request[CALLER].org}"
    return answer(request, envelope(None, message), headers=told_of(outcome))


@maintenance_routes.get("/aggregates/maintenance/orgId/{org}")
@operation(MAINTENANCE_RUN, capability=READ_SCHEDULES)
async def get_maintenance(request: web.Request) -> web.Response:
    """The maintenance that runs, or the last one; null before there was any."""
    caller = permitted(request)
    read_parameters(request)
    job = await request.app[SCHEDULES].last_job_of_type(caller.org, MAINTENANCE_TYPE)
    return answer(request, envelope(None if job is None else shown_maintenance(job, caller.org)))


async def read_request(request: web.Request) -> tuple[dict[str, Any], Idempotency | None]:
    """What the query and the body say, the body before the query, and the Idempotency-Key. Raises InvalidCommandError."""
    permitted(request)
    members, body = await read_body_members(request)
    asked = read_parameters(request, but=members)
    key = header_key(request)
    # Of the query too: it says as much as the body.
    hashed = request_hash(request.method, request.raw_path, body)
    return asked | members, None if key is None else Idempotency(key, hashed)


async def name_of(request: web.Request, caller: Caller) -> str:
    """The caller's name."""
    number = int(caller.principal.rpartition("-")[2])
    name: str = (await request.app[PRINCIPALS].principal(caller.org, number))["name"]
    return name


def shown_schedule(schedule: dict[str, Any], org: str) -> dict[str, Any]:
    """A schedule, which is as the native API shows it, as this dialect does; without ``latest_execution`` until it has run."""
    shown = {
        "job_id": schedule["id"],
        "organization_Id": org,
        "full_build": schedule["action"]["full_build"],
        "time_expression": schedule["expression"],
        "created_by_user": schedule["created_by"],
        "created_at": shown_time(schedule["created_at"]),
    }
    if schedule["last_executed_at"] is not None:
        shown["latest_execution"] = {
            "id": str(execution_id(UUID(schedule["id"]), schedule["last_job_id"])),
            "jobId": schedule["id"],
            "executedAt": shown_time(schedule["last_executed_at"]),
        }
    return {**shown, "path": PATH}


def shown_maintenance(job: dict[str, Any], org: str) -> dict[str, Any]:
    """A maintenance, from its job as the native API shows it; ``jobId`` is its schedule's, null for one run at once."""
    attributes = job["attributes"] or {}
    return {
        "id": job["id"],
        "jobId": attributes.get("schedule"),
        "organization_Id": org,
        "full_build": attributes.get("full_build") is True,
        "state": job["state"],
        "progress": job["progress"],
        "message": job["reason"] or job["message"],
        **{shown: _shown(job[name]) for shown, name in TIMES.items()},
    }


TIMES = {"registeredAt": "registered_at", "startedAt": "started_at", "endedAt": "ended_at"}


def _shown(moment: str | None) -> str | None:
    return None if moment is None else shown_time(datetime.fromisoformat(moment))
