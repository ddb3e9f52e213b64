"""Deciding a batch in memory: each command a unit of work of its own, on copies, and the rows it comes to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import AnyAggregate, Command, Effect, Find, Outcome
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.codec import encode_content, encode_header, leaf_of, wire_time
from jobledger.ledger.store.head import ACCESS_AT, Head
from jobledger.ledger.store.projection import Changed

LARGEST_COMMAND_EVENTS = 10_000


@dataclass(slots=True)
class Rows:
    """What a batch has decided and not yet written. Lists in step, one element an event."""

    first_position: int
    streams: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    changed: dict[str, Changed] = field(default_factory=dict)
    effects: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    answers: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The position after the last of these events."""
        return self.first_position + len(self.streams)

    def split(self, most: int) -> tuple[Rows, Rows]:
        """The first *most* events with as many changed rows, and the rest; effects and answers go with the last."""
        changed = list(self.changed.items())
        first = Rows(
            self.first_position,
            self.streams[:most],
            self.versions[:most],
            self.types[:most],
            self.headers[:most],
            self.bodies[:most],
            dict(changed[:most]),
        )
        rest = Rows(
            self.first_position + most,
            self.streams[most:],
            self.versions[most:],
            self.types[most:],
            self.headers[most:],
            self.bodies[most:],
            dict(changed[most:]),
            self.effects,
            self.answers,
        )
        return first, rest

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.streams or self.effects or self.answers)


class Batch:
    """The commands decided under one hold of the head's lock.

    *aggregates* holds every stream that the commands declared, None for those not begun. A unit's changes join it only when
    the whole unit is accepted; it is the writer's to put them into the cache, after COMMIT.
    """

    def __init__(self, org: str, head: Head, now: datetime, aggregates: dict[str, Aggregate | None]) -> None:
        self.org = org
        self.first_head = head
        self.now = now
        self.recorded_at = wire_time(now)
        self.first_position = head.size
        self.size = head.size
        self.last_header: bytes | None = None
        self.numbers: dict[str, int] = dict(head.numbers)
        self.projections = head.projections
        self.aggregates = aggregates
        self.accepted: dict[str, Aggregate] = {}
        self.outdated: set[tuple[str, Hashable]] = set()
        self.answered: dict[tuple[str, str], tuple[bytes, Outcome]] = {}
        # Whether the Idempotency-Keys are taken to be new, or were looked up.
        self.answers_statement = "remember_answers"
        self.rows = Rows(head.size)
        self.first_leaf: bytes | None = None
        self.event_count = 0
        self.size_bytes = 0

    @property
    def last_leaf(self) -> bytes:
        """The leaf of the last event, of this batch or before it."""
        return self.first_head.last_leaf if self.last_header is None else leaf_of(self.last_header)

    @property
    def access_at(self) -> int:
        """The ledger's size when who may do what was last changed, as it stands with what was accepted."""
        return self.numbers.get(ACCESS_AT, 0)

    def head(self) -> Head:
        """The head as it stands with what was accepted."""
        if not self.event_count:
            return self.first_head
        before = self.first_head
        return Head(self.size, self.last_leaf, self.now, dict(self.numbers), before.projections, before.fence)

    def is_outdated(self, find: Find) -> bool:
        """Whether an answer given when the batch began may have changed by what it has decided since."""
        if not self.outdated:
            return False
        return (find.kind, None) in self.outdated or any((find.kind, it) in self.outdated for it in find.subjects)

    def take_rows(self, most_events: int) -> Rows:
        """What is to be written next, up to so many events."""
        if len(self.rows.streams) > most_events:
            taken, self.rows = self.rows.split(most_events)
        else:
            taken, self.rows = self.rows, Rows(self.size)
        return taken

    def execute(self, command: Command, answers: Mapping[Find, Any]) -> Outcome:
        """Decide a command and add what it comes to; a refusal leaves no trace. Raises LedgerError."""
        unit = Unit(self, answers)
        result = command.decide(unit)
        events = unit.events
        if len(events) > LARGEST_COMMAND_EVENTS and command.is_counted:
            raise InvalidCommandError(
                f"One request makes at most {LARGEST_COMMAND_EVENTS} events.", limit=LARGEST_COMMAND_EVENTS
            )
        caller = command.caller
        bodies = [encode_content(event, caller) for event in events]
        headers = [
            encode_header(self.org, position, self.recorded_at, event, caller.principal, body)
            for position, (event, body) in enumerate(zip(events, bodies, strict=True), self.size)
        ]
        outcome = Outcome(
            result=result,
            first_position=self.size if events else None,
            event_count=len(events),
            recorded_at=self.now,
            events=tuple(events),
        )
        key = command.idempotency
        if key is not None:
            # Encoded before anything is added: an answer that cannot be written refuses its command alone.
            self.rows.answers.append((caller.principal, key.key, key.request_hash, self._encode_answer(outcome)))
            self.answered[caller.principal, key.key] = (key.request_hash, outcome)
        self._accept(unit, headers, bodies)
        return outcome

    def _encode_answer(self, outcome: Outcome) -> bytes:
        """What is remembered of an outcome under its Idempotency-Key."""
        return orjson.dumps(
            {
                "result": outcome.result,
                "first_position": outcome.first_position,
                "event_count": outcome.event_count,
                "recorded_at": self.recorded_at,
            }
        )

    def _accept(self, unit: Unit, headers: list[bytes], bodies: list[bytes]) -> None:
        rows = self.rows
        for event in unit.events:
            rows.streams.append(event.originator_id)
            rows.versions.append(event.originator_version)
            rows.types.append(event.type_name)
        rows.headers += headers
        rows.bodies += bodies
        for kind, row in unit.effects:
            rows.effects.setdefault(kind, []).append(row)
        if headers:
            if self.first_leaf is None:
                self.first_leaf = leaf_of(headers[0])
            self.last_header = headers[-1]
            self.size += len(headers)
            self.event_count += len(headers)
            self.size_bytes += sum(map(len, bodies)) + sum(map(len, headers))
        for stream, after in unit.touched.items():
            before = self.aggregates.get(stream)
            if before is not None and before.version == after.version:
                continue
            if after.decides_access:
                self.numbers[ACCESS_AT] = self.size
            after.settle()
            earlier = rows.changed.get(stream)
            rows.changed[stream] = Changed(before if earlier is None else earlier.before, after)
            self.aggregates[stream] = self.accepted[stream] = after
        if unit.numbers:
            self.numbers.update(unit.numbers)
        if unit.outdated:
            self.outdated.update(unit.outdated)


