"""The native API's retention policy: one document an org, changed as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, KEEPING, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, boolean, integer, list_of, one_of, reads, text
from jobledger.http.native.answers import CHANGED_POLICY, POLICY_EFFECTS, RETENTION_POLICY
from jobledger.http.native.parameters import idempotency
from jobledger.http.native.principals import outcome_answer
from jobledger.http.operation import Parameters, operation, permitted, read_body_members, read_parameters
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.domain.policy import MOST_DAYS, MOST_RULES, Policy
from jobledger.ledger.domain.policy_commands import ChangePolicy, must_be_allowed_change, read_rules
from jobledger.ledger.errors import InvalidCommandError, PolicyIsLockedError

READ_JOBS = "jobs.read"

policy_routes = web.RouteTableDef()


@reads({"anyOf": [{"type": "integer", "minimum": 0, "maximum": MOST_DAYS}, {"const": "forever"}]})
def days(value: Any) -> int | str:
    """A number of days, or "forever"."""
    read: int | str = "forever" if value == "forever" else integer(0, MOST_DAYS)(value)
    return read


RULE = Members(
    {
        "type": text(200),
        "state": one_of(*sorted(FINAL_STATES)),
        "basic_days": days,
        "extended_days": days,
    }
)


@reads(RULE.schema)
def rule(value: Any) -> dict[str, Any]:
    """A rule as it is given; what is wrong in it is told as wrong in the list."""
    if not isinstance(value, Mapping):
        raise ValueError("has an element that is no rule")
    try:
        return RULE.read(value)
    except InvalidCommandError as error:
        raise ValueError(f"has an element that is no rule: {error.detail.rstrip('.')}") from None


POLICY = Members(
    {
        "rules": list_of(rule, MOST_RULES),
        "locked": boolean,
        "reason": text(10_000).about("Needed, but with dry_run=true."),
    },
    needed=("rules",),
)
PARAMETERS = Parameters({"dry_run": one_of("true", "false").about("true: say what it would do, and change nothing.")})


@policy_routes.get("/ledger/v1/{org}/policy")
@operation(RETENTION_POLICY, capability=READ_JOBS)
async def get_policy(request: web.Request) -> web.Response:
    """The org's retention policy."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, shown_policy((await request.app[KEEPING].keeping(caller.org)).policy))


@policy_routes.put("/ledger/v1/{org}/policy")
@operation(
    {"anyOf": [CHANGED_POLICY, POLICY_EFFECTS]},
    parameters=PARAMETERS,
    body=POLICY,
    capability=ChangePolicy.capability,
    may=(PolicyIsLockedError,),
)
async def change_policy(request: web.Request) -> web.Response:
    """Give the org a policy; with ``dry_run=true`` say what it would do, and change nothing."""
    caller = request[CALLER]
    is_dry = read_parameters(request).get("dry_run") == "true"
    members, body = await read_body_members(request)
    if not is_dry and "reason" not in members:
        raise InvalidCommandError("Reason is missing.", errors=[{"member": "reason", "problem": "is missing"}])
    if is_dry:
        caller.must(ChangePolicy.capability)
        must_see_all(caller)
        rules = read_rules(members["rules"])
        policy = (await request.app[KEEPING].keeping(caller.org)).policy
        must_be_allowed_change(policy, rules, members.get("locked"))
        return answer(request, {"dry_run": True, **await request.app[KEEPING].effects(caller.org, rules)})
    command = ChangePolicy(caller=caller, idempotency=idempotency(request, body), **members)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def shown_policy(policy: Policy) -> dict[str, Any]:
    """The document of a policy: what is in force."""
    return {
        "rules": [it.data for it in policy.rules],
        "locked": policy.is_locked,
        "version": policy.version,
        "changed_at": policy.changed_at,
        "reason": policy.reason,
    }
