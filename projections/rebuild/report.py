"""What a rebuild tells: what it made, and where that is not what was live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobledger.projections.rebuild.generations import Difference, Hashed


@dataclass(slots=True)
class Rebuilt:
    """A projection rebuilt: its generation, what its tables hold, and whether they were compared with the live ones.

    They are not where there were none, or of another fold: then there is nothing they should be equal to.
    """

    name: str
    generation: int
    fold_version: int
    is_compared: bool
    tables: dict[str, Hashed] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What became of a rebuild: of *events* events, up to before *position*. With differences nothing was put in place."""

    org: str
    projections: list[Rebuilt] = field(default_factory=list)
    events: int = 0
    position: int = 0
    took_s: float = 0.0
    folding_s: float = 0.0
    last_step_s: float = 0.0
    differences: list[Difference] = field(default_factory=list)


class RowsDiffer(Exception):  # it tells what was found; who asked for the rebuild is answered with a report
    """The rows that were made are not those that are live."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__()
        self.differences = differences
