"""Asking for diagrams and templates."""

from __future__ import annotations

from typing import Any

import orjson

from jobledger.ledger.domain.diagram import DRAFT
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"


class DiagramQuery:
    """The diagrams and templates of every org, but for those that were removed. Each raises DatabaseIsAwayError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def diagrams(self, org: str, *, after: int = 0, limit: int, number: int | None = None) -> Page:
        """Up to *limit* diagrams with a number beyond *after*, each with the numbers of its versions, -1 for a draft."""
        records = await self._database.fetch(statement(PACKAGE, "list_diagrams"), org, after, limit + 1, number)
        documents = [
            {
                **{name: it[name] for name in ("id", "name", "description")},
                "active_version": it["active"],
                "versions": [*([DRAFT] if it["has_draft"] else []), *it["numbers"]],
                **{name: it[name] for name in ("version", "created_at", "updated_at")},
            }
            for it in records[:limit]
        ]
        return Page(documents, documents[-1]["id"] if len(records) > limit else None)

    async def diagram(self, org: str, number: int) -> dict[str, Any]:
        """One of them. Raises NotFoundError."""
        page = await self.diagrams(org, number=number, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no diagram {number}.", diagram_id=number)
        return page.documents[0]

    async def version(self, org: str, diagram_id: int, number: int | None = None) -> dict[str, Any]:
        """One version with what it holds; without a number the active one, else the draft. Raises NotFoundError."""
        records = await self._database.fetch(statement(PACKAGE, "get_diagram_version"), org, diagram_id, number)
        if not records:
            which = f"diagram {diagram_id}" if number is None else f"version {number} of diagram {diagram_id}"
            raise NotFoundError(f"There is no {which}.", diagram_id=diagram_id)
        it = records[0]
        content = orjson.loads(it["content"])
        # A draft may have others than the diagram.
        names = {name: content.pop(name, it[name]) or None for name in ("name", "description")}
        return {
            "id": it["id"],
            **names,
            "diagram_version": it["number"],
            "is_active": it["number"] == it["active"],
            "saved_at": it["saved_at"],
            **content,
        }

    async def templates(self, org: str, *, after: int = 0, limit: int, number: int | None = None) -> Page:
        """Up to *limit* templates with a number beyond *after*, and diagrams of which none was made."""
        records = await self._database.fetch(statement(PACKAGE, "list_templates"), org, after, limit + 1, number)
        documents = [
            {
                **{name: it[name] for name in ("id", "name", "diagram_id", "diagram_name", "description")},
                "active_version": it["active"],
                "is_own": it["is_own"],
                "defaults": orjson.loads(it["defaults"] or b"{}"),
                **{name: it[name] for name in ("version", "created_at", "updated_at")},
            }
            for it in records[:limit]
        ]
        return Page(documents, documents[-1]["id"] if len(records) > limit else None)

    async def template(self, org: str, number: int) -> dict[str, Any]:
        """One of them. Raises NotFoundError."""
        page = await self.templates(org, number=number, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no template {number}.", template_id=number)
        return page.documents[0]
