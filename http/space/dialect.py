"""How the space dialect knows its paths and callers, and says errors: in one sentence, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from aiohttp import web

from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.members import Reader, job_id, reads
from jobledger.http.negotiation import JSON, PLAIN, XML
from jobledger.http.problem import HTTP_DETAILS, status_of_class
from jobledger.http.schema import STRING
from jobledger.ledger.errors import ConflictError, CorruptLedgerError, LedgerError, NotAllowedError, NotFoundError

JOB_MANAGEMENT = "/api/space/job-management"
QUEUES = "/api/hornet-q/queues"
# What stands before a queue's name in its paths.
QUEUE_PREFIX = "jms.queue."
QUEUE = f"{QUEUES}/{QUEUE_PREFIX}{{queue}}"
CONSUMERS = f"{QUEUE}/pull-consumers"
CONSUMER = f"{CONSUMERS}/attributes-0/{{consumer_id}}"
# What the vendor calls capabilities.
VENDOR_NAMES = {"jobs.purge": "PurgeJobs", "jobs.read": "JobMgr", "jobs.cancel": "CancelJob"}
REALM = 'Basic realm="job ledger"'
QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
CONSUMER_ID = re.compile(r"[0-9a-f]{32}")
PLACE = re.compile(r"-1|0|[1-9][0-9]{0,17}", re.ASCII)


@reads({**STRING, "pattern": f"^{QUEUE_NAME.pattern}$"})
def queue_name(value: Any) -> str:
    """The name of a queue."""
    if not isinstance(value, str) or not QUEUE_NAME.fullmatch(value):
        raise ValueError("is not 1 to 128 letters, digits, dots, hyphens and underscores")
    return str(value)


@reads({**STRING, "pattern": f"^{CONSUMER_ID.pattern}$"})
def consumer_id(value: Any) -> UUID:
    """What a consumer is called in its links."""
    if not isinstance(value, str) or not CONSUMER_ID.fullmatch(value):
        raise ValueError("is not a consumer")
    return UUID(value)


def _place(value: Any) -> int:
    if not isinstance(value, str) or not PLACE.fullmatch(value):
        raise ValueError("is not a place in a queue")
    return int(value)


place: Reader[int] = Reader(_place, {**STRING, "pattern": f"^({PLACE.pattern})$"})


class StaleLinkError(ConflictError):
    """The link is not the one to go on at.

    ``headers`` say which is.
    """

    code = "stale_link"

    def __init__(self, detail: str, *, headers: Mapping[str, str] = MappingProxyType({}), **facts: Any) -> None:
        super().__init__(detail, **facts)
        self.headers = headers


def status_of(kind: type[LedgerError]) -> int:
    """The HTTP status of errors of a class. The original knows no 409, nor 410: what was purged is not found."""
    if issubclass(kind, NotFoundError):
        return 404
    return 412 if issubclass(kind, ConflictError) else status_of_class(kind)


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """A sentence."""
    match error:
        case web.HTTPException():
            return Refusal(error.status, HTTP_DETAILS.get(error.status, f"{error.reason}."))
        case StaleLinkError():
            return Refusal(412, error.detail, error.headers)
        case NotAllowedError() if (asked := error.facts.get("capability")) in VENDOR_NAMES:
            return Refusal(status_of(type(error)), f"This needs the capability {VENDOR_NAMES[asked]}.")
        case LedgerError():
            return Refusal(status_of(type(error)), error.detail)
        case CorruptLedgerError():
            return Refusal(503, "Writing to this ledger has stopped; an operator must act.")
    return Refusal(500, "The server failed.")


SPACE = Dialect(
    name="space",
    title="Archiving and purging of jobs, as Junos Space",
    prefixes=("/api/space/", "/api/hornet-q/"),
    forms=(XML, JSON),
    root=None,
    refuse=refuse,
    status=status_of,
    error_schema=STRING,
    error_forms=(PLAIN,),
    variables=MappingProxyType(
        {"job_id": job_id, "queue": queue_name, "consumer_id": consumer_id, "place": place, "message": place}
    ),
    challenge=REALM,
    schemes=MappingProxyType({"basic": "basic"}),
)
