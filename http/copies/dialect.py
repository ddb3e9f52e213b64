"""How the copies dialect knows callers and says errors.

{"errorMessage":"There is no copy 10 of storage policy 7.","errorCode":404}
"""

from __future__ import annotations

import re
from types import MappingProxyType

from aiohttp import web

from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.problem import HTTP_DETAILS, status_of
from jobledger.ledger.errors import CorruptLedgerError, JobsNotFoundError, JobsRefusedError, LedgerError

PREFIXES = ("/webconsole/api", "/commandcenter/api")
PREFIX = "/{prefix:webconsole|commandcenter}/api"
ACCESS_DENIED = 5


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
    prefixes=("/webconsole/", "/commandcenter/"),
    pattern=re.compile(r"/(webconsole|commandcenter)$"),
    refuse=refuse,
    challenge="QSDK",
    schemes=MappingProxyType({"qsdk": "bearer", "bearer": "bearer", "basic": "basic"}),
    authorization=authorization,
    open_paths=frozenset(f"{prefix}{path}" for prefix in PREFIXES for path in ("", "/", "/Login", "/RenewLoginToken")),
)
