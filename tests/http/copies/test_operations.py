"""The six operations on jobs of a copy: their documents, and what is refused."""

from __future__ import annotations

from typing import Any

from tests.http.copies.speaking import BACKUP, OPERATIONS, PREFIXES, Copies
from tests.world import ORG

NOTHING_WRONG = {"errorMessage": "", "errorCode": 0}
FULL: dict[str, Any] = {
    "jobId": 1,
    "status": "Completed",
    "server": {"id": 2, "name": "db1"},
    "agentType": {"id": 33, "name": "Windows File System"},
    "subClient": {"id": 5, "name": "default"},
    "jobType": "Full",
    "startTime": 1767312000,
    "sizeOfApplication": 10**12,
    "retainUntil": 0,
    "instance": {"id": 1, "name": "DefaultInstanceName"},
    "backupSet": {"id": 3, "name": "defaultBackupSet"},
    "region": {"id": 4, "name": "Europe"},
    "retentionReason": "",
    "username": "backup operator",
    "description": "nightly full",
    "savingPercentage": 60.5,
    "dataWritten": 4 * 10**11,
    "avgThroughput": 812.25,
    "endTime": 1767315723,
    "duration": 3723,
    "dataVerificationStatus": 5,
    "hardwareEncrypted": False,
    "lastVerifiedOn": "2026-01-03T00:00:00Z",
    "copiedTime": 1767322800,
    "encrypted": True,
    "parentJobId": 12,
    "retainedBy": 0,
    "deduplicated": True,
    "requiredByJobs": "",
    "strRetainedBy": "No Data Available",
    "strDataVerificationStatus": "Successful",
    "isAged": False,
    "statusId": 4,
    "isSoftAged": False,
    "jobAttributesEx": 2**40,
}
NOTHING = {"id": 0, "name": ""}
BARE: dict[str, Any] = {
    **{name: type(value)() for name, value in FULL.items() if not isinstance(value, dict)},
    **dict.fromkeys(("server", "agentType", "subClient", "instance", "backupSet", "region"), NOTHING),
    "strRetainedBy": "No Data Available",
    "strDataVerificationStatus": "Not Picked",
}
COPIED = [{"id": 9, "copied_at": "2026-01-02T03:00:00Z"}, {"id": 10, "state": "to_be_copied"}]


async def test_a_whole_answer(copies: Copies) -> None:
    """Every member of the original, of its type; under both prefixes."""
    await copies.register({"copies": COPIED})

    for prefix in PREFIXES:
        copies.prefix = prefix
        reply = await copies.operate("DISALLOW_COPY", 1, copy_id=10)
        assert reply.status == 200, reply.body
        assert reply.document == {
            "dependentJobsExist": False,
            "archiverJobsExist": False,
            "jobInfo": [{**FULL, "copiedTime": 0}],
            "error": NOTHING_WRONG,
        }
        assert list(reply.document["jobInfo"][0]) == list(FULL)
        assert len(FULL) == 35


async def test_a_job_of_which_nothing_is_known(copies: Copies) -> None:
    """And what is known in another type is unknown."""
    await copies.register({"backup": {}}, {"backup": {name: ["?"] for name in BACKUP}})
    await copies.native.register(copies=[{"id": 9}])

    reply = await copies.operate("ALLOW_COPY", 1, 2, 3)

    times = {"startTime": 1767312000, "endTime": 1767315723, "duration": 3723}
    ended = {**BARE, **times, "status": "Completed", "statusId": 4}
    waiting = {**BARE, "status": "Waiting", "statusId": 2, "jobId": 3}
    assert reply.document["jobInfo"] == [{**ended, "jobId": 1}, {**ended, "jobId": 2}, waiting]
    for shown in reply.document["jobInfo"]:
        assert {name: type(it) for name, it in shown.items()} == {name: type(it) for name, it in FULL.items()}


async def test_deleting_shows_the_jobs_as_they_were(copies: Copies) -> None:
    await copies.register({"copies": COPIED})

    first = await copies.operate("DELETE", 1)
    again = await copies.operate("DELETE", 1)

    assert first.document["jobInfo"] == [FULL]
    assert again.document["jobInfo"] == [{**FULL, "isAged": True}]
    job = await copies.native.job(1)
    assert [it["deleted_at"] is None for it in job["copies"]] == [False, True]
    assert await copies.job_ids({"view": "custom"}) == []
    assert await copies.job_ids({"view": "custom", "agedData": 1}) == [1]


