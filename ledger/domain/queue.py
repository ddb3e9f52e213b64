"""A queue of messages: a principal makes it, and is told there how work goes. The messages are rows beside the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import ConflictError

PREFIX = "queue-"
# Unused for so long a queue is dropped.
KEPT, DURABLE_KEPT = timedelta(hours=24), timedelta(days=30)


class QueueExistsError(ConflictError):
    """There is a queue of that name."""

    code = "queue_exists"


class TooManyQueuesError(ConflictError):
    """A principal has as many queues as one may have."""

    code = "too_many_queues"


class TooManyConsumersError(ConflictError):
    """A queue has as many consumers as one may have."""

    code = "too_many_consumers"


def queue_stream(queue_id: int) -> str:
    """The stream of the queue with this id."""
    return f"{PREFIX}{queue_id}"


def kept_for(*, durable: bool) -> timedelta:
    """How long a queue that nobody uses is kept."""
    return DURABLE_KEPT if durable else KEPT


class Queue(Aggregate):
    """A queue; ``owner`` is the stream of the principal that made it."""

    queue_id: int
    name: str
    owner: str
    durable: bool
    created_at: datetime
    deleted_at: datetime | None

    def is_unused(self, used_at: datetime | None, now: datetime) -> bool:
        """Whether nobody has used it for as long as it is kept; *used_at*: when somebody did last."""
        return now - max(self.created_at, used_at or self.created_at) > kept_for(durable=self.durable)

    class Event(Aggregate.Event):
        """Base of a queue's events."""

    class Created(Event, Aggregate.Created):
        """The queue was made."""

        type_name: ClassVar[str] = "queue.created"
        name: str
        owner: str
        durable: bool

        def apply(self, aggregate: Queue) -> None:
            """Begin."""
            aggregate.queue_id = int(self.originator_id.removeprefix(PREFIX))
            aggregate.name = self.name
            aggregate.owner = self.owner
            aggregate.durable = self.durable
            aggregate.created_at = self.timestamp
            aggregate.deleted_at = None

    class Deleted(Event):
        """The queue is no more, and what was in it. ``reason`` says why where nobody asked for it."""

        type_name: ClassVar[str] = "queue.deleted"
        reason: str | None = None

        def apply(self, aggregate: Queue) -> None:
            """End."""
            aggregate.deleted_at = self.timestamp


Queue.Created.aggregate_class = Queue
