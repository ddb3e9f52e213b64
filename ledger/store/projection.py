"""What the store knows of an inline projection. The folds themselves are wired in where a server is put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.store.database import Connection


@dataclass(frozen=True, slots=True)
class Changed:
    """An aggregate that a batch changed: as it was, None where it began, and as it is."""

    before: Aggregate | None
    after: Aggregate


class InlineProjection(Protocol):
    """A fold whose rows are written in the append's own transaction.

    ``name`` and ``fold_version`` say what its rows mean: a server whose version is not the head's does not append.
    ``aggregate_class`` is the class whose aggregates it renders.
    """

    @property
    def name(self) -> str:
        """What the head calls it."""

    @property
    def fold_version(self) -> int:
        """Raised whenever the same events would make other rows."""

    @property
    def aggregate_class(self) -> type[Aggregate]:
        """Whose streams it renders."""

    @property
    def write_statements(self) -> Mapping[str, str]:
        """Data-modifying statements over unnested arrays, by name: ``$1`` org, ``$2`` generation, then the columns."""

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
