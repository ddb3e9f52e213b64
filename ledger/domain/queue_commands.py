"""What callers, and the ledger by its own rules, ask of queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Command, Find, UnitOfWork
from jobledger.ledger.domain.queue import Queue, QueueExistsError, TooManyQueuesError, queue_stream
from jobledger.ledger.errors import NotFoundError

USE_QUEUES = "queues.use"
MANAGE_QUEUES = "queues.manage"
# Of one principal.
MOST_QUEUES = 100
# Answered with ``[(id, used_at)]``: the queues of an owner, or the one with that id, each with when it was last used.
QUEUES_OF_OWNER, QUEUE_USE = "queues_of_owner", "queue_use"
UNUSED = "unused"


@dataclass(slots=True, kw_only=True, eq=False)
class CreateQueue(Command):
    """Make a queue. The result is ``{"id"}``. Those of its maker that nobody has used for so long are dropped by the way."""

    capability: ClassVar[str] = USE_QUEUES
    name: str
    durable: bool = False

    def finds(self) -> Iterable[Find]:
        """The maker's queues."""
        return (Find(QUEUES_OF_OWNER, (self.caller.principal,)),)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """All of them."""
        return (queue_stream(queue_id) for known in answers for queue_id, _used_at in known)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises QueueExistsError, TooManyQueuesError."""
        count = 0
        for queue_id, used_at in unit.found(Find(QUEUES_OF_OWNER, (self.caller.principal,))):
            queue = unit.get(Queue, queue_stream(queue_id))
            if queue is None or queue.deleted_at is not None:
                continue
            if queue.is_unused(used_at, unit.now):
                queue.trigger_event(Queue.Deleted, timestamp=unit.now, reason=UNUSED)
                continue
            if queue.name == self.name:
                raise QueueExistsError("Queue already exists.", name=self.name)
            count += 1
        if count >= MOST_QUEUES:
            raise TooManyQueuesError(f"You have {MOST_QUEUES} queues already.", limit=MOST_QUEUES)
        number = unit.next_number("queue")
        unit.begin(
            Queue.Created, queue_stream(number), name=self.name, owner=self.caller.principal, durable=self.durable
        )
        unit.outdate(QUEUES_OF_OWNER, self.caller.principal)
        return {"id": number}


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteQueue(Command):
    """Delete a queue of one's own, or of anybody's for who manages them. The result is ``{"id"}``."""

    capability: ClassVar[str] = USE_QUEUES
    queue_id: int

    def streams(self) -> Iterable[str]:
        """The queue."""
        return (queue_stream(self.queue_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        queue = unit.get(Queue, queue_stream(self.queue_id))
        is_theirs = queue is not None and (
            queue.owner == self.caller.principal or MANAGE_QUEUES in self.caller.capabilities
        )
        if queue is None or queue.deleted_at is not None or not is_theirs:
            raise NotFoundError("There is no such queue.")
        queue.trigger_event(Queue.Deleted, timestamp=unit.now)
        unit.outdate(QUEUES_OF_OWNER, queue.owner)
        return {"id": self.queue_id}


@dataclass(slots=True, kw_only=True, eq=False)
class DropUnusedQueue(Command):
    """Maintenance found that nobody uses a queue. The result is ``{"dropped"}``; judged on when it was last used."""

    capability: ClassVar[str] = "ledger.work"
    queue_id: int

    def streams(self) -> Iterable[str]:
        """The queue."""
        return (queue_stream(self.queue_id),)

    def finds(self) -> Iterable[Find]:
        """When it was used."""
        return (Find(QUEUE_USE, (self.queue_id,)),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Drop it, or do nothing."""
        queue = unit.get(Queue, queue_stream(self.queue_id))
        used: list[tuple[int, datetime | None]] = unit.found(Find(QUEUE_USE, (self.queue_id,)))
        is_dropped = (
            queue is not None and queue.deleted_at is None and queue.is_unused(used[0][1] if used else None, unit.now)
        )
        if queue is not None and is_dropped:
            queue.trigger_event(Queue.Deleted, timestamp=unit.now, reason=UNUSED)
            unit.outdate(QUEUES_OF_OWNER, queue.owner)
        return {"dropped": is_dropped}
