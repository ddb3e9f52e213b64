"""``{prefix}/StoragePolicy…``: by which the vendor's SDK finds policies and their copies."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.context import COPY_JOBS
from jobledger.http.copies.answers import COPY_PROPERTIES, POLICIES, POLICY
from jobledger.http.copies.dialect import PREFIX, operation
from jobledger.http.copies.job_lists import READ_JOBS
from jobledger.http.exchange import answer
from jobledger.http.members import text
from jobledger.http.operation import Parameters, permitted, read_parameters, read_variable
from jobledger.ledger.errors import NotFoundError

PARAMETERS = Parameters({"getAll": text(10).about("Passed over: it is always all.")})

policy_routes = web.RouteTableDef()


@policy_routes.get(PREFIX + "/StoragePolicy")
@operation(POLICIES, parameters=PARAMETERS, capability=READ_JOBS)
async def list_policies(request: web.Request) -> web.Response:
    """All storage policies that a copy is of."""
    caller = permitted(request)
    read_parameters(request)
    policies = await request.app[COPY_JOBS].policies(caller.org)
    return answer(
        request, {"policies": [{"storagePolicyName": name, "storagePolicyId": number} for number, name in policies]}
    )


@policy_routes.get(PREFIX + "/StoragePolicy/{storage_policy_id}")
@operation(POLICY, capability=READ_JOBS)
async def get_policy(request: web.Request) -> web.Response:
    """The copies of one policy."""
    caller = permitted(request)
    read_parameters(request)
    policy_id = read_variable(request, "storage_policy_id")
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


@policy_routes.get(PREFIX + "/V2/StoragePolicy/{storage_policy_id}/Copy/{copy_id}")
@operation(COPY_PROPERTIES, capability=READ_JOBS)
async def get_copy_properties(request: web.Request) -> web.Response:
    """What the SDK wants to know of a copy."""
    caller = permitted(request)
    read_parameters(request)
    policy_id, copy_id = read_variable(request, "storage_policy_id"), read_variable(request, "copy_id")
    copy = await request.app[COPY_JOBS].copy(caller.org, copy_id)
    if copy["storage_policy_id"] != policy_id:
        raise NotFoundError(f"There is no copy {copy_id} of storage policy {policy_id}.")
    return answer(request, {"copy": {"active": int(copy["is_active"]), "copyFlags": {}, "mediaProperties": {}}})
