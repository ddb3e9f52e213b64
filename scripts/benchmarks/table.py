"""What was measured, and the table that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which *fraction* of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: our value of each round, and what it is held against.

    Against a peer, or ourselves elsewhere: ``others``, its value of each round, and the ratio of the medians counts. Without
    one the median itself counts. ``least`` or ``most`` is what must be reached.
    """

    what: str
    unit: str
    ours: Sequence[float]
    others: Sequence[float] = ()
    other_name: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours by the other's, of the medians."""
        return median(self.ours) / median(self.others) if self.others else None

    @property
    def is_met(self) -> bool | None:
        """Whether it reached what it must; None where nothing is asked."""
        counted = median(self.ours) if self.ratio is None else self.ratio
        if self.least is not None:
            return counted >= self.least
        return None if self.most is None else counted <= self.most

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        times = "×" if self.others else f" {self.unit}"
        must = ""
        if self.least is not None:
            must = f"≥ {shown(self.least)}{times}"
        elif self.most is not None:
            must = f"≤ {shown(self.most)}{times}"
        return (
            self.what,
            f"{shown(median(self.ours))} {self.unit} ({shown(min(self.ours))}–{shown(max(self.ours))})",
            f"{shown(median(self.others))} {self.unit} ({self.other_name})" if self.others else "",
            "" if self.ratio is None else f"{self.ratio:.2f}×",
            must,
            {True: "yes", False: "NO", None: ""}[self.is_met],
        )


def shown(number: float) -> str:
    """Three digits that tell, thousands apart."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


HEADINGS = ("what", "ours: median (min–max)", "peer or limit: median", "ratio", "must reach", "met")


def table(rows: Sequence[Row]) -> str:
    """All rows, as Markdown with its columns in line."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)
