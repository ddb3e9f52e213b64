"""The aggregates that a server remembers, as they stood after the last append it knows of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.store.head import Head


class Memory:
    """Room for the least recently used aggregates of all orgs, bounded by weight."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._weight_bytes = 0
        self._entries: OrderedDict[tuple[object, str], tuple[Aggregate, int]] = OrderedDict()

    def get(self, key: tuple[object, str]) -> Aggregate | None:
        """What is remembered under *key*."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def drop(self, key: tuple[object, str]) -> None:
        """Forget what is remembered under *key*, if there is anything."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight_bytes -= entry[1]

    def put(self, key: tuple[object, str], aggregate: Aggregate) -> None:
        """Remember it, and forget the least recently used beyond the limit."""
        weight = aggregate.weight_bytes
        previous = self._entries.get(key)
        self._weight_bytes += weight - (0 if previous is None else previous[1])
        self._entries[key] = (aggregate, weight)
        self._entries.move_to_end(key)
        while self._weight_bytes > self._limit_bytes:
            _key, (_aggregate, weight) = self._entries.popitem(last=False)
            self._weight_bytes -= weight


class Cache:
    """One org's part of the memory. ``head`` is the append after which what it gives is true."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._epoch = object()
        self.head: Head | None = None

    def get(self, stream: str) -> Aggregate | None:
        """The aggregate, if it is remembered."""
        return self._memory.get((self._epoch, stream))

    def put(self, aggregates: Iterable[Aggregate]) -> None:
        """Remember these, but for those that hardly anybody will ask for again: a purge of many would drive out all others."""
        for aggregate in aggregates:
            if aggregate.is_over:
                self._memory.drop((self._epoch, aggregate.id))
            else:
                self._memory.put((self._epoch, aggregate.id), aggregate)

    def clear(self) -> None:
        """Forget everything. What was remembered cannot be asked for any more, and makes room as it ages."""
        self._epoch = object()
        self.head = None
