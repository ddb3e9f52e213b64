"""Lists of jobs: what they take, and their pages.

{"count":5,"next":"http://host/api/jobs/?page=2","previous":null,"results":[…]}
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from jobledger.http.context import NUMBERED_JOBS
from jobledger.http.exchange import answer
from jobledger.http.fetches.dialect import InvalidPageError, datastream_id
from jobledger.http.fetches.job_documents import STATES, shown_job
from jobledger.http.fetches.times import read_end, read_start
from jobledger.http.members import Reader, integer, one_of, text
from jobledger.http.operation import Parameters, permitted, read_parameters
from jobledger.http.schema import STRING, array_of
from jobledger.http.urls import public_url
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import FINAL_STATES, State
from jobledger.ledger.errors import InvalidCommandError
from jobledger.projections.numbered_jobs import NumberedFilter, Span

READ_JOBS = "jobs.read"
LARGEST_PAGE, USUAL_PAGE = 1000, 100
# Longer ones name no page of any list.
MOST_DIGITS = 10
GOING_ON = tuple(sorted(set(State) - FINAL_STATES))
STATE_BY_WORD = {word: state for state, it in STATES.items() for word in (str(it.number), it.label.lower())}


def read_datastream_id(value: Any) -> str:
    """A datastream's id, with or without a slash behind it."""
    return datastream_id(value.removesuffix("/"))


def read_states(values: list[str]) -> tuple[str, ...]:
    """States by number or label, one or several, also with commas between."""
    words = [word.strip().lower() for value in values for word in value.split(",")]
    if not all(word in STATE_BY_WORD for word in words):
        raise ValueError(f"is none of {', '.join(f'{it.number} {it.label}' for it in STATES.values())}")
    return tuple(sorted({STATE_BY_WORD[word] for word in words}))


A_STATE = {**STRING, "enum": [word for it in STATES.values() for word in (str(it.number), it.label)]}
PARAMETERS = Parameters(
    {
        "datastream_id": Reader(read_datastream_id, datastream_id.schema),
        "start": read_start,
        "end": read_end,
        "state": Reader(read_states, array_of(A_STATE, least=1)),
        "ordering": one_of("id", "-id", "job_start", "-job_start"),
        "stack": text(200),
        # What is no page of this list is not found, and no fault of the parameter.
        "page": Reader(lambda value: value, {"type": "integer", "minimum": 1, "maximum": 10**MOST_DIGITS - 1}),
        "page_size": integer(1, LARGEST_PAGE),
    },
    lists=frozenset({"state"}),
)


def read_span(start: datetime | None, end: Any) -> Span | None:
    """The time between the two, both included; None where neither is given. Raises InvalidCommandError."""
    if start is not None and end is not None and end.beyond <= start:
        raise InvalidCommandError("End lies before start.", errors=[{"member": "end", "problem": "lies before start"}])
    if start is None and end is None:
        return None
    span = Span() if start is None else Span(begin=start)
    return span if end is None else span._replace(end=end.beyond)


async def list_page(request: web.Request, datastream: str | None = None) -> web.Response:
    """The page that the request asks for, of all jobs or of one datastream's. Raises InvalidPageError."""
    caller = permitted(request)
    given = read_parameters(request)
    datastream = _one_datastream(datastream, given.get("datastream_id"))
    span = read_span(given.get("start"), given.get("end"))
    states = given.get("state")
    if span is None:
        states = GOING_ON if states is None else tuple(it for it in states if it in GOING_ON)
    ordering = given.get("ordering", "id")
    wanted = NumberedFilter(
        states=states,
        datastream_id=datastream,
        span=span,
        by_begin=ordering.endswith("job_start"),
        is_reversed=ordering.startswith("-"),
    )
    number, size = read_page(given.get("page", "1")), given.get("page_size", USUAL_PAGE)
    domains = visible_domains(caller, given.get("stack"))
    page = await request.app[NUMBERED_JOBS].page(caller.org, wanted, domains, number=number, size=size)
    if number > 1 and not page.jobs:
        raise InvalidPageError("Invalid page.")
    base, now = public_url(request), datetime.now(UTC)
    document = {
        "count": page.count,
        "next": page_url(request, base, number + 1) if number * size < page.count else None,
        "previous": page_url(request, base, number - 1) if number > 1 else None,
        "results": [shown_job(job, base, now) for job in page.jobs],
    }
    return answer(request, document)


def read_page(value: str) -> int:
    """A page's number. Raises InvalidPageError."""
    if not (value.isascii() and value.isdecimal()) or len(value) > MOST_DIGITS or int(value) < 1:
        raise InvalidPageError("Invalid page.")
    return int(value)


def page_url(request: web.Request, base: str, number: int) -> str:
    """Another page of the list: the request's own URL; the first page's names no page."""
    parameters = [(name, value) for name, value in request.query.items() if name != "page"]
    if number > 1:
        parameters.append(("page", str(number)))
    query = urlencode(sorted(parameters))
    return f"{base}{request.rel_url.raw_path}{'?' if query else ''}{query}"


def visible_domains(caller: Caller, stack: str | None) -> frozenset[str] | None:
    """The domains that a list is of: those of the caller, or, of these, the one that *stack* names."""
    if stack is None:
        return caller.domains
    return frozenset({stack} if caller.sees(stack) else ())


def _one_datastream(of_path: str | None, of_query: str | None) -> str | None:
    if of_path is not None and of_query is not None and of_path != of_query:
        raise InvalidCommandError("The path names another datastream.", parameter="datastream_id")
    return of_path or of_query
