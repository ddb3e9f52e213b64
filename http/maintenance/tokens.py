"""``GET /{org}/auth``: a password, shown by HTTP Basic, becomes a token for ``Authorization: Bearer``."""

from __future__ import annotations

from base64 import b64decode

from aiohttp import web

from jobledger.http.context import ACCESS, DIALECT, REQUEST_ID
from jobledger.http.denied import login_teller, note_foreign_org
from jobledger.http.maintenance.dialect import MAINTENANCE
from jobledger.http.negotiation import PLAIN, Form, gives
from jobledger.http.operation import operation, read_parameters
from jobledger.http.schema import STRING
from jobledger.http.urls import EDGE, shown_address
from jobledger.ledger.errors import NotFoundError

# Whatever a client says that it accepts: the original has but this.
TOKEN = Form(
    PLAIN.syntax,
    PLAIN.media_type,
    PLAIN.parameters,
    also=("application/json", "application/xml", "text/xml", "text/html"),
)

auth_routes = web.RouteTableDef()


@auth_routes.get("/{org:[a-z][a-z0-9-]{0,40}}/auth", allow_head=False)
@gives(TOKEN)
@operation(STRING, schemes=("basic",))
async def issue_token(request: web.Request) -> web.Response:
    """A token of 12 hours for whoever shows a password. To have a token is not enough: it would never run out."""
    read_parameters(request)
    access, org = request.app[ACCESS], request.match_info["org"]
    shown = request.headers.get("Authorization", "")
    scheme, _, credentials = shown.partition(" ")
    address = shown_address(request, request.app[EDGE])
    caller = await access.caller(shown, org, address, login_teller(request)) if scheme.lower() == "basic" else None
    if caller is None:
        raise web.HTTPUnauthorized
    if caller.org != org:
        note_foreign_org(request, caller.asking(request[DIALECT].name, address, request[REQUEST_ID]))
        raise NotFoundError("There is nothing at this path.")
    # It was let in by this just now.
    login, _, password = b64decode(credentials.strip()).decode().partition(":")
    issued = await access.login(
        login, password, via=MAINTENANCE.name, org=org, address=address, request=request[REQUEST_ID]
    )
    if issued is None or issued.token is None:
        raise web.HTTPUnauthorized
    return web.Response(text=issued.token, content_type=TOKEN.media_type, charset="utf-8")
