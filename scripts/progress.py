"""What shows how far long work is: a bar, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ProgressBar:
    """A bar, or nothing where nobody looks."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def set_total(self, total: int) -> None:
        """Of how much it will be, as far as is known."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.refresh()

    def add(self, done: int) -> None:
        """So much more is done."""
        if self._bar is not None:
            self._bar.update(done)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[ProgressBar]:
    """A bar on standard error."""
    if not sys.stderr.isatty():
        yield ProgressBar(None)
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, unit_scale=True, unit_divisor=1024) as bar:
        yield ProgressBar(bar)
