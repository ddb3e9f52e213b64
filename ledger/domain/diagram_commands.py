"""What is asked about diagrams and templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.diagram import DIAGRAM_NUMBERS, LARGEST_DIAGRAM_ID, Diagram, diagram_stream
from jobledger.ledger.domain.template import Template, template_stream
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

MANAGE_DIAGRAMS = "diagrams.manage"


def seen_diagram(unit: UnitOfWork, diagram_id: int) -> Diagram:
    """The diagram, which is not to be changed. Raises NotFoundError, also for one that was deleted."""
    diagram = unit.see(Diagram, diagram_stream(diagram_id))
    if diagram is None or diagram.is_deleted:
        raise NotFoundError(f"There is no diagram {diagram_id}.", diagram_id=diagram_id)
    return diagram


def known_diagram(unit: UnitOfWork, diagram_id: int) -> Diagram:
    """The diagram, to be changed. Raises NotFoundError, also for one that was deleted."""
    seen_diagram(unit, diagram_id)
    diagram = unit.get(Diagram, diagram_stream(diagram_id))
    assert diagram is not None
    return diagram


def next_number(unit: UnitOfWork) -> int:
    """The number of a new diagram or template. Raises InvalidCommandError."""
    number = unit.next_number(DIAGRAM_NUMBERS)
    if number > LARGEST_DIAGRAM_ID:
        raise InvalidCommandError("The org has no diagram ids left.")
    return number


@dataclass(slots=True, kw_only=True, eq=False)
class CreateDiagram(Command):
    """Create a diagram. The result is ``{"id", "diagram_version", "active_version", "version"}``."""

    capability: ClassVar[str] = MANAGE_DIAGRAMS
    name: str
    content: dict[str, Any]
    description: str | None = None
    is_active: bool = False

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError."""
        number = next_number(unit)
        diagram = unit.begin(
            Diagram.Created, diagram_stream(number), name=self.name, description=self.description or None
        )
        assert isinstance(diagram, Diagram)
        return told(diagram, diagram.save(unit.now, self.content, is_active=self.is_active))


@dataclass(slots=True, kw_only=True, eq=False)
class DiagramCommand(Command):
    """Base of what is asked of one diagram. The result is that of ``CreateDiagram``."""

    capability: ClassVar[str] = MANAGE_DIAGRAMS
    diagram_id: int

    def streams(self) -> Iterable[str]:
        """The diagram."""
        return (diagram_stream(self.diagram_id),)


@dataclass(slots=True, kw_only=True, eq=False)
class SaveDiagram(DiagramCommand):
    """Save a diagram; what is not given stays. Where something changed it is a new version, or another draft."""

    content: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    is_active: bool = False

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, InvalidCommandError."""
        diagram = known_diagram(unit, self.diagram_id)
        content, name, description = self.content, self.name, self.description
        if content is None:
            newest = diagram.draft or diagram.versions[max(diagram.versions)]
            content, name = dict(newest.content), name or newest.name
            description = newest.description if description is None else description
        number = diagram.save(unit.now, content, is_active=self.is_active, name=name, description=description)
        return told(diagram, number)


@dataclass(slots=True, kw_only=True, eq=False)
class ActivateDiagram(DiagramCommand):
    """Make a version the active one."""

    number: int

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        diagram = known_diagram(unit, self.diagram_id)
        return told(diagram, diagram.activate(unit.now, self.number))


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteDiagramVersion(DiagramCommand):
    """Remove a version, or the draft."""

    number: int
    reason: str | None = None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, DiagramVersionIsActiveError."""
        diagram = known_diagram(unit, self.diagram_id)
        diagram.delete_version(unit.now, self.number, self.reason)
        return told(diagram, self.number)


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteDiagram(DiagramCommand):
    """Remove a diagram; of one that was removed already nothing is appended."""

    reason: str | None = None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        diagram = unit.get(Diagram, diagram_stream(self.diagram_id))
        if diagram is None:
            raise NotFoundError(f"There is no diagram {self.diagram_id}.", diagram_id=self.diagram_id)
        diagram.delete(unit.now, self.reason)
        return {"id": diagram.diagram_id, "version": diagram.version}


def told(diagram: Diagram, number: int) -> dict[str, Any]:
    """What the caller is told of a diagram."""
    return {
        "id": diagram.diagram_id,
        "diagram_version": number,
        "active_version": diagram.active,
        "version": diagram.version,
    }


@dataclass(slots=True, kw_only=True, eq=False)
class CreateTemplate(Command):
    """Create a template of a diagram. The result is ``{"id", "diagram_id", "version"}``."""

    capability: ClassVar[str] = MANAGE_DIAGRAMS
    name: str
    diagram_id: int
    defaults: dict[str, Any]

    def streams(self) -> Iterable[str]:
        """The diagram."""
        return (diagram_stream(self.diagram_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        seen_diagram(unit, self.diagram_id)
        number = next_number(unit)
        template = unit.begin(
            Template.Created,
            template_stream(number),
            name=self.name,
            diagram_id=self.diagram_id,
            defaults=self.defaults,
        )
        return {"id": number, "diagram_id": self.diagram_id, "version": template.version}


@dataclass(slots=True, kw_only=True, eq=False)
class TemplateCommand(Command):
    """Base of what is asked of one template. The result is ``{"id", "version"}``."""

    capability: ClassVar[str] = MANAGE_DIAGRAMS
    template_id: int

    def streams(self) -> Iterable[str]:
        """The template."""
        return (template_stream(self.template_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        template = unit.get(Template, template_stream(self.template_id))
        if template is None:
            raise NotFoundError(f"There is no template {self.template_id}.", template_id=self.template_id)
        self.change(unit, template)
        return {"id": self.template_id, "version": template.version}

    def change(self, unit: UnitOfWork, template: Template) -> None:
        """Make the change."""


@dataclass(slots=True, kw_only=True, eq=False)
class ChangeTemplate(TemplateCommand):
    """Give a template another name or other defaults."""

    name: str | None = None
    defaults: dict[str, Any] | None = None

    def change(self, unit: UnitOfWork, template: Template) -> None:
        """Raises NotFoundError for one that was removed."""
        if template.is_deleted:
            raise NotFoundError(f"There is no template {self.template_id}.", template_id=self.template_id)
        template.change(unit.now, self.name, self.defaults)


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteTemplate(TemplateCommand):
    """Remove a template; of one that was removed already nothing is appended."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, template: Template) -> None:
        """Remove it."""
        template.delete(unit.now, self.reason)
