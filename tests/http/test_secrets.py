"""No secret is in a log line, a problem or an answer."""

from __future__ import annotations

import logging
from base64 import b64encode

import pytest

from tests.http.serving import Api, Server, add_principal, new_token

PASSWORD = "correct-horse-battery"  # not one of anybody's


async def test_a_whole_session_tells_no_secret(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Requests that are accepted, refused, malformed and cut off, with all that is logged at the finest."""
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
        for line in (
            f"GET /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\x01\r\n\r\n",
            f"GET /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nExpect: more\r\n\r\n",
            f"POST /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 9\r\n\r\n{{",
        ):
            await server.raw(line.encode(), patience_s=0.5)

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
