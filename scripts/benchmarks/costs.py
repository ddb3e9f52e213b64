"""Where the time of appending goes: what each step costs this process, and what Postgres does meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

import asyncpg

from jobledger.ledger.store import appender, batch, cache, pipeline, sequencer, writer
from jobledger.projections import jobs

# What only the statement that appends has in it.
APPEND = "INSERT INTO event"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Cost:
    """What calls of one step came to, in seconds: of this thread's processor time, and of waiting too where it waits."""

    calls: int = 0
    running_s: float = 0.0
    lasting_s: float = 0.0


@dataclass(slots=True)
class Costs:
    """The costs of some time of work."""

    steps: dict[str, Cost] = field(default_factory=dict)
    process_s: float = 0.0
    postgres_s: float = 0.0
    lasting_s: float = 0.0

    def of(self, name: str) -> Cost:
        """The step's cost so far."""
        return self.steps.setdefault(name, Cost())

    def text(self, events: int) -> str:
        """All of it, by event."""

        def line(name: str, running_s: float, lasting_s: float | None = None, calls: int | None = None) -> str:
            running = f"{1e6 * running_s / events:9.1f}"
            lasting = " " * 9 if lasting_s is None else f"{1e6 * lasting_s / events:9.1f}"
            return f"  {name:<44}{running}{lasting}{'' if calls is None else f'{calls:9,}'}"

        lines = [f"  {'µs an event':<44}{'running':>9}{'lasting':>9}{'calls':>9}"]
        for name, cost in self.steps.items():
            lines.append(line(name, cost.running_s, cost.lasting_s or None, cost.calls))
        lines.append(line("this process, all", self.process_s, self.lasting_s))
        lines.append(line("Postgres, all its processes", self.postgres_s))
        return "\n".join(lines)


class Stepped:
    """An awaitable of a coroutine that adds up how long it runs between its waits."""

    def __init__(self, work: Coroutine[Any, Any, Any], cost: Cost) -> None:
        self._work = work
        self._cost = cost

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        advance: Callable[[], Any] = steps.__next__
        while True:
            began = thread_time()
            try:
                waited_for = advance()
            except StopIteration as end:
                return end.value
            finally:
                self._cost.running_s += thread_time() - began
            try:
                sent = yield waited_for
                advance = steps.__next__ if sent is None else _sending(steps, sent)
            except BaseException as error:
                advance = _throwing(steps, error)


def _sending(steps: Generator[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: steps.send(value)


def _throwing(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)


def _statement_step(_connection: Any, sql: str, *_arguments: Any) -> str | None:
    if sql in ("BEGIN", "COMMIT"):
        return sql
    return "statement: encode, send, wait" if APPEND in sql else None


@contextmanager
def measured_costs(postmaster: int) -> Iterator[Costs]:
    """The costs of what is done within."""
    costs = Costs()
    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        replaced.append((owner, name, original))
        setattr(owner, name, wrapper(original))

    def called(step: str) -> Callable[[Any], Any]:
        def wrap(original: Any) -> Any:
            cost = costs.of(step)

            def call(*arguments: Any, **options: Any) -> Any:
                cost.calls += 1
                began = thread_time()
                try:
                    return original(*arguments, **options)
                finally:
                    cost.running_s += thread_time() - began

            return call

        return wrap

    def awaited(step_of: Callable[..., str | None]) -> Callable[[Any], Any]:
        def wrap(original: Any) -> Any:
            async def call(*arguments: Any, **options: Any) -> Any:
                step = step_of(*arguments)
                if step is None:
                    return await original(*arguments, **options)
                cost = costs.of(step)
                cost.calls += 1
                began = perf_counter()
                try:
                    return await Stepped(original(*arguments, **options), cost)
                finally:
                    cost.lasting_s += perf_counter() - began

            return call

        return wrap

    replace(sequencer.Sequencer, "enqueue", awaited(lambda *_: "queue a command"))
    replace(batch.Batch, "execute", called("decide and encode, all of it"))
    replace(batch, "encode_content", called("  content"))
    replace(batch, "encode_header", called("  header"))
    replace(batch.Batch, "_encode_answer", called("  answer kept under a key"))
    replace(batch.Batch, "_accept", called("  accept into the batch"))
    replace(pipeline.Pipeline, "_load", awaited(lambda *_: "load what is not remembered"))
    replace(writer.OrgWriter, "_lock_head", awaited(lambda *_: "lock the head"))
    replace(appender.Appender, "prepare_ahead", called("put the statement together, all of it"))
    replace(jobs.JobsProjection, "writes", called("  render job rows"))
    for name in ("execute", "fetch", "fetchval"):
        replace(asyncpg.Connection, name, awaited(_statement_step))
    replace(cache.Cache, "put", called("remember"))
    replace(pipeline.Flight, "answer", called("answer the callers"))
    began, process_began, postgres_began = perf_counter(), process_time(), children_s(postmaster)
    try:
        yield costs
    finally:
        costs.lasting_s = perf_counter() - began
        costs.process_s = process_time() - process_began
        costs.postgres_s = children_s(postmaster) - postgres_began
        for owner, name, original in reversed(replaced):
            setattr(owner, name, original)


def process_s(pid: int) -> float:
    """The processor time, in seconds, that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def children_s(parent: int) -> float:
    """The processor time, in seconds, that the living children of a process have taken."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_A_SECOND
