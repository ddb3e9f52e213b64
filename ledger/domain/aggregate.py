"""The base of aggregates and events: the ``eventsourcing`` package's, with string ids and events that know their wire name.

Decisions call ``trigger_event`` with an explicit event class whose ``apply`` replaces members of the aggregate. Members are
never changed in place, so a shallow copy is a unit of work of its own. (The package's ``@event`` decorator says the same
more briefly, at six times the cost, which the append path would pay for each event.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, ClassVar, Self

from eventsourcing.domain import (
    BaseAggregate,
    CanMutateAggregate,
    MetaDomainEvent,
    OriginatorIDError,
    OriginatorVersionError,
)

# What an aggregate with small members takes in memory, measured on jobs.
USUAL_WEIGHT_BYTES = 2_000
ENVELOPE = frozenset({"originator_id", "originator_version", "timestamp"})


@dataclass(frozen=True)
class DomainEvent(metaclass=MetaDomainEvent):
    """Something that happened to one aggregate.

    ``originator_id`` is the stream, ``originator_version`` the event's place in it from 1, ``timestamp`` the ledger's
    ``recorded_at``. The members that a subclass adds are the event's ``data``.
    """

    originator_id: str
    originator_version: int
    timestamp: datetime


class Nothing(Mapping[str, Any]):
    """The mapping without members: what a class may have as a member's default, as nobody can add to it."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0


NOTHING = Nothing()


class Aggregate(BaseAggregate[str]):
    """What the events of one stream add up to."""

    # Whether who may do what follows from it.
    decides_access: ClassVar[bool] = False

    class Event(DomainEvent, CanMutateAggregate[str]):
        """Base of an aggregate's events.

        ``type_name`` is the type on the wire, ``times`` names the members that are instants. ``class_version`` is the schema of
        the data; ``upcast_v1_v2(data)`` and so on, where defined, bring older data forward on the decoded dict.
        """

        type_name: ClassVar[str]
        times: ClassVar[tuple[str, ...]] = ()
        class_version: ClassVar[int] = 1

        @property
        def data(self) -> dict[str, Any]:
            """The event's own members, those that are ``None`` left out."""
            return {name: value for name, value in self.__dict__.items() if value is not None and name not in ENVELOPE}

        @property
        def private_data(self) -> dict[str, Any] | None:
            """The members that can be erased alone; None where there are none."""
            return None

        def mutate(self, aggregate: Any) -> Any:
            """The aggregate after this event; raises what the package's own does, at a third of its cost."""
            if aggregate is None:
                raise OriginatorVersionError(self.originator_version, 1)
            if self.originator_id != aggregate._id:
                raise OriginatorIDError(self.originator_id, aggregate._id)
            if self.originator_version != aggregate._version + 1:
                raise OriginatorVersionError(self.originator_version, aggregate._version + 1)
            self.apply(aggregate)
            aggregate._version = self.originator_version
            aggregate._modified_on = self.timestamp
            return aggregate

        @property
        def begins_anew(self) -> bool:
            """Whether the stream can be folded from this event on: those before it may have lost their contents."""
            return False

    class Created(Event):
        """Base of the events that begin a stream."""

        aggregate_class: ClassVar[type[Aggregate]]

        def mutate(self, aggregate: Any) -> Any:
            """Begin the aggregate. (The package's own resolves the class by a Python path, which no event here carries.)"""
            if aggregate is not None:
                raise OriginatorVersionError(self.originator_version, aggregate._version + 1)
            begun = self.aggregate_class.__new__(self.aggregate_class)
            begun.__base_init__(self.originator_id, self.originator_version, self.timestamp)
            self.apply(begun)
            return begun

    def trigger_event(self, event_class: type[Any], **kwargs: Any) -> None:
        """Decide that an event happened: make it, apply it, add it to the unit of work's list.

        *kwargs* are its ``timestamp`` and its own members. As the package's does it, without the checks of topics, which these
        events have none of, and with members that are not given left to the class's defaults.
        """
        event: Any = object.__new__(event_class)
        version = self._version + 1
        event.__dict__.update(originator_id=self._id, originator_version=version, **kwargs)
        event.apply(self)
        self._version = version
        self._modified_on = event.timestamp
        self._pending_events.append(event)

    @classmethod
    def begin(
        cls, event_class: type[Aggregate.Created], stream: str, at: datetime, pending: list[Any], **data: Any
    ) -> Self:
        """A new aggregate whose first event is added to *pending*, the unit of work's list."""
        # As the event's own constructor makes it, in a third of the time.
        event: Any = object.__new__(event_class)
        event.__dict__.update(defaults_of(event_class))
        event.__dict__.update(originator_id=stream, originator_version=1, timestamp=at, **data)
        begun: Self = event.mutate(None)
        begun._pending_events = pending
        pending.append(event)
        return begun

    def working_copy(self, pending: list[Any]) -> Self:
        """A copy whose events are added to *pending*; the original stays as it is."""
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin._pending_events = pending
        return twin

    def join(self, pending: list[Any]) -> None:
        """Add further events to *pending*: the unit of work that it was copied for has joined another."""
        self._pending_events = pending

    def settle(self) -> None:
        """Hold on to no unit of work any longer."""
        self._pending_events = []

    @property
    def is_over(self) -> bool:
        """Whether hardly anything will happen to it any more."""
        return False

    @property
    def weight_bytes(self) -> int:
        """About what this takes in memory; more for one that holds large members."""
        return USUAL_WEIGHT_BYTES


