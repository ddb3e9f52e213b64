"""What was refused: attempts of principals that lacked the right, or that a rule which guards what is kept forbade, and logins
that failed.

The first of a kind is an event at once, those that follow within a minute are counted, and told by the next one. So whoever
tries again and again fills no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, ClassVar, NamedTuple

from jobledger.ledger.domain.access import principal_stream
from jobledger.ledger.domain.aggregate import Aggregate, members_of
from jobledger.ledger.domain.command import Caller, Command, UnitOfWork
from jobledger.ledger.errors import UnavailableError

# Kinds beside the codes of errors.
DOMAIN = "domain"
LOGIN = "login"
ORG = "org"
# Of a principal and kind, at most one event in so long.
USUAL_INTERVAL = timedelta(minutes=1)
RECORD_DENIALS = "ledger.record_denials"


def denial_stream(principal_id: int, at: datetime) -> str:
    """The stream of what a principal was refused on a day (UTC): one for all days would take ever longer to load."""
    return f"{denied_streams(principal_id)}{at:%Y%m%d}"


def denied_streams(principal_id: int) -> str:
    """What all of a principal's begin with."""
    return f"denied-{principal_id}-"


def principal_denied(stream: str) -> int:
    """Whose stream it is."""
    return int(stream.split("-")[1])


class Asked(NamedTuple):
    """What was asked for in vain: *what* is a method and a route, or a command, never what a client chose to write in a path.

    ``needs`` is the capability that was lacking, if it was one.
    """

    what: str
    job_id: int | None = None
    needs: str | None = None
    via: str | None = None
    address: str | None = None

    def told(self, count: int) -> dict[str, Any]:
        """As the event has it: ``{"what", "job_id"?, "needs"?, "via"?, "from"?, "count"}``."""
        members = {"job_id": self.job_id, "needs": self.needs, "via": self.via, "from": self.address}
        return {"what": self.what, **{name: it for name, it in members.items() if it is not None}, "count": count}


class Denials(Aggregate):
    """What one principal was refused on one day: when it was last told, by kind."""

    told_at: Mapping[str, datetime]

    class Denied(Aggregate.Created):
        """A principal was refused *count* times what is of this kind, from ``first_at`` to ``last_at`` by the server's clock.

        ``kind`` is ``not_allowed`` (a capability is lacking), ``domain``, ``org``, ``login`` (somebody gave the principal's name
        and no password of its), or the rule that forbade it, such as ``job_is_held``. ``asked`` tells the first few different
        ones: see ``Asked``. The content's ``via``, ``from`` and ``request`` are the first one's.
        """

        type_name: ClassVar[str] = "access.denied"
        aggregate_class: ClassVar[type[Aggregate]]
        times: ClassVar[tuple[str, ...]] = ("first_at", "last_at")
        principal_id: int
        kind: str
        count: int
        asked: list[dict[str, Any]]
        first_at: datetime
        last_at: datetime

        def mutate(self, aggregate: Any) -> Any:
            """The first one of a day begins its stream."""
            return super().mutate(None) if aggregate is None else Aggregate.Event.mutate(self, aggregate)

        def apply(self, aggregate: Denials) -> None:
            """Know when."""
            told_at = {} if self.originator_version == 1 else aggregate.told_at
            aggregate.told_at = {**told_at, self.kind: self.timestamp}


Denials.Denied.aggregate_class = Denials


def denied_caller(org: str, principal_id: int, kind: str, via: str, address: str | None, request: str | None) -> Caller:
    """Who an event of what was refused is by: the principal; of a failed login the ledger, as nobody knows who that was."""
    by = "ledger" if kind == LOGIN else principal_stream(principal_id)
    return Caller(
        org=org, principal=by, capabilities=frozenset({RECORD_DENIALS}), via=via, address=address, request=request
    )


@dataclass(slots=True, kw_only=True, eq=False)
class RecordDenials(Command):
    """Record what a principal was refused; ``is_last``: without waiting, as the server stops.

    ``interval`` is how long after the last of its kind, by whichever server, there may be none.
    """

    capability: ClassVar[str] = RECORD_DENIALS
    stream: str
    principal_id: int
    kind: str
    count: int
    asked: list[dict[str, Any]]
    first_at: datetime
    last_at: datetime
    interval: timedelta = USUAL_INTERVAL
    is_last: bool = False

    def streams(self) -> Iterable[str]:
        """The principal's of the day."""
        return (self.stream,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises UnavailableError, saying for how long, where one of its kind was told lately."""
        known = unit.get(Denials, self.stream)
        told_at = None if known is None else known.told_at.get(self.kind)
        if told_at is not None and not self.is_last:
            left = told_at + self.interval - unit.now
            if left > timedelta():
                raise UnavailableError("This was told lately.", retry_after_s=ceil(left.total_seconds()))
        members = {name: getattr(self, name) for name in members_of(Denials.Denied)}
        if known is None:
            unit.begin(Denials.Denied, self.stream, **members)
        else:
            known.trigger_event(Denials.Denied, timestamp=unit.now, **members)
        return {"count": self.count}
