"""Who is let in: the caller of a request is found before anything else is done, then the form of its answer and its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from aiohttp import web

from jobledger.http.access import DEFAULT_ORG
from jobledger.http.believed import Known
from jobledger.http.context import ACCESS, ASKED_AT, CALLER, DIALECT, FORM, OWNER, REQUEST_ID
from jobledger.http.denied import login_teller, note_foreign_org
from jobledger.http.negotiation import form_of_answer, forms_of
from jobledger.http.operation import has_small_body_of_members
from jobledger.http.places import PLACE, PLACES
from jobledger.http.urls import EDGE, shown_address
from jobledger.ledger.domain.command import Belief, Caller
from jobledger.ledger.errors import CallerIsOutdatedError, NotFoundError, OutcomeUnknownError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# So often one is believed for one request.
MOST_BELIEFS = 4


class Asked(NamedTuple):
    """What tells who calls: what the request shows, the org of its path, None for whichever the caller is of, its address."""

    shown: str | None
    org: str | None
    address: str | None

    @property
    def looked_up_in(self) -> str:
        """Where a name without an org is looked up."""
        return DEFAULT_ORG if self.org is None else self.org


def admit(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
    """Let only callers of the path's org in: 401 without valid credentials, whether the org exists or not, else 404."""
    dialect = request[OWNER]
    if dialect is None:
        return handler(request)
    if dialect.is_open(request.path):
        _find_form(request)
        return handler(request)
    app = request.app
    asked = Asked(dialect.credentials(request), dialect.org(request), shown_address(request, app[EDGE]))
    if has_small_body_of_members(request):
        known = app[ACCESS].believed(asked.shown, asked.looked_up_in)
        if known is not None and asked.org in (None, known.caller.org):
            return _answer_believed(request, handler, asked, known)
    return _answer_known(request, handler, asked)


async def _answer_known(request: web.Request, handler: Handler, asked: Asked) -> web.StreamResponse:
    request[CALLER] = await _caller(request, asked)
    _let_in(request)
    return await handler(request)


async def _answer_believed(request: web.Request, handler: Handler, asked: Asked, known: Known) -> web.StreamResponse:
    """The answer to whoever was let in a while ago, where the ledger finds out by the way whether that is still so.

    That is when it decides a command of the caller's. Whatever else comes of the request is answered only once it has been asked
    who calls; what would have come of somebody else, or of the same with other rights, is thrown away: nothing has been done.
    """
    is_let_in = False
    for _ in range(MOST_BELIEFS):
        belief = Belief(known.access_at)
        believed = _asking(request, known.caller, asked, belief)
        request[CALLER] = believed
        request[ASKED_AT] = monotonic()
        failure: Exception | None = None
        response: web.StreamResponse | None = None
        try:
            if not is_let_in:
                _let_in(request)
                is_let_in = True
            response = await handler(request)
        except Exception as error:
            failure = error
        # It may have been asked meanwhile, of one whose body took its time; and what may have been recorded is not begun anew.
        is_known = belief.is_confirmed or request[CALLER] is not believed or isinstance(failure, OutcomeUnknownError)
        if not is_known:
            del request[CALLER]
            caller = request[CALLER] = await _caller(request, asked)
            is_known = caller == believed and not isinstance(failure, CallerIsOutdatedError)
        if is_known:
            if response is None:
                assert failure is not None
                raise failure
            return response
        newer = request.app[ACCESS].believed(asked.shown, asked.looked_up_in)
        if newer is None:
            # The ledger has come to know of a change while the answer was on its way.
            request[CALLER] = await _caller(request, asked)
            newer = request.app[ACCESS].believed(asked.shown, asked.looked_up_in)
        if newer is None:
            break
        known = newer
    # Where access changes all the time, it counts that it was asked after the request came.
    if not is_let_in:
        _let_in(request)
    return await handler(request)


async def _caller(request: web.Request, asked: Asked) -> Caller:
    """Who calls, as of now. Raises HTTPUnauthorized, NotFoundError, and what asking raises."""
    request[ASKED_AT] = monotonic()
    caller = await request.app[ACCESS].caller(asked.shown, asked.looked_up_in, asked.address, login_teller(request))
    if caller is None:
        raise web.HTTPUnauthorized
    if asked.org is not None and caller.org != asked.org:
        note_foreign_org(request, _asking(request, caller, asked))
        raise NotFoundError("There is nothing at this path.")
    return _asking(request, caller, asked)


def _asking(request: web.Request, caller: Caller, asked: Asked, belief: Belief | None = None) -> Caller:
    return caller.asking(request[DIALECT].name, asked.address, request[REQUEST_ID], belief)


def _let_in(request: web.Request) -> None:
    """Give a caller a place among its org's requests, until it is answered. Raises NotAcceptableError, QueueIsFullError."""
    # Before anything is done: a request whose answer could not be given changes nothing.
    _find_form(request)
    # And before its body is read.
    request[PLACE] = request.app[PLACES].take(request[CALLER].org, is_stream=False)


def _find_form(request: web.Request) -> None:
    match = request.match_info
    if match.http_exception is None:
        forms = forms_of(match.handler) or request[DIALECT].forms
        request[FORM] = form_of_answer(request, forms)