async def test_copying_is_disallowed_for_one_copy_or_all(copies: Copies) -> None:
    await copies.register({"copies": [{"id": 9}, {"id": 10, "state": "to_be_copied"}]})

    async def states() -> list[str]:
        return [it["state"] for it in (await copies.native.job(1))["copies"]]

    assert (await copies.operate("DISALLOW_COPY", 1)).status == 409
    assert (await copies.operate("DISALLOW_COPY", 1, copy_id=10)).status == 200
    assert await states() == ["available", "not_to_be_copied"]
    assert (await copies.operate("ALLOW_COPY", 1, copy_id=10)).status == 200
    assert await states() == ["available", "to_be_copied"]
    assert (await copies.operate("DISALLOW_COPY_ALL", 1)).status == 200
    assert await states() == ["available", "not_to_be_copied", "not_to_be_copied"]


async def test_dependents_and_archivers_are_told_where_they_are_asked_for(copies: Copies) -> None:
    """Directly or not, on this copy; listed ones first, in the request's order."""
    incremental = {**BACKUP, "jobType": "Incremental"}
    archive = {**BACKUP, "jobType": "Archive"}
    await copies.register({}, {"backup": archive}, {"backup": {**archive, "subClient": {"id": 6}}})
    await copies.register({"backup": incremental, "required_job_ids": [1]})
    await copies.register({"backup": incremental, "required_job_ids": [4]})
    await copies.register({"backup": incremental, "required_job_ids": [5], "copies": [{"id": 10}]})

    plain = (await copies.operate("ALLOW_COPY", 1)).document
    dependents = (await copies.operate("ALLOW_COPY", 1, loadDependentJobs=True)).document
    both = (await copies.operate("ALLOW_COPY", 5, 1, loadDependentJobs=True, loadArchiverJobs=True)).document
    neither = (await copies.operate("ALLOW_COPY", 3, loadDependentJobs=True, loadArchiverJobs=True)).document

    def told(document: Any) -> tuple[bool, bool, list[int]]:
        ids = [it["jobId"] for it in document["jobInfo"]]
        return document["dependentJobsExist"], document["archiverJobsExist"], ids

    assert told(plain) == (False, False, [1])
    assert told(dependents) == (True, False, [1, 4, 5])
    assert told(both) == (True, True, [5, 1, 4, 2])
    assert told(neither) == (False, False, [3])
    assert [it["requiredByJobs"] for it in dependents["jobInfo"]] == ["4", "5", ""]


async def test_what_others_require_is_deleted_with_them_alone(copies: Copies) -> None:
    await copies.register({})
    await copies.register({"required_job_ids": [1]})

    refused = await copies.operate("DELETE", 1)
    done = await copies.operate("DELETE", 2, 1, loadDependentJobs=True)

    assert (refused.status, refused.document) == (
        409,
        {"errorMessage": "Job 1 is required on copy 9 by job 2, which is not listed.", "errorCode": 409},
    )
    assert done.status == 200
    assert done.document["dependentJobsExist"] is True
    assert [(it["jobId"], it["isAged"]) for it in done.document["jobInfo"]] == [(2, False), (1, False)]


async def test_ids_come_as_a_list_or_as_one_text(copies: Copies) -> None:
    await copies.register({}, {})

    for given in ([1, 2], ["1", "2"], "1,2", "1, 2"):
        reply = await copies.operate("ALLOW_COPY", jobIds=given)
        assert [it["jobId"] for it in reply.document["jobInfo"]] == [1, 2]
    strings = await copies.operate("ALLOW_COPY", jobIds="1", storagePolicyId="7", copyId="9", commcellId="2")
    assert strings.status == 200
    twice = await copies.operate("DELETE", 2, 1, 2)
    assert [it["jobId"] for it in twice.document["jobInfo"]] == [2, 1, 2]


async def test_all_or_none(copies: Copies) -> None:
    """Each job that is refused is named, whatever is wrong with it, and nothing is changed."""
    await copies.register({})
    await copies.native.register_running(copies=[{"id": 9}])
    await copies.register({"copies": [{"id": 20}]})
    size = (await copies.server.ledger.recorder.head(ORG)).size

    running = await copies.operate("DELETE", 1, 2)
    unknown = await copies.operate("DELETE", 1, 2, 3, 99, -1, 2**31 - 1)

    assert (running.status, running.document) == (409, {"errorMessage": "Job 2 is running.", "errorCode": 409})
    assert unknown.document == {
        "errorMessage": "Job 2 is running. Job 3 is not on copy 9. There is no job 99. There is no job -1."
        " There is no job 2147483647.",
        "errorCode": 404,
    }
    assert unknown.status == 404
    assert (await copies.server.ledger.recorder.head(ORG)).size == size


