"""Deciding one command of a batch, repeats of earlier requests among them, and how much makes a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from jobledger.ledger.domain.command import Command, Find, Outcome
from jobledger.ledger.errors import CallerIsOutdatedError, IdempotencyKeyReusedError
from jobledger.ledger.store.batch import Batch, decode_answer
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.statement import ledger_statement

# What was answered under a principal's Idempotency-Key, with the hash of the request.
Answers: TypeAlias = Mapping[tuple[str, str], tuple[bytes, Outcome]]


@dataclass(slots=True)
class Written:
    """A batch that was decided, and perhaps committed: what to answer, and how to recognise it in the store."""

    decisions: list[Outcome | Exception] = field(default_factory=list)
    batch: Batch | None = None
    is_commit_sent: bool = False


@dataclass(slots=True)
class Limits:
    """How large a batch grows; one command alone may be larger."""

    events: int = 1_000
    size_bytes: int = 4 * 1024 * 1024
    deciding_s: float = 0.020
    # Time spent deciding, without that in which parts of the batch were being written.
    decided_s: float = 0.0

    def are_reached(self, batch: Batch, command: Command) -> bool:
        """Whether *command* must wait for the next batch."""
        if batch.event_count == 0:
            return False
        return (
            batch.event_count + command.least_events > self.events
            or batch.size_bytes >= self.size_bytes
            or self.decided_s > self.deciding_s
        )


def decide(batch: Batch, command: Command, answers: Mapping[Find, Any], *remembered: Answers) -> Outcome | Exception:
    """What becomes of a command: decided on the batch, or answered as *remembered* under its Idempotency-Key."""
    try:
        _must_still_be_so(batch, command)
        repeated = _repeated(batch, command, *remembered)
        return batch.execute(command, answers) if repeated is None else repeated
    except Exception as refusal:
        # Deciding touches nothing but memory, and what fails there leaves no trace: it fails its command alone.
        return refusal


async def decide_at_length(
    batch: Batch, command: Command, answers: Mapping[Find, Any], *remembered: Answers
) -> Outcome | Exception:
    """As ``decide``, of a command that may take long: others of this process have a turn now and then."""
    try:
        _must_still_be_so(batch, command)
        repeated = _repeated(batch, command, *remembered)
        if repeated is not None:
            return repeated
        steps = batch.steps(command, answers)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            await asyncio.sleep(0)
    except Exception as refusal:
        return refusal


def _must_still_be_so(batch: Batch, command: Command) -> None:
    """Raise CallerIsOutdatedError where who may do what has changed since the caller was let in."""
    belief = command.caller.belief
    if belief is not None and belief.access_at != batch.access_at:
        raise CallerIsOutdatedError("Who may do what has changed.")


def _repeated(batch: Batch, command: Command, *remembered: Answers) -> Outcome | None:
    if command.idempotency is not None:
        key = (command.caller.principal, command.idempotency.key)
        for known in (batch.answered, *remembered):
            if key in known:
                return _repeat(command, *known[key])
    return None


async def recall(
    connection: Connection, org: str, now: datetime, commands: Sequence[Command]
) -> dict[tuple[str, str], tuple[bytes, Outcome]]:
    """What was answered before to the commands' Idempotency-Keys."""
    keys = [(it.caller.principal, it.idempotency.key) for it in commands if it.idempotency is not None]
    if not keys:
        return {}
    principals, names = zip(*keys, strict=True)
    records = await connection.fetch(ledger_statement("recall_answers"), org, now, list(principals), list(names))
    return {(r["principal"], r["key"]): (r["request_hash"], decode_answer(r["answer"])) for r in records}


def refused_with_key(
    commands: Sequence[Command], decisions: Sequence[Outcome | Exception]
) -> dict[int, tuple[str, str]]:
    """The Idempotency-Keys of the refused, by their place; without those of whom it must first be asked who they are."""
    return {
        number: (command.caller.principal, command.idempotency.key)
        for number, (command, decision) in enumerate(zip(commands, decisions, strict=False))
        if isinstance(decision, Exception)
        and command.idempotency is not None
        and not isinstance(decision, CallerIsOutdatedError)
    }


def answer_as_remembered(
    commands: Sequence[Command],
    decisions: list[Outcome | Exception],
    refused: Mapping[int, tuple[str, str]],
    remembered: Answers,
    batch: Batch,
) -> None:
    """Give the refused whose request was accepted before that answer: it is for what it did that it is refused now.

    A refusal writes no answer, so that none is found out by being there twice.
    """
    for number, key in refused.items():
        # What this batch itself remembers was accepted after the refusal.
        if key in remembered and key not in batch.answered:
            decisions[number] = _repeat_or_refuse(commands[number], *remembered[key])


def _repeat(command: Command, request_hash: bytes, outcome: Outcome) -> Outcome:
    assert command.idempotency is not None
    if request_hash != command.idempotency.request_hash:
        raise IdempotencyKeyReusedError(
            "This Idempotency-Key was sent with another request.", key=command.idempotency.key
        )
    return outcome._replace(is_repeated=True, events=())


def _repeat_or_refuse(command: Command, request_hash: bytes, outcome: Outcome) -> Outcome | Exception:
    try:
        return _repeat(command, request_hash, outcome)
    except IdempotencyKeyReusedError as refusal:
        return refusal
