"""Logging in and out, policies and copies, and how everything that fails is said."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.http.copies.speaking import OPERATIONS, PREFIXES, Copies
from tests.http.serving import Api, Server, add_principal, new_token
from tests.world import ORG

PASSWORD = "correct horse"
SECRET = b64encode(PASSWORD.encode()).decode()
RIGHT = {"mode": 4, "username": "etl@acme", "password": SECRET, "deviceId": "host", "clientType": 30}
DENIED = 5


@pytest.fixture
async def nobody(copies: Copies) -> Copies:
    """A client that shows nothing; ``etl@acme`` has a password."""
    await add_principal(copies.server.ledger, ["operator"], name="etl", password=PASSWORD)
    return Copies(copies.server, Api(copies.server.session, copies.server.url))


async def test_a_password_becomes_a_token_that_lets_in_until_it_logs_out(nobody: Copies) -> None:
    """At once, under either prefix and in the native API; the header's value may begin with QSDK or not."""
    login = await nobody.post("Login", RIGHT)
    token = login.document["token"]
    assert login.document == {"userName": "etl@acme", "token": token}
    assert token.startswith("QSDK jl_acme_")

    for prefix in PREFIXES:
        nobody.prefix = prefix
        for shown in (token, token.removeprefix("QSDK "), token.replace("QSDK", "Bearer")):
            me = await nobody.post("WhoAmI", headers={"Authtoken": shown})
            assert (me.status, me.document) == (200, {"user": {"userName": "etl"}})
    out = await nobody.post("Logout", headers={"Authtoken": token})
    assert (out.status, out.document) == (200, {})
    again = await nobody.post("Logout", headers={"Authtoken": token})
    assert (again.status, again.document["errorCode"]) == (401, DENIED)
    native = nobody.server.api(token.removeprefix("QSDK "))
    assert (await native.get("me")).status == 401


async def test_a_login_by_basic_has_no_token_to_end(nobody: Copies) -> None:
    shown = {"Authorization": "Basic " + b64encode(f"etl@acme:{PASSWORD}".encode()).decode()}

    assert (await nobody.post("WhoAmI", headers=shown)).document == {"user": {"userName": "etl"}}
    assert (await nobody.post("Logout", headers=shown)).document == {}


WRONG: list[dict[str, Any]] = [
    {"password": b64encode(b"wrong").decode()}, {"username": "else@acme"}, {"username": "etl"}, {"username": "etl@nowhere"},
]  # fmt: skip


async def test_what_lets_nobody_in(nobody: Copies) -> None:
    """A failed login is a 200 that the SDK takes for what it is; one that is malformed is not."""
    size = (await nobody.server.ledger.recorder.head(ORG)).size

    for members in WRONG:
        reply = await nobody.post("Login", {**RIGHT, **members})
        [error] = reply.document["errList"]
        assert (reply.status, error["errorCode"], list(error)) == (200, DENIED, ["errLogMessage", "errorCode"])
    bodies: list[Any] = [{}, {**RIGHT, "password": "!"}, {**RIGHT, "username": 1}, {**RIGHT, "password": None}, []]
    for body in bodies:
        reply = await nobody.post("Login", body)
        assert (reply.status, reply.document["errorCode"]) == (400, 400), body
    assert (await nobody.server.ledger.recorder.head(ORG)).size == size


async def test_a_login_is_repeated_without_a_second_token(nobody: Copies) -> None:
    key = {"Idempotency-Key": "a"}

    assert (await nobody.post("Login", RIGHT, headers=key)).status == 200
    size = (await nobody.server.ledger.recorder.head(ORG)).size
    again = await nobody.post("Login", RIGHT, headers=key)

    assert (again.status, again.document["errorCode"]) == (409, 409)
    assert (await nobody.server.ledger.recorder.head(ORG)).size == size


async def test_the_service_is_found_and_renews_nothing(nobody: Copies) -> None:
    for prefix in PREFIXES:
        nobody.prefix = prefix
        assert (await nobody.get("")).document == {}
        reply = await nobody.post("RenewLoginToken", {"sessionId": "QSDK x", "deviceId": "host"})
        assert (reply.status, reply.document["error"]["errorCode"]) == (200, DENIED)


async def test_policies_and_copies_are_found(copies: Copies) -> None:
    """Under the name that the copy changed last gives the policy."""
    await copies.native.put(
        "copies/10",
        {"name": "Copy 10", "storage_policy_id": 7, "storage_policy_name": "Weekly", "precedence": 2, "is_snap": True},
    )

    policies = await copies.get("StoragePolicy", {"getAll": "TRUE"})
    policy = await copies.get("StoragePolicy/7")
    properties = await copies.get("V2/StoragePolicy/7/Copy/9")

    assert policies.document == {
        "policies": [
            {"storagePolicyName": "Weekly", "storagePolicyId": 7},
            {"storagePolicyName": "Other", "storagePolicyId": 8},
        ]
    }
    assert policy.document["copy"][:2] == [
        {
            "copyType": 1,
            "active": 1,
            "StoragePolicyCopy": {"copyId": number, "copyName": f"Copy {number}"},
            "copyPrecedence": number - 8,
            "isSnapCopy": int(number == 10),
            "isDefault": int(number == 9),
        }
        for number in (9, 10)
    ]
    assert properties.document == {"copy": {"active": 1, "copyFlags": {}, "mediaProperties": {}}}
    for path in ("StoragePolicy/9", "StoragePolicy/x", "V2/StoragePolicy/8/Copy/9", "V2/StoragePolicy/7/Copy/99"):
        assert (await copies.get(path)).status == 404


