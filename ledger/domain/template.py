"""Templates: a diagram, and what jobs created from it have where nothing else is said."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import Aggregate


def template_stream(template_id: int) -> str:
    """The stream of the template with this number."""
    return f"template-{template_id}"


class Template(Aggregate):
    """One template. Its diagram stays the same; ``defaults`` are members as ``job.updated`` has them, and ``job_name``."""

    template_id: int
    name: str
    diagram_id: int
    defaults: dict[str, Any]
    is_deleted: bool

    class Event(Aggregate.Event):
        """Base of a template's events."""

    class Created(Event, Aggregate.Created):
        """The template became known."""

        type_name: ClassVar[str] = "template.created"
        name: str
        diagram_id: int
        defaults: dict[str, Any]

        def apply(self, aggregate: Template) -> None:
            """Begin."""
            aggregate.template_id = int(self.originator_id.removeprefix("template-"))
            aggregate.name = self.name
            aggregate.diagram_id = self.diagram_id
            aggregate.defaults = self.defaults
            aggregate.is_deleted = False

    class Changed(Event):
        """The template's name, or its defaults, whole."""

        type_name: ClassVar[str] = "template.changed"
        name: str | None = None
        defaults: dict[str, Any] | None = None

        def apply(self, aggregate: Template) -> None:
            """What is given takes the place of what was."""
            aggregate.name = self.name or aggregate.name
            if self.defaults is not None:
                aggregate.defaults = self.defaults

    class Deleted(Event):
        """The template is in no list any more."""

        type_name: ClassVar[str] = "template.deleted"
        reason: str | None = None

        def apply(self, aggregate: Template) -> None:
            """Be gone."""
            aggregate.is_deleted = True

    def change(self, at: datetime, name: str | None = None, defaults: dict[str, Any] | None = None) -> None:
        """Change what is given and differs."""
        name = None if name == self.name else name
        defaults = None if defaults == self.defaults else defaults
        if name is not None or defaults is not None:
            self.trigger_event(Template.Changed, timestamp=at, name=name, defaults=defaults)

    def delete(self, at: datetime, reason: str | None = None) -> None:
        """Remove it from all lists. One deleted already stays as it is."""
        if not self.is_deleted:
            self.trigger_event(Template.Deleted, timestamp=at, reason=reason)


Template.Created.aggregate_class = Template
