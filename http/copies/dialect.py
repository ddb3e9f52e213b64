"""How the copies dialect knows callers and says errors.

{"errorMessage":"There is no copy 10 of storage policy 7.","errorCode":404}
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from aiohttp import web

from jobledger.http.copies.answers import ERROR
from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.members import integer
from jobledger.http.operation import AnyHandler, Operation, operations
from jobledger.http.problem import HTTP_DETAILS, status_of
from jobledger.http.schema import Schema
from jobledger.ledger.domain.copy import LARGEST_COPY_ID
from jobledger.ledger.errors import CorruptLedgerError, JobsNotFoundError, JobsRefusedError, LedgerError

CONSOLES = ("webconsole", "commandcenter")
PREFIXES = tuple(f"/{it}/api" for it in CONSOLES)
PREFIX = f"/{{console:{'|'.join(CONSOLES)}}}/api"
ACCESS_DENIED = 5

path_id = integer(1, LARGEST_COPY_ID)


def operation(answer: Schema, **further: Any) -> Callable[[AnyHandler], AnyHandler]:
    """Say what a handler below both prefixes takes and gives: see ``Operation``."""
    return operations("console", dict.fromkeys(CONSOLES, Operation(answer=answer, **further)))


def error_code(status: int) -> int:
    """The number that clients know an error by."""
    return ACCESS_DENIED if status in (401, 403) else status


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """``errorMessage`` and ``errorCode``."""
    match error:
        case web.HTTPException():
            return _refusal(error.status, HTTP_DETAILS.get(error.status, f"{error.reason}."))
        case JobsRefusedError() | JobsNotFoundError():
            # Each job is named with its reason.
            told = " ".join(dict.fromkeys(it.detail for it in error.refused.values()))
            return _refusal(status_of(error), told)
        case LedgerError():
            return _refusal(status_of(error), error.detail)
        case CorruptLedgerError():
            return _refusal(503, "Writing to this ledger has stopped; an operator must act.")
    return _refusal(500, "The server failed.")


def authorization(request: web.Request) -> str | None:
    """What ``Authtoken`` shows; without one, what ``Authorization`` does."""
    shown = request.headers.get("Authtoken")
    if shown is None:
        return request.headers.get("Authorization")
    shown = shown.strip()
    return shown if " " in shown else f"QSDK {shown}"


def _refusal(status: int, message: str) -> Refusal:
    return Refusal(status, {"errorMessage": message, "errorCode": error_code(status)})


COPIES = Dialect(
    name="copies",
    title="Jobs on copies, as the Commvault REST API",
    prefixes=("/webconsole/", "/commandcenter/"),
    refuse=refuse,
    error_schema=ERROR,
    variables=MappingProxyType({"copy_id": path_id, "storage_policy_id": path_id}),
    challenge="QSDK",
    further_schemes=MappingProxyType(
        {
            "copies-authtoken": {
                "type": "apiKey",
                "in": "header",
                "name": "Authtoken",
                "description": "A token, perhaps after `QSDK `.",
            }
        }
    ),
    schemes=MappingProxyType({"qsdk": "bearer", "bearer": "bearer", "basic": "basic"}),
    authorization=authorization,
    open_paths=frozenset(f"{prefix}{path}" for prefix in PREFIXES for path in ("", "/", "/Login", "/RenewLoginToken")),
)
