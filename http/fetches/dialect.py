"""How the fetches dialect knows callers and says errors.

{"detail":"Not found."}
{"detail":"End is not a date or a time.","errors":{"end":["Is not a date or a time."]},"end":["Is not a date or a time."]}
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from aiohttp import web

from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.document import UnsupportedMediaTypeError
from jobledger.http.fetches.answers import ERROR
from jobledger.http.fetches.job_documents import STATES
from jobledger.http.members import job_id, text
from jobledger.http.negotiation import NotAcceptableError
from jobledger.http.problem import status_of_class
from jobledger.ledger.domain.job import STOPPABLE_STAGE, State
from jobledger.ledger.errors import (
    ConflictError,
    CorruptLedgerError,
    InvalidCommandError,
    JobCannotBeStoppedError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
)

NOT_FOUND = "Not found."
NOT_PERMITTED = "You do not have permission to perform this action."
NOT_ACCEPTABLE = "Could not satisfy the request Accept header."
SERVER_ERROR = "A server error occurred."
# Of a media type that is not taken; those that are are shorter.
LONGEST_TYPE_SHOWN = 100


class InvalidPageError(NotFoundError):
    """There is no such page."""

    code = "invalid_page"


datastream_id = text(200)


def status_of(kind: type[LedgerError]) -> int:
    """The HTTP status of errors of a class. The original knows no 409: what the state forbids is a bad request."""
    return 400 if issubclass(kind, ConflictError) else status_of_class(kind)


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """``detail``, and, where members or parameters are at fault, ``errors`` with these repeated beside it."""
    match error:
        case web.HTTPException():
            return Refusal(error.status, {"detail": _http_detail(error, request)})
        case InvalidPageError():
            return Refusal(404, {"detail": error.detail})
        case NotFoundError():
            return Refusal(404, {"detail": NOT_FOUND})
        case NotAllowedError():
            return Refusal(403, {"detail": NOT_PERMITTED})
        case NotAcceptableError():
            return Refusal(406, {"detail": NOT_ACCEPTABLE})
        case UnsupportedMediaTypeError():
            given = request.headers.get("Content-Type", "")[:LONGEST_TYPE_SHOWN]
            return Refusal(415, {"detail": f'Unsupported media type "{given}" in request.'})
        case JobCannotBeStoppedError():
            return Refusal(400, {"detail": _not_stoppable(**error.facts)})
        case LedgerError():
            errors = _errors(error) if isinstance(error, InvalidCommandError) else {}
            told = {"detail": error.detail, "errors": errors} if errors else {"detail": error.detail}
            return Refusal(
                status_of(type(error)), {**errors, **told} if told.keys() & errors.keys() else {**told, **errors}
            )
        case CorruptLedgerError():
            return Refusal(503, {"detail": "Writing to this ledger has stopped; an operator must act."})
    return Refusal(500, {"detail": SERVER_ERROR})


def _not_stoppable(job_id: int, state: str, stage: str | None) -> str:
    where = "no stage" if stage is None else f"the stage {stage}"
    label, running = STATES[State(state)].label, STATES[State.RUNNING].label
    return f"Job {job_id} is {label} in {where}; only a {running} job in the stage {STOPPABLE_STAGE} can be stopped."


def _errors(error: InvalidCommandError) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    listed: list[dict[str, Any]] = error.facts.get("errors", [])
    for one in listed:
        problem = one["problem"]
        errors.setdefault(one["member"], []).append(f"{problem[0].upper()}{problem[1:]}.")
    if "parameter" in error.facts:
        errors[error.facts["parameter"]] = [error.detail]
    return errors


def _http_detail(error: web.HTTPException, request: web.Request) -> str:
    match error.status:
        case 401:
            return _unauthenticated(request.headers.get("Authorization", ""))
        case 404:
            return NOT_FOUND
        case 405:
            return f'Method "{request.method}" not allowed.'
    return f"{error.reason}."


def _unauthenticated(shown: str) -> str:
    scheme, _, credentials = shown.partition(" ")
    match scheme.lower():
        case "token" | "bearer" if not credentials.strip():
            return "Invalid token header. No credentials provided."
        case "token" | "bearer":
            return "Invalid token."
        case "basic":
            return "Invalid username/password."
    return "Authentication credentials were not provided."


FETCHES = Dialect(
    name="fetches",
    title="Fetches, as the Adverity Management API",
    prefixes=("/api/",),
    refuse=refuse,
    status=status_of,
    error_schema=ERROR,
    variables=MappingProxyType({"job_id": job_id, "datastream_id": datastream_id}),
    challenge="Token",
    schemes=MappingProxyType({"token": "bearer", "bearer": "bearer", "basic": "basic"}),
    open_paths=frozenset({"/api/auth/token", "/api/auth/token/"}),
)
