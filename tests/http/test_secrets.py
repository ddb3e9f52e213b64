"""No secret is in a log line, a problem or an answer."""

from __future__ import annotations

import logging
import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from jobledger.http.context import ACCESS
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.postgres.postmaster import binaries_folder
from tests.http.serving import WEAK_HASHER, Api, Server, add_principal, new_token
from tests.http.targets import ROUTES
from tests.world import ORG

PASSWORD = "correct-horse-battery"  # not one of anybody's


@pytest.mark.slow
async def test_a_whole_session_tells_no_secret(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Requests that are accepted, refused, malformed and cut off, on every route, with all that is logged at the finest."""
    caplog.set_level(logging.DEBUG)
    wrong = new_token()
    token = await add_principal(server.ledger, ["operator"], name="ann", password=PASSWORD)
    encoded = b64encode(f"ann:{PASSWORD}".encode()).decode()
    said: list[bytes] = []

    for authorization in (
        f"Bearer {token}",
        f"Basic {encoded}",
        f"Bearer {wrong}",
        f"Basic {encoded}x",
        f"Digest {token}",
    ):
        api = Api(server.session, server.url, headers={"Authorization": authorization})
        for reply in (
            await api.post("jobs", {"type": "t", "name": "n"}, headers={"Idempotency-Key": "k"}),
            await api.post("jobs", data=b"{"),
            await api.post("jobs/1/start"),
            await api.post("jobs/1/explode"),
            await api.get("jobs?cursor=x"),
            await api.get("events"),
            await api.get("nothing"),
            await api.send("DELETE", api.path("jobs")),
            await api.commands({"command": "start", "id": 1}, b"nonsense"),
        ):
            said += [reply.body, str(reply.headers).encode()]
        for target in ROUTES:
            body = target.manners.login(target, f"ann@{ORG}", PASSWORD) if target.is_open else target.body
            sent = {} if body is None else {"data": body.content, "headers": {"Content-Type": body.media_type}}
            shown = Api(server.session, server.url, headers={target.manners.credentials_in: authorization})
            reply = await shown.send(target.method, server.url + target.path, **sent)
            said += [reply.body, str(reply.headers).encode()]
        for line in (
            f"GET /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\x01\r\n\r\n",
            f"GET /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nExpect: more\r\n\r\n",
            f"POST /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 9\r\n\r\n{{",
        ):
            # Of the last one the rest never comes.
            await server.raw(line.encode(), patience_s=0.1, is_over=lambda said: said.endswith(b"}"))

    told = [b"\n".join(said), caplog.text.encode(), repr([it.__dict__ for it in caplog.records]).encode()]
    assert len(caplog.records) >= 5
    for secret in (token, wrong, PASSWORD, encoded, token[8:], wrong[8:], "Authorization: B"):
        for text in told:
            assert secret.encode() not in text, secret


async def test_a_failure_in_the_midst_logs_no_secret(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await add_principal(server.ledger, ["operator"], name="ann", password=PASSWORD)

    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(type(server.ledger), "execute", explode)
    reply = await server.api(token).post("jobs", {"type": "t", "name": "n"})

    assert reply.status == 500
    assert "unforeseen" in caplog.text
    assert "unforeseen" not in reply.body.decode()
    assert token not in caplog.text


async def test_no_way_to_set_or_issue_leaves_a_secret(
    server: Server, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords set, changed, shown and guessed at, tokens issued by hand and by login, each with an Idempotency-Key: of none is
    anything in a dump of the database, nor in a log line, nor in any other answer than the one that issued it.
    """
    caplog.set_level(logging.DEBUG)
    passwords = [f"secret-{it}-{PASSWORD}" for it in range(5)]
    owner = await server.client(*CAPABILITIES_BY_ROLE, name="owner", password=passwords[0])
    access = server.app[ACCESS]
    monkeypatch.setattr(access, "_hasher", WEAK_HASHER)
    key = {"Idempotency-Key": "k"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("principals", {"name": "ann", "roles": ["client"], "password": passwords[1]}),
        ("principals", {"name": "ann", "roles": ["client"], "password": passwords[1], "x": 1}),
        ("principals/2/password", {"password": passwords[2]}),
        ("principals/2/password", {"password": passwords[2] + "\t"}),
        ("me/password", {"current": passwords[0], "password": passwords[3]}),
        ("me/password", {"current": passwords[4], "password": passwords[4]}),
        ("tokens", {"principal": "ann"}),
        ("tokens", {"principal_id": 2, "label": "nightly", "expires_in": 60}),
    ]
    told: list[bytes] = []
    tokens: list[str] = []
    for number, (path, body) in enumerate(requests):
        headers = {"Idempotency-Key": f"k{number}"}
        first = await owner.post(path, body, headers=headers)
        again = await owner.post(path, body, headers=headers)
        if "token" in first.document:
            tokens.append(first.document["token"])
        else:
            told.append(first.body)
        told.append(again.body)
    for login, password, org in (("ann", passwords[2], ORG), (f"ann@{ORG}", passwords[4], ORG)):
        issued = await access.login(login, password, via="fetches", org=org)
        tokens += [issued.token] if issued is not None and issued.token is not None else []
    for path in ("me", "principals", "principals/2", "tokens", "events", "events?type=token.issued"):
        told.append((await owner.get(path)).body)
    revoked = await owner.post("principals/2/revoke_tokens", headers=key)
    told.append(revoked.body)
    tokens.append(owner.headers["Authorization"].removeprefix("Bearer "))

    dump = subprocess.run(
        [binaries_folder() / "pg_dump", "--inserts", database_url], capture_output=True, check=True
    ).stdout
    assert len(tokens) == 4
    assert b"token.revoked" in dump
    # What is stored as bytes is dumped as hex digits.
    decoded = b"\n".join(bytes.fromhex(it.decode()) for it in re.findall(rb"\\x((?:[0-9a-f]{2})+)'", dump))
    assert b'"is_login":true' in decoded
    stored = dump + decoded
    records = repr([it.__dict__ for it in caplog.records]).encode()
    for secret in (*passwords, *tokens, *(it[9:] for it in tokens)):
        for text in (stored, b"\n".join(told), caplog.text.encode(), records):
            for form in (secret.encode(), b64encode(secret.encode()), secret.encode().hex().encode()):
                assert form not in text, secret
    hashes = [sha256(it.encode()).digest() for it in passwords]
    assert not [it for it in hashes if it in stored or it.hex().encode() in stored]
