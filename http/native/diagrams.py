"""The native API's diagrams and templates."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, DIAGRAMS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, Reader, an_object, boolean, integer, list_of, reads, text
from jobledger.http.native.dialect import diagram_id
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.native.workflow_answers import (
    CHANGED_DIAGRAM,
    CHANGED_TEMPLATE,
    CREATED_JOBS,
    CREATED_TEMPLATE,
    DELETED_DIAGRAM,
    DIAGRAM,
    DIAGRAM_PAGE,
    DIAGRAM_VERSION,
    TEMPLATE,
    TEMPLATE_PAGE,
)
from jobledger.http.native.workflow_members import JOB_MEMBERS, LONGEST_REASON, SaidOfJob, workflow_members
from jobledger.http.operation import (
    Parameters,
    operation,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.ledger.domain.diagram import MOST_STEPS
from jobledger.ledger.domain.diagram_commands import (
    MANAGE_DIAGRAMS,
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
from jobledger.ledger.errors import (
    DiagramIsNotActiveError,
    DiagramVersionIsActiveError,
    GoneError,
    InvalidCommandError,
)

READ_JOBS = "jobs.read"
DIAGRAMS_PATH = "/ledger/v1/{org}/diagrams"
TEMPLATES_PATH = "/ledger/v1/{org}/templates"

STEP = Members(
    {
        "id": text(200),
        "name": text(500),
        "assigned_type": text(200),
        "assigned_to": text(200),
        "can_skip": boolean,
        "next": list_of(text(200), MOST_STEPS),
        "attributes": an_object,
    },
    needed=("id",),
)


@reads(STEP.schema)
def step(value: Any) -> dict[str, Any]:
    """A step as a diagram's content has it."""
    try:
        read = STEP.read(value)
    except InvalidCommandError as error:
        raise ValueError(f"holds a step of which {error.detail[0].lower()}{error.detail[1:].rstrip('.')}") from None
    # What says nothing is left out, so that a step is the same whichever way it came.
    said = {name: it for name, it in read.items() if it not in (False, {})}
    return {"name": read["id"], **said, "next": list(dict.fromkeys(read.get("next", ())))}


# What a template may leave open no more: what it says for all of its jobs.
DEFAULTS = Members({name: it for name, it in JOB_MEMBERS.items() if name not in ("location", "extended_properties")})
defaults = Reader(an_object.read, DEFAULTS.schema)

SAVED_DIAGRAM = Members(
    {
        "name": text(500),
        "description": text(10_000, shortest=0),
        "steps": list_of(step, MOST_STEPS),
        "initial_step": text(200).about("Else the one step that no other leads to."),
        "attributes": an_object,
        "active": boolean.about("true: a new version, the active one; else it is the draft."),
    }
)
NEW_DIAGRAM = Members(SAVED_DIAGRAM, needed=("name", "steps"))
NEW_TEMPLATE = Members(
    {"name": text(500), "diagram_id": diagram_id, "defaults": defaults}, needed=("name", "diagram_id")
)
SAVED_TEMPLATE = Members({"name": text(500), "defaults": defaults})
CREATION = SaidOfJob(
    {
        **JOB_MEMBERS,
        "number_of_jobs": integer(1, MOST_JOBS_CREATED),
        "domain": text(200).about("Else the caller's home domain."),
    }
)
REASON = Parameters({"reason": text(LONGEST_REASON)})
PAGES = Parameters({"limit": limit, "cursor": cursor})
LOCATED = {"Location": "Where it is."}

diagram_routes = web.RouteTableDef()


def diagram_members(read: dict[str, Any]) -> dict[str, Any]:
    """What a diagram's command takes. Raises InvalidCommandError."""
    members: dict[str, Any] = {name: read[name] for name in ("name", "description") if name in read}
    if "steps" in read:
        further = {name: read[name] for name in ("initial_step", "attributes") if read.get(name)}
        members["content"] = {"steps": read["steps"], **further}
    elif "initial_step" in read or "attributes" in read:
        raise InvalidCommandError(
            "Without its steps nothing is said of a diagram.", errors=[{"member": "steps", "problem": "is missing"}]
        )
    return {**members, "is_active": read.get("active", False)}


def template_members(read: dict[str, Any]) -> dict[str, Any]:
    """What a template's command takes. Raises InvalidCommandError."""
    if "defaults" not in read:
        return read
    return {**read, "defaults": workflow_members(DEFAULTS.read(read["defaults"]))}


@diagram_routes.get(DIAGRAMS_PATH)
@listing(DIAGRAM_PAGE, parameters=PAGES, capability=READ_JOBS)
async def list_diagrams(request: web.Request) -> web.Response:
    """A page of the diagrams, by number, without their steps."""
    caller, parameters = permitted(request), read_parameters(request)
    list_name = f"diagrams of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[DIAGRAMS].diagrams(caller.org, after=after, limit=parameters.get("limit", DEFAULT_LIMIT))
    return page_answer(request, "diagrams", page, list_name)


@diagram_routes.post(DIAGRAMS_PATH)
@operation(
    CHANGED_DIAGRAM,
    statuses={201: "Created."},
    body=NEW_DIAGRAM,
    capability=MANAGE_DIAGRAMS,
    gives_headers=LOCATED,
)
async def create_diagram(request: web.Request) -> web.Response:
    """Create a diagram: 201 with its number."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = CreateDiagram(caller=request[CALLER], idempotency=idempotency(request, body), **diagram_members(members))
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@diagram_routes.get(DIAGRAMS_PATH + "/{diagram_id}")
@operation(DIAGRAM, capability=READ_JOBS)
async def get_diagram(request: web.Request) -> web.Response:
    """One diagram, and which versions it has."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, await request.app[DIAGRAMS].diagram(caller.org, path_number(request, "diagram_id")))


