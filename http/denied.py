"""What is refused, noted for the record as it is answered: see ``DeniedAttempts``. The answer does not depend on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from jobledger.http.context import CALLER, DENIED, DIALECT, REQUEST_ID
from jobledger.http.operation import ByWord, declared
from jobledger.http.urls import EDGE, shown_address
from jobledger.ledger.domain.access import principal_stream
from jobledger.ledger.domain.command import Caller, Outcome
from jobledger.ledger.domain.denial import LOGIN, ORG, Asked
from jobledger.ledger.errors import (
    JobIsClosedError,
    JobIsHeldError,
    JobIsRequiredError,
    JobIsRetainedError,
    JobIsTheLedgersError,
    JobsRefusedError,
    LastAdministratorError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    PolicyIsLockedError,
)
from jobledger.ledger.work.denied_attempts import MOST_ASKED, Key, Suspect

log = logging.getLogger(__name__)

PRINCIPAL = principal_stream(0).removesuffix("0")
LARGEST_ID = 2**31 - 1
# Of a path that nothing answers, or not by this method: neither is told as the client wrote it.
NOTHING = "nothing that there is"
# What is recorded as denied, its code being the kind: by other errors a client only learns how things stand.
RECORDED: tuple[type[LedgerError], ...] = (
    *(NotAllowedError, JobIsClosedError, JobIsHeldError, JobIsRequiredError, JobIsRetainedError, JobIsTheLedgersError),
    *(LastAdministratorError, PolicyIsLockedError),
)
# Why single jobs among several are refused, by the code that a result tells.
_TOLD: tuple[type[LedgerError], ...] = (*RECORDED, NotFoundError)
REFUSALS: Mapping[str, type[LedgerError]] = {it.code: it for it in _TOLD}


def note_refusal(
    request: web.Request, error: BaseException, *, command: str | None = None, job_id: int | None = None
) -> None:
    """Note what the request's caller is refused with *error*, if it is of those that are recorded; *command* is a line's."""
    caller = request.get(CALLER)
    if caller is None or not isinstance(error, LedgerError):
        return
    try:
        for refusal, asked_id, count in _refusals(error, job_id or _path_job_id(request)):
            _note(request, caller, refusal, command, asked_id, count)
    except Exception:
        log.exception("What request %s was refused could not be noted.", request[REQUEST_ID])


def note_told_refusals(request: web.Request, outcome: Outcome) -> None:
    """Note which of several jobs were refused by a command that was accepted, as its result tells them."""
    if outcome.is_repeated:
        return
    refused = {it["id"]: REFUSALS.get(it["code"], LedgerError)("") for it in outcome.result["refused"]}
    if refused:
        note_refusal(request, JobsRefusedError("", refused=refused))


def note_foreign_org(request: web.Request, caller: Caller) -> None:
    """Note that the caller asks for what is another org's, or nobody's: its own org's ledger tells it, without naming it."""
    asked = Asked(_what(request), None, None, request[DIALECT].name, caller.address)
    _count(request, caller, ORG, asked, 1)


def login_teller(request: web.Request) -> Callable[[str, int], None]:
    """Notes that the request has given the name of a principal of an org, and no password of its."""

    def tell(org: str, principal_id: int) -> None:
        address = shown_address(request, request.app[EDGE])
        asked = Asked(_what(request), None, None, request[DIALECT].name, address)
        request.app[DENIED].note(Key(org, principal_id, LOGIN), asked, request=request[REQUEST_ID])

    return tell


def _refusals(error: LedgerError, job_id: int | None) -> Iterable[tuple[LedgerError, int | None, int]]:
    """The error, or those that it is of: each with its job, and how many there are of it; few are told by their jobs."""
    refused: Mapping[int, LedgerError] = getattr(error, "refused", None) or {}
    if not refused:
        yield error, error.facts.get("job_id", job_id), 1
        return
    seen: dict[type[LedgerError], int] = {}
    further: dict[type[LedgerError], tuple[LedgerError, int]] = {}
    for refused_id, refusal in refused.items():
        kind = type(refusal)
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= MOST_ASKED:
            yield refusal, refused_id, 1
        else:
            further[kind] = (refusal, further[kind][1] + 1 if kind in further else 1)
    for refusal, count in further.values():
        yield refusal, None, count


def _note(
    request: web.Request, caller: Caller, error: LedgerError, command: str | None, job_id: int | None, count: int
) -> None:
    what = _what(request) if command is None else f"{_what(request)} {command}"
    needs = error.facts.get("capability")
    asked = Asked(what, job_id, needs if isinstance(needs, str) else None, caller.via, caller.address)
    if isinstance(error, RECORDED):
        _count(request, caller, error.code, asked, count)
    elif isinstance(error, NotFoundError) and caller.domains is not None and job_id is not None:
        number = _number(caller)
        if number is not None:
            suspect = Suspect(number, caller.domains, asked, request[REQUEST_ID])
            request.app[DENIED].suspect(caller.org, suspect)


def _count(request: web.Request, caller: Caller, kind: str, asked: Asked, count: int) -> None:
    number = _number(caller)
    if number is not None:
        request.app[DENIED].note(Key(caller.org, number, kind), asked, request=request[REQUEST_ID], count=count)


def _number(caller: Caller) -> int | None:
    number = caller.principal.removeprefix(PRINCIPAL)
    return int(number) if number.isdecimal() else None


def _what(request: web.Request) -> str:
    """The method and the route, its word filled in where it is one of a few that the handler knows."""
    match = request.match_info
    resource = match.route.resource
    if match.http_exception is not None or resource is None:
        return NOTHING
    said, path = declared(match.handler), resource.canonical
    if isinstance(said, ByWord):
        path = path.replace(f"{{{said.variable}}}", match[said.variable])
    return f"{request.method} {path}"


def _path_job_id(request: web.Request) -> int | None:
    given = request.match_info.get("job_id", "")
    if not (given.isascii() and given.isdecimal()) or len(given) > len(str(LARGEST_ID)):
        return None
    return number if 0 < (number := int(given)) <= LARGEST_ID else None
