"""An org's histories and keys, as its own stream tells: where each began, and with how much of those before it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Fork:
    """That the history *number* began with an event at *position*, and why.

    *kept*: of how many of its first events holds what was signed of the histories before, as it was found then.
    """

    position: int
    number: int
    reason: str
    kept: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """That another key signs what covers the event at *position*: its public half in hex, and the note that both keys signed."""

    position: int
    public_key: str
    note: str


class Lineage:
    """The histories of an org and who signs them. ``marks`` are in the order of their positions."""

    def __init__(self, marks: Iterable[Any]) -> None:
        """*marks*: position, type and content of each of the org's events that say so."""
        self.marks: list[Fork | KeyChange] = []
        for position, type_name, body in marks:
            data = orjson.loads(body)["data"]
            if type_name == "org.forked":
                self.marks.append(Fork(position, data["fork"], data["reason"], data.get("kept") or 0))
            else:
                self.marks.append(KeyChange(position, data["public_key"], data["note"]))

    @property
    def forks(self) -> list[Fork]:
        """The histories after the first."""
        return [it for it in self.marks if isinstance(it, Fork)]

    @property
    def key_changes(self) -> list[KeyChange]:
        """The keys after the first."""
        return [it for it in self.marks if isinstance(it, KeyChange)]

    @property
    def present(self) -> int:
        """The number of the one that goes on."""
        forks = self.forks
        return forks[-1].number if forks else 1

    @property
    def public_key(self) -> str | None:
        """The key that was last said to sign, in hex; None where no event has said so."""
        changes = self.key_changes
        return changes[-1].public_key if changes else None

    def kept_of(self, number: int) -> int | None:
        """Up to which size what was signed of a history holds in the present one; None for the present one: all of it."""
        return min((it.kept for it in self.forks if it.number > number), default=None)
