"""Whether who sends one long request is still let in."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from jobledger.http import standing as standing_module
from jobledger.http.context import ACCESS, CALLER, DIALECT
from jobledger.http.native import NATIVE
from jobledger.http.standing import ASK_AGAIN_S, UNTOLD_S, Standing
from jobledger.ledger.errors import (
    DatabaseIsAwayError,
    LedgerError,
    NotLetInError,
    TooManyAttemptsError,
    UnavailableError,
)
from tests.http.serving import Api, Server


@pytest.fixture
async def request_of_caller(server: Server, api: Api) -> web.Request:
    """A request whose caller was let in."""
    request = make_mocked_request("GET", "/ledger/v1/acme/events", headers=api.headers, app=server.app)
    request[DIALECT] = NATIVE
    caller = await server.app[ACCESS].caller(NATIVE.credentials(request), "acme")
    assert caller is not None
    request[CALLER] = caller
    return request


@pytest.mark.parametrize("error", [DatabaseIsAwayError, TooManyAttemptsError, UnavailableError])
async def test_who_was_let_in_goes_on_for_a_minute_while_it_cannot_be_told(
    request_of_caller: web.Request, monkeypatch: pytest.MonkeyPatch, error: type[LedgerError]
) -> None:
    """Neither a database that is away nor somebody else's wrong guesses are a verdict; but none goes on unasked for ever."""
    moment = 0.0
    monkeypatch.setattr(standing_module, "monotonic", lambda: moment)
    standing = Standing(request_of_caller)
    known = request_of_caller[CALLER]
    access = request_of_caller.app[ACCESS]

    async def cannot_tell(*_: Any) -> None:
        raise error("It cannot be told.")

    with monkeypatch.context() as patch:
        patch.setattr(access, "known", cannot_tell)
        for moment in (0.0, ASK_AGAIN_S, UNTOLD_S - 1):  # noqa: B007  # read by the clock above
            assert await standing.caller() == known
        moment = UNTOLD_S
        with pytest.raises(error):
            await standing.caller()
    moment += ASK_AGAIN_S
    assert (await standing.caller()).principal == known.principal
    with monkeypatch.context() as patch:
        patch.setattr(access, "known", cannot_tell)
        moment += UNTOLD_S - 1
        assert (await standing.caller()).principal == known.principal


async def test_who_is_let_in_no_more_is_out_at_the_next_question(
    request_of_caller: web.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before: within a second of the last question none is asked."""
    moment = 0.0
    monkeypatch.setattr(standing_module, "monotonic", lambda: moment)
    standing = Standing(request_of_caller)

    async def nobody(*_: Any) -> None:
        return None

    monkeypatch.setattr(request_of_caller.app[ACCESS], "known", nobody)
    assert await standing.caller() == request_of_caller[CALLER]
    moment = ASK_AGAIN_S
    with pytest.raises(NotLetInError):
        await standing.caller()
