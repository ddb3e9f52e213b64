"""The projections of diagrams and of templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.diagram import DRAFT, Diagram, Version, diagram_stream
from jobledger.ledger.domain.template import Template, template_stream
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
# What stands in a draft's row beside its content where it is not the diagram's.
NAMES = ("name", "description")
DIAGRAM_WRITES = ("write_diagrams", "write_diagram_versions", "drop_drafts")


def numbers_of(streams: Sequence[str], kind: str) -> list[int]:
    """The numbers of the streams of one kind."""
    return [int(it.removeprefix(kind)) for it in streams if it.startswith(kind) and it[len(kind) :].isdecimal()]


def diagram_row(diagram: Diagram) -> tuple[Any, ...]:
    """The row of a diagram, in the order of ``write_diagrams``."""
    return (
        diagram.diagram_id,
        diagram.version,
        diagram.name,
        diagram.description,
        diagram.active,
        diagram.is_deleted,
        diagram.created_on,
        diagram.modified_on,
    )


def version_rows(diagram: Diagram, before: Diagram | None = None) -> Iterator[tuple[Any, ...]]:
    """The rows of its versions and its draft that are other ones than *before*, in the order of ``write_diagram_versions``."""
    known = [] if before is None else [before.draft, *before.versions.values()]
    for version in (diagram.draft, *diagram.versions.values()):
        if version is not None and not any(version is it for it in known):
            named = {name: it for name in NAMES if (it := getattr(version, name)) is not None}
            content = orjson.dumps({**version.content, **named}).decode()
            yield (diagram.diagram_id, version.number, content, version.saved_at, version.is_deleted)


def template_row(template: Template) -> tuple[Any, ...]:
    """The row of a template, in the order of ``write_templates``."""
    return (
        template.template_id,
        template.version,
        template.name,
        template.diagram_id,
        orjson.dumps(template.defaults).decode(),
        template.is_deleted,
        template.created_on,
        template.modified_on,
    )


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The rows as a statement takes them."""
    return [list(it) for it in zip(*rows, strict=True)]


class DiagramsProjection(AnswersNothing):
    """See ``InlineProjection``."""

    name = "diagrams"
    fold_version = 1
    aggregate_class: type[Aggregate] = Diagram
    write_statements = MappingProxyType({name: statement(PACKAGE, name) for name in DIAGRAM_WRITES})
    loaded_by = None
    tables = (ProjectedTable("diagram"), ProjectedTable("diagram_version", row=("number",)))

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Diagram)
        number = str(changed.after.diagram_id)
        return [("diagram", number), ("diagram_version", number)]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows: list[tuple[Any, ...]] = []
        versions: list[tuple[Any, ...]] = []
        dropped: list[int] = []
        for before, after in ((it.before, it.after) for it in changes):
            assert isinstance(after, Diagram)
            assert before is None or isinstance(before, Diagram)
            rows.append(diagram_row(after))
            versions += version_rows(after, before)
            if before is not None and before.draft is not None and after.draft is None:
                dropped.append(after.diagram_id)
        writes: list[tuple[str, Sequence[Any]]] = [("write_diagrams", columns(rows))]
        if versions:
            writes.append(("write_diagram_versions", columns(versions)))
        if dropped:
            writes.append(("drop_drafts", [dropped]))
        return writes

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. One that is drawn on has a long stream of drafts."""
        ids = numbers_of(streams, "diagram-")
        if not ids:
            return {}
        known = await connection.fetch(statement(PACKAGE, "load_diagrams"), org, generation, ids)
        versions: dict[int, list[Version]] = {}
        for row in await connection.fetch(statement(PACKAGE, "load_diagram_versions"), org, generation, ids):
            versions.setdefault(row["id"], []).append(version_from_row(row))
        return {it.id: it for it in (diagram_from_rows(row, versions.get(row["id"], [])) for row in known)}


def version_from_row(row: asyncpg.Record) -> Version:
    """The version that the row was rendered from."""
    content = orjson.loads(row["content"])
    named = {name: content.pop(name) for name in NAMES if name in content}
    return Version(row["number"], content, len(orjson.dumps(content)), row["saved_at"], row["is_deleted"], **named)


def diagram_from_rows(row: asyncpg.Record, versions: Sequence[Version]) -> Diagram:
    """The aggregate that the rows were rendered from."""
    diagram = Diagram.__new__(Diagram)
    diagram.__base_init__(diagram_stream(row["id"]), row["version"], row["created_at"])
    diagram._modified_on = row["updated_at"]
    diagram.diagram_id = row["id"]
    diagram.name = row["name"]
    diagram.description = row["description"]
    diagram.active = row["active"]
    diagram.is_deleted = row["is_deleted"]
    diagram.versions = {it.number: it for it in versions if it.number != DRAFT}
    diagram.draft = next((it for it in versions if it.number == DRAFT), None)
    return diagram


class TemplatesProjection(AnswersNothing):
    """See ``InlineProjection``."""

    name = "templates"
    fold_version = 1
    aggregate_class: type[Aggregate] = Template
    write_statements = MappingProxyType({"write_templates": statement(PACKAGE, "write_templates")})
    loaded_by = None
    tables = (ProjectedTable("template"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Template)
        return [("template", str(changed.after.template_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [template_row(it.after) for it in changes if isinstance(it.after, Template)]
        return [("write_templates", columns(rows))]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        ids = numbers_of(streams, "template-")
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_templates"), org, generation, ids)
        return {it.id: it for it in map(template_from_row, records)}


def template_from_row(row: asyncpg.Record) -> Template:
    """The aggregate that the row was rendered from."""
    template = Template.__new__(Template)
    template.__base_init__(template_stream(row["id"]), row["version"], row["created_at"])
    template._modified_on = row["updated_at"]
    template.template_id = row["id"]
    template.name = row["name"]
    template.diagram_id = row["diagram_id"]
    template.defaults = orjson.loads(row["defaults"])
    template.is_deleted = row["is_deleted"]
    return template
