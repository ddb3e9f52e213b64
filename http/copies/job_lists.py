"""``GET {prefix}/V4/Plan/BackupDestination/{copyId}/Jobs``: the jobs on a copy, in the order in which they begin.

The list has no pages: it is written as it is read, some jobs at a time, so that one of any length takes little memory.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from jobledger.http.context import COPY_JOBS, FORM
from jobledger.http.copies.answers import JOBS
from jobledger.http.copies.dialect import PREFIX, operation
from jobledger.http.copies.job_documents import JobDocuments
from jobledger.http.exchange import answer
from jobledger.http.members import LATEST, Reader, integer, one_of, reads
from jobledger.http.operation import Parameters, permitted, read_parameters, read_variable
from jobledger.http.places import begin_stream
from jobledger.http.schema import STRING, array_of
from jobledger.http.xml_document import PROLOGUE, write_xml
from jobledger.ledger.domain.copy import LARGEST_COPY_ID
from jobledger.ledger.domain.job_copies import AVAILABLE, NOT_TO_BE_COPIED, TO_BE_COPIED
from jobledger.ledger.errors import InvalidCommandError
from jobledger.projections.copy_query import CopyJobsFilter

READ_JOBS = "jobs.read"
JOBS_A_PIECE = 500
LAST_DAY = "last24Hours"
CUSTOM = "custom"
VIEWS = {
    LAST_DAY: timedelta(days=1),
    "lastWeek": timedelta(days=7),
    "lastMonth": timedelta(days=30),
    "last3Months": timedelta(days=90),
}
LEVELS = {1: "Full", 2: "Incremental", 4: "Differential", 64: "Synthetic Full"}
ALL_LEVELS = 8
COPY_STATES = {1: AVAILABLE, 4: TO_BE_COPIED, 8: NOT_TO_BE_COPIED}
EXTENDED_RETAINED = 16
IDS = re.compile(r"\s*\d{1,10}\s*(,\s*\d{1,10}\s*)*", re.ASCII)
MOST_CLIENTS = 1000

copy_job_routes = web.RouteTableDef()


seconds = integer(0, int(LATEST.timestamp()) - 1)


@reads({**seconds.schema, "description": "Unix seconds."})
def unix_time(value: Any) -> datetime:
    """An instant as unix seconds, from 1970 on."""
    return datetime.fromtimestamp(seconds(value), UTC)


def bit_sum(*bits: int) -> Reader[int]:
    """A sum of some of these, each at most once."""

    within = integer(0, sum(bits))

    def read(value: Any) -> int:
        given = within(value)
        if given & ~sum(bits):
            raise ValueError(f"is no sum of {', '.join(map(str, bits))}")
        return given

    return Reader(read, {**within.schema, "description": f"A sum of some of {', '.join(map(str, bits))}."})


A_LIST_OF_IDS = r"\s*([0-9]{1,10}\s*(,\s*[0-9]{1,10}\s*)*)?"


@reads(
    {
        **STRING,
        "pattern": f'^({A_LIST_OF_IDS}|"{A_LIST_OF_IDS}")$',
        "description": "Ids with commas between them, perhaps in quotes; none: all.",
    }
)
def client_ids(value: str) -> tuple[int, ...]:
    """Ids with commas between them, perhaps in quotes; none for all."""
    within = value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
    if not within.strip():
        return ()
    if not IDS.fullmatch(within):
        raise ValueError("is not a list of ids with commas between them")
    ids = tuple(int(it) for it in within.split(","))
    if len(ids) > MOST_CLIENTS or max(ids) > LARGEST_COPY_ID:
        raise ValueError(f"is not a list of at most {MOST_CLIENTS} ids")
    return ids


def last(reader: Reader[Any]) -> Reader[Any]:
    """The last of the values of a parameter, which may be given more than once."""
    return Reader(lambda values: [reader.read(it) for it in values][-1], array_of(reader.schema, least=1)).about(
        "The last one counts."
    )


levels_sum = bit_sum(*LEVELS, ALL_LEVELS)
# Two names of the same.
LEVEL_NAMES = ("backupLevel", "backupLvl")
READERS: dict[str, Reader[Any]] = {
    "view": one_of(*VIEWS, CUSTOM),
    "startTime": unix_time,
    "endTime": unix_time,
    "clients": client_ids,
    "agedData": integer(0, 2),
    **dict.fromkeys(LEVEL_NAMES, levels_sum),
    "copyState": bit_sum(*COPY_STATES, EXTENDED_RETAINED),
}
PARAMETERS = Parameters({name: last(it) for name, it in READERS.items()}, lists=frozenset(READERS))


class Wanted(NamedTuple):
    """Which jobs are listed; ``is_extended``: also those in extended retention, whatever their state."""

    filter: CopyJobsFilter
    states: tuple[str, ...]
    is_extended: bool

    def takes(self, state: str, kinds: set[str]) -> bool:
        """Whether a job that stands so on the copy, and is kept for reasons of these kinds, is listed."""
        return not self.is_extended or state in self.states or "extended" in kinds


@copy_job_routes.get(PREFIX + "/V4/Plan/BackupDestination/{copy_id}/Jobs")
@operation(JOBS, parameters=PARAMETERS, capability=READ_JOBS)
async def list_jobs_of_copy(request: web.Request) -> web.StreamResponse:
    """The jobs of a copy that the caller may see and the query lets through."""
    caller = permitted(request)
    wanted = wanted_jobs(request, datetime.now(UTC))
    jobs, copy_id = request.app[COPY_JOBS], read_variable(request, "copy_id")
    await jobs.copy(caller.org, copy_id)
    documents = await JobDocuments.of(request, copy_id)
    # The first of them before the answer begins: what is wrong is still told in its status.
    rows, following = await jobs.page(caller.org, copy_id, wanted.filter, caller.domains, limit=JOBS_A_PIECE)
    first = await documents.of_rows(rows, wanted.takes)
    if following is None:
        return answer(request, {"jobs": first})
    begin_stream(request)
    is_xml = request[FORM].syntax == "xml"
    response = web.StreamResponse(headers={"Content-Type": request[FORM].content_type})
    await response.prepare(request)
    if request.method == "HEAD":
        # What is written in answer to HEAD would be taken for the next answer.
        await response.write_eof()
        return response
    await response.write(f"{PROLOGUE}<response>".encode() if is_xml else b'{"jobs":[')
    is_first, shown = True, first
    while True:
        if shown:
            await response.write(_piece(shown, is_xml=is_xml, is_first=is_first))
            is_first = False
        if following is None:
            break
        rows, following = await jobs.page(
            caller.org, copy_id, wanted.filter, caller.domains, after=following, limit=JOBS_A_PIECE
        )
        shown = await documents.of_rows(rows, wanted.takes)
    await response.write(b"</response>" if is_xml else b"]}")
    await response.write_eof()
    return response


def wanted_jobs(request: web.Request, now: datetime) -> Wanted:
    """What the query asks for; of a parameter that is given twice the last counts. Raises InvalidCommandError."""
    given = read_parameters(request)
    has_times = "startTime" in given or "endTime" in given
    view = given.get("view", CUSTOM if has_times else LAST_DAY)
    if has_times and view != CUSTOM:
        raise InvalidCommandError(f"startTime and endTime go with view={CUSTOM}.", parameter="view")
    begins_from, begins_to = given.get("startTime"), given.get("endTime")
    if begins_to is not None:
        # The second that is named is in it.
        begins_to += timedelta(seconds=1)
    if view != CUSTOM:
        begins_from = now - VIEWS[view]
    level_names = [it for it in request.query if it in LEVEL_NAMES]
    levels = given[level_names[-1]] if level_names else ALL_LEVELS
    copy_state = given.get("copyState", 0)
    states = tuple(name for bit, name in COPY_STATES.items() if copy_state & bit)
    is_extended = bool(copy_state & EXTENDED_RETAINED)
    found = CopyJobsFilter(
        begins_from=begins_from,
        begins_to=begins_to,
        states=None if is_extended or not states else states,
        is_deleted={0: False, 1: True, 2: None}[given.get("agedData", 0)],
        levels=None if levels & ALL_LEVELS else tuple(name for bit, name in LEVELS.items() if levels & bit),
        client_ids=given.get("clients") or None,
    )
    return Wanted(found, states, is_extended)


def _piece(jobs: list[dict[str, Any]], *, is_xml: bool, is_first: bool) -> bytes:
    """Some jobs as they stand within the list."""
    if is_xml:
        return b"".join(write_xml(it, "jobs").removeprefix(PROLOGUE.encode()) for it in jobs)
    text = orjson.dumps(jobs)[1:-1]
    return text if is_first else b"," + text
