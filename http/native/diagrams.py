"""The native API's diagrams and templates."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, DIAGRAMS, LEDGER
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Reader, an_object, boolean, integer, list_of, read_members, text
from jobledger.http.native.parameters import DEFAULT_LIMIT, idempotency, limit, read_parameters
from jobledger.http.native.principals import outcome_answer, page_answer, read_cursor
from jobledger.http.native.workflow_members import JOB_MEMBERS, workflow_members
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.diagram import DRAFT, LARGEST_DIAGRAM_ID, MOST_STEPS
from jobledger.ledger.domain.diagram_commands import (
    ActivateDiagram,
    ChangeTemplate,
    CreateDiagram,
    CreateTemplate,
    DeleteDiagram,
    DeleteDiagramVersion,
    DeleteTemplate,
    SaveDiagram,
)
from jobledger.ledger.domain.job_workflow_commands import MOST_JOBS_CREATED, CreateJobs
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

READ_JOBS = "jobs.read"
DIAGRAMS_PATH = "/ledger/v1/{org}/diagrams"
TEMPLATES_PATH = "/ledger/v1/{org}/templates"
diagram_number = integer(1, LARGEST_DIAGRAM_ID)

STEP: dict[str, Reader] = {
    "id": text(200),
    "name": text(500),
    "assigned_type": text(200),
    "assigned_to": text(200),
    "can_skip": boolean,
    "next": list_of(text(200), MOST_STEPS),
    "attributes": an_object,
}


def step(value: Any) -> dict[str, Any]:
    """A step as a diagram's content has it."""
    try:
        read = read_members(value, STEP, needed=("id",))
    except InvalidCommandError as error:
        raise ValueError(f"holds a step of which {error.detail[0].lower()}{error.detail[1:].rstrip('.')}") from None
    return {"name": read["id"], **read, "next": list(dict.fromkeys(read.get("next", ())))}


DIAGRAM: dict[str, Reader] = {
    "name": text(500),
    "description": text(10_000, shortest=0),
    "steps": list_of(step, MOST_STEPS),
    "initial_step": text(200),
    "attributes": an_object,
    "active": boolean,
}
TEMPLATE: dict[str, Reader] = {"name": text(500), "diagram_id": diagram_number, "defaults": an_object}
TEMPLATE_CHANGE: dict[str, Reader] = {"name": text(500), "defaults": an_object}
CREATION: dict[str, Reader] = {**JOB_MEMBERS, "number_of_jobs": integer(1, MOST_JOBS_CREATED), "domain": text(200)}
REASON: dict[str, Reader] = {"reason": text(10_000)}
FILTERS: dict[str, Reader] = {"limit": limit, "cursor": text(100)}
# What a template may leave open no more: what it says for all of its jobs.
DEFAULTS = {name: it for name, it in JOB_MEMBERS.items() if name not in ("location", "extended_properties")}

diagram_routes = web.RouteTableDef()


def read_diagram(document: Any, *needed: str) -> dict[str, Any]:
    """What a diagram's command takes."""
    read = read_members(document, DIAGRAM, needed=needed)
    members: dict[str, Any] = {name: read[name] for name in ("name", "description") if name in read}
    if "steps" in read:
        members["content"] = {name: read[name] for name in ("steps", "initial_step", "attributes") if name in read}
    elif "initial_step" in read or "attributes" in read:
        raise InvalidCommandError("Without its steps nothing is said of a diagram.", errors=_missing("steps"))
    return {**members, "is_active": read.get("active", False)}


def read_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """What a template says of its jobs. Raises InvalidCommandError."""
    return workflow_members(read_members(given, DEFAULTS))


def _missing(member: str) -> list[dict[str, str]]:
    return [{"member": member, "problem": "is missing"}]


@diagram_routes.get(DIAGRAMS_PATH)
async def list_diagrams(request: web.Request) -> web.Response:
    """A page of the diagrams, by number, without their steps."""
    caller, parameters = reader(request), read_parameters(request, FILTERS)
    list_name = f"diagrams of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[DIAGRAMS].diagrams(caller.org, after=after, limit=parameters.get("limit", DEFAULT_LIMIT))
    return page_answer(request, "diagrams", page, list_name)


