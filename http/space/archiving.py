"""``POST /api/space/job-management/archive-purge-jobs``: archiving and purging jobs, at once or on a schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from jobledger.http.context import LEDGER, QUEUES_QUERY, REMOTE_HOSTS, SECRETS
from jobledger.http.members import LATEST, Members, Reader, reads, text
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import header_key, request_hash
from jobledger.http.operation import Parameters, operation, permitted, read_body_members, read_parameters
from jobledger.http.schema import STRING
from jobledger.http.space.answers import TASK
from jobledger.http.space.bodies import must_be_sent_as, one_root, whole
from jobledger.http.space.dialect import JOB_MANAGEMENT, QUEUE_PREFIX, queue_name
from jobledger.http.space.documents import VENDOR, reply, speaks
from jobledger.http.space.domains import chosen_domain
from jobledger.http.space.flags import flag
from jobledger.http.space.job_documents import href_of
from jobledger.http.space.jobs import DOMAIN_CONTEXT, short_expression
from jobledger.ledger.domain.archive_commands import PURGE_JOBS, RequestArchive
from jobledger.ledger.domain.command import Caller, Idempotency
from jobledger.ledger.domain.cron import CronExpression, InvalidExpressionError
from jobledger.ledger.domain.queue import queue_stream
from jobledger.ledger.domain.timing import must_fire
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

LOCAL, REMOTE = "archive-purge-jobs-local-request", "archive-purge-jobs-remote-request"
VERSION = "3"
SCP = "scp"
SSH_PORT = 22
MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
SCHEDULE = re.compile(r"\s*(?P<open>\()?\s*(?P<kind>at|after)\s*\((?P<when>[^()]*)\)\s*(?(open)\)\s*)")
AFTER = re.compile(r"\s*([0-9]{1,4})\s+([0-5]?[0-9])\s*", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?", re.ASCII
)
PORT = re.compile(r"[0-9]{1,5}", re.ASCII)

archive_routes = web.RouteTableDef()


class Host(NamedTuple):
    """A host, and its port."""

    name: str
    port: int


@reads({"anyOf": [{"type": "integer", "minimum": 0}, {**STRING, "pattern": r"^\s*[0-9]{1,15}\s*$"}]})
def milliseconds(value: Any) -> datetime:
    """Milliseconds since 1970."""
    given = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    moment = int(given) if MILLISECONDS.fullmatch(given) else None
    if moment is None or moment >= LATEST.timestamp() * 1000:
        raise ValueError("is not a number of milliseconds since 1970")
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=moment)


@reads({**STRING, "pattern": "^/"})
def folder(value: Any) -> str:
    """The path of a folder."""
    path = text(4096, most_bytes=4096).read(value)
    if not path.startswith("/") or CONTROL.search(path):
        raise ValueError("is not an absolute path without control characters")
    return path


@reads(STRING)
def host(value: Any) -> Host:
    """An address or a name, perhaps with a port: ``192.0.2.7``, ``host:2222``, ``[2001:db8::7]:2222``."""
    given = text(300).read(value).strip()
    name, port = given, str(SSH_PORT)
    if given.startswith("["):
        name, closed, rest = given[1:].partition("]")
        port = rest.removeprefix(":") if rest.startswith(":") else port if closed and not rest else ""
    elif given.count(":") == 1:
        name, _, port = given.partition(":")
    if not PORT.fullmatch(port) or not 0 < int(port) < 65536 or not _is_host(name, in_brackets=given.startswith("[")):
        raise ValueError("is neither an address nor a host name")
    return Host(name, int(port))


def _is_host(name: str, *, in_brackets: bool) -> bool:
    try:
        return ip_address(name).version == 6 or not in_brackets
    except ValueError:
        return not in_brackets and HOST_NAME.fullmatch(name) is not None


# An empty one asks for all, as an absent one.
job_type: Reader[str] = text(200, shortest=0)
LOCAL_MEMBERS: dict[str, Reader[Any]] = {
    "archive-jobs-before": milliseconds,
    "job-type": job_type,
    "purge-from-all-domains": flag,
}
REMOTE_MEMBERS: dict[str, Reader[Any]] = {
    **LOCAL_MEMBERS,
    "user": text(200),
    "password": text(1024, most_bytes=1024).about("Kept encrypted, outside the ledger, for as long as a run is ahead."),
    "ip": host,
    "path": folder,
}
local: Reader[dict[str, Any]] = whole(Members(LOCAL_MEMBERS, needed=("archive-jobs-before",)), lambda given: given)
remote: Reader[dict[str, Any]] = whole(
    Members(REMOTE_MEMBERS, needed=("archive-jobs-before", "user", "password", "ip", "path")), lambda given: given
)
REQUEST = Members({LOCAL: local, REMOTE: remote}, further={"minProperties": 1, "maxProperties": 1}, is_due=True)
queue_url = short_expression.about("The URL of a queue, of which the last part counts.")
schedule = short_expression.about("`(at(SEC MIN HOUR DOM MON DOW YEAR))`, as Quartz takes it, or `(after(HH MM))`.")
# The older names go with the newer ones.
OLDER = {"queue-url": "queue", "schedule-time": "schedule"}
PARAMETERS = Parameters(
    {"queue": queue_url, "queue-url": queue_url, "schedule": schedule, "schedule-time": schedule, **DOMAIN_CONTEXT}
)


class When(NamedTuple):
    """When something is done: at once where there is no *at*; and again, where there is a *recurrence*."""

    at: datetime | None = None
    recurrence: str | None = None


def read_schedule(given: str | None, now: datetime) -> When:
    """What ``schedule`` says at *now*. Raises InvalidCommandError, InvalidExpressionError, also where it never fires."""
    if given is None or not given.strip():
        return When()
    match = SCHEDULE.fullmatch(given)
    if match is None:
        raise InvalidExpressionError("A schedule is (at(SEC MIN HOUR DOM MON DOW YEAR)) or (after(HH MM)).")
    if match["kind"] == "after":
        after = AFTER.fullmatch(match["when"])
        if after is None:
            raise InvalidExpressionError("What comes after is hours and minutes, such as (after(01 30)).")
        return When(now + timedelta(hours=int(after[1]), minutes=int(after[2])))
    written = " ".join(match["when"].split())
    cron = CronExpression.parse(written)
    must_fire(cron, now)
    first = cron.next_after(now)
    assert first is not None
    return When(first, None if cron.next_after(first) is None else written)


@archive_routes.post(f"{JOB_MANAGEMENT}/archive-purge-jobs")
@speaks("task", 1)
@operation(
    TASK,
    parameters=PARAMETERS,
    body=REQUEST,
    capability=PURGE_JOBS,
    statuses={202: "It will be done: by the job that the task names."},
    may=(InvalidExpressionError,),
)
async def archive_and_purge(request: web.Request) -> web.Response:
    """Archive the jobs that ended before an instant, here or on another host too, then purge them."""
    caller = permitted(request)
    asked = read_parameters(request)
    sent = must_be_sent_as(request, f"{VENDOR}{LOCAL}", f"{VENDOR}{REMOTE}", version=VERSION)
    given, _ = await read_body_members(request)
    root, members = one_root(given)
    if sent is not None and sent != f"{VENDOR}{root}":
        raise InvalidCommandError("The root element is not that of the media type.")
    now = datetime.now(UTC)
    if members["archive-jobs-before"] > now:
        raise InvalidCommandError("Archive-jobs-before lies ahead.", member="archive-jobs-before")
    for older, newer in OLDER.items():
        if older in asked and newer in asked:
            raise InvalidCommandError(f"It is either {newer} or {older}, its older name.", parameter=older)
        asked.setdefault(newer, asked.get(older))
    when = read_schedule(asked["schedule"], now)
    queue = await _queue(request, caller, asked["queue"])
    context = await chosen_domain(request, caller, asked.get("domainContext"))
    async with AsyncExitStack() as stack:
        destination, deposit = None, None
        if root == REMOTE:
            where: Host = members["ip"]
            await request.app[REMOTE_HOSTS].addresses(where.name, where.port)
            deposit = await stack.enter_async_context(
                request.app[SECRETS].deposit(caller.org, SCP, members["password"])
            )
            destination = {
                "host": where.name,
                "port": where.port,
                "path": members["path"],
                "user": members["user"],
                "secret": str(deposit.id),
            }
        command = RequestArchive(
            caller=caller,
            idempotency=_key(request, root, members),
            ended_before=members["archive-jobs-before"],
            job_type=members.get("job-type") or None,
            domains=_domains(caller, context, from_all=members.get("purge-from-all-domains", False)),
            purge=True,
            destination=destination,
            queue=queue,
            scheduled_at=when.at,
            recurrence=when.recurrence,
        )
        outcome = await request.app[LEDGER].execute(command)
        if deposit is not None and not outcome.is_repeated:
            deposit.keep()
    job_id = outcome.result["id"]
    task = {"task": {"@href": href_of(job_id), "id": job_id}}
    return reply(request, task, 202, told_of(outcome))


async def _queue(request: web.Request, caller: Caller, url: str | None) -> str | None:
    """The stream of the queue that a URL names. Raises InvalidCommandError where there is none."""
    if url is None or not url.strip():
        return None
    name = url.strip().rstrip("/").rpartition("/")[2].removeprefix(QUEUE_PREFIX)
    try:
        found = await request.app[QUEUES_QUERY].find(caller, queue_name.read(name))
    except (ValueError, NotFoundError):
        raise InvalidCommandError("The queue does not exist.", parameter="queue") from None
    return queue_stream(found.queue_id)


def _domains(caller: Caller, context: str | None, *, from_all: bool) -> tuple[str, ...] | None:
    """Whose jobs are meant: those of the current domain, or of all that the caller may see; None: of all there are."""
    if from_all:
        return None if caller.domains is None else tuple(sorted(caller.domains))
    return (context or caller.home_domain,)


def _key(request: web.Request, root: str, members: Mapping[str, Any]) -> Idempotency | None:
    """The request's Idempotency-Key. What it is known again by holds no password, from which that could be guessed."""
    key = header_key(request)
    said = {name: it for name, it in members.items() if name != "password"}
    written = orjson.dumps([root, said], option=orjson.OPT_SORT_KEYS, default=str)
    return None if key is None else Idempotency(key, request_hash(request.method, request.raw_path, written))
