"""The native API's principals: who may act in the org, and what each may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from aiohttp import web

from jobledger.http.access import LONGEST_PASSWORD_BYTES, just_now
from jobledger.http.context import ACCESS, CALLER, CURSOR_KEY, LEDGER, PAST, PRINCIPALS
from jobledger.http.exchange import answer
from jobledger.http.members import Members, Reader, boolean, list_of, one_of, reads, text
from jobledger.http.native.answers import CHANGED_PRINCIPAL, ME, PRINCIPAL, PRINCIPAL_PAGE
from jobledger.http.native.as_of import as_of
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.operation import (
    Operation,
    Parameters,
    operation,
    operations,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.domain.access_commands import (
    AddPrincipal,
    ChangePrincipal,
    DisablePrincipal,
    EnablePrincipal,
    PrincipalCommand,
    must_see_all,
)
from jobledger.ledger.domain.command import Caller, Idempotency, Outcome
from jobledger.ledger.domain.credential_commands import RemovePassword, RevokeTokens, SetOwnPassword, SetPassword
from jobledger.ledger.errors import InvalidCommandError, LastAdministratorError, NameIsTakenError, NotAllowedError
from jobledger.ledger.store.codec import wire_time

READ_ACCESS = "access.read"

principal_routes = web.RouteTableDef()


password_text = text(LONGEST_PASSWORD_BYTES, most_bytes=LONGEST_PASSWORD_BYTES)


@reads({**password_text.schema, "format": "password"})
def password(value: Any) -> str:
    """A password as one may be given."""
    read = password_text(value)
    if not read.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return read


words = list_of(text(200), 1000)
GRANTS: dict[str, Reader[Any]] = {
    "roles": list_of(one_of(*sorted(CAPABILITIES_BY_ROLE)), 1000),
    "capabilities": words,
    "home_domain": text(200),
    "domains": words,
}
NEW_PRINCIPAL = Members(
    {"name": text(64), **GRANTS, "password": password},
    needed=("name", "roles"),
    further={"examples": [{"name": "worker-1", "roles": ["client"]}]},
)
# Of the first principal, who sees all domains, the example changes nothing.
CHANGE = Members(
    {**GRANTS, "all_domains": boolean},
    further={"description": "At least one of these.", "minProperties": 1, "examples": [{"all_domains": True}]},
    is_due=True,
)
REASON = Members({"reason": text(10_000)})
PASSWORD = Members({"password": password}, needed=("password",))
OWN_PASSWORD = Members({"current": text(LONGEST_PASSWORD_BYTES), "password": password}, needed=("current", "password"))
FILTERS = Parameters({"name": text(64), "as_of": as_of, "limit": limit, "cursor": cursor})


class Verb(NamedTuple):
    """A verb on one principal: its command, and the members of its body."""

    command: type[PrincipalCommand]
    readers: Members

    @property
    def operation(self) -> Operation:
        """What it takes and gives."""
        return Operation(
            summary=self.command.__doc__,
            answer=CHANGED_PRINCIPAL,
            body=self.readers,
            capability=self.command.capability,
            may=(LastAdministratorError,),
        )


VERBS: dict[str, Verb] = {
    "disable": Verb(DisablePrincipal, REASON),
    "enable": Verb(EnablePrincipal, REASON),
    "remove_password": Verb(RemovePassword, Members({})),
    "revoke_tokens": Verb(RevokeTokens, REASON),
}


@principal_routes.get("/ledger/v1/{org}/me")
@operation(ME)
async def get_me(request: web.Request) -> web.Response:
    """Who asks, and all that they may do."""
    read_parameters(request)
    caller = request[CALLER]
    shown = await request.app[PRINCIPALS].principal(caller.org, own_number(caller))
    return answer(request, {"org": caller.org, "principal": shown, "capabilities": sorted(caller.capabilities)})


@principal_routes.post("/ledger/v1/{org}/me/password")
@operation(CHANGED_PRINCIPAL, body=OWN_PASSWORD, may=(NotAllowedError, LastAdministratorError))
async def change_own_password(request: web.Request) -> web.Response:
    """Change one's own password, by showing the current one."""
    read_parameters(request)
    members, body = await read_body_members(request)
    caller, access = request[CALLER], request.app[ACCESS]
    me = await request.app[PRINCIPALS].principal(caller.org, own_number(caller))
    shown = await access.by_password(f"{me['name']}@{caller.org}", members["current"], caller.org, caller.address)
    # One that is not right is refused by the command, so that a repeat of what was done already gets its answer.
    password_hash = "" if shown is None else await access.hash_password(members["password"])
    credential = None if shown is None else shown.principal.credential
    outcome = await request.app[LEDGER].execute(
        SetOwnPassword(
            caller=just_now(caller),
            idempotency=sealed_idempotency(request, body),
            principal=own_number(caller),
            credential=uuid4(),
            password_hash=password_hash,
            shown=credential or "",
        )
    )
    return outcome_answer(request, outcome)


@principal_routes.get("/ledger/v1/{org}/principals")
@listing(PRINCIPAL_PAGE, parameters=FILTERS, capability=READ_ACCESS)
async def list_principals(request: web.Request) -> web.Response:
    """A page of the org's principals, by number: who may do what, or could."""
    caller = may_read(request)
    parameters = read_parameters(request)
    name, size = parameters.get("name"), parameters.get("limit", DEFAULT_LIMIT)
    list_name = f"principals of {caller.org}: {name!r}"
    if "as_of" in parameters:
        list_name += f" as of {parameters['as_of']}"
        after = read_cursor(request, parameters, list_name)
        moment = await request.app[PAST].moment(caller.org, parameters["as_of"])
        page = await request.app[PAST].principals(caller.org, moment, after=after, limit=size, name=name)
        return page_answer(request, "principals", page, list_name)
    after = read_cursor(request, parameters, list_name)
    page = await request.app[PRINCIPALS].principals(caller.org, after=after, limit=size, name=name)
    return page_answer(request, "principals", page, list_name)