OPERATION = {"storagePolicyId": 7, "copyId": 9, "commcellId": 2, "opType": "RETAIN", "jobIds": [1]}
JSON = {"Content-Type": "application/json"}
REFUSED: list[tuple[int, str, str, dict[str, Any]]] = [
    (401, "POST", OPERATIONS, {"headers": {"Authtoken": ""}, "json": OPERATION}),
    (401, "POST", OPERATIONS, {"headers": {"Authtoken": "QSDK x"}, "json": OPERATION}),
    (401, "POST", "WhoAmI", {"headers": {"Authtoken": f"QSDK {new_token()}"}}),
    (401, "GET", "V4/Plan/BackupDestination/9/Jobs", {"headers": {"Authtoken": f"SAML {new_token()}"}}),
    (404, "GET", "nothing", {}), (404, "POST", "V4/Plan", {}), (404, "GET", "../other", {}),
    (405, "GET", "Login", {}), (405, "PUT", OPERATIONS, {}), (405, "POST", "StoragePolicy", {}), (405, "POST", "", {}),
    (406, "GET", "StoragePolicy", {"headers": {"Accept": "text/csv"}}),
    (415, "POST", OPERATIONS, {"data": b"a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
    (413, "POST", "Login", {"data": b" " * 70_000, "headers": JSON}),
    (413, "POST", OPERATIONS, {"data": b" " * (8 * 1024 * 1024 + 1), "headers": JSON}),
    (400, "POST", OPERATIONS, {"data": b"{", "headers": JSON}), (400, "POST", OPERATIONS, {"data": b"[]", "headers": JSON}),
    (400, "POST", OPERATIONS, {"data": b"<!DOCTYPE a><a/>", "headers": {"Content-Type": "text/xml"}}),
    (400, "POST", "Logout", {"data": b"{", "headers": JSON}), (400, "POST", "WhoAmI", {"headers": {"Idempotency-Key": "é"}}),
]  # fmt: skip


async def test_every_error_has_the_envelope(copies: Copies) -> None:
    """In JSON, and in XML where that is preferred."""
    for status, method, path, options in REFUSED:
        for prefix in PREFIXES:
            copies.prefix = prefix
            for accept in ("*/*", "application/xml;q=0.9, text/plain"):
                headers = {"Accept": accept, **options.get("headers", {})}
                reply = await copies.send(method, path, **{**options, "headers": headers})
                told = (method, path, reply.status, reply.body[:200])
                assert reply.status == status, told
                if method != "HEAD":
                    assert list(reply.document) == ["errorMessage", "errorCode"], told
                    assert int(reply.document["errorCode"]) == (DENIED if status == 401 else status), told


async def test_each_operation_needs_its_capability(server: Server, copies: Copies) -> None:
    await copies.register({})
    needed = {
        "RETAIN": "jobs.retain", "DO_NOT_RETAIN": "jobs.retain", "DELETE": "jobs.delete", "DISALLOW_COPY_ALL": "jobs.copy",
        "ALLOW_COPY": "jobs.copy", "DISALLOW_COPY": "jobs.copy",
    }  # fmt: skip
    clients = {
        it: Copies(server, await server.client(capabilities=(it,)))
        for it in ("jobs.retain", "jobs.delete", "jobs.copy")
    }

    for operation, capability in needed.items():
        for name, client in clients.items():
            reply = await client.operate(operation, 1)
            assert (reply.status == 403) == (name != capability), (operation, name, reply.body)
            if reply.status == 403:
                assert reply.document == {
                    "errorMessage": f"This needs the capability {capability}.",
                    "errorCode": DENIED,
                }
    assert (await clients["jobs.copy"].get("V4/Plan/BackupDestination/9/Jobs")).status == 403
    assert (await clients["jobs.copy"].get("StoragePolicy")).status == 403


async def test_what_is_of_another_org_or_domain_is_not_there(server: Server, copies: Copies) -> None:
    await copies.register({}, {"domain": "Sales", "required_job_ids": [1]})
    await server.ledger.create_org("twin")
    twin = Copies(server, await server.client("operator", org="twin"))
    sales = Copies(server, await server.client("operator", home_domain="Sales", domains=("Sales",)))
    others = Copies(server, await server.client("operator", domains=("Global",)))

    assert (await twin.operate("RETAIN", 1)).status == 404
    assert (await twin.get("V4/Plan/BackupDestination/9/Jobs")).status == 404
    assert (await twin.get("StoragePolicy")).document == {"policies": []}
    assert (await sales.operate("RETAIN", 1, 2)).document == {"errorMessage": "There is no job 1.", "errorCode": 404}
    assert await sales.job_ids({"view": "custom"}) == [2]
    seen = (await others.operate("RETAIN", 1, loadDependentJobs=True)).document
    assert (seen["dependentJobsExist"], seen["jobInfo"][0]["requiredByJobs"]) == (False, "")
    await others.operate("DO_NOT_RETAIN", 1)
    refused = await others.operate("DELETE", 1)
    assert refused.document["errorMessage"] == "Job 1 is required on copy 9 by another job, which is not listed."
