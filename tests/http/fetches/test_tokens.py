"""Exchanging a password for a token, and showing one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.http.fetches.speaking import Fetches
from tests.http.serving import Reply, add_principal
from tests.world import ORG

NAME, PASSWORD = "etl@acme", "correct horse"
RIGHT = {"username": NAME, "password": PASSWORD}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REFUSED = (
    b'{"detail":"Unable to log in with provided credentials.","errors":{"non_field_errors":'
    b'["Unable to log in with provided credentials."]},"non_field_errors":["Unable to log in with provided credentials."]}'
)


@pytest.fixture
async def nobody(fetches: Fetches) -> Fetches:
    """A client without a token, who knows a password."""
    await add_principal(fetches.server.ledger, ["client"], name="etl", password=PASSWORD)
    return Fetches(fetches.server, fetches.server.api())


async def shows(nobody: Fetches, authorization: str) -> Reply:
    return await nobody.get("jobs/", headers={"Authorization": authorization})


@pytest.mark.parametrize("path", ["auth/token/", "auth/token"])
async def test_a_token_for_a_password(nobody: Fetches, path: str) -> None:
    """As JSON, a form or XML."""
    replies = [
        await nobody.post(path, RIGHT),
        await nobody.post(path, headers=FORM, data=b"username=etl%40acme&password=correct+horse"),
        await nobody.post(
            path,
            headers={"Content-Type": "text/xml"},
            data=b"<a><username>etl@acme</username><password>correct horse</password></a>",
        ),
    ]

    for reply in replies:
        assert reply.status == 200, reply.body
        assert list(reply.document) == ["username", "token", "expires_in"]
        assert (reply.document["username"], reply.document["expires_in"]) == (NAME, None)
        for scheme in ("Token", "Bearer", "token"):
            assert (await shows(nobody, f"{scheme} {reply.document['token']}")).status == 200
    assert len({reply.document["token"] for reply in replies}) == 3


async def test_a_login_by_basic_names_its_org(nobody: Fetches) -> None:
    """On a path that names none; a bare name is one of ``default``."""
    right, bare = (b64encode(f"{name}:{PASSWORD}".encode()).decode() for name in (NAME, "etl"))

    assert (await shows(nobody, f"Basic {right}")).status == 200
    refused = await shows(nobody, f"Basic {bare}")
    assert (refused.status, refused.document) == (401, {"detail": "Invalid username/password."})


WRONG = [
    {**RIGHT, "password": "wrong"}, {**RIGHT, "username": "etl"}, {**RIGHT, "username": "etl@nowhere"},
    {**RIGHT, "username": "else@acme"}, {**RIGHT, "username": "a:b@acme"}, {**RIGHT, "username": "@acme"},
    {**RIGHT, "username": "etl@@acme"}, {**RIGHT, "username": "etl@"},
]  # fmt: skip


async def test_wrong_credentials(nobody: Fetches) -> None:
    size = (await nobody.server.ledger.recorder.head(ORG)).size

    for body in WRONG:
        reply = await nobody.post("auth/token/", body)
        assert (reply.status, reply.body) == (400, REFUSED)
    assert (await nobody.server.ledger.recorder.head(ORG)).size == size


NO_LOGINS: list[tuple[bytes, dict[str, str], Any]] = [
    (b"", {}, {"username": ["Is missing."], "password": ["Is missing."]}),
    (b'{"username":7,"password":null}', {}, {"username": ["Is not a string."], "password": ["Is missing."]}),
    (b"username=a", FORM, {"password": ["Is missing."]}),
    (b'{"username":"a","password":"b","detail":1,"x":1}', {}, {"detail": ["Is not known here."], "x": ["Is not known here."]}),
    (b"username=a&username=b", FORM, None), (b"%ff=a", FORM, None), (b"nothing", FORM, None), (b"a=&" * 200, FORM, None),
    (b"[]", {}, None), (b"{", {}, None),
]  # fmt: skip


async def test_what_is_no_login(nobody: Fetches) -> None:
    for body, headers, errors in NO_LOGINS:
        reply = await nobody.post("auth/token/", data=body, headers=headers)
        assert reply.status == 400
        document = reply.document
        assert isinstance(document.pop("detail"), str)
        assert document.pop("errors", None) == errors
        assert document == {name: it for name, it in (errors or {}).items() if name != "detail"}


async def test_other_refusals(nobody: Fetches) -> None:
    get = await nobody.get("auth/token/")
    assert (get.status, get.headers["Allow"], get.document) == (405, "POST", {"detail": 'Method "GET" not allowed.'})
    text = await nobody.post("auth/token/", data=b"x", headers={"Content-Type": "text/plain"})
    assert (text.status, text.document) == (415, {"detail": 'Unsupported media type "text/plain" in request.'})
    large = await nobody.post("auth/token/", data=b"x" * 70_000, headers=FORM)
    assert (large.status, list(large.document)) == (413, ["detail"])


async def test_a_token_is_issued_once_a_key(nobody: Fetches) -> None:
    """And shown once: neither it nor anything of the password is remembered."""
    key = {"Idempotency-Key": "a"}

    first = await nobody.post("auth/token/", RIGHT, headers=key)
    size = (await nobody.server.ledger.recorder.head(ORG)).size
    again = await nobody.post("auth/token/", RIGHT, headers=key)

    assert first.status == 200
    assert (again.status, again.document) == (
        400,
        {"detail": "A token was issued under this Idempotency-Key; it is shown once."},
    )
    assert (await nobody.server.ledger.recorder.head(ORG)).size == size
