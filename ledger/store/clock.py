"""The database's clock, as it can be told between two looks at it."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic


class DatabaseClock:
    """Tells the database's time by the last answer that had it: never ahead, behind by as long as that answer took to come."""

    def __init__(self) -> None:
        self._told: datetime | None = None
        self._heard_at = 0.0

    def hear(self, told: datetime) -> None:
        """Take the time from an answer that has just come."""
        self._told = told
        self._heard_at = monotonic()

    def now(self) -> datetime | None:
        """The database's time; None before it was ever heard."""
        if self._told is None:
            return None
        return self._told + timedelta(seconds=monotonic() - self._heard_at)
