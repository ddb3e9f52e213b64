"""``/{orgId}/{itemId}/diagrams/…`` and ``jobTemplates``, which are of the whole org.

{"diagramId":"2","diagramName":"Permit","description":null,"diagramVersion":1,"active":true,"initialStepId":"a",
 "initialStepName":"Survey","steps":[{"id":"a","name":"Survey","assignedType":"User","assignedTo":"ann","canSkip":false,
 "paths":[{"nextStep":"b"}],…}],…}

What a client says beyond what is known here (positions, colours, actions) is kept as it is, and given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from jobledger.http.context import DIAGRAMS, LEDGER
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Members, boolean, list_of, reads, text
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.operation import operation, read_parameters
from jobledger.http.schema import STRING, array_of, nullable, object_of
from jobledger.http.workflow.answers import CREATED_DIAGRAM, DIAGRAM, DONE, SAVED_DIAGRAM, TEMPLATES
from jobledger.http.workflow.answers import DIAGRAMS as DIAGRAMS_ANSWER
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import READ_JOBS, Known, item_caller, path_id
from jobledger.http.workflow.job_documents import text_id
from jobledger.http.xml_document import plain
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.diagram import DRAFT, MOST_STEPS
from jobledger.ledger.domain.diagram_commands import (
    MANAGE_DIAGRAMS,
    CreateDiagram,
    DeleteDiagram,
    DeleteDiagramVersion,
    SaveDiagram,
)
from jobledger.ledger.errors import DiagramVersionIsActiveError, InvalidCommandError
from jobledger.projections.page import ROWS_A_PAGE, every

word = text(200)
# The members of steps by the vendor's names and by ours; ``paths`` are read apart.
STEP = {"id": "id", "name": "name", "assignedType": "assigned_type", "assignedTo": "assigned_to", "canSkip": "can_skip"}
STEP_READERS = Members(
    {
        "id": word,
        "name": text(500),
        "assignedType": text(200, shortest=0),
        "assignedTo": text(200, shortest=0),
        "canSkip": boolean,
    },
    needed=("id",),
)
# What is told of a diagram and is not its own to say, when it is posted back.
TOLD = frozenset({"diagramId", "diagramVersion", "initialStepName", "steps", "createdDate", "lastModifiedDate"})
PATH = object_of({"nextStep": STRING}, further=True)
A_STEP = {
    **STEP_READERS.schema,
    "properties": {**STEP_READERS.schema["properties"], "paths": nullable(array_of(PATH))},
    "additionalProperties": True,
}


@reads(A_STEP)
def step(value: Any) -> dict[str, Any]:
    """A step as a diagram's content has it."""
    if not isinstance(value, dict):
        raise ValueError("holds a step that is not an object")
    try:
        read = STEP_READERS.read({name: it for name, it in value.items() if name in STEP})
    except InvalidCommandError as error:
        raise ValueError(f"holds a step of which {error.detail[0].lower()}{error.detail[1:].rstrip('.')}") from None
    paths = plain(value.get("paths") or [])
    paths = paths if isinstance(paths, list) else [paths]
    following = [it.get("nextStep") for it in paths if isinstance(it, dict)]
    if len(following) < len(paths) or not all(isinstance(it, str) for it in following):
        raise ValueError("holds a step with a path that names no nextStep")
    members = {STEP[name]: it for name, it in read.items() if it not in ("", False)}
    further = {name: plain(it) for name, it in value.items() if name not in STEP and name != "paths"}
    members.setdefault("name", members["id"])
    members["next"] = [str(it) for it in dict.fromkeys(following)]
    # Kept where they say more than where to go on: so what is posted back as it was told is what it was.
    if paths != paths_to(members["next"]):
        further["paths"] = paths
    return {**members, "attributes": further} if further else members


def paths_to(targets: Iterable[str]) -> list[dict[str, Any]]:
    """The paths of a step that say nothing but where to go on."""
    return [{"nextStep": it} for it in targets]


