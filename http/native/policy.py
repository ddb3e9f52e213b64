"""The native API's retention policy: one document an org, changed as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, KEEPING, LEDGER
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Reader, boolean, integer, list_of, one_of, read_members, text
from jobledger.http.native.parameters import idempotency, read_parameters
from jobledger.http.native.principals import outcome_answer
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.domain.policy import MOST_DAYS, MOST_RULES, Policy
from jobledger.ledger.domain.policy_commands import ChangePolicy, must_be_allowed_change, read_rules
from jobledger.ledger.errors import InvalidCommandError

READ_JOBS = "jobs.read"

policy_routes = web.RouteTableDef()


def days(value: Any) -> int | str:
    """A number of days, or "forever"."""
    read: int | str = "forever" if value == "forever" else integer(0, MOST_DAYS)(value)
    return read


RULE: dict[str, Reader] = {
    "type": text(200),
    "state": one_of(*sorted(FINAL_STATES)),
    "basic_days": days,
    "extended_days": days,
}


def rule(value: Any) -> dict[str, Any]:
    """A rule as it is given; what is wrong in it is told as wrong in the list."""
    if not isinstance(value, Mapping):
        raise ValueError("has an element that is no rule")
    try:
        return read_members(value, RULE)
    except InvalidCommandError as error:
        raise ValueError(f"has an element that is no rule: {error.detail}") from None


POLICY: dict[str, Reader] = {"rules": list_of(rule, MOST_RULES), "locked": boolean, "reason": text(10_000)}
PARAMETERS: dict[str, Reader] = {"dry_run": one_of("true", "false")}


@policy_routes.get("/ledger/v1/{org}/policy")
async def get_policy(request: web.Request) -> web.Response:
    """The org's retention policy."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    return answer(request, shown_policy((await request.app[KEEPING].keeping(caller.org)).policy))


@policy_routes.put("/ledger/v1/{org}/policy")
async def change_policy(request: web.Request) -> web.Response:
    """Give the org a policy; with ``dry_run=true`` say what it would do, and change nothing."""
    caller = request[CALLER]
    is_dry = read_parameters(request, PARAMETERS).get("dry_run") == "true"
    document, body, _ = await read_document(request)
    members = read_members(document, POLICY, needed=("rules",) if is_dry else ("rules", "reason"))
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
