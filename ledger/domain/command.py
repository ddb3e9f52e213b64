"""Commands: what a caller asks of the ledger, and the unit of work in which one is decided."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import NotAllowedError

AnyAggregate = TypeVar("AnyAggregate", bound=Aggregate)
Result = TypeVar("Result")


@dataclass(slots=True)
class Belief:
    """That a caller is still who it was when the org's access had last changed at *access_at*, as the head counts it.

    Each of its commands is decided only where that is so at the head: what is appended then confirms it.
    """

    access_at: int
    is_confirmed: bool = False


# Made for each request: a frozen one would cost three times as much.
@dataclass(slots=True)
class Caller:
    """Who asks, with what right and by which way. Not changed once it is made.

    ``principal`` is the principal's stream, or ``ledger`` for what the ledger does by its own rules. ``domains`` are those it may
    see, ``None`` for all. ``via`` is the dialect, ``address`` the peer's, ``request`` the request's id. ``credential`` is the id
    of what it showed, None where that is not known. ``belief`` is None where it was asked who that is.
    """

    org: str
    principal: str
    capabilities: frozenset[str]
    home_domain: str = "Global"
    domains: frozenset[str] | None = None
    via: str = "native"
    address: str | None = None
    request: str | None = None
    credential: str | None = None
    belief: Belief | None = field(default=None, compare=False)

    def must(self, capability: str) -> None:
        """Raise NotAllowedError unless the caller has *capability*."""
        if capability not in self.capabilities:
            raise NotAllowedError(f"This needs the capability {capability}.", capability=capability)

    def asking(self, via: str, address: str | None, request: str | None, belief: Belief | None = None) -> Caller:
        """The same caller with one request."""
        return Caller(
            self.org,
            self.principal,
            self.capabilities,
            self.home_domain,
            self.domains,
            via,
            address,
            request,
            self.credential,
            belief,
        )

    def sees(self, domain: str) -> bool:
        """Whether jobs of *domain* exist for this caller."""
        return self.domains is None or domain in self.domains


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's Idempotency-Key and the SHA-256 of the request it was sent with."""

    key: str
    request_hash: bytes


# A tuple: of many jobs at once each is looked up a few times, and hashed in C.
class Find(NamedTuple):
    """A question a command asks of what is stored, answered under the head's lock: *kind* names it, *subjects* whom it is about."""

    kind: str
    subjects: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A row beside the ledger (a credential, a heartbeat), written in the append's transaction: *kind* names the statement."""

    kind: str
    row: tuple[Any, ...]


class UnitOfWork(Protocol):
    """What one command sees and changes. It counts as a whole or not at all."""

    @property
    def now(self) -> datetime:
        """The instant at which this command's events are recorded."""

    @property
    def events(self) -> list[Aggregate.Event]:
        """The events decided so far."""

    def get(self, kind: type[AnyAggregate], stream: str) -> AnyAggregate | None:
        """A working copy of the aggregate, or None where the stream has not begun."""

    def see(self, kind: type[AnyAggregate], stream: str) -> AnyAggregate | None:
        """As ``get``, of an aggregate that is only looked at: it is not to be changed."""

    def begin(self, event_class: type[Aggregate.Created], stream: str, **data: Any) -> Aggregate:
        """Begin *stream* with its first event."""

    def found(self, find: Find) -> Any:
        """The answer to one of the command's finds."""

    def next_number(self, counter: str) -> int:
        """The next of the org's numbers of this kind, from 1, dense."""

    def use_number(self, counter: str, number: int) -> None:
        """Take *number* as used: the next one lies beyond it."""

    def attempt(self, decide: Callable[[UnitOfWork], Result]) -> Result:
        """Decide on a unit within this one, which joins it as a whole, or, where *decide* raises, not at all."""

    def affect(self, effect: Effect) -> None:
        """Write a row beside the ledger with this unit's events."""

    def outdate(self, kind: str, subject: Hashable = None) -> None:
        """Say that answers of this kind, on *subject* or on any, are out of date once this unit counts."""


# Made for each request and never compared: a frozen one would cost the append path three times as much.
@dataclass(slots=True, kw_only=True, eq=False)
class Command(ABC):
    """Something a caller wants to become true. Not changed once it is made."""

    caller: Caller
    idempotency: Idempotency | None = field(default=None)

    capability: ClassVar[str]
    # Whether its events are counted against the most of a request. What follows by the ledger's own rules is not: a job must
    # be able to end however many wait for it.
    is_counted: ClassVar[bool] = True
    # Whether its effects must come after its events, in statements of their own: so it cannot be decided ahead of the lock.
    needs_lock: ClassVar[bool] = False

    def parts(self) -> Sequence[Self]:
        """The commands that are appended in its stead, one after the other, each a whole; usually itself. Raises LedgerError."""
        return (self,)

    def joined(self, outcomes: Sequence[Outcome]) -> Outcome:
        """What becomes of it, of what became of its parts."""
        [outcome] = outcomes
        return outcome

    @property
    def least_events(self) -> int:
        """How many events it makes at least, if it is accepted."""
        return 1

    def must_be_allowed(self) -> None:
        """Raise NotAllowedError for a caller that may not ask it at all."""
        self.caller.must(self.capability)

    def streams(self) -> Iterable[str]:
        """The streams it decides on, as far as they are known before its finds are answered."""
        return ()

    def finds(self) -> Iterable[Find]:
        """What it must ask of the store before it is decided."""
        return ()

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The further streams it decides on, known from the answers to its finds, in their order."""
        return ()

    @abstractmethod
    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Decide on the newest state; the result is what the caller is told, as plain values. Raises LedgerError."""

    def deciding(self, unit: UnitOfWork) -> Generator[None, None, dict[str, Any]]:
        """As ``decide``; one that takes long yields now and then, so that others have a turn."""
        yield from ()
        return self.decide(unit)


@dataclass(slots=True, kw_only=True, eq=False)
class SteppedCommand(Command):
    """Base of those that say in ``deciding`` how they are decided."""

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """See ``deciding``."""
        deciding = self.deciding(unit)
        while True:
            try:
                next(deciding)
            except StopIteration as end:
                result: dict[str, Any] = end.value
                return result

    @abstractmethod
    def deciding(self, unit: UnitOfWork) -> Generator[None, None, dict[str, Any]]:
        """See ``Command``."""


class Outcome(NamedTuple):
    """What became of an accepted command. Durable when it is returned.

    The events of a command stand at consecutive positions from ``first_position``, but for one of several parts.
    ``is_repeated`` says that the answer is one given before to the same Idempotency-Key.
    """

    result: dict[str, Any]
    first_position: int | None
    event_count: int
    recorded_at: datetime
    is_repeated: bool = False
    events: tuple[Aggregate.Event, ...] = ()

    @property
    def positions(self) -> range:
        """The positions of the command's events."""
        first = 0 if self.first_position is None else self.first_position
        return range(first, first + self.event_count)
