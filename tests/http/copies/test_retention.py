"""What keeps jobs on a copy, as the copies dialect says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from tests.http.copies.speaking import Copies
from tests.http.serving import Api
from tests.world import ORG

FAR = 4102444800  # 2100-01-01


@pytest.fixture
async def compliance(copies: Copies) -> Api:
    """A client that may place holds and change the policy."""
    return await copies.server.client(*CAPABILITIES_BY_ROLE)


def told(document: dict[str, Any]) -> list[Any]:
    """What the first job's document says of its retention."""
    job = document["jobInfo"][0]
    members = ("retainedBy", "strRetainedBy", "retainUntil", "retentionReason", "isSoftAged")
    return [job[name] for name in members]


async def asked(copies: Copies, job_id: int = 1) -> list[Any]:
    """The same of a job that nothing is done to."""
    return told((await copies.operate("ALLOW_COPY", job_id)).document)


async def test_a_user_retains_and_releases(copies: Copies) -> None:
    """The later time wins; what is asked again is done already."""
    await copies.register({})

    assert await asked(copies) == [0, "No Data Available", 0, "", False]
    until = told((await copies.operate("RETAIN", 1, retainUntilTime=FAR)).document)
    sooner = told((await copies.operate("RETAIN", 1, retainUntilTime=str(FAR - 1))).document)
    for_good = told((await copies.operate("RETAIN", 1)).document)
    later = told((await copies.operate("RETAIN", 1, retainUntilTime=FAR + 1)).document)
    size = (await copies.server.ledger.recorder.head(ORG)).size
    assert (await copies.operate("RETAIN", 1)).status == 200
    assert (await copies.server.ledger.recorder.head(ORG)).size == size

    assert until == sooner == [1, "User", FAR, "", False]
    assert for_good == later == [1, "User", -1, "", False]
    refused = await copies.operate("DELETE", 1)
    assert (refused.status, refused.document["errorMessage"]) == (
        409,
        "Job 1 is retained until released (user on copy 9).",
    )
    assert told((await copies.operate("DO_NOT_RETAIN", 1)).document) == [0, "No Data Available", 0, "", False]
    assert (await copies.operate("DELETE", 1)).status == 200
    assert (await copies.operate("RETAIN", 1)).status == 409


@pytest.mark.parametrize("until", [0, -1, "0", 1, 253402300800, 2**62, "soon", 1.5])
async def test_a_time_not_to_come(copies: Copies, until: Any) -> None:
    """Past, or beyond the year 9999."""
    await copies.register({})

    reply = await copies.operate("RETAIN", 1, retainUntilTime=until)

    assert (reply.status, reply.document["errorCode"]) == (400, 400), reply.body
    assert await asked(copies) == [0, "No Data Available", 0, "", False]


async def test_a_retention_is_of_one_copy(copies: Copies) -> None:
    await copies.register({"copies": [{"id": 9}, {"id": 10}]})

    await copies.operate("RETAIN", 1)

    assert (await copies.operate("DELETE", 1, copy_id=10)).status == 200
    assert (await copies.operate("DELETE", 1)).status == 409


async def test_holds_and_the_policy_are_told_in_their_order(copies: Copies, compliance: Api) -> None:
    """Hold, user, extended, basic; releasing the user's retention leaves the rest."""
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    times = {"started_at": (ended - timedelta(hours=1)).isoformat(), "ended_at": ended.isoformat()}
    await copies.register(times, {**times, "type": "mail"})

    def told(days: int) -> str:
        return f"{(ended + timedelta(days=days)).replace(tzinfo=None).isoformat()}Z"

    until = [int((ended + timedelta(days=days)).timestamp()) for days in (30, 60)]
    rules = [{"type": "backup", "basic_days": 30, "extended_days": 60}, {"type": "mail", "basic_days": 30}]

    policy = await compliance.put("policy", {"rules": rules, "reason": "law"})
    assert policy.status == 200, policy.body
    assert await asked(copies) == [2, "Extended Retention", until[1], "", False]
    assert await asked(copies, 2) == [3, "Basic Retention", until[0], "", False]
    await copies.operate("RETAIN", 1, retainUntilTime=FAR)
    assert await asked(copies) == [1, "User", FAR, "", False]
    hold = await compliance.post("holds", {"name": "Case 7", "reason": "a case", "job_ids": [1]})
    assert hold.status == 201, hold.body
    assert await asked(copies) == [1, "User", -1, "Legal hold: Case 7", False]
    await copies.operate("DO_NOT_RETAIN", 1)
    assert await asked(copies) == [1, "User", -1, "Legal hold: Case 7", False]
    reply = await copies.operate("DELETE", 1, 2)
    assert reply.status == 409
    assert reply.document["errorMessage"] == (
        f"Job 1 is on legal hold: Case 7; it is retained until {told(60)} (extended until {told(60)}; basic until {told(30)}). "
        f"Job 2 is retained until {told(30)} (basic)."
    )
    assert await copies.job_ids({"view": "custom", "copyState": 16}) == [1]
    assert await copies.job_ids({"view": "custom", "copyState": 17}) == [1, 2]


async def test_what_was_retained_and_still_lies_there_is_soft_aged(copies: Copies, compliance: Api) -> None:
    """Until it is deleted."""
    await copies.register({})
    await compliance.put("policy", {"rules": [{"basic_days": 1}], "reason": "law"})

    reply = await copies.operate("ALLOW_COPY", 1)
    deleted = await copies.operate("DELETE", 1)
    after = await copies.operate("DELETE", 1)

    shown = [it.document["jobInfo"][0] for it in (reply, deleted, after)]
    assert [(it["isAged"], it["isSoftAged"]) for it in shown] == [(False, True), (False, True), (True, False)]
