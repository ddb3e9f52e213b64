"""``jobledger org``."""

from __future__ import annotations

from jobledger.ledger.store.codec import wire_time
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings


async def add_org(settings: Settings, name: str) -> None:
    """Begin an org's ledger."""
    async with open_ledger(settings, may_begin=True) as ledger:
        await ledger.create_org(name)
    print(f"Org {name} is there.")


async def list_orgs(settings: Settings) -> None:
    """Print each org: a line of its name, how many events it has, and when the last was recorded."""
    async with open_ledger(settings) as ledger:
        for name, size, recorded_at in await PrincipalQuery(ledger.database).orgs():
            print(f"{name}\t{size}\t{wire_time(recorded_at)}")
