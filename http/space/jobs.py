"""``/api/space/job-management``: what there is, jobs, their types, and how one goes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, JOB_SEARCH, JOBS, NUMBERED_JOBS
from jobledger.http.members import Reader, text
from jobledger.http.operation import Parameters, operation, permitted, read_parameters, read_variable
from jobledger.http.space.answers import JOB_DOCUMENT, JOB_TYPES, JOBS_DOCUMENT, PROGRESS, ROOT
from jobledger.http.space.dialect import JOB_MANAGEMENT
from jobledger.http.space.documents import reply, speaks
from jobledger.http.space.domains import DomainNumbers, chosen_domain, within
from jobledger.http.space.expressions import (
    ALL,
    LONGEST,
    Paging,
    Sorting,
    read_fields,
    read_paging,
    read_sorting,
)
from jobledger.http.space.job_documents import ELEMENTS, JOBS_HREF, progress_update, shown_jobs
from jobledger.http.space.job_filters import SORTABLE, SORTED_BY, read_filter
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import State
from jobledger.projections.job_search import Condition, Every, OneOf, Order
from jobledger.projections.numbered_jobs import NumberedFilter

READ_JOBS = "jobs.read"
FIELDS = frozenset(ELEMENTS)
BY_BEGIN = frozenset({"start-time", "scheduled-start-time"})

job_routes = web.RouteTableDef()

expression: Reader[str] = text(LONGEST, shortest=0)
# All of them fit into a URL together.
short_expression: Reader[str] = text(300, shortest=0)
DOMAIN_CONTEXT = {"domainContext": short_expression.about("`(filterDomainIds eq 65537)`: a domain's number.")}
LIST = Parameters(
    {
        "filter": expression.about("`((job-state eq 'DONE') and (job-type contains 'Script'))`."),
        "paging": short_expression.about("`(start eq 0, limit eq 2)`; without it at most the first 1,000."),
        "sortby": short_expression.about("`(name(descending))`; of several fields the first."),
        "fields": short_expression.about("`(id,name,job-state)`: the elements that are shown."),
        **DOMAIN_CONTEXT,
    }
)


@job_routes.get(f"{JOB_MANAGEMENT}{{slash:/?}}")
@speaks("job-management", 1)
@operation(ROOT)
async def show_resources(request: web.Request) -> web.Response:
    """What there is."""
    permitted(request)
    read_parameters(request)
    names = ("archive-purge-jobs", "job-types", "cancel-jobs")
    resources: dict[str, Any] = {"collection": {"@href": JOBS_HREF, "@rel": "jobs"}}
    resources |= {name: {"@href": f"{JOB_MANAGEMENT}/{name}"} for name in names}
    return reply(request, {"job-management": resources})


@job_routes.get(f"{JOB_MANAGEMENT}/jobs")
@speaks("jobs", 3)
@operation(
    JOBS_DOCUMENT, parameters=LIST, capability=READ_JOBS, statuses={200: "Some jobs.", 204: "There are none of these."}
)
async def list_jobs(request: web.Request) -> web.Response:
    """The jobs that a filter lets through, a page of them, in an order."""
    caller = permitted(request)
    given = read_parameters(request)
    numbers = await DomainNumbers.of(request, caller.org)
    condition = read_filter(given.get("filter", ""), numbers)
    paging = read_paging(given["paging"]) if given.get("paging") else ALL
    sorting = read_sorting(given["sortby"], SORTABLE) if given.get("sortby") else Sorting("id", False)
    fields = read_fields(given["fields"], FIELDS) if given.get("fields") else None
    caller = within(caller, await chosen_domain(request, caller, given.get("domainContext")))
    jobs, total = await find_jobs(request, caller, condition, paging, sorting)
    if not total:
        return web.Response(status=204)
    shown = await shown_jobs(request, caller.org, jobs, fields)
    return reply(request, {"jobs": {"@total": total, "@uri": JOBS_HREF, "job": shown}})


async def find_jobs(
    request: web.Request, caller: Caller, condition: Condition, paging: Paging, sorting: Sorting
) -> tuple[list[dict[str, Any]], int]:
    """The jobs of a page, and how many there are in all. Raises DatabaseIsAwayError."""
    states = states_of(condition)
    if states is not None and (sorting.field == "id" or sorting.field in BY_BEGIN):
        # Counted and found by index alone, however many there are.
        wanted = NumberedFilter(
            states=None if len(states) == len(State) else states,
            by_begin=sorting.field in BY_BEGIN,
            is_reversed=sorting.is_descending,
        )
        page = await request.app[NUMBERED_JOBS].slice(
            caller.org, wanted, caller.domains, offset=paging.start, size=paging.limit
        )
        return list(page.jobs), page.count
    order = Order(SORTED_BY[sorting.field], sorting.is_descending)
    return await request.app[JOB_SEARCH].found(
        caller.org, caller.domains, condition, order, start=paging.start, limit=paging.limit
    )


def states_of(condition: Condition) -> tuple[str, ...] | None:
    """The states that a condition asks for, where that is all it asks; else None."""
    every = tuple(str(it) for it in State)
    match condition:
        case Every(()):
            return every
        case OneOf("state", values):
            return tuple(it for it in every if it in values)
        case Every(conditions):
            found = [states_of(it) for it in conditions]
            if any(it is None for it in found):
                return None
            return tuple(it for it in every if all(it in (states or ()) for states in found))
    return None


@job_routes.get(f"{JOB_MANAGEMENT}/jobs/{{job_id}}")
@speaks("job", 3)
@operation(JOB_DOCUMENT, capability=READ_JOBS)
async def get_job(request: web.Request) -> web.Response:
    """One job."""
    permitted(request)
    read_parameters(request)
    return await answer_job(request, read_variable(request, "job_id"))


async def answer_job(request: web.Request, job_id: int, headers: dict[str, str] | None = None) -> web.Response:
    """The job as it is by now. Raises NotFoundError, DatabaseIsAwayError."""
    caller = request[CALLER]
    job = await request.app[JOBS].document(caller.org, job_id, caller.domains)
    [shown] = await shown_jobs(request, caller.org, [job])
    return reply(request, {"job": shown}, headers=headers)


@job_routes.get(f"{JOB_MANAGEMENT}/jobs/{{job_id}}/progress-update")
@speaks("progress-update", 1)
@operation(PROGRESS, capability=READ_JOBS)
async def get_progress(request: web.Request) -> web.Response:
    """How a job goes, as its queue is told."""
    caller = permitted(request)
    read_parameters(request)
    job_id = read_variable(request, "job_id")
    job = await request.app[JOBS].document(caller.org, job_id, caller.domains)
    work = (await request.app[JOBS].registered_by(caller.org, [job_id])).get(job_id, {}).get("work") or {}
    recurrence = work.get("recurrence") or (work.get("order") or {}).get("recurrence")
    return reply(request, progress_update({**job, "recurrence": recurrence}))


@job_routes.get(f"{JOB_MANAGEMENT}/job-types")
@speaks("job-types", 3)
@operation(JOB_TYPES, capability=READ_JOBS, parameters=Parameters(DOMAIN_CONTEXT))
async def list_job_types(request: web.Request) -> web.Response:
    """The types of the jobs that there are."""
    caller = permitted(request)
    given = read_parameters(request)
    caller = within(caller, await chosen_domain(request, caller, given.get("domainContext")))
    types = await request.app[JOBS].types(caller.org, caller.domains)
    uri = f"{JOB_MANAGEMENT}/job-types"
    return reply(request, {"job-types": {"@total": len(types), "@uri": uri, "job-type": types}})