SAVED = Known(
    {
        "diagramName": text(500),
        "description": text(10_000, shortest=0),
        "active": boolean.about("true: a new version, the active one; else it is the draft."),
        "initialStepId": word,
        "steps": list_of(step, MOST_STEPS),
    },
    needed=("steps",),
)
CREATED = Known(SAVED, needed=("diagramName", "steps"))


def read_diagram(document: Any, known: Known) -> dict[str, Any]:
    """What a diagram's command takes: ``content``, and ``name``, ``description``, ``is_active`` where they are given."""
    read = known.read(known.among(document))
    content: dict[str, Any] = {"steps": read["steps"]}
    # Each step that says that it is the initial one counts: there must be one.
    initial = [it["id"] for it in read["steps"] if it.get("attributes", {}).get("isInitialStep") in (True, "true")]
    initial = list(dict.fromkeys([*([read["initialStepId"]] if "initialStepId" in read else []), *initial]))
    if initial:
        content["initial_step"] = initial
    further = {name: plain(it) for name, it in document.items() if name not in TOLD | known.keys()}
    if further:
        content["attributes"] = further
    members = {"content": content, "is_active": read.get("active", False)}
    names = {"diagramName": "name", "description": "description"}
    return members | {mine: read[theirs] for theirs, mine in names.items() if theirs in read}


def shown_step(it: Mapping[str, Any]) -> dict[str, Any]:
    """A step as clients know it."""
    further = dict(it.get("attributes", {}))
    paths = further.pop("paths", None)
    known = {theirs: it.get(mine) for theirs, mine in STEP.items()}
    return {
        **known,
        "canSkip": it.get("can_skip", False),
        "paths": paths if isinstance(paths, list) and paths else paths_to(it["next"]),
        **further,
    }


def shown_diagram(version: Mapping[str, Any]) -> dict[str, Any]:
    """One version of a diagram."""
    names = {it["id"]: it["name"] for it in version["steps"]}
    return {
        "diagramId": str(version["id"]),
        "diagramName": version["name"],
        "description": version["description"],
        "diagramVersion": version["diagram_version"],
        "active": version["is_active"],
        "initialStepId": version["initial_step"],
        "initialStepName": names[version["initial_step"]],
        "steps": [shown_step(it) for it in version["steps"]],
        **version.get("attributes", {}),
    }


diagram_routes = web.RouteTableDef()


@diagram_routes.get(ITEM + "/jobTemplates")
@operation(TEMPLATES, capability=READ_JOBS)
async def list_templates(request: web.Request) -> web.Response:
    """The templates, and the diagrams that are their own."""
    caller = await item_caller(request)
    read_parameters(request)
    diagrams = request.app[DIAGRAMS]
    shown = [
        {
            "jobTemplateId": str(it["id"]),
            "jobTemplateName": it["name"],
            "diagramId": str(it["diagram_id"]),
            "diagramName": it["diagram_name"],
            "description": it["description"],
            "state": "Active" if it["active_version"] is not None else "Draft",
            "defaultPriorityName": it["defaults"].get("priority"),
            "defaultJobName": it["defaults"].get("name"),
            "defaultAssignedType": it["defaults"].get("details", {}).get("assigned_type"),
            "defaultAssignedTo": it["defaults"].get("details", {}).get("assigned_to"),
        }
        async for it in every(lambda after: diagrams.templates(caller.org, after=after, limit=ROWS_A_PAGE))
    ]
    return answer(request, {"jobTemplates": shown})


@diagram_routes.get(ITEM + "/diagrams")
@operation(DIAGRAMS_ANSWER, capability=READ_JOBS)
async def list_diagrams(request: web.Request) -> web.Response:
    """The diagrams, without their steps."""
    caller = await item_caller(request)
    read_parameters(request)
    diagrams = request.app[DIAGRAMS]
    shown = [
        {
            "diagramId": str(it["id"]),
            "diagramName": it["name"],
            "description": it["description"],
            "active": it["active_version"] is not None,
            "activeVersion": it["active_version"],
            "draft": DRAFT in it["versions"],
            "versions": it["versions"],
        }
        async for it in every(lambda after: diagrams.diagrams(caller.org, after=after, limit=ROWS_A_PAGE))
    ]
    return answer(request, {"diagrams": shown})


