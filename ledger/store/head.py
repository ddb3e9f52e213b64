"""An org's head: the one row by which its writers are serialised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import orjson

from jobledger.ledger.store.codec import EMPTY_LEAF

# Among the numbers: the size when what decides who may do what was last changed.
ACCESS_AT = "access_at"


@dataclass(frozen=True, slots=True)
class Head:
    """The head as one append left it: ``size`` events, the leaf of the last, when that was recorded, the numbers given out.

    ``fence`` is raised to shut out a batch that was decided without the lock, of which it is not known what became.
    """

    size: int
    last_leaf: bytes
    recorded_at: datetime
    numbers: Mapping[str, int]
    projections: Mapping[str, Mapping[str, int]]
    fence: int

    @property
    def access_at(self) -> int:
        """The size at which who may do what was last changed."""
        return self.numbers.get(ACCESS_AT, 0)

    def is_same_history_as(self, other: Head) -> bool:
        """Whether both are the same append's."""
        return self.size == other.size and self.last_leaf == other.last_leaf

    def generation(self, projection: str) -> int:
        """The live generation of a projection's rows."""
        return self.projections[projection]["gen"]

    def is_of_fold(self, projection: str, fold_version: int) -> bool:
        """Whether a projection's rows are those of this version of its fold."""
        live = self.projections.get(projection)
        return live is not None and live["fold"] == fold_version


# Before anything is recorded: Postgres's -infinity comes as this.
BEFORE_ALL_TIME = datetime.min.replace(tzinfo=UTC)


def read_head(record: asyncpg.Record) -> Head:
    """The head in a row of ``lock_head`` or ``read_head``."""
    recorded_at = record["recorded_at"]
    return Head(
        size=record["size"],
        last_leaf=record["last_leaf"] or EMPTY_LEAF,
        recorded_at=BEFORE_ALL_TIME if recorded_at.tzinfo is None else recorded_at,
        numbers=orjson.loads(record["numbers"]),
        projections=orjson.loads(record["projections"]),
        fence=record["fence"],
    )
