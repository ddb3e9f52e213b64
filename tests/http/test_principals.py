"""Principals and tokens over the native API."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import pytest

from jobledger.http.native.parameters import request_hash
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from tests.cluster import session
from tests.http.serving import OWNER_PASSWORD, Api, Server, add_principal, served
from tests.world import ORG, serving

KEY = {"Idempotency-Key": "a key"}
TOKEN = re.compile(r"jl_acme_[A-Za-z0-9_-]{43}")


@pytest.fixture
async def owner(server: Server) -> Api:
    """Principal 1, who may do everything."""
    return await server.client(*CAPABILITIES_BY_ROLE, name="owner", password=OWNER_PASSWORD)


async def issue(owner: Api, **members: Any) -> Any:
    """The document that answers the issuing of a token."""
    reply = await owner.post("tokens", members)
    assert reply.status == 201, reply.body
    return reply.document


async def test_a_principal_is_added_changed_and_shown(owner: Api) -> None:
    added = await owner.post(
        "principals",
        {
            "name": "ann",
            "roles": ["client"],
            "domains": ["Sales"],
            "home_domain": "Sales",
            "capabilities": ["jobClose"],
        },
    )
    changed = await owner.post("principals/2", {"roles": ["auditor"], "all_domains": True})
    disabled = await owner.post("principals/2/disable", {"reason": "left"})

    assert (added.status, added.headers["Location"]) == (201, "/ledger/v1/acme/principals/2")
    assert added.shown == ('{"id":2,"name":"ann","version":1,"positions":[4],"recorded_at":"TIME"}')
    assert [(it.status, it.document["version"]) for it in (changed, disabled)] == [(200, 2), (200, 3)]
    shown = (await owner.get("principals/2")).document
    added_at = shown.pop("added_at")
    assert shown == {
        "id": 2,
        "name": "ann",
        "roles": ["auditor"],
        "capabilities": ["jobs.close"],
        "home_domain": "Sales",
        "domains": None,
        "is_disabled": True,
        "has_password": False,
        "tokens": 0,
        "version": 3,
    }
    assert added_at == added.document["recorded_at"]
    assert (await owner.post("principals", {"name": "ann", "roles": []})).status == 409
    assert (await owner.post("principals/2", {})).status == 400


async def test_lists_go_on_where_they_ended(owner: Api) -> None:
    """By cursors that are good for that list alone."""
    for name in ("ann", "bob", "eve"):
        await owner.post("principals", {"name": name, "roles": []})
        for _ in range(2):
            await issue(owner, principal=name)

    async def pages(path: str, member: str, **parameters: Any) -> list[list[Any]]:
        found, cursor = [], None
        while True:
            given = {**parameters, **({} if cursor is None else {"cursor": cursor})}
            document = (await owner.get(path, given)).document
            found.append(document[member])
            cursor = document["next"]
            if cursor is None:
                return found

    principals = await pages("principals", "principals", limit=2)
    tokens = await pages("tokens", "tokens", limit=3)
    anns = await pages("tokens", "tokens", limit=1, principal_id=2)

    assert [[it["name"] for it in page] for page in principals] == [["owner", "ann"], ["bob", "eve"]]
    assert [[it["principal"] for it in page] for page in tokens] == [
        ["owner", "ann", "ann"],
        ["bob", "bob", "eve"],
        ["eve"],
    ]
    assert [[it["principal"] for it in page] for page in anns] == [["ann"], ["ann"]]
    assert await pages("principals", "principals", name="bob") == [[principals[1][0]]]
    cursor = (await owner.get("principals", {"limit": 2})).document["next"]
    assert (await owner.get("tokens", {"cursor": cursor})).status == 400


async def test_a_token_is_shown_once(owner: Api, server: Server) -> None:
    """A repeat of the request neither brings it back nor issues another."""
    await owner.post("principals", {"name": "ann", "roles": ["client"]})
    body = {"principal": "ann", "expires_in": 3600, "label": "nightly"}

    first = await owner.post("tokens", body, headers=KEY)
    again = await owner.post("tokens", body, headers=KEY)

    assert first.status == again.status == 201
    assert TOKEN.fullmatch(first.document["token"])
    assert again.document == {**first.document, "token": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await server.api(first.document["token"]).get("jobs")).status == 200
    shown = await owner.get("tokens", {"principal_id": 2})
    assert shown.document == {
        "tokens": [
            {
                "id": first.document["id"],
                "principal_id": 2,
                "principal": "ann",
                "label": "nightly",
                "is_login": False,
                "issued_at": first.document["recorded_at"],
                "expires_at": first.document["expires_at"],
            }
        ],
        "next": None,
    }
    assert (await owner.get(f"tokens/{first.document['id']}")).document == shown.document["tokens"][0]
    assert first.headers["Location"] == f"/ledger/v1/acme/tokens/{first.document['id']}"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"principal": "owner", "principal_id": 1},
        {"principal": "owner", "expires_in": 5, "expires_at": "2030-01-01T00:00:00Z"},
        {"principal": "owner", "expires_at": "2020-01-01T00:00:00Z"},
    ],
)
async def test_tokens_that_cannot_be(owner: Api, members: dict[str, Any]) -> None:
    assert (await owner.post("tokens", members)).status == 400


async def test_what_is_taken_back_lets_nobody_in_in_any_server(owner: Api, server: Server, database_url: str) -> None:
    """From the answer on: nothing is remembered that is not asked for anew."""
    await owner.post("principals", {"name": "ann", "roles": ["client"], "password": "secret"})
    async with serving(database_url) as ledger, served(ledger) as other:

        async def lets_in(token: str) -> set[int]:
            return {(await it.api(token).get("jobs")).status for it in (server, other)}

        one, two, three = [await issue(owner, principal_id=2) for _ in range(3)]
        assert await lets_in(one["token"]) == {200}
        assert (await owner.post(f"tokens/{one['id']}/revoke", {"reason": "lost"})).status == 200
        assert await lets_in(one["token"]) == {401}
        assert (await owner.post(f"tokens/{one['id']}/revoke")).status == 404

        await owner.post("principals/2/disable")
        assert await lets_in(two["token"]) == {401}
        await owner.post("principals/2/enable")
        assert await lets_in(two["token"]) == {200}

        await owner.post("principals/2", {"roles": []})
        assert await lets_in(two["token"]) == {403}

        ended = await owner.post("principals/2/revoke_tokens")
        assert ended.document["revoked"] == [two["id"], three["id"]]
        assert await lets_in(three["token"]) == {401}


async def test_who_am_i(server: Server) -> None:
    """For everybody, whatever they may do."""
    api = server.api(
        await add_principal(server.ledger, ["compliance"], name="ann", domains=("Sales",), capabilities=("jobClose",))
    )

    me = (await api.get("me")).document

    assert (me["org"], me["principal"]["name"], me["principal"]["domains"]) == (ORG, "ann", ["Sales"])
    assert set(me["capabilities"]) == CAPABILITIES_BY_ROLE["compliance"] | {"jobs.close"}


async def test_an_admin_is_told_what_is_missing(server: Server) -> None:
    api = await server.client("admin")

    refused = await api.post("principals", {"name": "ann", "roles": ["operator"]})

    assert (refused.status, refused.document["capabilities"]) == (403, ["jobs.purge"])


async def test_the_last_administrator_stays(server: Server) -> None:
    api = server.api(await add_principal(server.ledger, ["admin"], name="ann"))

    refused = await api.post("principals/1/disable")

    assert (refused.status, refused.document["code"]) == (409, "last_administrator")
    assert (await api.post("principals/1/revoke_tokens")).status == 409


async def test_a_password_request_is_remembered_by_no_plain_hash(owner: Api, database_url: str) -> None:
    """Its hash, kept for a day, would let a password be guessed fast; with the installation's secret in it it does not."""
    body = b'{"password":"hunter2"}'
    headers = {"Content-Type": "application/json", **KEY}
    first = await owner.post("principals/1/password", data=body, headers=headers)
    again = await owner.post("principals/1/password", data=body, headers=headers)
    other = await owner.post("principals/1/password", {"password": "hunter3"}, headers=KEY)

    assert (first.status, again.body, other.status) == (200, first.body, 422)
    async with session(database_url) as connection:
        kept = await connection.fetchval("SELECT request_hash FROM idempotency")
    assert kept not in (request_hash("POST", "/ledger/v1/acme/principals/1/password", body), sha256(body).digest())
