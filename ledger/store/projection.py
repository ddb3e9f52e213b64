"""What the store knows of projections. The folds themselves are wired in where a server is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

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
    """An event of a type that a catch-up projection counts: its type, and its aggregate as it is by now."""

    type_name: str
    aggregate: Aggregate


class CatchUpProjection(Projection, Protocol):
    """A projection whose rows follow the ledger, in the order of its positions, each event once.

    It counts events of ``event_types`` alone, each by what its aggregate is by now: so only what no later event changes, not
    even one with which contents leave the store.
    """

    @property
    def event_types(self) -> frozenset[str]:
        """The types of event that it counts."""

    def counts(self, events: Sequence[Happened]) -> Sequence[tuple[str, Sequence[Any]]]:
        """Which statements add these events to the rows, with their columns, in an order that never deadlocks."""
