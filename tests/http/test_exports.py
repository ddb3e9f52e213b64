"""Exports over HTTP: asked for, shown while they are made, given, and that they were given is recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import Server, add_principal
from tests.ledger.exported import exporter, verified
from tests.signing import sign
from tests.world import ORG


async def test_an_export_is_asked_for_made_listed_and_downloaded_which_is_recorded(
    server: Server, ledger: Ledger, tmp_path: Path
) -> None:
    """An auditor does all of it; what comes down verifies."""
    worker = server.api(await add_principal(ledger, ["client"], name="worker"))
    for _ in range(3):
        await worker.register_running()
    api = server.api(await add_principal(ledger, ["auditor"], name="ann"))

    asked = await api.post("exports", {"type": "copy", "private": True})
    export_id = asked.document["id"]
    async with exporter(ledger, tmp_path), asyncio.timeout(30):
        while (shown := await api.get(f"exports/{export_id}")).document["file"] is None:
            await sign(ledger)
            await asyncio.sleep(0.02)
    given = await api.get(f"exports/{export_id}/file")
    part = await api.get(f"exports/{export_id}/file", headers={"Range": "bytes=0-3"})
    same, another = [
        await api.get(f"exports/{export_id}/file", headers={"Range": "bytes=4-5", "If-Range": tag})
        for tag in (given.headers["ETag"], '"another"')
    ]

    none = await api.get(f"exports/{export_id}/file", headers={"Range": "bytes=99999999-"})
    assert none.status == 416
    assert none.headers["Content-Range"] == f"bytes */{len(given.body)}"

    assert asked.status == 202
    assert asked.headers["Location"].endswith(f"/exports/{export_id}")
    assert (given.status, part.status, part.body) == (200, 206, b"PK\3\4")
    # What a client goes on with is of the same file; of another it gets all.
    assert (same.status, another.status, another.body) == (206, 200, given.body)
    saved = tmp_path / "saved.zip"
    saved.write_bytes(given.body)
    assert verified(saved) == 0
    again = (await api.get(f"exports/{export_id}")).document
    assert (shown.document["downloads"], again["downloads"]) == (0, 4)
    assert [it["id"] for it in (await api.get("exports")).document["exports"]] == [export_id]
    events = (await api.get(f"events?type=export.downloaded&stream=export-{export_id}")).document["events"]
    assert [it["content"]["data"].get("range") for it in events] == [None, "bytes=0-3", "bytes=4-5", "bytes=4-5"]


@pytest.mark.parametrize(("role", "status"), [("auditor", 202), ("compliance", 202), ("admin", 202), ("client", 403)])
async def test_auditors_compliance_and_admins_export(server: Server, ledger: Ledger, role: str, status: int) -> None:
    """Nobody else does, and nobody who sees some domains only."""
    everywhere = server.api(await add_principal(ledger, [role], name="ann"))
    somewhere = server.api(await add_principal(ledger, [role], name="sue", domains=["Sales"]))

    assert (await everywhere.post("exports", {})).status == status
    assert (await somewhere.post("exports", {})).status == 403


async def test_a_range_is_of_positions_or_of_times(server: Server, ledger: Ledger) -> None:
    """Not of both at the same end; nothing is registered."""
    api = server.api(await add_principal(ledger, ["auditor"], name="ann"))
    size = (await ledger.recorder.head(ORG)).size

    refused = await api.post("exports", {"from_position": 1, "recorded_from": "2026-01-01T00:00:00Z"})

    assert refused.status == 400
    assert (await ledger.recorder.head(ORG)).size == size
