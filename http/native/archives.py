"""The native API's archives: what was archived, the files, and what they hold."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from jobledger.http.attachments import FILE
from jobledger.http.context import ARCHIVES, CALLER, DATA, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, boolean, instant, list_of, one_of, text
from jobledger.http.native.archive_answers import (
    ARCHIVE,
    ARCHIVE_PAGE,
    ARCHIVED_JOB_PAGE,
    DELETED_ARCHIVE,
    REQUESTED_ARCHIVE,
)
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.negotiation import OCTETS, gives
from jobledger.http.operation import (
    Parameters,
    operation,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
    several,
)
from jobledger.http.sent_file import GZIP, SAVED, STATUSES, send_file
from jobledger.ledger.domain.archive import ArchiveIsKeptError, ArchiveIsNotVerifiedError
from jobledger.ledger.domain.archive_commands import PURGE_JOBS, DeleteArchive, PurgeArchive, RequestArchive
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.errors import GoneError, NotFoundError
from jobledger.ledger.work.archiving.files import EVENTS, MANIFEST, PRIVATE, PROOF, ArchiveFiles
from jobledger.projections.archive_query import ArchivedJobFilter

ARCHIVES_PATH = "/ledger/v1/{org}/archives"
ONE = ARCHIVES_PATH + "/{archive_id}"
READ_JOBS, READ_EVENTS = "jobs.read", "events.read"
MOST_DOMAINS = 1_000
LONGEST_REASON = 10_000

archive_routes = web.RouteTableDef()

NEW_ARCHIVE = Members(
    {
        "ended_before": instant,
        "type": text(200),
        "domains": list_of(text(200), MOST_DOMAINS),
        "purge": boolean,
        "reason": text(LONGEST_REASON),
    },
    needed=("ended_before",),
)
WHY = Members({"reason": text(LONGEST_REASON)}, needed=("reason",))
PAGES = Parameters({"limit": limit, "cursor": cursor})
DELETION = Parameters({"reason": text(200)})
FILTERS = Parameters(
    {
        "state": several(one_of(*sorted(FINAL_STATES))),
        "type": text(200),
        "domain": text(200),
        **{f"{name}_{end}": instant for name in ("scheduled", "started", "ended") for end in ("from", "to")},
        "purged": one_of("true", "false"),
        "limit": limit,
        "cursor": cursor,
    },
    lists=frozenset({"state"}),
)
FILES = {"events": EVENTS, "private": PRIVATE, "proof": PROOF}
PARTS = Parameters({"part": one_of(*FILES).about("Which of its files; events where it is not said.")})


@archive_routes.get(ARCHIVES_PATH)
@listing(ARCHIVE_PAGE, parameters=PAGES, capability=READ_JOBS)
async def list_archives(request: web.Request) -> web.Response:
    """A page of the archives that the caller may see, in the order they were asked for."""
    caller, parameters = permitted(request), read_parameters(request)
    list_name = f"archives of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    size = parameters.get("limit", DEFAULT_LIMIT)
    page = await request.app[ARCHIVES].archives(caller.org, caller.domains, after=after, limit=size)
    return page_answer(request, "archives", page, list_name)


@archive_routes.post(ARCHIVES_PATH)
@operation(
    REQUESTED_ARCHIVE,
    statuses={202: "Asked for: the job of this id does it."},
    body=NEW_ARCHIVE,
    capability=PURGE_JOBS,
    gives_headers={"Location": "Where the archive is."},
)
async def request_archive(request: web.Request) -> web.Response:
    """Archive the jobs that have ended before a time, and, with ``purge``, purge them once that is verified: 202."""
    read_parameters(request)
    members, body = await read_body_members(request)
    domains = members.pop("domains", None)
    command = RequestArchive(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        job_type=members.pop("type", None),
        domains=None if domains is None else tuple(domains),
        **members,
    )
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 202, location=f"{request.path.rstrip('/')}/{outcome.result['id']}")


@archive_routes.get(ONE)
@operation(ARCHIVE, capability=READ_JOBS)
async def get_archive(request: web.Request) -> web.Response:
    """One archive."""
    read_parameters(request)
    return answer(request, await _archive(request))


@archive_routes.get(ONE + "/jobs")
@listing(ARCHIVED_JOB_PAGE, parameters=FILTERS, capability=READ_JOBS)
async def list_archived_jobs(request: web.Request) -> web.Response:
    """A page of the jobs that an archive holds and the filter lets through, by id; also once they are purged."""
    caller, parameters = permitted(request), read_parameters(request)
    archive_id = (await _archive(request))["id"]
    size, after_of = parameters.pop("limit", DEFAULT_LIMIT), parameters.pop("cursor", None)
    states, purged = parameters.pop("state", None), parameters.pop("purged", None)
    wanted = ArchivedJobFilter(
        states=None if states is None else tuple(sorted(set(states))),
        purged=None if purged is None else purged == "true",
        **parameters,
    )
    list_name = f"archive {archive_id} of {caller.org}: {wanted!r}"
    after = read_cursor(request, {} if after_of is None else {"cursor": after_of}, list_name)
    page = await request.app[ARCHIVES].jobs(caller.org, archive_id, wanted, after=after, limit=size)
    return page_answer(request, "jobs", page, list_name)


@archive_routes.get(ONE + "/manifest")
@gives(OCTETS)
@operation(FILE, statuses=STATUSES, capability=READ_EVENTS, gives_headers=SAVED)
async def get_manifest(request: web.Request) -> web.StreamResponse:
    """An archive's manifest, as it is in the file."""
    read_parameters(request)
    return await _send(request, MANIFEST)


