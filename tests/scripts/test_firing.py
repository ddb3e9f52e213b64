"""The real server fires schedules, by itself, in each of its processes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobledger.ledger.postgres.embedded import running_url
from tests.auditor import audit
from tests.scripts.place import Place, eventually

pytestmark = pytest.mark.slow

EACH_SECOND = {"expression": "* * * ? * *", "action": {"kind": "maintenance"}}


def test_the_server_fires_what_is_due_also_after_it_was_killed(place: Place) -> None:
    """What fell due in between is fired for, or counted."""
    with place.serving("--workers", "2") as server:
        status, created = server.ask("POST", "/default/schedules", EACH_SECOND)
        assert status == 201, created
        path = f"/default/schedules/{created['id']}"

        def open_jobs() -> int:
            jobs = server.ask("GET", "/default/jobs?state=SCHEDULED&state=RUNNING")[1]["jobs"]
            return len(jobs)

        def shown() -> dict[str, Any]:
            document: dict[str, Any] = server.ask("GET", path)[1]
            return document

        eventually(lambda: shown()["fires"] >= 3)
        server.process.kill()
        server.process.wait()

    with place.serving() as server:
        before = shown()["fires"]
        eventually(lambda: shown()["fires"] > before)
        server.ask("POST", f"{path}/pause")
        last = shown()
        # What was registered is done here: also the job that the killed server was at.
        eventually(lambda: open_jobs() == 0, patience_s=60)
        assert server.ask("GET", f"/default/jobs/{last['last_job_id']}")[1]["state"] == "SUCCESS"
        url = running_url(place.data)
        assert url is not None
        asyncio.run(audit(url))

    due_at = datetime.fromisoformat(last["last_due_at"])
    began = datetime.fromisoformat(last["created_at"]).replace(microsecond=0)
    assert timedelta(seconds=last["fires"] + last["missed"]) == due_at - began