@diagram_routes.post(DIAGRAMS_PATH)
async def create_diagram(request: web.Request) -> web.Response:
    """Create a diagram: 201 with its number."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    outcome = await request.app[LEDGER].execute(
        CreateDiagram(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            **read_diagram(document, "name", "steps"),
        )
    )
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@diagram_routes.get(DIAGRAMS_PATH + "/{diagram_id}")
async def get_diagram(request: web.Request) -> web.Response:
    """One diagram, and which versions it has."""
    caller = reader(request)
    read_parameters(request, {})
    return answer(request, await request.app[DIAGRAMS].diagram(caller.org, path_number(request, "diagram_id")))


@diagram_routes.post(DIAGRAMS_PATH + "/{diagram_id}")
async def save_diagram(request: web.Request) -> web.Response:
    """Save a diagram: what is not given stays; where something changed it is a new version, or another draft."""
    read_parameters(request, {})
    number = path_number(request, "diagram_id")
    document, body, _ = await read_document(request)
    command = SaveDiagram(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        diagram_id=number,
        **read_diagram(document),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(DIAGRAMS_PATH + "/{diagram_id}")
async def delete_diagram(request: web.Request) -> web.Response:
    """Remove a diagram; jobs that go through it still do."""
    reason = read_parameters(request, REASON).get("reason")
    command = DeleteDiagram(caller=request[CALLER], diagram_id=path_number(request, "diagram_id"), reason=reason)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.get(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}")
async def get_version(request: web.Request) -> web.Response:
    """One version with its steps, -1 for the draft."""
    caller = reader(request)
    read_parameters(request, {})
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    return answer(request, await request.app[DIAGRAMS].version(caller.org, diagram_id, number))


@diagram_routes.post(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}/activate")
async def activate_version(request: web.Request) -> web.Response:
    """Make a version the active one; the draft becomes the next version."""
    read_parameters(request, {})
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    document, body, _ = await read_document(request)
    read_members(document, {})
    command = ActivateDiagram(
        caller=request[CALLER], idempotency=idempotency(request, body), diagram_id=diagram_id, number=number
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}")
async def delete_version(request: web.Request) -> web.Response:
    """Remove a version that is not the active one, or the draft."""
    read_parameters(request, {})
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    command = DeleteDiagramVersion(caller=request[CALLER], diagram_id=diagram_id, number=number)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.get(TEMPLATES_PATH)
async def list_templates(request: web.Request) -> web.Response:
    """A page of the templates, and of the diagrams that are their own, by number."""
    caller, parameters = reader(request), read_parameters(request, FILTERS)
    list_name = f"templates of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[DIAGRAMS].templates(caller.org, after=after, limit=parameters.get("limit", DEFAULT_LIMIT))
    return page_answer(request, "templates", page, list_name)


@diagram_routes.post(TEMPLATES_PATH)
async def create_template(request: web.Request) -> web.Response:
    """Create a template of a diagram: 201 with its number."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    members = read_members(document, TEMPLATE, needed=("name", "diagram_id"))
    members["defaults"] = read_defaults(members.get("defaults", {}))
    command = CreateTemplate(caller=request[CALLER], idempotency=idempotency(request, body), **members)
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@diagram_routes.get(TEMPLATES_PATH + "/{template_id}")
async def get_template(request: web.Request) -> web.Response:
    """One template."""
    caller = reader(request)
    read_parameters(request, {})
    return answer(request, await request.app[DIAGRAMS].template(caller.org, path_number(request, "template_id")))


@diagram_routes.post(TEMPLATES_PATH + "/{template_id}")
async def change_template(request: web.Request) -> web.Response:
    """Give a template another name or other defaults."""
    read_parameters(request, {})
    number = path_number(request, "template_id")
    document, body, _ = await read_document(request)
    members = read_members(document, TEMPLATE_CHANGE)
    if "defaults" in members:
        members["defaults"] = read_defaults(members["defaults"])
    command = ChangeTemplate(
        caller=request[CALLER], idempotency=idempotency(request, body), template_id=number, **members
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(TEMPLATES_PATH + "/{template_id}")
async def delete_template(request: web.Request) -> web.Response:
    """Remove a template."""
    reason = read_parameters(request, REASON).get("reason")
    command = DeleteTemplate(caller=request[CALLER], template_id=path_number(request, "template_id"), reason=reason)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.post(TEMPLATES_PATH + "/{template_id}/jobs")
async def create_jobs(request: web.Request) -> web.Response:
    """Create jobs from a template, all or none: 201 with their ids."""
    read_parameters(request, {})
    caller, number = request[CALLER], path_number(request, "template_id")
    caller.must(CreateJobs.capability)
    document, body, _ = await read_document(request)
    members = read_members(document, CREATION)
    template = await request.app[DIAGRAMS].template(caller.org, number)
    outcome = await request.app[LEDGER].execute(
        CreateJobs(
            caller=caller,
            idempotency=idempotency(request, body),
            template_id=number,
            diagram_id=template["diagram_id"],
            domain=members.pop("domain", caller.home_domain),
            number_of_jobs=members.pop("number_of_jobs", 1),
            members=workflow_members(members),
        )
    )
    return outcome_answer(request, outcome, 201)


def reader(request: web.Request) -> Caller:
    """The caller, if it may read jobs and what they go through. Raises NotAllowedError."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    return caller


def path_number(request: web.Request, name: str) -> int:
    """The number in the path. NotFoundError for what can be none."""
    given = request.match_info[name]
    if not given.isdecimal() or not given.isascii() or len(given) > 10 or not 0 < int(given) <= LARGEST_DIAGRAM_ID:
        raise NotFoundError(f"There is no {name.removesuffix('_id')} {given[:40]}.")
    return int(given)


def path_version(request: web.Request) -> int:
    """The version's number in the path, -1 for the draft. NotFoundError for what can be none."""
    return DRAFT if request.match_info["number"] == str(DRAFT) else path_number(request, "number")