BAD_MEMBERS: list[tuple[int, dict[str, Any]]] = [
    (400, {"opType": "RECOPY"}), (400, {"opType": "delete"}), (400, {"opType": None}), (400, {"jobIds": []}),
    (400, {"jobIds": ""}), (400, {"jobIds": "1,x"}), (400, {"jobIds": [1.5]}), (400, {"jobIds": [True]}), (400, {"jobIds": 1}),
    (400, {"jobIds": [1] * 10_001}), (400, {"jobIds": list(range(1, 900_001))}),
    (413, {"jobIds": list(range(1, 1_000_001))}), (400, {"jobIds": ",".join(["1"] * 10_001)}),
    (400, {"jobIds": [2**31]}), (400, {"storagePolicyId": None}), (400, {"copyId": "nine"}), (400, {"copyId": 2**31}),
    (400, {"loadDependentJobs": 1}), (400, {"loadArchiverJobs": "yes"}), (400, {"other": 1}), (400, {"retainUntilTime": "soon"}),
    (404, {"storagePolicyId": 8}), (404, {"copyId": 99}), (404, {"copyId": 0}), (404, {"copyId": 20}), (404, {"commcellId": 3}),
]  # fmt: skip


async def test_what_is_no_operation(copies: Copies) -> None:
    """The envelope is the dialect's, and nothing is changed."""
    await copies.register({})
    size = (await copies.server.ledger.recorder.head(ORG)).size

    for status, members in BAD_MEMBERS:
        reply = await copies.operate("DELETE", **{"jobIds": [1], **members})
        told = str(members)[:60]
        assert reply.status == status, (told, reply.body)
        assert list(reply.document) == ["errorMessage", "errorCode"], told
        assert reply.document["errorCode"] == status
        assert len(reply.body) < 10_000, told
    assert (await copies.server.ledger.recorder.head(ORG)).size == size


async def test_a_repeated_request_is_done_once(copies: Copies) -> None:
    await copies.register({})
    key = {"Idempotency-Key": "a"}

    first = await copies.operate("DELETE", 1, headers=key)
    size = (await copies.server.ledger.recorder.head(ORG)).size
    again = await copies.operate("DELETE", 1, headers=key)
    other = await copies.operate("ALLOW_COPY", 1, headers=key)

    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status == 422
    assert (await copies.server.ledger.recorder.head(ORG)).size == size


async def test_in_xml_both_ways(copies: Copies) -> None:
    await copies.register({"copies": COPIED})
    body = (
        b"<any><storagePolicyId>7</storagePolicyId><copyId>9</copyId><commcellId>2</commcellId><opType>ALLOW_COPY</opType>"
        b"<jobIds>1</jobIds><loadDependentJobs>TRUE</loadDependentJobs></any>"
    )

    reply = await copies.post(OPERATIONS, data=body, headers={"Content-Type": "text/xml", "Accept": "text/xml"})
    refused = await copies.post(
        OPERATIONS,
        data=body.replace(b">9<", b">8<"),
        headers={"Content-Type": "application/xml", "Accept": "application/xml"},
    )

    assert reply.status == 200, reply.body
    assert b"<response><dependentJobsExist>false</dependentJobsExist>" in reply.body
    assert (
        b"<jobInfo><jobId>1</jobId><status>Completed</status><server><id>2</id><name>db1</name></server>" in reply.body
    )
    assert refused.body.endswith(
        b"<response><errorMessage>There is no copy 8.</errorMessage><errorCode>404</errorCode></response>"
    )


async def test_a_chain_deleted_whole_is_shown_as_it_was(copies: Copies) -> None:
    """Also by whom each was required; asked again, it is gone."""
    [full] = await copies.register({})
    [second] = await copies.register({"required_job_ids": [full]})
    [third] = await copies.register({"required_job_ids": [second]})

    answers = [await copies.operate("DELETE", full, second, third, loadDependentJobs=True) for _ in range(2)]

    shown = [[(it["requiredByJobs"], it["isAged"]) for it in reply.document["jobInfo"]] for reply in answers]
    assert shown == [[("2", False), ("3", False), ("", False)], [("", True)] * 3]
    assert [it.document["dependentJobsExist"] for it in answers] == [True, False]


async def test_an_id_beyond_32_bits_is_of_another_type(copies: Copies) -> None:
    """As the original's ids are int32; sizes have 64 bits."""
    ids = [2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**63, "7", 1.5]
    await copies.register(*({"backup": {**BACKUP, "server": {"id": it, "name": "db1"}}} for it in ids))
    await copies.register({"backup": {"dataVerificationStatus": 2**31, "sizeOfApplication": 2**31}})

    shown = (await copies.operate("ALLOW_COPY", *range(1, 9))).document["jobInfo"]

    assert [it["server"]["id"] for it in shown] == [2**31 - 1, -(2**31), 0, 0, 0, 7, 0, 0]
    assert {it["server"]["name"] for it in shown[:7]} == {"db1"}
    assert (shown[7]["dataVerificationStatus"], shown[7]["sizeOfApplication"]) == (0, 2**31)
