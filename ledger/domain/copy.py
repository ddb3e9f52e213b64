"""A storage policy's copy: where the data of jobs lies, as who backs up knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Find, UnitOfWork
from jobledger.ledger.errors import CopyStaysError, InvalidCommandError, NameIsTakenError, NotFoundError

LARGEST_COPY_ID = 2**31 - 1
DEFAULT_COMMCELL_ID = 2
# The other copies of a policy: asked by the policy's id, and by that of one of its copies.
COPIES_OF_POLICY = "copies_of_policy"
SIBLING_COPIES = "sibling_copies"
PREFIX = "copy-"


def copy_stream(copy_id: int) -> str:
    """The stream of the copy with this id."""
    return f"{PREFIX}{copy_id}"


def copy_id_of(stream: str) -> int | None:
    """The id of the copy whose stream this is, None for another kind of stream, or an id that no copy can have."""
    digits = stream.removeprefix(PREFIX)
    if digits == stream or len(digits) > 10 or not (digits.isascii() and digits.isdecimal()) or digits[0] == "0":
        return None
    copy_id = int(digits)
    return copy_id if copy_id <= LARGEST_COPY_ID else None


class Copy(Aggregate):
    """One copy. Which policy and commcell it is of never changes; ``copy_type`` is the vendor's number of its kind."""

    copy_id: int
    name: str
    storage_policy_id: int
    storage_policy_name: str
    commcell_id: int
    copy_type: int
    precedence: int
    is_default: bool
    is_snap: bool
    is_active: bool

    class Event(Aggregate.Event):
        """Base of a copy's events."""

    class Registered(Event, Aggregate.Created):
        """The copy became known."""

        type_name: ClassVar[str] = "copy.registered"
        name: str
        storage_policy_id: int
        storage_policy_name: str
        commcell_id: int
        copy_type: int
        precedence: int
        is_default: bool
        is_snap: bool
        is_active: bool

        def apply(self, aggregate: Copy) -> None:
            """Begin."""
            aggregate.copy_id = int(self.originator_id.removeprefix(PREFIX))
            aggregate.__dict__.update(self.data)

    class Changed(Event):
        """What may change of a copy, whole."""

        type_name: ClassVar[str] = "copy.changed"
        name: str
        storage_policy_name: str
        copy_type: int
        precedence: int
        is_default: bool
        is_snap: bool
        is_active: bool

        def apply(self, aggregate: Copy) -> None:
            """It takes the place of what was."""
            aggregate.__dict__.update(self.data)


Copy.Registered.aggregate_class = Copy


@dataclass(slots=True, kw_only=True, eq=False)
class PutCopy(Command):
    """Register a copy under its own id, or change it; one that is so already stays as it is.

    The result is ``{"id", "version"}``.
    """

    capability: ClassVar[str] = "jobs.copy"
    copy_id: int
    name: str
    storage_policy_id: int
    storage_policy_name: str
    commcell_id: int = DEFAULT_COMMCELL_ID
    copy_type: int = 1
    precedence: int = 1
    is_default: bool = False
    is_snap: bool = False
    is_active: bool = True

    def __post_init__(self) -> None:
        """Raises InvalidCommandError for ids that are none."""
        for name in ("copy_id", "storage_policy_id", "commcell_id"):
            if not 1 <= getattr(self, name) <= LARGEST_COPY_ID:
                raise InvalidCommandError(f"{name} is 1 to {LARGEST_COPY_ID}.", member=name)

    def streams(self) -> Iterable[str]:
        """The copy."""
        return (copy_stream(self.copy_id),)

    def finds(self) -> Iterable[Find]:
        """The copies of the policy."""
        return (Find(COPIES_OF_POLICY, (self.storage_policy_id,)),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises CopyStaysError, NameIsTakenError: clients find a policy's copies by their names, whatever the case."""
        given = {
            "name": self.name,
            "storage_policy_name": self.storage_policy_name,
            "copy_type": self.copy_type,
            "precedence": self.precedence,
            "is_default": self.is_default,
            "is_snap": self.is_snap,
            "is_active": self.is_active,
        }
        places = {"storage_policy_id": self.storage_policy_id, "commcell_id": self.commcell_id}
        copy = unit.get(Copy, copy_stream(self.copy_id))
        if copy is not None and any(getattr(copy, name) != value for name, value in places.items()):
            raise CopyStaysError(
                f"Copy {self.copy_id} is of storage policy {copy.storage_policy_id} in commcell {copy.commcell_id}.",
                copy_id=self.copy_id,
                storage_policy_id=copy.storage_policy_id,
                commcell_id=copy.commcell_id,
            )
        for other_id, name in unit.found(Find(COPIES_OF_POLICY, (self.storage_policy_id,))):
            if other_id != self.copy_id and name.lower() == self.name.lower():
                raise NameIsTakenError(
                    f"Copy {other_id} of storage policy {self.storage_policy_id} is called {name}.", copy_id=other_id
                )
        if copy is None:
            copy = unit.begin(Copy.Registered, copy_stream(self.copy_id), **given, **places)  # type: ignore[assignment]  # what begins with it
            assert copy is not None
        elif all(getattr(copy, name) == value for name, value in given.items()):
            return {"id": self.copy_id, "version": copy.version}
        else:
            copy.trigger_event(Copy.Changed, timestamp=unit.now, **given)
        unit.outdate(COPIES_OF_POLICY, self.storage_policy_id)
        unit.outdate(SIBLING_COPIES)
        return {"id": self.copy_id, "version": copy.version}


def known_copy(unit: UnitOfWork, copy_id: int) -> Copy:
    """The copy, only to be looked at. Raises NotFoundError."""
    copy = unit.see(Copy, copy_stream(copy_id))
    if copy is None:
        raise NotFoundError(f"There is no copy {copy_id}.", copy_id=copy_id)
    return copy
