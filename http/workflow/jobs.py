"""``/{orgId}/{itemId}/jobs/…`` and creating jobs from templates."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, DIAGRAMS, DOMAINS, KEEPING, LEDGER
from jobledger.http.denied import note_told_refusals
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Members, integer, list_of, one_of, read_members, reads, text
from jobledger.http.native.jobs import told_of
from jobledger.http.native.principals import sealed_idempotency
from jobledger.http.native.workflow_members import location
from jobledger.http.operation import Body, Parameters, operation, read_body_members, read_parameters
from jobledger.http.schema import STRING, nullable, object_of
from jobledger.http.workflow.answers import CREATED_JOBS, DONE, JOB, LOCATION, STEP_RESPONSES
from jobledger.http.workflow.dialect import ITEM, JobsNotManagedError
from jobledger.http.workflow.items import (
    READ_JOBS,
    Known,
    item_caller,
    path_id,
    path_job_id,
    read_known,
    visible_job,
)
from jobledger.http.workflow.job_documents import shown_job
from jobledger.http.workflow.job_readers import READERS, read_job_members
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.hold import Hold, hold_stream
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job import LARGEST_JOB_ID, job_stream
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_hold_commands import HoldJob, ReleaseJobHolds
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.job_workflow_commands import (
    FINISH,
    MOST_JOBS_CREATED,
    RUN,
    SET_CURRENT,
    STOP,
    CreateJobs,
    TakeSteps,
    UpdateJob,
    UpgradeJob,
)
from jobledger.ledger.domain.manage_jobs import MOST_JOBS, ManageJobs
from jobledger.ledger.errors import (
    ConflictError,
    DiagramIsNotActiveError,
    InvalidCommandError,
    JobIsClosedError,
    NotAllowedError,
)

LARGEST_LIST_BYTES = 64 * 1024 * 1024
HOLD, RELEASE_HOLD = "Hold", "ReleaseHold"
ACTIONS = {"Run": RUN, "Finish": FINISH, "Stop": STOP, "SetCurrentStep": SET_CURRENT}
REASON = "asked for through the workflow dialect"
MANAGED = {"Close": CloseJob, "Reopen": ReopenJob, "Upgrade": UpgradeJob, "Delete": DeleteJob}

workflow_job_routes = web.RouteTableDef()

id_text = text(40)


@reads({"anyOf": [id_text.schema, {"type": "integer"}]})
def read_job_id(value: Any) -> str:
    """A job's id, as a text or a number; whether there is such a job is asked later."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else str(id_text(value))


