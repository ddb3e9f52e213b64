"""The ledger: the one way to change anything, and the way to read what was recorded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import uuid4

import orjson

from jobledger.ledger.domain.access import CreateOrg, must_be_org_name
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Caller, Command, Outcome
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import must_be_here
from jobledger.ledger.errors import (
    CallerIsOutdatedError,
    LedgerError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from jobledger.ledger.store.announcement import Announcer
from jobledger.ledger.store.appender import Appender
from jobledger.ledger.store.cache import Cache, Memory
from jobledger.ledger.store.clock import DatabaseClock
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.following import Following
from jobledger.ledger.store.loading import load_aggregates
from jobledger.ledger.store.observer import UNOBSERVED, AppendObserver
from jobledger.ledger.store.projection import CatchUpProjection, InlineProjection
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.store.sequencer import Sequencer
from jobledger.ledger.store.statement import ledger_statement
from jobledger.ledger.store.writer import OrgWriter

# What all orgs' remembered aggregates may take together.
MEMORY_BYTES = 64 * 1024 * 1024
# Of one command.
PARTS_QUEUED = 2


def ledger_itself(org: str) -> Caller:
    """The caller of what the ledger does in *org* by its own rules."""
    return Caller(
        org=org,
        principal="ledger",
        capabilities=frozenset(
            {"ledger.watch", "ledger.fire", "ledger.work", "orgs.manage", "principals.manage", "tokens.manage"}
        ),
        via="ledger",
        request=str(uuid4()),
    )


class Ledger:
    """Every org's ledger in one database, as this process sees and changes it."""

    def __init__(
        self,
        database: Database,
        projections: Sequence[InlineProjection],
        observer: AppendObserver = UNOBSERVED,
        catch_up_projections: Sequence[CatchUpProjection] = (),
    ) -> None:
        self.database = database
        self.recorder = Recorder(database)
        self.following = Following(database, self.recorder)
        self.projections = projections
        self.catch_up_projections = catch_up_projections
        # Called with the org and its ledger's size after each append of this process; they must be quick, and must not raise.
        self.told_of_appends: list[Callable[[str, int], None]] = []
        self._appender = Appender(projections)
        self._observer = observer
        self._clock = DatabaseClock()
        self._memory = Memory(MEMORY_BYTES)
        self._announcer = Announcer(database.url)
        self._sequencers: dict[str, Sequencer] = {}
        self._is_closing = False

    async def execute(self, command: Command) -> Outcome:
        """Decide *command* and record what it comes to; durable when this returns.

        Raises LedgerError with nothing recorded, but for OutcomeUnknownError; CorruptLedgerError where the org's writing has
        stopped. Of a command of several parts OutcomeUnknownError also says that only some of them were recorded; repeated, it
        does the rest, and comes to what it would have come to.
        """
        parts = command.parts()
        if len(parts) == 1:
            return await (await self.enqueue(command))
        return command.joined(await self._execute_in_turn(parts))

    async def _execute_in_turn(self, parts: Sequence[Command]) -> list[Outcome]:
        """What becomes of the parts, in order: few are queued at once, so that others come in between."""
        # What refuses the first refuses all of them.
        outcomes = [await (await self.enqueue(parts[0]))]
        queued: deque[asyncio.Future[Outcome]] = deque()
        try:
            for part in parts[1:]:
                if len(queued) == PARTS_QUEUED:
                    outcomes.append(await queued.popleft())
                queued.append(await self.enqueue(part))
            while queued:
                outcomes.append(await queued.popleft())
        except CallerIsOutdatedError:
            raise
        except LedgerError as error:
            raise OutcomeUnknownError(
                f"{len(outcomes)} of {len(parts)} parts of this are recorded, then: {error.detail} Repeated, it does the rest."
            ) from error
        return outcomes

    def enqueue(self, command: Command) -> Coroutine[Any, Any, asyncio.Future[Outcome]]:
        """Queue *command*, once this is awaited; the future gives what ``execute`` would, and raises what it would.

        One caller's commands are decided in the order of its calls. Raises NotAllowedError, UnavailableError.
        """
        if self._is_closing:
            raise UnavailableError("The server is stopping.", retry_after_s=2)
        command.must_be_allowed()
        return self._sequencer(command.caller.org).enqueue(command)

    async def create_org(self, name: str) -> Outcome:
        """Begin an org's ledger. Raises InvalidCommandError, NameIsTakenError."""
        must_be_org_name(name)
        every = (*self.projections, *self.catch_up_projections)
        live = orjson.dumps({it.name: {"gen": 1, "fold": it.fold_version} for it in every}).decode()
        await self.database.write(lambda connection: connection.execute(ledger_statement("create_head"), name, live))
        return await self.execute(CreateOrg(caller=ledger_itself(name)))

    async def job(self, org: str, job_id: int) -> Job:
        """The job as of now. Raises NotFoundError, GoneError."""
        aggregate = await self.aggregate(org, job_stream(job_id))
        if not isinstance(aggregate, Job):
            raise NotFoundError(f"There is no job {job_id}.", job_id=job_id)
        must_be_here(aggregate)
        return aggregate

    async def aggregate(self, org: str, stream: str) -> Aggregate | None:
        """The aggregate as of now, None where the stream has not begun."""
        head = await self.recorder.head(org)
        async with self.database.reader() as connection:
            return (await load_aggregates(connection, org, head, self.projections, [stream])).get(stream)

    def access_at(self, org: str) -> int | None:
        """The size of the org's ledger when who may do what was last changed, as far as this process knows by its own appends."""
        sequencer = self._sequencers.get(org)
        return None if sequencer is None else sequencer.access_at

    def refuse_writing(self, org: str, refusal: LedgerError | None) -> None:
        """Refuse every command of the org with this until it is None; reads go on."""
        self._sequencer(org).refusal = refusal

    @property
    def waiting_count(self) -> int:
        """How many commands wait in this process to be decided, in all orgs."""
        return sum(it.waiting_count for it in self._sequencers.values())

    @property
    def stopped_count(self) -> int:
        """How many orgs' writing has stopped in this process until an operator acts."""
        return sum(it.is_stopped for it in self._sequencers.values())

    async def close(self) -> None:
        """Refuse what is new, answer what is queued."""
        self._is_closing = True
        await asyncio.gather(*(sequencer.drain() for sequencer in self._sequencers.values()))
        await self.following.close()
        await self._announcer.close()

    def _sequencer(self, org: str) -> Sequencer:
        sequencer = self._sequencers.get(org)
        if sequencer is None:
            writer = OrgWriter(
                org, self._appender, Cache(self._memory), self._clock, self._observer, self._tell_appended
            )
            sequencer = self._sequencers[org] = Sequencer(writer, self.database)
        return sequencer

    def _tell_appended(self, org: str, size: int) -> None:
        """Wake who follows the org's ledger, here and in other processes."""
        self.following.hear(org, size)
        self._announcer.announce(org, size)
        for tell in self.told_of_appends:
            tell(org, size)
