"""The real server tells what it refused, also when it is stopped, and goes on after it was killed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.scripts.place import Place, Server, eventually

pytestmark = pytest.mark.slow


def test_what_was_refused_is_told_across_restarts(place: Place) -> None:
    """By each of two processes what it counted, at the latest by its stop: all of it."""
    shown = {"Authorization": "Basic " + base64.b64encode(b"viewer@default:let me see").decode()}

    def refuse(server: Server, times: int) -> None:
        for _ in range(times):
            status, _ = server.ask("POST", "/default/jobs", {"type": "t", "name": "n"}, headers=shown)
            assert status == 403

    def denied(server: Server) -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = server.ask("GET", "/default/audit?outcome=denied")[1]["audit"]
        return page

    with place.serving("--workers", "2") as server:
        given = {"name": "viewer", "roles": ["auditor"], "password": "let me see"}
        assert server.ask("POST", "/default/principals", given)[0] == 201
        refuse(server, 1)
        eventually(lambda: denied(server))
        refuse(server, 40)
        assert server.stop() == 0
    with place.serving() as server:
        assert sum(it["count"] for it in denied(server)) == 41
        assert {(it["principal"], it["kind"]) for it in denied(server)} == {("viewer", "not_allowed")}
        assert server.ask("GET", "/default/jobs", headers=server.authorization("wrong"))[0] == 401
        eventually(lambda: denied(server)[-1]["kind"] == "login")
        server.process.kill()
        server.process.wait()
    with place.serving() as server:
        assert [it["kind"] for it in denied(server)][-1] == "login"