@diagram_routes.post(ITEM + "/diagrams")
@operation(CREATED_DIAGRAM, body=CREATED, capability=MANAGE_DIAGRAMS)
async def create_diagram(request: web.Request) -> web.Response:
    """Create a diagram: as a draft, or, with ``active``, as its first version."""
    caller = await item_caller(request)
    read_parameters(request)
    document, body, _ = await read_document(request)
    outcome = await request.app[LEDGER].execute(
        CreateDiagram(caller=caller, idempotency=idempotency(request, body), **read_diagram(document, CREATED))
    )
    return answer(request, {"diagramId": text_id(outcome.result["id"])}, headers=told_of(outcome))


@diagram_routes.get(ITEM + "/diagrams/{diagram_id}")
@operation(DIAGRAM, capability=READ_JOBS)
async def get_diagram(request: web.Request) -> web.Response:
    """A diagram's active version, else its draft."""
    return await answer_version(request, None)


@diagram_routes.get(ITEM + "/diagrams/{diagram_id}/{version}")
@operation(DIAGRAM, capability=READ_JOBS)
async def get_version(request: web.Request) -> web.Response:
    """One version, -1 for the draft."""
    return await answer_version(request, path_version(request))


async def answer_version(request: web.Request, number: int | None) -> web.Response:
    """A version of the path's diagram."""
    caller = await item_caller(request)
    read_parameters(request)
    diagram_id = path_id(request, "diagram_id")
    return answer(request, shown_diagram(await request.app[DIAGRAMS].version(caller.org, diagram_id, number)))


@diagram_routes.post(ITEM + "/diagrams/{diagram_id}")
@operation(SAVED_DIAGRAM, body=SAVED, capability=MANAGE_DIAGRAMS)
async def save_diagram(request: web.Request) -> web.Response:
    """Save a diagram: where something changed it is a new version, or another draft."""
    caller = await item_caller(request)
    read_parameters(request)
    diagram_id = path_id(request, "diagram_id")
    document, body, _ = await read_document(request)
    outcome = await request.app[LEDGER].execute(
        SaveDiagram(
            caller=caller,
            idempotency=idempotency(request, body),
            diagram_id=diagram_id,
            **read_diagram(document, SAVED),
        )
    )
    shown = {"success": True, "diagramVersion": outcome.result["diagram_version"]}
    return answer(request, shown, headers=told_of(outcome))


@diagram_routes.delete(ITEM + "/diagrams/{diagram_id}")
@operation(DONE, capability=MANAGE_DIAGRAMS)
async def delete_diagram(request: web.Request) -> web.Response:
    """Remove a diagram; jobs that go through it still do."""
    caller = await item_caller(request)
    return await _delete(request, DeleteDiagram(caller=caller, diagram_id=path_id(request, "diagram_id")))


@diagram_routes.delete(ITEM + "/diagrams/{diagram_id}/{version}")
@operation(DONE, capability=MANAGE_DIAGRAMS, may=(DiagramVersionIsActiveError,))
async def delete_version(request: web.Request) -> web.Response:
    """Remove a version that is not the active one, or the draft."""
    caller = await item_caller(request)
    diagram_id, number = path_id(request, "diagram_id"), path_version(request)
    return await _delete(request, DeleteDiagramVersion(caller=caller, diagram_id=diagram_id, number=number))


async def _delete(request: web.Request, command: Command) -> web.Response:
    read_parameters(request)
    outcome = await request.app[LEDGER].execute(command)
    return answer(request, {"success": True}, headers=told_of(outcome))


def path_version(request: web.Request) -> int:
    """The version's number in the path. NotFoundError for what can be none."""
    return path_id(request, "version")