class WithPrivateMembers:
    """Joins an event's bases where some of its members, named by ``private``, go into its private content.

    Once that is erased they are ``None``, as if they had not been given: ``apply`` must do with it.
    """

    private: ClassVar[tuple[str, ...]]

    @property
    def data(self) -> dict[str, Any]:
        """See ``Aggregate.Event``."""
        apart = ENVELOPE.union(self.private)
        return {name: value for name, value in self.__dict__.items() if value is not None and name not in apart}

    @property
    def private_data(self) -> dict[str, Any] | None:
        """See ``Aggregate.Event``."""
        return {name: value for name in self.private if (value := self.__dict__.get(name)) is not None} or None


@cache
def defaults_of(event_class: type[Aggregate.Event]) -> dict[str, Any]:
    """The members that an event of the class has where none are given."""
    return {field.name: field.default for field in fields(event_class) if field.default is not MISSING}


@cache
def members_of(event_class: type[Aggregate.Event]) -> frozenset[str]:
    """The members that an event of the class may have as its data."""
    return frozenset(field.name for field in fields(event_class)) - ENVELOPE


@cache
def needed_of(event_class: type[Aggregate.Event]) -> frozenset[str]:
    """The members that it must have."""
    return members_of(event_class) - defaults_of(event_class).keys()


@lru_cache(maxsize=10_000)  # of few classes, each with few choices of members
def times_among(event_class: type[Aggregate.Event], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of an event's members *names* that are instants. TypeError where the event cannot have just these."""
    if not members_of(event_class) >= set(names) >= needed_of(event_class):
        raise TypeError(f"{event_class.type_name} has other members than {', '.join(sorted(names))}")
    return tuple(name for name in event_class.times if name in names)


def event_from_data(
    event_class: type[Aggregate.Event], stream: str, version: int, recorded_at: datetime, data: Mapping[str, Any]
) -> Aggregate.Event:
    """The event as it was decided, from decoded *data* at the class's present schema. TypeError for unknown members."""
    times = times_among(event_class, tuple(data))
    # As the event's own constructor makes it, in a third of the time.
    event: Aggregate.Event = object.__new__(event_class)
    members = event.__dict__
    members.update(defaults_of(event_class))
    members.update(data)
    for name in times:
        members[name] = datetime.fromisoformat(data[name])
    members["originator_id"] = stream
    members["originator_version"] = version
    members["timestamp"] = recorded_at
    return event