@reads({**STRING, "enum": ["true", "false"]})
def flag(value: Any) -> bool:
    """True or false as a query has it."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("is neither true nor false")


CREATION = Known({**READERS, "numberOfJobs": integer(1, MOST_JOBS_CREATED)})
SHOWING = Parameters({"extProps": flag, "holds": flag})
LOCATED = Members({"location": location})
# Null: nowhere.
LOCATION_BODY = object_of({"location": nullable(location.schema)}, further=False)
ACTION = Members(
    {
        "type": one_of(*ACTIONS, HOLD, RELEASE_HOLD).about(
            f"Needs the capability `{TakeSteps.capability}`; {HOLD} and {RELEASE_HOLD} need `{PlaceHold.capability}`."
        ),
        "stepIds": list_of(text(200), 1_000).about("Else all current ones."),
    },
    needed=("type",),
)
MANAGEMENT = Members(
    {"type": one_of(*MANAGED), "jobIds": list_of(read_job_id, 10 * MOST_JOBS)}, needed=("type", "jobIds")
)


@workflow_job_routes.post(ITEM + "/jobTemplates/{template_id}/job")
@operation(CREATED_JOBS, body=CREATION, capability=CreateJobs.capability, may=(DiagramIsNotActiveError,))
async def create_jobs(request: web.Request) -> web.Response:
    """Create jobs from a template, all or none."""
    caller = await item_caller(request)
    read_parameters(request)
    template = await request.app[DIAGRAMS].template(caller.org, path_id(request, "template_id"))
    given, body = await read_known(request)
    number = read_members({"numberOfJobs": given.pop("numberOfJobs", None)}, CREATION)
    outcome = await request.app[LEDGER].execute(
        CreateJobs(
            caller=caller,
            idempotency=sealed_idempotency(request, body),
            template_id=template["id"],
            diagram_id=template["diagram_id"],
            domain=caller.home_domain,
            number_of_jobs=number.get("numberOfJobs", 1),
            members=read_job_members(given),
        )
    )
    shown = {"jobIds": [str(it) for it in outcome.result["job_ids"]]}
    return answer(request, shown, headers=told_of(outcome))


# These are no jobs, and take other methods.
@workflow_job_routes.get(ITEM + "/jobs/{job_id:(?!(?:manage|search)$)[^{}/]+}")
@operation(JOB, parameters=SHOWING, capability=READ_JOBS)
async def get_job(request: web.Request) -> web.Response:
    """One job; its extended properties and its holds where they are asked for."""
    caller = await item_caller(request)
    wanted = read_parameters(request)
    job = await visible_job(request, caller)
    shown = shown_job(job, await creator(request, caller, job["id"]))
    if wanted.get("extProps"):
        shown["extendedProperties"] = job["extended_properties"] or []
    if wanted.get("holds"):
        shown["holds"] = await shown_holds(request, caller, job["id"])
    return answer(request, shown)


async def creator(request: web.Request, caller: Caller, job_id: int) -> str | None:
    """What whoever registered the job is called."""
    begun = await request.app[LEDGER].recorder.begun_by(caller.org, [job_stream(job_id)])
    names = await request.app[DOMAINS].names(caller.org, begun.values())
    return names.get(begun[job_stream(job_id)])


async def shown_holds(request: web.Request, caller: Caller, job_id: int) -> list[dict[str, Any]]:
    """The holds that cover the job: those that list it, and those whose filter lets it through."""
    ledger = request.app[LEDGER]
    job = await ledger.job(caller.org, job_id)
    keeping = await request.app[KEEPING].keeping(caller.org)
    numbers = sorted(map(int, job.holds)) + [it.hold_id for it in keeping.filter_holds if it.covers(job)]
    holds = [await ledger.aggregate(caller.org, hold_stream(number)) for number in numbers]
    return [
        {
            "holdId": str(it.hold_id),
            "name": it.name,
            "reason": it.reason,
            "holdDate": it.placed_at,
            "isFilter": it.filter is not None,
        }
        for it in holds
        if isinstance(it, Hold)
    ]


@workflow_job_routes.post(ITEM + "/jobs/{job_id}/update")
@operation(DONE, body=READERS, capability=UpdateJob.capability, may=(ConflictError,))
async def update_job(request: web.Request) -> web.Response:
    """Say something else of a job. What cannot be changed so is ignored: the whole job may be posted back."""
    caller = await item_caller(request)
    read_parameters(request)
    given, body = await read_known(request)
    outcome = await request.app[LEDGER].execute(
        UpdateJob(
            caller=caller,
            idempotency=sealed_idempotency(request, body),
            job_id=path_job_id(request),
            members=read_job_members(given),
        )
    )
    return answer(request, {"success": True}, headers=told_of(outcome))


@workflow_job_routes.get(ITEM + "/jobs/{job_id}/location")
@operation(LOCATION, capability=READ_JOBS)
async def get_location(request: web.Request) -> web.Response:
    """Where the job is."""
    caller = await item_caller(request)
    read_parameters(request)
    return answer(request, {"location": (await visible_job(request, caller))["location"]})


@workflow_job_routes.put(ITEM + "/jobs/{job_id}/location")
@operation(DONE, body=Body(LOCATION_BODY), capability=UpdateJob.capability, may=(JobIsClosedError,))
async def put_location(request: web.Request) -> web.Response:
    """Say where the job is; null: nowhere."""
    caller = await item_caller(request)
    read_parameters(request)
    document, body, _ = await read_document(request)
    members = {"location": {}, **LOCATED.read(document)}
    if "location" not in document:
        raise InvalidCommandError("A location is due here.", errors=[{"member": "location", "problem": "is missing"}])
    outcome = await request.app[LEDGER].execute(
        UpdateJob(
            caller=caller,
            idempotency=sealed_idempotency(request, body),
            job_id=path_job_id(request),
            members=members,
        )
    )
    return answer(request, {"success": True}, headers=told_of(outcome))


@workflow_job_routes.post(ITEM + "/jobs/{job_id}/action")
@operation(STEP_RESPONSES, body=ACTION, may=(NotAllowedError, ConflictError))
async def act_on_job(request: web.Request) -> web.Response:
    """Take steps of a job, each judged by itself; or hold it, and release that."""
    caller = await item_caller(request)
    read_parameters(request)
    given, body = await read_body_members(request)
    idempotency = sealed_idempotency(request, body)
    if given["type"] in (HOLD, RELEASE_HOLD):
        caller.must(PlaceHold.capability)
        caller.must(READ_JOBS)
        job_id = (await visible_job(request, caller))["id"]
        job = await request.app[LEDGER].job(caller.org, job_id)
        # A hold is of the whole org: decided as who asks, not as who sees this item alone.
        kind = HoldJob if given["type"] == HOLD else ReleaseJobHolds
        held = await request.app[LEDGER].execute(
            kind(
                caller=request[CALLER],
                idempotency=idempotency,
                job_id=job_id,
                name=f"Job {job_id}",
                hold_ids=sorted(map(int, job.holds)),
                reason=None if kind is HoldJob else REASON,
            )
        )
        return answer(request, {"success": True, "stepResponses": []}, headers=told_of(held))
    outcome = await request.app[LEDGER].execute(
        TakeSteps(
            caller=caller,
            idempotency=idempotency,
            job_id=path_job_id(request),
            action=ACTIONS[given["type"]],
            step_ids=given.get("stepIds") or None,
        )
    )
    steps = [
        {
            "stepId": it["id"],
            "status": "Success" if it["is_done"] else "Error",
            "statusDescription": it["detail"] or "",
        }
        for it in outcome.result["steps"]
    ]
    is_done = all(it["is_done"] for it in outcome.result["steps"])
    return answer(request, {"success": is_done, "stepResponses": steps}, headers=told_of(outcome))


@workflow_job_routes.post(ITEM + "/jobs/manage")
@operation(DONE, body=MANAGEMENT, may=(JobsNotManagedError,))
async def manage_jobs(request: web.Request) -> web.Response:
    """Close, reopen, upgrade or delete jobs, each judged by itself."""
    caller = await item_caller(request)
    read_parameters(request)
    given, body = await read_body_members(request, LARGEST_LIST_BYTES)
    job_ids = list(dict.fromkeys(given["jobIds"]))
    if not 0 < len(job_ids) <= MOST_JOBS:
        raise InvalidCommandError(
            f"From 1 to {MOST_JOBS} jobs are managed at once.",
            errors=[{"member": "jobIds", "problem": "names none" if not job_ids else f"names more than {MOST_JOBS}"}],
        )
    kind = MANAGED[given["type"]]
    reason = {"reason": REASON} if kind is DeleteJob else {}
    known = [int(it) for it in job_ids if is_job_id(it)]
    commands: list[JobTransition] = [kind(caller=caller, job_id=it, **reason) for it in dict.fromkeys(known)]
    refused: dict[str, tuple[str, str]] = {}
    headers: dict[str, str] = {}
    if commands:
        outcome = await request.app[LEDGER].execute(
            ManageJobs(
                caller=caller,
                idempotency=sealed_idempotency(request, body),
                commands=commands,
            )
        )
        headers = told_of(outcome)
        note_told_refusals(request, outcome)
        refused = {str(it["id"]): (it["code"], it["detail"]) for it in outcome.result["refused"]}
    unknown = {it: ("not_found", f"There is no job {it}.") for it in job_ids if not is_job_id(it)}
    refused = {it: refused.get(it) or unknown[it] for it in job_ids if it in refused or it in unknown}
    if refused:
        raise JobsNotManagedError(
            f"{len(job_ids) - len(refused)} of {len(job_ids)} jobs were managed.",
            details=[f"{job_id}: {detail}" for job_id, (_, detail) in refused.items()],
            is_allowed=any(code != NotAllowedError.code for code, _ in refused.values()),
        )
    return answer(request, {"success": True}, headers=headers)


def is_job_id(given: str) -> bool:
    """Whether a job could have this id."""
    return given.isascii() and given.isdecimal() and given[0] != "0" and int(given[:11]) <= LARGEST_JOB_ID
