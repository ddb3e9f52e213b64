"""How the maintenance dialect knows callers and says what it answers, errors too.

{"status":{"code":200,"message":"success"},"responseCreated":"2022-04-02T14:34:23.585278Z","response":[…]}
{"status":{"code":404,"message":"Not Found"},"responseCreated":"2022-04-02T14:34:23.585278Z","response":{"error":"…"}}
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from aiohttp import web

from jobledger.http.context import REQUEST_ID
from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.maintenance.answers import ERROR
from jobledger.http.members import uuid
from jobledger.http.native.dialect import org_name
from jobledger.http.problem import HTTP_DETAILS, status_of_class
from jobledger.ledger.errors import CorruptLedgerError, LedgerError, NotAllowedError, NotFoundError

SUCCESS = "success"
SERVER_ERROR = "A server error occurred. Check the logs for more details."
ORG_IN_PATH = re.compile(r"/orgId/([^/]*)")
LOGIN_PATH = re.compile(r"/([a-z][a-z0-9-]{0,40})/auth$")


def shown_time(moment: datetime) -> str:
    """``2022-04-02T14:34:23.585278Z``: always with six digits of a fraction."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def envelope(response: Any, message: str = SUCCESS, status: int = 200) -> dict[str, Any]:
    """The document of every answer."""
    return {
        "status": {"code": status, "message": message},
        "responseCreated": shown_time(datetime.now(UTC)),
        "response": response,
    }


def org_of(request: web.Request) -> str | None:
    """The org that the path names, None where it names none."""
    match = ORG_IN_PATH.search(request.path) or LOGIN_PATH.fullmatch(request.path)
    return None if match is None else match[1]


def status_of(kind: type[LedgerError]) -> int:
    """The HTTP status of errors of a class. The original knows no 403; what was deleted is not found either."""
    if issubclass(kind, NotAllowedError):
        return 401
    return 404 if issubclass(kind, NotFoundError) else status_of_class(kind)


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """``response`` is an object with ``error``, whatever went wrong."""
    status, told = _told(error, request)
    return Refusal(status, envelope(told, HTTPStatus(status).phrase, status))


def _told(error: BaseException, request: web.Request) -> tuple[int, dict[str, Any]]:
    match error:
        case web.HTTPException():
            return error.status, {"error": HTTP_DETAILS.get(error.status, f"{error.reason}.")}
        case LedgerError():
            return status_of(type(error)), {"error": error.detail}
        case CorruptLedgerError():
            return 503, {"error": "Writing to this ledger has stopped; an operator must act."}
    return 500, {"error": SERVER_ERROR, "request_id": request[REQUEST_ID]}


MAINTENANCE = Dialect(
    name="maintenance",
    title="Schedules of maintenance, as AtScale",
    prefixes=("/aggregates/", "/api/1.0/aggregates/"),
    pattern=re.compile(r"/[^/]+/auth$"),
    refuse=refuse,
    status=status_of,
    error_schema=ERROR,
    variables=MappingProxyType({"org": org_name, "schedule_id": uuid}),
    challenge='Bearer realm="job ledger", Basic realm="job ledger"',
    org=org_of,
    open_pattern=LOGIN_PATH,
)
