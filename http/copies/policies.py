"""``{prefix}/StoragePolicy…``: by which the vendor's SDK finds policies and their copies."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS
from jobledger.http.copies.dialect import PREFIX
from jobledger.http.copies.job_lists import READ_JOBS, path_id
from jobledger.http.exchange import answer
from jobledger.http.members import text
from jobledger.http.native.parameters import read_parameters
from jobledger.ledger.errors import NotFoundError

policy_routes = web.RouteTableDef()


@policy_routes.get(PREFIX + "/StoragePolicy")
async def list_policies(request: web.Request) -> web.Response:
    """All storage policies that a copy is of; ``getAll`` is passed over."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {"getAll": text(10)})
    policies = await request.app[COPY_JOBS].policies(caller.org)
    return answer(
        request, {"policies": [{"storagePolicyName": name, "storagePolicyId": number} for number, name in policies]}
    )


@policy_routes.get(PREFIX + "/StoragePolicy/{policy_id}")
async def get_policy(request: web.Request) -> web.Response:
    """The copies of one policy."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    policy_id = path_id(request, "policy_id")
    copies = await request.app[COPY_JOBS].copies(caller.org, policy=policy_id)
    if not copies:
        raise NotFoundError(f"There is no storage policy {policy_id}.")
    shown = [
        {
            "copyType": it["copy_type"],
            "active": int(it["is_active"]),
            "StoragePolicyCopy": {"copyId": it["id"], "copyName": it["name"]},
            "copyPrecedence": it["precedence"],
            "isSnapCopy": int(it["is_snap"]),
            "isDefault": int(it["is_default"]),
        }
        for it in copies
    ]
    return answer(request, {"copy": shown})


@policy_routes.get(PREFIX + "/V2/StoragePolicy/{policy_id}/Copy/{copy_id}")
async def get_copy_properties(request: web.Request) -> web.Response:
    """What the SDK wants to know of a copy."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    policy_id, copy_id = path_id(request, "policy_id"), path_id(request, "copy_id")
    copy = await request.app[COPY_JOBS].copy(caller.org, copy_id)
    if copy["storage_policy_id"] != policy_id:
        raise NotFoundError(f"There is no copy {copy_id} of storage policy {policy_id}.")
    return answer(request, {"copy": {"active": int(copy["is_active"]), "copyFlags": {}, "mediaProperties": {}}})
