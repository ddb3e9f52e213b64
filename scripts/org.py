"""``jobledger org``."""

from __future__ import annotations

from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings


async def add_org(settings: Settings, name: str) -> None:
    """Begin an org's ledger."""
    async with open_ledger(settings, may_begin=True) as ledger:
        await ledger.create_org(name)
    print(f"Org {name} is there.")
