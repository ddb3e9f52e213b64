"""A process that says where it is, and goes no further: there it is killed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.store.ledger import Ledger

# By the command that is a step the place before it, or after it.
Places = Mapping[type[Command], str]


def stop_at(place: str) -> None:
    """Say that the place is reached, and never go on."""
    print(place, flush=True)
    threading.Event().wait()


def stop_at_commands(place: str, before: Places, after: Places) -> None:
    """Let this process stop before a command is asked for, or after it was decided, if that is the place."""
    enqueue = Ledger.enqueue

    async def enqueue_and_stop(ledger: Ledger, command: Command) -> asyncio.Future[Outcome]:
        if before.get(type(command)) == place:
            stop_at(place)
        future = await enqueue(ledger, command)
        if after.get(type(command)) == place:
            await future
            stop_at(place)
        return future

    Ledger.enqueue = enqueue_and_stop  # type: ignore[method-assign, assignment]


def stopping_after(place: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """*call*, behind which this process stops."""

    def call_and_stop(*arguments: Any, **members: Any) -> Any:
        result = call(*arguments, **members)
        stop_at(place)
        return result

    return call_and_stop
