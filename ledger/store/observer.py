"""Who is told how appending goes: once a batch, never once an event."""

from __future__ import annotations

from typing import Protocol


class AppendObserver(Protocol):
    """Is called between two batches, so it must be quick, and must not raise."""

    def appended(self, events: int, took_s: float) -> None:
        """A batch of so many events is committed; *took_s* is what the database took to write and commit it."""

    def tried_again(self) -> None:
        """An append failed by no fault of its commands, and is tried again."""


class Unobserved:
    """Tells nobody."""

    def appended(self, events: int, took_s: float) -> None:
        """Nothing."""

    def tried_again(self) -> None:
        """Nothing."""


UNOBSERVED = Unobserved()