class Unit:
    """One command's unit of work. See ``UnitOfWork``."""

    def __init__(self, batch: Batch, answers: Mapping[Find, Any]) -> None:
        self._batch = batch
        self._answers = answers
        self.now = batch.now
        self.events: list[Aggregate.Event] = []
        self.touched: dict[str, Aggregate] = {}
        self.numbers: dict[str, int] = {}
        self.effects: list[tuple[str, tuple[Any, ...]]] = []
        self.outdated: list[tuple[str, Hashable]] = []

    def get(self, kind: type[AnyAggregate], stream: str) -> AnyAggregate | None:
        """See ``UnitOfWork``. KeyError for a stream that the command did not declare."""
        copy = self.touched.get(stream)
        if copy is None:
            original = self._batch.aggregates[stream]
            if original is None:
                return None
            copy = self.touched[stream] = original.working_copy(self.events)
        return cast("AnyAggregate", copy)

    def begin(self, event_class: type[Aggregate.Created], stream: str, **data: Any) -> Aggregate:
        """See ``UnitOfWork``."""
        begun = event_class.aggregate_class.begin(event_class, stream, self.now, self.events, **data)
        self.touched[stream] = begun
        return begun

    def found(self, find: Find) -> Any:
        """See ``UnitOfWork``."""
        return self._answers[find]

    def next_number(self, counter: str) -> int:
        """See ``UnitOfWork``."""
        number = self._last_number(counter) + 1
        self.numbers[counter] = number
        return number

    def use_number(self, counter: str, number: int) -> None:
        """See ``UnitOfWork``."""
        self.numbers[counter] = max(self._last_number(counter), number)

    def _last_number(self, counter: str) -> int:
        return self.numbers.get(counter, self._batch.numbers.get(counter, 0))

    def affect(self, effect: Effect) -> None:
        """See ``UnitOfWork``."""
        self.effects.append((effect.kind, effect.row))

    def outdate(self, kind: str, subject: Hashable = None) -> None:
        """See ``UnitOfWork``."""
        self.outdated.append((kind, subject))


def decode_answer(answer: bytes) -> Outcome:
    """The outcome that was remembered."""
    members = orjson.loads(answer)
    return Outcome(
        result=members["result"],
        first_position=members["first_position"],
        event_count=members["event_count"],
        recorded_at=datetime.fromisoformat(members["recorded_at"]),
    )