@principal_routes.post("/ledger/v1/{org}/principals")
@operation(
    CHANGED_PRINCIPAL,
    statuses={201: "Added."},
    body=NEW_PRINCIPAL,
    capability=AddPrincipal.capability,
    may=(NameIsTakenError,),
    gives_headers={"Location": "Where the principal is."},
)
async def add_principal(request: web.Request) -> web.Response:
    """Add a principal: 201 with its number."""
    read_parameters(request)
    members, body = await read_body_members(request)
    given = members.pop("password", None)
    permitted(request)
    outcome = await request.app[LEDGER].execute(
        AddPrincipal(
            caller=request[CALLER],
            idempotency=sealed_idempotency(request, body),
            credential=None if given is None else uuid4(),
            password_hash=None if given is None else await request.app[ACCESS].hash_password(given),
            **in_tuples(members),
        )
    )
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@principal_routes.get("/ledger/v1/{org}/principals/{principal_id}")
@operation(PRINCIPAL, capability=READ_ACCESS)
async def get_principal(request: web.Request) -> web.Response:
    """One principal."""
    caller = may_read(request)
    read_parameters(request)
    return answer(request, await request.app[PRINCIPALS].principal(caller.org, path_number(request)))


@principal_routes.post("/ledger/v1/{org}/principals/{principal_id}")
@operation(CHANGED_PRINCIPAL, body=CHANGE, capability=ChangePrincipal.capability, may=(LastAdministratorError,))
async def change_principal(request: web.Request) -> web.Response:
    """Grant a principal other roles, capabilities or domains; what is not given stays."""
    read_parameters(request)
    number = path_number(request)
    members, body = await read_body_members(request)
    if not members:
        raise InvalidCommandError(f"To change a principal takes some of {', '.join(CHANGE)}.")
    outcome = await request.app[LEDGER].execute(
        ChangePrincipal(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            principal=number,
            sees_all=members.pop("all_domains", False),
            **in_tuples(members),
        )
    )
    return outcome_answer(request, outcome)


@principal_routes.post("/ledger/v1/{org}/principals/{principal_id}/password")
@operation(CHANGED_PRINCIPAL, body=PASSWORD, capability=SetPassword.capability, may=(LastAdministratorError,))
async def set_password(request: web.Request) -> web.Response:
    """Give a principal a password."""
    read_parameters(request)
    number = path_number(request)
    members, body = await read_body_members(request)
    # Before it costs a hash.
    permitted(request)
    outcome = await request.app[LEDGER].execute(
        SetPassword(
            caller=request[CALLER],
            idempotency=sealed_idempotency(request, body),
            principal=number,
            credential=uuid4(),
            password_hash=await request.app[ACCESS].hash_password(members["password"]),
        )
    )
    return outcome_answer(request, outcome)


@principal_routes.post("/ledger/v1/{org}/principals/{principal_id}/{verb:" + "|".join(VERBS) + "}")
@operations("verb", {verb: it.operation for verb, it in VERBS.items()})
async def change_access(request: web.Request) -> web.Response:
    """One of the other verbs on a principal."""
    read_parameters(request)
    verb, number = VERBS[request.match_info["verb"]], path_number(request)
    members, body = await read_body_members(request)
    command = verb.command(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        principal=number,
        **members,
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def in_tuples(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members with their lists as a command takes them."""
    return {name: tuple(it) if isinstance(it, list) else it for name, it in members.items()}


def may_read(request: web.Request) -> Caller:
    """The caller, if it may read who there is. Raises NotAllowedError."""
    caller = permitted(request)
    must_see_all(caller)
    return caller


def path_number(request: web.Request) -> int:
    """The principal's number in the path. NotFoundError for what can be none."""
    number: int = read_variable(request, "principal_id")
    return number


def own_number(caller: Caller) -> int:
    """The caller's own."""
    return int(caller.principal.removeprefix("principal-"))


def sealed_idempotency(request: web.Request, body: bytes) -> Idempotency | None:
    """As ``idempotency``, for a body with a password in it: its plain hash, kept for a day, could be guessed at."""
    plain = idempotency(request, body)
    return None if plain is None else Idempotency(plain.key, request.app[CURSOR_KEY].sealed(plain.request_hash))


def read_cursor(request: web.Request, parameters: Mapping[str, Any], list_name: str) -> int:
    """What the page goes on after. Raises InvalidCommandError."""
    cursor = parameters.get("cursor")
    return 0 if cursor is None else request.app[CURSOR_KEY].read(cursor, list_name)


def outcome_answer(
    request: web.Request, outcome: Outcome, status: int = 200, *, location: str | None = None, **further: Any
) -> web.Response:
    """What a command came to."""
    headers = {} if location is None else {"Location": location}
    if outcome.is_repeated:
        headers["Idempotent-Replayed"] = "true"
    document = {
        **outcome.result,
        **further,
        "positions": list(outcome.positions),
        "recorded_at": wire_time(outcome.recorded_at) if outcome.event_count else None,
    }
    return answer(request, document, status, headers)
