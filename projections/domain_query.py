"""Asking which domains an org has, and what its principals are called."""

from __future__ import annotations

from collections.abc import Iterable

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
PRINCIPAL = "principal-"


class DomainQuery:
    """The domains of every org. Each raises DatabaseIsAwayError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_org(self, org: str) -> frozenset[str]:
        """Those that jobs are in, and those that principals are of or may see."""
        return frozenset(it["domain"] for it in await self._database.fetch(statement(PACKAGE, "domains_of_org"), org))

    async def numbered(self, org: str) -> list[str]:
        """Those but Global that jobs were ever registered in, by first use: none ever changes its place."""
        return [it["name"] for it in await self._database.fetch(statement(PACKAGE, "numbered_domains"), org)]

    async def names(self, org: str, streams: Iterable[str]) -> dict[str, str]:
        """What those who did something are called, by their streams; the ledger itself is called so."""
        numbers = sorted({int(it.removeprefix(PRINCIPAL)) for it in streams if it.startswith(PRINCIPAL)})
        rows = await self._database.fetch(statement(PACKAGE, "names_of_principals"), org, numbers) if numbers else []
        return {"ledger": "ledger", **{f"{PRINCIPAL}{it['id']}": it["name"] for it in rows}}
