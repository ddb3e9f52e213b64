"""``/{orgId}/{itemId}/jobs/search``."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import JOB_SEARCH
from jobledger.http.exchange import answer
from jobledger.http.members import Members, integer, list_of, reads, text
from jobledger.http.operation import operation, read_body_members, read_parameters
from jobledger.http.schema import STRING, nullable, object_of
from jobledger.http.workflow.answers import SEARCH_PAGE
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import READ_JOBS, item_caller
from jobledger.http.workflow.job_documents import FIELDS, STATE_BY_STATUS, shown_job
from jobledger.http.workflow.search_terms import LONGEST_CONDITION, ConditionReader
from jobledger.http.xml_document import plain
from jobledger.ledger.errors import InvalidCommandError
from jobledger.projections.job_search import Every, Order

LARGEST_PAGE, USUAL_PAGE = 1_000, 100
LARGEST_START = 100_000
MOST_ORDERS = 5
USUAL_FIELDS = ("jobId", "jobName", "jobStatus", "priority", "assignedTo", "dueDate")
BY_LOWER_CASE = {name.lower(): name for name in FIELDS}

search_routes = web.RouteTableDef()


@reads({**STRING, "enum": list(FIELDS)})
def field(value: Any) -> str:
    """The name of a member of jobs, in any case."""
    name = BY_LOWER_CASE.get(value.lower()) if isinstance(value, str) else None
    if name is None:
        raise ValueError(f"is none of {', '.join(FIELDS)}")
    return name


A_DIRECTION = {**STRING, "enum": ["Asc", "Desc"]}


@reads(object_of({"field": field.schema, "sortOrder": nullable(A_DIRECTION)}, without=["sortOrder"], further=False))
def order(value: Any) -> Order:
    """``{"field", "sortOrder": "Asc" or "Desc"}``."""
    if not isinstance(value, dict) or value.keys() - {"field", "sortOrder"}:
        raise ValueError("is not an object of a field and a sortOrder")
    direction = plain(value).get("sortOrder") or "Asc"
    if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
        raise ValueError("has a sortOrder that is neither Asc nor Desc")
    return Order(FIELDS[field(value.get("field"))], direction.lower() == "desc")


SEARCH = Members(
    {
        "q": text(LONGEST_CONDITION, shortest=0).about("A condition, such as `priority = 'High' AND closed = false`."),
        "search": text(200, shortest=0).about("Looked for in the type and the name, whatever the case; or a job's id."),
        "start": integer(0, LARGEST_START),
        "num": integer(1, LARGEST_PAGE),
        "sortFields": list_of(order, MOST_ORDERS),
        "fields": list_of(field, len(FIELDS)),
        "displayNames": list_of(text(200), len(FIELDS)),
    }
)
BY_WORD = {name.lower(): member for name, member in FIELDS.items()}


@search_routes.post(ITEM + "/jobs/search")
@operation(SEARCH_PAGE, body=SEARCH, capability=READ_JOBS)
async def search_jobs(request: web.Request) -> web.Response:
    """A page of the item's jobs that hold to a condition and contain some words, in the order asked for, else by id."""
    caller = await item_caller(request)
    read_parameters(request)
    given, _ = await read_body_members(request)
    fields = given.get("fields") or list(USUAL_FIELDS)
    shown_names = given.get("displayNames") or fields
    if len(shown_names) != len(fields):
        raise InvalidCommandError(
            "There is a display name for each field, or none.",
            errors=[{"member": "displayNames", "problem": "are not as many as the fields"}],
        )
    q = given.get("q", "").strip()
    start, size = given.get("start", 0), given.get("num", USUAL_PAGE)
    jobs = await request.app[JOB_SEARCH].jobs(
        caller.org,
        caller.domains,
        ConditionReader(q, BY_WORD, STATE_BY_STATUS).read() if q else Every(),
        given.get("sortFields", []),
        words=given.get("search") or None,
        start=start,
        limit=size + 1,
    )
    shown = [shown_job(job, None) for job in jobs[:size]]
    results = [[job[name] for name in fields] for job in shown]
    following = start + size if len(jobs) > size else -1
    return answer(
        request,
        {"fields": shown_names, "results": results, "start": start, "nextStart": following, "num": len(results)},
    )
