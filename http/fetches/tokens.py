"""``POST /api/auth/token/``: a password becomes a token.

{"username":"etl@acme","password":"…"}  →  {"username":"etl@acme","token":"jl_acme_…","expires_in":null}
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from jobledger.http.access import LONGEST_PASSWORD_BYTES
from jobledger.http.context import ACCESS, REQUEST_ID
from jobledger.http.denied import login_teller
from jobledger.http.document import MalformedDocumentError, read_body
from jobledger.http.exchange import answer, read_document
from jobledger.http.fetches.answers import TOKEN
from jobledger.http.fetches.dialect import FETCHES
from jobledger.http.members import Members, text
from jobledger.http.native.parameters import header_key, request_hash
from jobledger.http.operation import Body, operation, read_parameters
from jobledger.http.urls import EDGE, client_address
from jobledger.ledger.domain.command import Idempotency
from jobledger.ledger.errors import ConflictError, InvalidCommandError

FORM_TYPE = "application/x-www-form-urlencoded"
LARGEST_LOGIN_BYTES = 64 * 1024
MOST_FIELDS = 100
LOGIN = Members({"username": text(200), "password": text(LONGEST_PASSWORD_BYTES)}, needed=("username", "password"))
NO_LOGIN = "unable to log in with provided credentials"

token_routes = web.RouteTableDef()


@token_routes.post("/api/auth/token{slash:/?}")
@operation(TOKEN, body=Body(LOGIN.schema, {FORM_TYPE: LOGIN.schema}), may=(ConflictError,), marks_replays=False)
async def issue_token(request: web.Request) -> web.Response:
    """A token for whoever knows a password; it lasts 12 hours. Under the same Idempotency-Key no second one is issued."""
    read_parameters(request)
    key = header_key(request)
    given = LOGIN.read(await read_login(request))
    # Not of the body: from a stored hash of it the password could be guessed.
    hashed = request_hash(request.method, FETCHES.name, given["username"].encode())
    idempotency = None if key is None else Idempotency(key, hashed)
    address = client_address(request, request.app[EDGE])
    login = await request.app[ACCESS].login(
        given["username"],
        given["password"],
        via=FETCHES.name,
        address=None if address is None else str(address),
        request=request[REQUEST_ID],
        idempotency=idempotency,
        tell_denied=login_teller(request),
    )
    if login is None:
        raise InvalidCommandError(
            f"{NO_LOGIN[0].upper()}{NO_LOGIN[1:]}.", errors=[{"member": "non_field_errors", "problem": NO_LOGIN}]
        )
    if login.token is None:
        raise ConflictError("A token was issued under this Idempotency-Key; it is shown once.")
    return answer(request, {"username": given["username"], "token": login.token, "expires_in": None})


async def read_login(request: web.Request) -> Any:
    """The members of a form, or of a document. Raises as ``read_document``."""
    if not request.can_read_body or request.content_type != FORM_TYPE:
        return (await read_document(request, LARGEST_LOGIN_BYTES)).document
    body = await read_body(request, LARGEST_LOGIN_BYTES)
    try:
        fields = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise MalformedDocumentError("This is not a form in UTF-8.") from error
    members = dict(fields)
    if len(members) < len(fields):
        raise MalformedDocumentError("A field is given more than once.")
    return members
