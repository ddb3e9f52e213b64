"""What the store knows of projections. The folds themselves are wired in where a server is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.store.database import Connection


@dataclass(frozen=True, slots=True)
class Changed:
    """An aggregate that a batch changed: as it was, None where it began, and as it is."""

    before: Aggregate | None
    after: Aggregate


@dataclass(frozen=True, slots=True)
class ProjectedTable:
    """A table that a projection fills; its primary key begins with ``org, gen``, and mostly with the columns of ``key``.

    ``key`` are the columns, of the Postgres types ``key_types``, by which rows are gone through and looked up when two generations
    are compared; ``row`` what else tells rows apart. ``condition`` is of the rows that mean anything. A key's text has its columns'
    with commas between them.
    """

    name: str
    key: tuple[str, ...] = ("id",)
    key_types: tuple[str, ...] = ("integer",)
    row: tuple[str, ...] = ()
    condition: str = "true"


# A table and the key of rows in it, as text.
Key: TypeAlias = tuple[str, str]


class Projection(Protocol):
    """A fold and the tables it fills.

    ``name`` and ``fold_version`` say what its rows mean: a server whose version is not the head's does not write them.
    ``aggregate_class`` is the class whose aggregates it is about.
    """

    @property
    def name(self) -> str:
        """What the head calls it."""

    @property
    def fold_version(self) -> int:
        """Raised whenever the same events would make other rows."""

    @property
    def aggregate_class(self) -> type[Aggregate]:
        """Whose streams it is about."""

    @property
    def tables(self) -> Sequence[ProjectedTable]:
        """All tables it fills."""

    @property
    def write_statements(self) -> Mapping[str, str]:
        """Data-modifying statements over unnested arrays, by name: ``$1`` org, ``$2`` generation, then the columns."""

    def keys(self, changed: Changed) -> Iterable[Key]:
        """Where the rows are that this aggregate had a part in, and has."""


class InlineProjection(Projection, Protocol):
    """A projection whose rows are written in the append's own transaction.

    A server whose fold version is not the head's does not append.
    """

    @property
    def loaded_by(self) -> str | None:
        """The projection whose rows its aggregates are loaded from, with which it is rebuilt; None where that is itself."""

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """Which statements bring the rows of these changes up to date, with their columns; no row in two of them."""

    @property
    def finds(self) -> frozenset[str]:
        """The kinds of find that it answers."""

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """The answer to each of some finds of one kind, from one statement."""

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """The aggregates as the rows have them, at the versions the rows have; those with no row are left out."""


class AnswersNothing:
    """Base of the projections that answer no find."""

    finds: ClassVar[frozenset[str]] = frozenset()

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. KeyError whatever is asked."""
        raise KeyError(kind)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a type that a projection counts: its type, and its aggregate as it is by now."""

    type_name: str
    aggregate: Aggregate


class CatchUpProjection(Projection, Protocol):
    """A projection whose rows follow the ledger, in the order of its positions, each event once.

    It is a ``CountingProjection`` or a ``TellingProjection``.
    """

    @property
    def event_types(self) -> frozenset[str]:
        """The types of event by which its rows change."""


@runtime_checkable
class CountingProjection(CatchUpProjection, Protocol):
    """It counts events, each by what its aggregate is by now: so only what no later event changes, not even one with which
    contents leave the store.
    """

    def counts(self, events: Sequence[Happened]) -> Sequence[tuple[str, Sequence[Any]]]:
        """Which statements add these events to the rows, with their columns, in an order that never deadlocks."""


class Tale(Protocol):
    """What is told of one stream, event by event. ``aggregate`` is what its fold begins with, after ``version`` events."""

    @property
    def aggregate(self) -> Aggregate | None:
        """None where it begins with the stream."""

    @property
    def version(self) -> int:
        """How many events are in it already."""

    def take(self, position: int, header: Mapping[str, Any], aggregate: Aggregate | None) -> None:
        """The next event, with the aggregate as it is after it, which is not to be kept: it goes on changing.

        None where that is not known: contents have left the store, as a later event covers.
        """


@runtime_checkable
class TellingProjection(CatchUpProjection, Protocol):
    """It tells how aggregates were at each event: of each stream a tale, from events as they are in the store.

    Besides events of ``event_types`` each ``every``-th of a stream changes its rows. What it tells must not depend on what private
    contents hold, and of a stream whose contents have left the store it tells nothing any more.
    """

    @property
    def every(self) -> int:
        """How far apart its snapshots are."""

    @property
    def stream_prefix(self) -> str:
        """What the names of its streams begin with."""

    @property
    def last_types(self) -> frozenset[str]:
        """The types of event after which it tells nothing of a stream any more, whatever came before and comes after."""

    def begin(self, stream: str) -> Tale:
        """The tale of a stream from its first event on."""

    async def go_on(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str], position: int
    ) -> Mapping[str, Tale]:
        """The tales of some streams, of which the rows have all before *position*."""

    def forgets(self, streams: Sequence[str]) -> Sequence[tuple[str, Sequence[Any]]]:
        """Which statements remove all rows of some streams, with their columns."""

    def tells(self, tales: Sequence[Tale]) -> Sequence[tuple[str, Sequence[Any]]]:
        """Which statements write what these tales came to, with their columns, in their order."""
