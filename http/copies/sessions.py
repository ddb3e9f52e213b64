"""Logging in and out as the vendor's SDK does it.

GET {prefix}/  → {}
POST {prefix}/Login {"mode":4,"username":"etl@acme","password":"<base64>"}  → {"userName":"etl@acme","token":"QSDK jl_acme_…"}
                                              → {"errList":[{"errLogMessage":"…","errorCode":5}]}, with 200 as well
POST {prefix}/RenewLoginToken  → {"error":{"errLogMessage":"…","errorCode":5}}
POST {prefix}/Logout  → {}
POST {prefix}/WhoAmI  → {"user":{"userName":"etl"}}
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from aiohttp import web

from jobledger.http.access import LONGEST_PASSWORD_BYTES, just_now
from jobledger.http.context import ACCESS, CALLER, LEDGER, PRINCIPALS, REQUEST_ID
from jobledger.http.copies.answers import LOGIN_ANSWER, NO_RENEWAL_ANSWER, NOTHING, USER
from jobledger.http.copies.dialect import ACCESS_DENIED, COPIES, PREFIX, operation
from jobledger.http.denied import login_teller
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Members, reads, text
from jobledger.http.native.parameters import header_key, idempotency, request_hash
from jobledger.http.native.principals import own_number
from jobledger.http.operation import Body, read_parameters
from jobledger.http.urls import EDGE, client_address
from jobledger.ledger.domain.command import Idempotency
from jobledger.ledger.domain.credential_commands import LogOut
from jobledger.ledger.errors import ConflictError

LARGEST_LOGIN_BYTES = 64 * 1024
BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
encoded = text(4 * LONGEST_PASSWORD_BYTES)


@reads({**encoded.schema, "format": "password", "contentEncoding": "base64", "pattern": BASE64})
def decoded_password(value: Any) -> str:
    """The password in base64."""
    given = encoded(value)
    try:
        return b64decode(given, validate=True).decode()
    except ValueError:
        raise ValueError("is not in base64") from None


LOGIN = Members({"username": text(200), "password": decoded_password}, needed=("username", "password"))
# The SDK sends much else with it, and with what asks for nothing.
LOGIN_BODY = Body({**LOGIN.schema, "additionalProperties": True})
ANY_BODY = Body({}, is_needed=False)
NO_LOGIN = "The user name or the password is wrong."
NO_RENEWAL = "A token is not renewed here: log in again."

session_routes = web.RouteTableDef()


@session_routes.get(PREFIX + "{slash:/?}")
@operation(NOTHING)
async def find_service(request: web.Request) -> web.Response:
    """Say that the service is here."""
    read_parameters(request)
    return answer(request, {})


@session_routes.post(PREFIX + "/Login")
@operation(LOGIN_ANSWER, body=LOGIN_BODY, may=(ConflictError,), marks_replays=False)
async def log_in(request: web.Request) -> web.Response:
    """A token for whoever knows a password; it lasts 12 hours. Under the same Idempotency-Key no second one is issued."""
    read_parameters(request)
    key = header_key(request)
    document = (await read_document(request, LARGEST_LOGIN_BYTES)).document
    if isinstance(document, dict):
        document = {name: it for name, it in document.items() if name in LOGIN}
    given = LOGIN.read(document)
    # Not of the body: from a stored hash of it the password could be guessed.
    hashed = request_hash(request.method, COPIES.name, given["username"].encode())
    address = client_address(request, request.app[EDGE])
    login = await request.app[ACCESS].login(
        given["username"],
        given["password"],
        via=COPIES.name,
        address=None if address is None else str(address),
        request=request[REQUEST_ID],
        idempotency=None if key is None else Idempotency(key, hashed),
        tell_denied=login_teller(request),
    )
    if login is None:
        return answer(request, {"errList": [{"errLogMessage": NO_LOGIN, "errorCode": ACCESS_DENIED}]})
    if login.token is None:
        raise ConflictError("A token was issued under this Idempotency-Key; it is shown once.")
    return answer(request, {"userName": given["username"], "token": f"QSDK {login.token}"})


@session_routes.post(PREFIX + "/RenewLoginToken")
@operation(NO_RENEWAL_ANSWER, body=ANY_BODY, marks_replays=False)
async def renew_token(request: web.Request) -> web.Response:
    """Refuse, as the SDK understands it: it asks this after a 401."""
    await _pass_over_body(request)
    return answer(request, {"error": {"errLogMessage": NO_RENEWAL, "errorCode": ACCESS_DENIED}})


@session_routes.post(PREFIX + "/WhoAmI")
@operation(USER, body=ANY_BODY, marks_replays=False)
async def who_am_i(request: web.Request) -> web.Response:
    """The caller's name."""
    await _pass_over_body(request)
    caller = request[CALLER]
    me = await request.app[PRINCIPALS].principal(caller.org, own_number(caller))
    return answer(request, {"user": {"userName": me["name"]}})


@session_routes.post(PREFIX + "/Logout")
@operation(NOTHING, body=ANY_BODY, marks_replays=False)
async def log_out(request: web.Request) -> web.Response:
    """End the token that is shown, at once and everywhere; a login by Basic has none."""
    body = await _pass_over_body(request)
    caller = request[CALLER]
    command = LogOut(caller=just_now(caller), idempotency=idempotency(request, body), principal=own_number(caller))
    await request.app[LEDGER].execute(command)
    return answer(request, {})


async def _pass_over_body(request: web.Request) -> bytes:
    """Read a body in which nothing is asked. Raises as ``read_document``, and InvalidCommandError."""
    read_parameters(request)
    header_key(request)
    received: Any = await read_document(request, LARGEST_LOGIN_BYTES)
    body: bytes = received.body
    return body
