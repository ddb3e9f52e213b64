"""A line for each request: who, what, how it ended, and no secret."""

from __future__ import annotations

import logging
import re
import secrets
from base64 import b64encode
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import orjson
import pytest

from jobledger.http.request_log import without_secrets
from jobledger.http.urls import Edge
from jobledger.ledger.store.ledger import Ledger
from tests.http.peer import Peers, head
from tests.http.serving import Api, add_principal, new_token, served

MEMBERS = ["time", "request", "method", "route", "path", "status", "ms", "bytes", "org", "principal", "address"]
BEHIND = Edge(trusted_proxies=(ip_network("127.0.0.0/8"),))


def read(lines: list[bytes]) -> list[dict[str, Any]]:
    """The lines, each whole and a JSON object of all members."""
    documents = [orjson.loads(line) for line in lines]
    for line, document in zip(lines, documents, strict=True):
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert list(document) == MEMBERS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["time"])
        assert 0 < document["ms"] < 60_000
    return documents


async def test_each_request_has_a_line(ledger: Ledger) -> None:
    """With the id that its answer had."""
    lines: list[bytes] = []
    async with served(ledger, edge=BEHIND, runner_options={"write_line": lines.append}) as server:
        api = await server.client("operator")
        job_id = await api.register()
        reply = await api.get(f"jobs/{job_id}", headers={"X-Forwarded-For": "192.0.2.9"})
        refused = await server.api().get("jobs/1/events")
        await api.get("nowhere/at all")
        await Api(server.session, server.url).send("GET", server.url + "/healthz")
        await server.raw(b"nonsense\r\n\r\n")
    first, got, unknown, nowhere, alive, unreadable = read(lines)

    assert (first["method"], first["status"]) == ("POST", 201)
    # With the answer's head.
    assert len(reply.body) < got["bytes"] < len(reply.body) + 1_000
    assert got | {"time": "", "ms": 0, "bytes": 0} == {
        "time": "",
        "request": reply.headers["X-Request-Id"],
        "method": "GET",
        "route": "/ledger/v1/{org}/jobs/{job_id}",
        "path": f"/ledger/v1/acme/jobs/{job_id}",
        "status": 200,
        "ms": 0,
        "bytes": 0,
        "org": "acme",
        "principal": "principal-1",
        "address": "192.0.2.9",
    }
    assert (unknown["status"], unknown["org"], unknown["principal"]) == (401, None, None)
    assert unknown["request"] == refused.headers["X-Request-Id"]
    assert (nowhere["route"], nowhere["path"], nowhere["status"]) == (None, "/ledger/v1/acme/nowhere/at all", 404)
    assert (alive["route"], alive["address"]) == ("/healthz", "127.0.0.1")
    assert (unreadable["status"], unreadable["route"]) == (400, None)
    assert UUID(unreadable["request"])


async def test_a_stream_has_its_line_at_its_end(ledger: Ledger, peers: Peers) -> None:
    """Also one whose client went away."""
    lines: list[bytes] = []
    async with served(ledger, runner_options={"write_line": lines.append}) as server:
        api = await server.client("operator")
        reply = await api.commands(*({"command": "start", "id": 1},) * 3)
        peer = await peers.connect(server)
        peer.send(head(api, "jobs", "Content-Length: 100"))
        peer.writer.close()
        await api.get("jobs")
        await server.raw(head(api, "jobs", method="GET"))
    commands = read(lines)[0]

    assert commands["route"] == "/ledger/v1/{org}/commands"
    assert commands["bytes"] >= len(reply.body)


async def test_no_secret_is_in_any_line(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever a client puts one: headers, queries, bodies, and even paths."""
    caplog.set_level(logging.DEBUG)
    lines: list[bytes] = []
    password, key = secrets.token_hex(12), secrets.token_hex(12)
    async with served(ledger, runner_options={"write_line": lines.append}) as server:
        token = await add_principal(server.ledger, ["operator"], name="ann", password=password)
        wrong = new_token()
        basic = b64encode(f"ann:{password}".encode()).decode()
        for authorization in (f"Bearer {token}", f"Bearer {wrong}", f"Basic {basic}", None):
            headers = {} if authorization is None else {"Authorization": authorization}
            api = Api(server.session, server.url, headers={**headers, "Idempotency-Key": key, "Cookie": f"t={token}"})
            for shown in (token, wrong, password):
                await api.get("jobs", {"token": shown})
                await api.get("jobs", {"q": shown})
                await api.post("jobs", {"type": shown, "name": "n", "nonsense": shown})
                await api.post("jobs", data=shown.encode())
                await api.send(shown.replace("_", "-").upper(), api.path("jobs"))
            for shown in (token, wrong):
                await api.get(f"jobs/{shown}")
                await api.get(f"jobs/x;token={shown}")
                await api.send("GET", f"{server.url}/{shown}/{shown}?a=b&token={shown}")
                # Where it is taken.
                for path in ("jobs/1", "checkStatus", f"jobs/{shown}/attachments/{shown}"):
                    in_query = Api(server.session, server.url)
                    taken = await in_query.send("GET", f"{server.url}/workflow/Global/{path}?token={shown}")
                    assert taken.status == (401 if shown == wrong else 200 if path == "checkStatus" else 404)
                await server.raw(f"GET /?token={shown} HTTP/1.1\r\nHost: x\r\nBad\x01: {shown}\r\n\r\n".encode())

    documents = read(lines)
    assert len(documents) > 50
    assert {"acme", None} == {it["org"] for it in documents}
    told = b"".join(lines).decode() + caplog.text + repr([it.__dict__ for it in caplog.records])
    for secret in (token.rpartition("_acme_")[2], wrong.rpartition("_acme_")[2], password, basic, key):
        assert secret not in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/jobs/jl_acme_abc-DEF_123/x", "/jobs/jl_acme_…/x"),
        ("GET /x?token=abc&a=b", "GET /x?token=…&a=b"),
        ("GET /x?a=b&TOKEN=abc def", "GET /x?a=b&TOKEN=… def"),
        ("the tokens=3 of a jl_", "the tokens=3 of a jl_"),
    ],
)
def test_what_looks_like_a_token_is_blotted_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


async def test_a_server_that_is_told_to_logs_no_requests(ledger: Ledger, capfd: pytest.CaptureFixture[str]) -> None:
    async with served(ledger) as server:
        await server.api().get("jobs")

    assert capfd.readouterr().err == ""
