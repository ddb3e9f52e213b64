"""The native API's tokens. One is shown once, in the answer that issues it: a repeat of the request does not bring it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from aiohttp import web

from jobledger.http.access import new_token
from jobledger.http.context import CALLER, LEDGER, PRINCIPALS
from jobledger.http.exchange import answer
from jobledger.http.members import Members, instant, integer, text
from jobledger.http.native.answers import ISSUED_TOKEN, REVOKED_TOKEN, TOKEN, TOKEN_PAGE
from jobledger.http.native.dialect import principal_id
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import (
    READ_ACCESS,
    REASON,
    may_read,
    outcome_answer,
    read_cursor,
)
from jobledger.http.operation import Parameters, operation, read_body_members, read_parameters, read_variable
from jobledger.ledger.domain.credential_commands import IssueToken, RevokeToken
from jobledger.ledger.errors import InvalidCommandError, TooManyTokensError

LONGEST_LIFETIME_S = 10 * 366 * 24 * 3600

token_routes = web.RouteTableDef()

NEW_TOKEN = Members(
    {
        "principal": text(64),
        "principal_id": principal_id,
        "expires_in": integer(1, LONGEST_LIFETIME_S),
        "expires_at": instant,
        "label": text(200),
    },
    further={
        "description": "For either a `principal`, by its name, or a `principal_id`; the other is absent or null.",
        "oneOf": [
            {"required": ["principal"], "properties": {"principal": {"type": "string"}}},
            {"required": ["principal_id"], "properties": {"principal_id": {"type": "integer"}}},
        ],
        "examples": [{"principal": "admin", "expires_in": 3600}],
    },
    is_due=True,
)
FILTERS = Parameters({"principal_id": principal_id, "limit": limit, "cursor": cursor})


@token_routes.get("/ledger/v1/{org}/tokens")
@listing(TOKEN_PAGE, parameters=FILTERS, capability=READ_ACCESS)
async def list_tokens(request: web.Request) -> web.Response:
    """A page of the tokens that let somebody in, by principal and order of issue."""
    caller = may_read(request)
    parameters = read_parameters(request)
    principal, size = parameters.get("principal_id"), parameters.get("limit", DEFAULT_LIMIT)
    list_name = f"tokens of {caller.org}: {principal!r}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[PRINCIPALS].tokens(caller.org, after=after, limit=size, principal=principal)
    return page_answer(request, "tokens", page, list_name)


@token_routes.post("/ledger/v1/{org}/tokens")
@operation(
    ISSUED_TOKEN,
    statuses={201: "Issued."},
    body=NEW_TOKEN,
    capability=IssueToken.capability,
    may=(TooManyTokensError,),
    gives_headers={"Location": "Where the token is, but for its secret."},
)
async def issue_token(request: web.Request) -> web.Response:
    """Issue a token: 201 with it, this once."""
    read_parameters(request)
    members, body = await read_body_members(request)
    if ("principal" in members) == ("principal_id" in members):
        raise InvalidCommandError("A token is for either a principal, by its name, or a principal_id.")
    if "expires_in" in members and "expires_at" in members:
        raise InvalidCommandError("Either expires_in, in seconds, or expires_at.")
    lifetime_s = members.get("expires_in")
    token = new_token(request[CALLER].org)
    outcome = await request.app[LEDGER].execute(
        IssueToken(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            principal=members.get("principal_id") or members["principal"],
            credential=uuid4(),
            token_hash=sha256(token.encode()).digest(),
            expires_at=members.get("expires_at"),
            lifetime=None if lifetime_s is None else timedelta(seconds=lifetime_s),
            label=members.get("label"),
        )
    )
    result = outcome.result
    expires_at = result["expires_at"]
    shown = outcome._replace(
        result={
            "id": result["credential"],
            "principal_id": result["id"],
            "principal": result["name"],
            "version": result["version"],
        }
    )
    return outcome_answer(
        request,
        shown,
        201,
        location=f"{request.path}/{result['credential']}",
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        # What a repeat would show was made for it just now, and is nobody's.
        token=None if outcome.is_repeated else token,
    )


@token_routes.get("/ledger/v1/{org}/tokens/{token_id}")
@operation(TOKEN, capability=READ_ACCESS)
async def get_token(request: web.Request) -> web.Response:
    """What is known of one token."""
    caller = may_read(request)
    read_parameters(request)
    return answer(request, await request.app[PRINCIPALS].token(caller.org, path_token(request)))


@token_routes.post("/ledger/v1/{org}/tokens/{token_id}/revoke")
@operation(REVOKED_TOKEN, body=REASON, capability=RevokeToken.capability)
async def revoke_token(request: web.Request) -> web.Response:
    """Let a token let nobody in any more, at once, in every server."""
    read_parameters(request)
    credential = path_token(request)
    members, body = await read_body_members(request)
    outcome = await request.app[LEDGER].execute(
        RevokeToken(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            credential=credential,
            **members,
        )
    )
    result = outcome.result
    return outcome_answer(
        request,
        outcome._replace(
            result={
                "id": result["credential"],
                "principal_id": result["id"],
                "principal": result["name"],
                "version": result["version"],
            }
        ),
    )


def path_token(request: web.Request) -> UUID:
    """The token's id in the path. NotFoundError for what can be none."""
    token_id: UUID = read_variable(request, "token_id")
    return token_id
