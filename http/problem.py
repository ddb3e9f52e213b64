"""Errors of the native API: problem documents. Source: RFC 9457."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.deadlines import TooSlowError
from jobledger.http.document import BodyTooLargeError, UnsupportedMediaTypeError
from jobledger.http.negotiation import NotAcceptableError
from jobledger.ledger.errors import (
    ConflictError,
    ContentTooLargeError,
    CorruptLedgerError,
    GoneError,
    IdempotencyKeyReusedError,
    InvalidCommandError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    NotLetInError,
    OutcomeUnknownError,
    TooManyAttemptsError,
    UnavailableError,
)

MEDIA_TYPE = "application/problem+json"

# By nearest base class: a new error below one of these needs no line of its own.
STATUS_BY_ERROR: dict[type[LedgerError], int] = {
    InvalidCommandError: 400,
    NotAcceptableError: 406,
    TooSlowError: 408,
    BodyTooLargeError: 413,
    ContentTooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    IdempotencyKeyReusedError: 422,
    NotFoundError: 404,
    GoneError: 410,
    ConflictError: 409,
    NotLetInError: 401,
    NotAllowedError: 403,
    TooManyAttemptsError: 429,
    UnavailableError: 503,
    OutcomeUnknownError: 504,
}


def status_of(error: LedgerError) -> int:
    """The HTTP status of an error."""
    return status_of_class(type(error))


def status_of_class(kind: type[LedgerError]) -> int:
    """The HTTP status of errors of a class."""
    return next(STATUS_BY_ERROR[it] for it in kind.__mro__ if it in STATUS_BY_ERROR)


def problem_of(error: BaseException, request_id: str) -> dict[str, Any]:
    """The problem document. What nobody expected tells nothing but the request's id, by which the log knows it."""
    if isinstance(error, web.HTTPException):
        return http_problem(error, request_id)
    if isinstance(error, LedgerError):
        return {
            "type": f"urn:jobledger:{error.code.replace('_', '-')}",
            "title": error.title(),
            "status": status_of(error),
            "detail": error.detail,
            "code": error.code,
            "instance": f"urn:uuid:{request_id}",
            **({"retry_after_s": error.retry_after_s} if isinstance(error, UnavailableError) else {}),
            **error.facts,
        }
    if isinstance(error, CorruptLedgerError):
        return {
            "type": "urn:jobledger:ledger-stopped",
            "title": "Writing to this ledger has stopped",
            "status": 503,
            "detail": f"An operator must act: {error}",
            "code": "ledger_stopped",
            "instance": f"urn:uuid:{request_id}",
        }
    return {
        "type": "urn:jobledger:server-error",
        "title": "The server failed",
        "status": 500,
        "detail": "The request could not be answered. The server's log names the reason under this instance.",
        "code": "server_error",
        "instance": f"urn:uuid:{request_id}",
    }


def http_problem(error: web.HTTPException, request_id: str) -> dict[str, Any]:
    """The problem document of what aiohttp itself refuses."""
    return {
        "type": "about:blank",
        "title": error.reason,
        "status": error.status,
        "detail": HTTP_DETAILS.get(error.status, error.reason),
        "code": error.reason.lower().replace(" ", "_"),
        "instance": f"urn:uuid:{request_id}",
    }


HTTP_DETAILS = {
    401: "Valid credentials are needed.",
    404: "There is nothing at this path.",
    405: "This path does not take this method.",
    412: "The file is not the one that If-Match names.",
    416: "The file has no such range; Content-Range says how long it is.",
    417: "Nothing can be expected here but 100-continue.",
}