@archive_routes.get(ONE + "/file")
@gives(OCTETS, GZIP)
@operation(FILE, statuses=STATUSES, parameters=PARTS, capability=READ_EVENTS, may=(GoneError,), gives_headers=SAVED)
async def get_archive_file(request: web.Request) -> web.StreamResponse:
    """An archive's events, or their private contents, as gzip, or its proof; a range of it where one is asked for."""
    part = read_parameters(request).get("part", "events")
    return await _send(request, FILES[part])


@archive_routes.post(ONE + "/purge")
@operation(
    REQUESTED_ARCHIVE,
    statuses={202: "Asked for: the job of this id does it."},
    body=WHY,
    capability=PURGE_JOBS,
    may=(GoneError, ArchiveIsNotVerifiedError),
)
async def purge_archive(request: web.Request) -> web.Response:
    """Purge the jobs that an archive holds, but for those that something keeps or that have changed: 202."""
    read_parameters(request)
    archive_id = path_archive_id(request)
    members, body = await read_body_members(request)
    command = PurgeArchive(
        caller=request[CALLER], idempotency=idempotency(request, body), archive_id=archive_id, **members
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command), 202)


@archive_routes.delete(ONE)
@operation(
    DELETED_ARCHIVE,
    parameters=DELETION,
    capability=PURGE_JOBS,
    may=(ArchiveIsNotVerifiedError, ArchiveIsKeptError),
)
async def delete_archive(request: web.Request) -> web.Response:
    """Delete an archive's files, all but its manifest; not while anything keeps a job that it holds."""
    reason = read_parameters(request).get("reason")
    archive_id = path_archive_id(request)
    command = DeleteArchive(caller=request[CALLER], archive_id=archive_id, reason=reason)
    outcome = await request.app[LEDGER].execute(command)
    # If we die before this, asking again removes them.
    files = _files(request, await _archive(request))
    if files is not None:
        await asyncio.to_thread(files.remove)
    return outcome_answer(request, outcome)


async def _archive(request: web.Request) -> dict[str, Any]:
    caller = permitted(request) if request.method == "GET" else request[CALLER]
    return await request.app[ARCHIVES].archive(caller.org, path_archive_id(request), caller.domains)


def _files(request: web.Request, archive: dict[str, Any]) -> ArchiveFiles | None:
    """The archive's files, None where this server has no folder for any."""
    data = request.app[DATA]
    return None if data is None else ArchiveFiles.of(data, request[CALLER].org, archive["requested_at"], archive["id"])


async def _send(request: web.Request, suffix: str) -> web.StreamResponse:
    archive = await _archive(request)
    files = _files(request, archive)
    path = None if files is None else files.path(suffix)
    is_written = any(path is not None and it["name"] == path.name for it in archive["files"])
    if is_written and suffix != MANIFEST and archive["deleted_at"] is not None:
        raise GoneError(f"Archive {archive['id']} was deleted.", archive_id=archive["id"], gone="deleted")
    if path is None or not is_written or not await asyncio.to_thread(path.is_file):
        raise NotFoundError(f"Archive {archive['id']} has no such file here.", archive_id=archive["id"])
    return await send_file(request, path, GZIP if suffix in (EVENTS, PRIVATE) else None)


def path_archive_id(request: web.Request) -> int:
    """The archive's id in the path. NotFoundError for what can be none."""
    archive_id: int = read_variable(request, "archive_id")
    return archive_id