@diagram_routes.post(DIAGRAMS_PATH + "/{diagram_id}")
@operation(CHANGED_DIAGRAM, body=SAVED_DIAGRAM, capability=MANAGE_DIAGRAMS)
async def save_diagram(request: web.Request) -> web.Response:
    """Save a diagram: what is not given stays; where something changed it is a new version, or another draft."""
    read_parameters(request)
    number = path_number(request, "diagram_id")
    members, body = await read_body_members(request)
    command = SaveDiagram(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        diagram_id=number,
        **diagram_members(members),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(DIAGRAMS_PATH + "/{diagram_id}")
@operation(DELETED_DIAGRAM, parameters=REASON, capability=MANAGE_DIAGRAMS)
async def delete_diagram(request: web.Request) -> web.Response:
    """Remove a diagram; jobs that go through it still do."""
    reason = read_parameters(request).get("reason")
    command = DeleteDiagram(caller=request[CALLER], diagram_id=path_number(request, "diagram_id"), reason=reason)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.get(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}")
@operation(DIAGRAM_VERSION, capability=READ_JOBS)
async def get_version(request: web.Request) -> web.Response:
    """One version with its steps, -1 for the draft."""
    caller = permitted(request)
    read_parameters(request)
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    return answer(request, await request.app[DIAGRAMS].version(caller.org, diagram_id, number))


@diagram_routes.post(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}/activate")
@operation(CHANGED_DIAGRAM, body=Members({}), capability=MANAGE_DIAGRAMS)
async def activate_version(request: web.Request) -> web.Response:
    """Make a version the active one; the draft becomes the next version."""
    read_parameters(request)
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    _, body = await read_body_members(request)
    command = ActivateDiagram(
        caller=request[CALLER], idempotency=idempotency(request, body), diagram_id=diagram_id, number=number
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(DIAGRAMS_PATH + "/{diagram_id}/versions/{number}")
@operation(CHANGED_DIAGRAM, parameters=REASON, capability=MANAGE_DIAGRAMS, may=(DiagramVersionIsActiveError,))
async def delete_version(request: web.Request) -> web.Response:
    """Remove a version that is not the active one, or the draft."""
    reason = read_parameters(request).get("reason")
    diagram_id, number = path_number(request, "diagram_id"), path_version(request)
    command = DeleteDiagramVersion(caller=request[CALLER], diagram_id=diagram_id, number=number, reason=reason)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.get(TEMPLATES_PATH)
@listing(TEMPLATE_PAGE, parameters=PAGES, capability=READ_JOBS)
async def list_templates(request: web.Request) -> web.Response:
    """A page of the templates, and of the diagrams that are their own, by number."""
    caller, parameters = permitted(request), read_parameters(request)
    list_name = f"templates of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[DIAGRAMS].templates(caller.org, after=after, limit=parameters.get("limit", DEFAULT_LIMIT))
    return page_answer(request, "templates", page, list_name)


@diagram_routes.post(TEMPLATES_PATH)
@operation(
    CREATED_TEMPLATE,
    statuses={201: "Created."},
    body=NEW_TEMPLATE,
    capability=MANAGE_DIAGRAMS,
    gives_headers=LOCATED,
)
async def create_template(request: web.Request) -> web.Response:
    """Create a template of a diagram: 201 with its number."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = CreateTemplate(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        **template_members({"defaults": {}, **members}),
    )
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@diagram_routes.get(TEMPLATES_PATH + "/{template_id}")
@operation(TEMPLATE, capability=READ_JOBS)
async def get_template(request: web.Request) -> web.Response:
    """One template."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, await request.app[DIAGRAMS].template(caller.org, path_number(request, "template_id")))


@diagram_routes.post(TEMPLATES_PATH + "/{template_id}")
@operation(CHANGED_TEMPLATE, body=SAVED_TEMPLATE, capability=MANAGE_DIAGRAMS)
async def change_template(request: web.Request) -> web.Response:
    """Give a template another name or other defaults."""
    read_parameters(request)
    number = path_number(request, "template_id")
    members, body = await read_body_members(request)
    command = ChangeTemplate(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        template_id=number,
        **template_members(members),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.delete(TEMPLATES_PATH + "/{template_id}")
@operation(CHANGED_TEMPLATE, parameters=REASON, capability=MANAGE_DIAGRAMS)
async def delete_template(request: web.Request) -> web.Response:
    """Remove a template."""
    reason = read_parameters(request).get("reason")
    command = DeleteTemplate(caller=request[CALLER], template_id=path_number(request, "template_id"), reason=reason)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@diagram_routes.post(TEMPLATES_PATH + "/{template_id}/jobs")
@operation(
    CREATED_JOBS,
    statuses={201: "Created."},
    body=CREATION,
    capability=CreateJobs.capability,
    may=(DiagramIsNotActiveError, GoneError),
)
async def create_jobs(request: web.Request) -> web.Response:
    """Create jobs from a template, all or none: 201 with their ids."""
    read_parameters(request)
    caller, number = permitted(request), path_number(request, "template_id")
    members, body = await read_body_members(request)
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


def path_number(request: web.Request, name: str) -> int:
    """The number in the path. NotFoundError for what can be none."""
    number: int = read_variable(request, name)
    return number


def path_version(request: web.Request) -> int:
    """The version's number in the path, -1 for the draft. NotFoundError for what can be none."""
    return path_number(request, "number")
