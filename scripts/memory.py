"""How a process that serves or folds looks for garbage."""

from __future__ import annotations

import gc

# Each append makes a few thousand objects that are gone with it: looking for cycles among them pays seldom.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def settle_memory() -> None:
    """Take what the start has made out of the collector's sight, and let it look seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
