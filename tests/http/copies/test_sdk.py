"""The vendor's own Python SDK, where it is installed (``pip install cvpysdk``), against this server."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.http.copies.speaking import Copies
from tests.http.serving import add_principal

commcell = pytest.importorskip("cvpysdk.commcell", reason="the vendor's SDK is not installed")
exceptions = pytest.importorskip("cvpysdk.exception")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
PASSWORD = "correct horse"
FAR = 4102444800


async def test_the_sdk_works_unchanged(copies: Copies) -> None:
    """It logs in, finds a copy, lists its jobs, retains, disallows, allows and deletes, and logs out."""
    await add_principal(copies.server.ledger, ["operator"], name="sdk", password=PASSWORD)
    now = time.time()
    recent = {"started_at": _told(now - 3600), "ended_at": _told(now - 60)}
    await copies.register(recent, {**recent, "copies": [{"id": 9}, {"id": 10, "state": "to_be_copied"}]}, {})

    def use() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        url = f"{copies.server.url}/commandcenter/api"
        cell = commcell.Commcell("localhost", "sdk@acme", PASSWORD, web_service_url=url)
        seen["token"] = cell.auth_token
        seen["policies"] = cell.storage_policies.all_storage_policies
        policy = cell.storage_policies.get("nightly")
        primary, second = policy.get_copy("copy 9"), policy.get_copy("copy 10")
        seen["ids"] = primary.copy_id, second.copy_id
        seen["recent"] = [it["jobId"] for it in primary.get_jobs_on_copy_v2()]
        seen["all"] = [it["jobId"] for it in primary.get_jobs_on_copy_v2(view="All")]
        seen["to be copied"] = [
            it["jobId"] for it in second.get_jobs_on_copy_v2(view="All", copy_state=[4, 8], aged_data=2)
        ]
        primary.retain_jobs_on_copy("1,2", FAR)
        second.do_not_copy_jobs("2")
        second.pick_for_copy("2")
        try:
            primary.delete_job("1")
        except exceptions.SDKException as error:
            seen["refused"] = str(error)
        primary.delete_job("3")
        with commcell.Commcell("localhost", authtoken=cell.auth_token, web_service_url=url) as by_token:
            seen["user"] = by_token.commcell_username
        try:
            cell.storage_policies.refresh()
        except exceptions.SDKException as error:
            seen["logged out"] = str(error)
        return seen

    seen = await asyncio.to_thread(use)

    assert seen.pop("token").startswith("QSDK jl_acme_")
    assert "Job 1 is retained until 2100-01-01T00:00:00Z" in seen.pop("refused")
    assert "log in again" in seen.pop("logged out")
    assert seen == {
        "policies": {"nightly": "7", "other": "8"},
        "ids": ("9", "10"),
        "recent": [1, 2],
        "all": [3, 1, 2],
        "to be copied": [2],
        "user": "sdk",
    }
    assert await copies.job_ids({"view": "custom", "agedData": 1}) == [3]
    assert [it["state"] for it in (await copies.native.job(2))["copies"]] == ["available", "to_be_copied"]


async def test_the_sdk_is_told_that_a_password_is_wrong(copies: Copies) -> None:
    def use() -> None:
        url = f"{copies.server.url}/webconsole/api"
        commcell.Commcell("localhost", "nobody@acme", "wrong", web_service_url=url)

    with pytest.raises(exceptions.SDKException, match="is wrong"):
        await asyncio.to_thread(use)


def _told(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
