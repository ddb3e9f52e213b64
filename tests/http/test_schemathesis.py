"""Requests made of the API's description, right and wrong ones: none is the server's fault, each is answered as it says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from jobledger.http import access
from jobledger.http.context import DATA
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.store.ledger import Ledger
from tests.http.dialects.manners import ATTACHMENT_ID, SCHEDULE_ID
from tests.http.equipment import add_archive, add_export, add_queue, add_schedule, equip
from tests.http.serving import WEAK_HASHER, Server, add_principal, served
from tests.signing import sign
from tests.world import ORG

ROOT = Path(__file__).parent.parent.parent
# A larger run, which also tries each boundary of each value by itself:
#   JOBLEDGER_SCHEMATHESIS_EXAMPLES=100 scripts/test tests/http/test_schemathesis.py
LARGER = os.environ.get("JOBLEDGER_SCHEMATHESIS_EXAMPLES")
EXAMPLES = int(LARGER or 4)
PHASES = "coverage,fuzzing" if LARGER else "fuzzing"
SEED = os.environ.get("JOBLEDGER_SCHEMATHESIS_SEED", "1")


async def run_schemathesis(server: Server, token: str, folder: Path, examples: int) -> tuple[int, str]:
    """Its exit status, and what it says."""
    command = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        str(command),
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        "run",
        f"{server.url}/openapi.json",
        f"--header=Authorization: Bearer {token}",
        f"--phases={PHASES}",
        f"--max-examples={examples}",
        f"--seed={SEED}",
        # After a logout nobody is let in.
        "--exclude-path-regex=/Logout$",
        "--generation-deterministic",
        "--generation-allow-x00=false",
        "--suppress-health-check=all",
        "--continue-on-failure",
        "--request-timeout=20",
        "--no-color",
        "--warnings=off",
        # What it keeps of a run would change the next one.
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.http.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("roles", "examples"),
    [(tuple(CAPABILITIES_BY_ROLE), EXAMPLES), (("auditor",), (EXAMPLES + 1) // 2)],
    ids=["everything", "reading"],
)
async def test_the_description_holds_whatever_is_sent(
    ledger: Ledger, roles: tuple[str, ...], examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one who may do everything, and for one who may only read."""
    # It shows many a wrong password, which is no 401 any more after some, and costs a hash each.
    monkeypatch.setattr(access, "FAILURES_OF_NAME", (100_000, 1.0))
    monkeypatch.setattr(access, "FAILURES_FROM_ADDRESS", (100_000, 1.0))
    monkeypatch.setattr(access, "PasswordHasher", lambda: WEAK_HASHER)
    async with served(ledger) as server:
        api = await server.client(*CAPABILITIES_BY_ROLE)
        for number in range(1, 7):
            policy = {"storage_policy_id": number, "storage_policy_name": f"policy {number}"}
            await api.put(f"copies/{number}", {"name": "primary", **policy})
        for number in range(1, 4):
            await api.register_running(datastream={"id": 1, "name": "a"}, stage="fetch", copies=[{"id": number}])
            await api.register()
        await api.draw()
        await equip(ledger, ORG, 1, diagram_id=1, template_id=2, attachment_id=ATTACHMENT_ID)
        await add_schedule(ledger, ORG, SCHEDULE_ID)
        await add_archive(ledger, ORG, "51", server.app[DATA])
        await add_queue(ledger, ORG, "q")
        await add_export(ledger, ORG, "61", server.app[DATA])
        await sign(ledger)
        token = await add_principal(ledger, roles)

        status, said = await run_schemathesis(server, token, tmp_path, examples)

    assert status == 0, said
