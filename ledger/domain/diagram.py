"""Diagrams: the steps that jobs go through, kept in versions.

A version's content, as it is stored and shown:

    {"initial_step":"a","steps":[{"id":"a","name":"Survey","next":["b"],"can_skip":true,"assigned_type":"User",
     "assigned_to":"principal-7","attributes":{…}},{"id":"b","name":"Check","next":[]}],"attributes":{…}}

``attributes`` are whatever a client draws or decides by. Of a step only ``id``, ``name`` and ``next`` are always there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

import orjson

from jobledger.ledger.domain.aggregate import USUAL_WEIGHT_BYTES, Aggregate
from jobledger.ledger.errors import (
    DiagramIsNotActiveError,
    DiagramVersionIsActiveError,
    InvalidCommandError,
    NotFoundError,
)

# What the draft is called where a version's number is due.
DRAFT = -1
LARGEST_DIAGRAM_ID = 2**31 - 1
MOST_STEPS = 1_000
MOST_PATHS = 10_000
LARGEST_CONTENT_BYTES = 256 * 1024
# Of all versions together: they are held in memory while a diagram's jobs take their steps.
LARGEST_DIAGRAM_BYTES = 8 * 1024 * 1024
# Diagrams and templates have their numbers from one counter: an id names one of them.
DIAGRAM_NUMBERS = "diagram"


def diagram_stream(diagram_id: int) -> str:
    """The stream of the diagram with this number."""
    return f"diagram-{diagram_id}"


@dataclass(frozen=True, slots=True)
class Version:
    """One saved version, or the draft. A deleted one is in no list; jobs that go through it still do.

    ``name`` and ``description`` are a draft's that the diagram has not yet; an empty description is none.
    """

    number: int
    content: Mapping[str, Any]
    size_bytes: int
    saved_at: datetime
    is_deleted: bool = False
    name: str | None = None
    description: str | None = None
    # Its steps by their ids: many jobs ask for them at once.
    steps: Mapping[str, Mapping[str, Any]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", {step["id"]: step for step in self.content["steps"]})


def must_be_sound(content: Mapping[str, Any]) -> None:
    """Raise InvalidCommandError unless there is exactly one initial step, and every step can be reached from it.

    ``initial_step`` may be absent: then it is the one step that no path leads to.
    """
    steps: Sequence[Mapping[str, Any]] = content["steps"]
    if not 0 < len(steps) <= MOST_STEPS:
        raise InvalidCommandError(f"A diagram has 1 to {MOST_STEPS} steps.", limit=MOST_STEPS)
    following = {step["id"]: step["next"] for step in steps}
    if len(following) < len(steps):
        twice = next(it for it in following if sum(step["id"] == it for step in steps) > 1)
        raise InvalidCommandError(f"Two steps have the id {twice}.", step_id=twice)
    if sum(map(len, following.values())) > MOST_PATHS:
        raise InvalidCommandError(f"A diagram has at most {MOST_PATHS} paths.", limit=MOST_PATHS)
    for step_id, targets in following.items():
        for target in targets:
            if target not in following:
                raise InvalidCommandError(
                    f"Step {step_id} leads to {target}, which is no step of the diagram.", step_id=step_id, next=target
                )
    initial = initial_steps(content)
    if len(initial) != 1:
        told = "no initial step" if not initial else f"{len(initial)} initial steps"
        raise InvalidCommandError(
            f"A diagram has exactly one initial step; this one has {told}.", initial_steps=sorted(initial)[:100]
        )
    unreachable = following.keys() - reachable(initial, following)
    if unreachable:
        first = min(unreachable)
        raise InvalidCommandError(f"Step {first} cannot be reached.", unreachable_steps=sorted(unreachable)[:100])
    size_bytes = len(orjson.dumps(content))
    if size_bytes > LARGEST_CONTENT_BYTES:
        raise InvalidCommandError(
            f"A diagram is at most {LARGEST_CONTENT_BYTES} bytes.", size_bytes=size_bytes, limit=LARGEST_CONTENT_BYTES
        )


def initial_steps(content: Mapping[str, Any]) -> set[str]:
    """The steps that are named as the initial ones, else those that no path leads to. Raises InvalidCommandError."""
    steps: Sequence[Mapping[str, Any]] = content["steps"]
    named: str | Sequence[str] | None = content.get("initial_step")
    if named is None:
        led_to = {target for step in steps for target in step["next"]}
        return {step["id"] for step in steps} - led_to
    initial = {named} if isinstance(named, str) else set(named)
    unknown = initial - {step["id"] for step in steps}
    if unknown:
        raise InvalidCommandError(
            f"The initial step {min(unknown)} is no step of the diagram.", initial_steps=sorted(initial)[:100]
        )
    return initial


def reachable(starts: Iterable[str], following: Mapping[str, Iterable[str]]) -> set[str]:
    """The steps that can be reached from *starts*, which are among them."""
    found = set(starts)
    todo = list(found)
    while todo:
        for target in following[todo.pop()]:
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


class Diagram(Aggregate):
    """One diagram. ``versions`` are by number; ``draft`` is what was saved and not made active."""

    diagram_id: int
    name: str
    description: str | None
    versions: dict[int, Version]
    draft: Version | None
    active: int | None
    is_deleted: bool

    @property
    def weight_bytes(self) -> int:
        """See ``Aggregate``."""
        return USUAL_WEIGHT_BYTES + 4 * sum(it.size_bytes for it in (*self.versions.values(), self.draft) if it)

    class Event(Aggregate.Event):
        """Base of a diagram's events."""

    class Created(Event, Aggregate.Created):
        """The diagram became known, as yet without steps."""

        type_name: ClassVar[str] = "diagram.created"
        name: str
        description: str | None = None

        def apply(self, aggregate: Diagram) -> None:
            """Begin."""
            aggregate.diagram_id = int(self.originator_id.removeprefix("diagram-"))
            aggregate.name = self.name
            aggregate.description = self.description
            aggregate.versions = {}
            aggregate.draft = aggregate.active = None
            aggregate.is_deleted = False

    class Saved(Event):
        """Base of what is saved. ``name`` and ``description`` are there where they are others than the diagram's; an empty
        description is none.
        """

        content: dict[str, Any]
        name: str | None = None
        description: str | None = None

        def rename(self, aggregate: Diagram) -> None:
            """Be named so."""
            aggregate.name = self.name or aggregate.name
            if self.description is not None:
                aggregate.description = self.description or None

        def version(self, number: int) -> Version:
            """What was saved."""
            return Version(number, self.content, len(orjson.dumps(self.content)), self.timestamp)

    class DraftSaved(Saved):
        """A draft took the place of the one before, if there was one."""

        type_name: ClassVar[str] = "diagram.draft_saved"

        def apply(self, aggregate: Diagram) -> None:
            """Keep it. The diagram is named as its active version is: one without is its draft."""
            draft = self.version(DRAFT)
            if aggregate.active is None:
                self.rename(aggregate)
            else:
                draft = replace(draft, name=self.name, description=self.description)
            aggregate.draft = draft

    class VersionSaved(Saved):
        """A new version was saved and is the active one; the draft, if there was one, is gone."""

        type_name: ClassVar[str] = "diagram.version_saved"
        number: int = 0

        def apply(self, aggregate: Diagram) -> None:
            """Be the active one."""
            self.rename(aggregate)
            aggregate.versions = {**aggregate.versions, self.number: self.version(self.number)}
            aggregate.active = self.number
            aggregate.draft = None

    class Activated(Event):
        """Another version is the active one."""

        type_name: ClassVar[str] = "diagram.activated"
        number: int

        def apply(self, aggregate: Diagram) -> None:
            """Be the active one."""
            aggregate.active = self.number

    class VersionDeleted(Event):
        """A version, or the draft, is in no list any more."""

        type_name: ClassVar[str] = "diagram.version_deleted"
        number: int
        reason: str | None = None

        def apply(self, aggregate: Diagram) -> None:
            """Nobody stands in a draft: it goes. Jobs may go through a version."""
            if self.number == DRAFT:
                aggregate.draft = None
                return
            it = aggregate.versions[self.number]
            aggregate.versions = {**aggregate.versions, self.number: replace(it, is_deleted=True)}

    class Deleted(Event):
        """The diagram is in no list any more, and no job is created from it; those that go through it still do."""

        type_name: ClassVar[str] = "diagram.deleted"
        reason: str | None = None

        def apply(self, aggregate: Diagram) -> None:
            """Be gone."""
            aggregate.is_deleted = True

    def save(
        self,
        at: datetime,
        content: dict[str, Any],
        *,
        is_active: bool,
        name: str | None = None,
        description: str | None = None,
    ) -> int:
        """Save *content*, as the next version and the active one or as the draft; the number it has. A name or a description
        that is not given is the draft's for another draft, else the diagram's.

        Where nothing would change nothing is appended. Raises InvalidCommandError.
        """
        must_be_sound(content)
        content = {**content, "initial_step": min(initial_steps(content))}
        draft = None if is_active else self.draft
        if draft is not None:
            name, description = name or draft.name, draft.description if description is None else description
        name = None if name == self.name else name
        description = None if description == (self.description or "") else description
        known = draft or (None if self.active is None else self.versions[self.active])
        if known is not None and (known.content, known.name, known.description) == (content, name, description):
            return known.number
        return self._save(at, content, is_active=is_active, name=name, description=description)

    def _save(
        self, at: datetime, content: Mapping[str, Any], *, is_active: bool, name: str | None, description: str | None
    ) -> int:
        size_bytes = len(orjson.dumps(content)) + sum(it.size_bytes for it in self.versions.values())
        if size_bytes > LARGEST_DIAGRAM_BYTES:
            raise InvalidCommandError(
                f"All versions of a diagram are at most {LARGEST_DIAGRAM_BYTES} bytes; create another.",
                size_bytes=size_bytes,
                limit=LARGEST_DIAGRAM_BYTES,
            )
        members = {"content": content, "name": name, "description": description}
        if not is_active:
            self.trigger_event(Diagram.DraftSaved, timestamp=at, **members)
            return DRAFT
        number = max(self.versions, default=0) + 1
        self.trigger_event(Diagram.VersionSaved, timestamp=at, number=number, **members)
        return number

    def activate(self, at: datetime, number: int) -> int:
        """Make a version the active one; the draft becomes the next version, and the diagram is named as it. Raises
        NotFoundError.
        """
        version = self.version_of(number)
        if number == DRAFT:
            names = {"name": version.name, "description": version.description}
            return self._save(at, version.content, is_active=True, **names)
        if self.active != number:
            self.trigger_event(Diagram.Activated, timestamp=at, number=number)
        return number

    def delete_version(self, at: datetime, number: int, reason: str | None = None) -> None:
        """Remove a version, or the draft, from all lists. Raises NotFoundError, DiagramVersionIsActiveError."""
        self.version_of(number)
        if number == self.active:
            raise DiagramVersionIsActiveError(
                f"Version {number} of diagram {self.diagram_id} is the active one.", version=number
            )
        self.trigger_event(Diagram.VersionDeleted, timestamp=at, number=number, reason=reason)

    def delete(self, at: datetime, reason: str | None = None) -> None:
        """Remove it from all lists. One deleted already stays as it is."""
        if not self.is_deleted:
            self.trigger_event(Diagram.Deleted, timestamp=at, reason=reason)

    def version_of(self, number: int) -> Version:
        """The version of that number, or the draft. Raises NotFoundError."""
        version = self.draft if number == DRAFT else self.versions.get(number)
        if version is None or version.is_deleted:
            raise NotFoundError(
                f"Diagram {self.diagram_id} has no version {number}.", diagram_id=self.diagram_id, version=number
            )
        return version

    def active_version(self) -> Version:
        """The version that new jobs go through. Raises DiagramIsNotActiveError, also for one that was deleted."""
        if self.active is None or self.is_deleted:
            raise DiagramIsNotActiveError(
                f"Diagram {self.diagram_id} has no active version.", diagram_id=self.diagram_id
            )
        return self.versions[self.active]


Diagram.Created.aggregate_class = Diagram
