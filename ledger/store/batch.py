"""Deciding a batch in memory: each command a unit of work of its own, on copies, and the rows it comes to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, cast

import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import AnyAggregate, Caller, Command, Effect, Find, Outcome, Result, UnitOfWork
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.codec import encode_content, encode_header, encode_private, leaf_of, wire_time
from jobledger.ledger.store.head import ACCESS_AT, Head
from jobledger.ledger.store.projection import Changed

LARGEST_COMMAND_EVENTS = 10_000
# So many are encoded before others of this process have a turn.
EVENTS_A_TURN = 100


# An event to be written: its header, its content, its private content; its stream, version and type.
EventRow: TypeAlias = tuple[bytes, bytes, bytes | None, str, int, str]


@dataclass(slots=True)
class Rows:
    """What a batch has decided and not yet written."""

    first_position: int
    events: list[EventRow] = field(default_factory=list)
    changed: dict[str, Changed] = field(default_factory=dict)
    effects: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    answers: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The position after the last of these events."""
        return self.first_position + len(self.events)

    def split(self, most: int) -> tuple[Rows, Rows]:
        """The first *most* events with as many changed rows, and the rest; effects and answers go with the last."""
        changed = list(self.changed.items())
        first = Rows(self.first_position, self.events[:most], dict(changed[:most]))
        rest = Rows(self.first_position + most, self.events[most:], dict(changed[most:]), self.effects, self.answers)
        return first, rest

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.events or self.effects or self.answers)


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
        if len(self.rows.events) > most_events:
            taken, self.rows = self.rows.split(most_events)
        else:
            taken, self.rows = self.rows, Rows(self.size)
        return taken

    def execute(self, command: Command, answers: Mapping[Find, Any]) -> Outcome:
        """Decide a command and add what it comes to; a refusal leaves no trace. Raises LedgerError."""
        unit = Unit(self, answers)
        result = command.decide(unit)
        self._must_not_be_too_many(command, unit)
        return self._conclude(command, unit, result, self._encoded(unit.events, command.caller, self.size))

    def steps(self, command: Command, answers: Mapping[Find, Any]) -> Generator[None, None, Outcome]:
        """As ``execute``, with a pause now and then."""
        unit = Unit(self, answers)
        result = yield from command.deciding(unit)
        self._must_not_be_too_many(command, unit)
        encoded: list[EventRow] = []
        for begin in range(0, len(unit.events), EVENTS_A_TURN):
            yield
            turn = unit.events[begin : begin + EVENTS_A_TURN]
            encoded += self._encoded(turn, command.caller, self.size + begin)
        yield
        return self._conclude(command, unit, result, encoded)

    def _must_not_be_too_many(self, command: Command, unit: Unit) -> None:
        if len(unit.events) > LARGEST_COMMAND_EVENTS and command.is_counted:
            raise InvalidCommandError(
                f"One request makes at most {LARGEST_COMMAND_EVENTS} events.", limit=LARGEST_COMMAND_EVENTS
            )

    def _encoded(self, events: Sequence[Aggregate.Event], caller: Caller, position: int) -> list[EventRow]:
        """The rows of a command's events, from *position* on. Raises as ``encode_content``."""
        encoded: list[EventRow] = []
        for event in events:
            body, private = encode_content(event, caller), encode_private(event)
            header = encode_header(self.org, position, self.recorded_at, event, caller.principal, body, private)
            encoded.append((header, body, private, event.originator_id, event.originator_version, event.type_name))
            position += 1
        return encoded

    def _conclude(self, command: Command, unit: Unit, result: dict[str, Any], encoded: list[EventRow]) -> Outcome:
        outcome = Outcome(
            result=result,
            first_position=self.size if unit.events else None,
            event_count=len(unit.events),
            recorded_at=self.now,
            events=tuple(unit.events),
        )
        key = command.idempotency
        if key is not None:
            # Encoded before anything is added: an answer that cannot be written refuses its command alone.
            answer = (command.caller.principal, key.key, key.request_hash, self._encode_answer(outcome))
            self.rows.answers.append(answer)
            self.answered[command.caller.principal, key.key] = (key.request_hash, outcome)
        self._accept(unit, encoded)
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

    def _accept(self, unit: Unit, encoded: list[EventRow]) -> None:
        rows = self.rows
        for kind, row in unit.effects:
            rows.effects.setdefault(kind, []).append(row)
        if encoded:
            rows.events += encoded
            if self.first_leaf is None:
                self.first_leaf = leaf_of(encoded[0][0])
            self.last_header = encoded[-1][0]
            self.size += len(encoded)
            self.event_count += len(encoded)
            for header, body, private, *_ in encoded:
                self.size_bytes += len(header) + len(body)
                if private is not None:
                    self.size_bytes += len(private)
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

    def __init__(self, batch: Batch, answers: Mapping[Find, Any], within: Unit | None = None) -> None:
        self._batch = batch
        self._answers = answers
        self._within = within
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
            original = self._original(stream)
            if original is None:
                return None
            copy = self.touched[stream] = original.working_copy(self.events)
        return cast("AnyAggregate", copy)

    def see(self, kind: type[AnyAggregate], stream: str) -> AnyAggregate | None:
        """See ``UnitOfWork``. KeyError for a stream that the command did not declare."""
        return cast("AnyAggregate | None", self.touched.get(stream) or self._original(stream))

    def _original(self, stream: str) -> Aggregate | None:
        if self._within is None:
            return self._batch.aggregates[stream]
        return self._within.touched.get(stream) or self._within._original(stream)  # one of its own kind

    def attempt(self, decide: Callable[[UnitOfWork], Result]) -> Result:
        """See ``UnitOfWork``."""
        part = Unit(self._batch, self._answers, self)
        result = decide(part)
        # What it only looked at is as it was.
        for stream in dict.fromkeys(it.originator_id for it in part.events):
            changed = self.touched[stream] = part.touched[stream]
            changed.join(self.events)
        self.events += part.events
        self.numbers |= part.numbers
        self.effects += part.effects
        self.outdated += part.outdated
        return result

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
        if counter in self.numbers:
            return self.numbers[counter]
        return self._batch.numbers.get(counter, 0) if self._within is None else self._within._last_number(counter)

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
