"""How the workflow dialect knows its paths and callers, and says errors.

{"error":{"message":"There is no job 7.","type":"NotFoundError","details":[]}}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from aiohttp import web

from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.members import job_id, text, uuid
from jobledger.http.native.dialect import diagram_id, version_number
from jobledger.http.problem import HTTP_DETAILS, status_of_class
from jobledger.http.workflow.answers import (
    ERROR,
    INVALID_REQUEST,
    INVALID_TOKEN,
    MANAGE,
    NO_PRIVILEGES,
    NOT_FOUND,
    SERVER,
)
from jobledger.ledger.domain.access import RESERVED_ORG_NAMES
from jobledger.ledger.errors import (
    ConflictError,
    CorruptLedgerError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    NotLetInError,
)

# The literal that means the caller's own org.
OWN_ORG = "workflow"
# What the paths of others begin with.
OTHERS = "|".join(sorted(RESERVED_ORG_NAMES - {OWN_ORG}))
# The beginning of each of its paths.
ITEM = rf"/{{org_id:(?!(?i:{OTHERS})/)[^/]+}}/{{item_id:[^/]+}}"
MOST_DETAILS = 10_000
# The parameter that a token may come in.
IN_QUERY = "token"
ORG_ID = text(41).about(f"`{OWN_ORG}`: the caller's own.")
ITEM_ID = text(200).about("A domain; in an org whose only domain is Global whatever it says.")


class JobsNotManagedError(ConflictError):
    """Some of the jobs could not be managed.

    ``details`` has a line for each of these; the others are done. ``is_allowed``: whether one was refused for another reason
    than that the caller may not.
    """

    code = "jobs_not_managed"

    def __init__(self, detail: str, *, details: Sequence[str] = (), is_allowed: bool = True, **facts: Any) -> None:
        super().__init__(detail, **facts)
        self.details = list(details)
        self.is_allowed = is_allowed


def status_of(kind: type[LedgerError]) -> int:
    """The HTTP status of errors of a class. The original knows no 409, nor 410: what the state forbids is a bad request."""
    if issubclass(kind, NotFoundError):
        return 404
    return 400 if issubclass(kind, ConflictError) else status_of_class(kind)


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """``error`` with a message, a type, and details."""
    match error:
        case web.HTTPException():
            return _refusal(error.status, HTTP_DETAILS.get(error.status, f"{error.reason}."))
        case JobsNotManagedError():
            kind = MANAGE if error.is_allowed else NO_PRIVILEGES
            return _refusal(400, error.detail, kind, error.details)
        case NotFoundError():
            return _refusal(404, error.detail)
        case NotAllowedError():
            return _refusal(403, error.detail, NO_PRIVILEGES)
        case NotLetInError():
            return _refusal(401, error.detail, INVALID_TOKEN)
        case ConflictError():
            return _refusal(400, error.detail, MANAGE)
        case LedgerError():
            return _refusal(status_of(type(error)), error.detail, details=_details(error))
        case CorruptLedgerError():
            return _refusal(503, "Writing to this ledger has stopped; an operator must act.")
    return _refusal(500, "The request could not be answered.")


def _details(error: LedgerError) -> list[str]:
    listed: list[dict[str, Any]] = error.facts.get("errors", [])
    return [f"{it['member']} {it['problem']}" for it in listed]


def _refusal(status: int, message: str, kind: str | None = None, details: list[str] | None = None) -> Refusal:
    if kind is None:
        kinds = {401: INVALID_TOKEN, 403: NO_PRIVILEGES, 404: NOT_FOUND}
        kind = kinds.get(status, SERVER if status >= 500 else INVALID_REQUEST)
    return Refusal(status, {"error": {"message": message, "type": kind, "details": (details or [])[:MOST_DETAILS]}})


def org_of(request: web.Request) -> str | None:
    """The org that the path names; None for the caller's own."""
    org = request.path.split("/", 2)[1]
    return None if org == OWN_ORG else org


def authorization(request: web.Request) -> str | None:
    """The header, or the query's ``token``; the header wins."""
    header = request.headers.get("Authorization")
    token = request.query.get(IN_QUERY)
    return f"Bearer {token}" if header is None and token is not None else header


WORKFLOW = Dialect(
    name="workflow",
    prefixes=(f"/{OWN_ORG}/",),
    # At least an org and an item, and something of that.
    pattern=re.compile(rf"/(?!(?i:{OTHERS})(?:/|$))[^/]+/[^/]+/"),
    title="Jobs in workflows, as ArcGIS Workflow Manager",
    refuse=refuse,
    status=status_of,
    error_schema=ERROR,
    variables=MappingProxyType(
        {
            "org_id": ORG_ID,
            "item_id": ITEM_ID,
            "job_id": job_id,
            "template_id": diagram_id,
            "diagram_id": diagram_id,
            "version": version_number,
            "attachment_id": uuid,
        }
    ),
    # Some clients ask each path for JSON so.
    passed_over=frozenset({"f", IN_QUERY}),
    further_schemes=MappingProxyType(
        {"workflow-token": {"type": "apiKey", "in": "query", "name": IN_QUERY}},
    ),
    challenge="Bearer",
    schemes=MappingProxyType({"bearer": "bearer"}),
    org=org_of,
    authorization=authorization,
)
