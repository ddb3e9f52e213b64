"""Connections that fail at any step of the protocol: what was acknowledged is there once, and writing goes on (invariant 1).

Fault pairs: cut before a message was passed on, it did not happen; cut after, it did, and nobody was told.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest

from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.errors import DatabaseIsAwayError, LedgerError, OutcomeUnknownError
from jobledger.ledger.store import database as database_module
from jobledger.ledger.store import sequencer as sequencer_module
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import short_folder
from tests.system.wire import Direction, Failure, Fault, Proxy, proxied
from tests.world import ALICE, ORG, idempotency, register, register_running, registration, serving

pytestmark = pytest.mark.slow

NUMBERS = count(1)


class Journal:
    """What was sent, and what was answered."""

    def __init__(self, ledger: Ledger, job_id: int) -> None:
        self.ledger = ledger
        self.job_id = job_id
        self.acknowledged: dict[str, Outcome] = {}
        self.refused: dict[str, LedgerError] = {}

    async def send(self, *, size: int = 4) -> None:
        """Some commands at once; each is answered. Every other one has an Idempotency-Key."""

        async def send_one(name: str, command: Command) -> None:
            try:
                self.acknowledged[name] = await self.ledger.execute(command)
            except LedgerError as refusal:
                self.refused[name] = refusal

        commands: dict[str, Command] = {}
        for n in range(size):
            name = f"mark {next(NUMBERS)}"
            command: Command = registration(name=name)
            if n % 2:
                command = ReportProgress(caller=ALICE, job_id=self.job_id, message=name)
            if n % 3 == 0:
                command.idempotency = idempotency(name)
            commands[name] = command
        async with asyncio.timeout(60):
            await asyncio.gather(*(send_one(name, command) for name, command in commands.items()))

    async def check(self, ledger: Ledger) -> None:
        """Each acknowledged command's event stands once, at the position told; of the others none stands twice."""
        stored: Counter[str] = Counter()
        places: dict[str, int] = {}
        async for event in ledger.recorder.scan(ORG):
            data = event.event().data
            name = data.get("message") or data.get("name") or ""
            stored[name] += 1
            places[name] = event.position
        for name, outcome in self.acknowledged.items():
            assert stored[name] == 1, f"{name} stands {stored[name]} times"
            assert outcome.first_position == places[name]
        for name, refusal in self.refused.items():
            assert stored[name] <= (1 if isinstance(refusal, OutcomeUnknownError) else 0), f"{name}: {refusal}"


@pytest.fixture
async def wire(database_url: str, ledger: Ledger, either_way: str) -> AsyncIterator[tuple[Proxy, Journal]]:
    """A proxy, and a journal of what another server sends through it. It is checked at the end."""
    with short_folder() as folder:
        async with proxied(database_url, folder) as (url, proxy):
            async with serving(url) as served:
                journal = Journal(served, await register_running(served))
                await journal.send()
                yield proxy, journal
                proxy.arm()
                await journal.send()
            await journal.check(ledger)


async def message_count(proxy: Proxy, journal: Journal, direction: Direction) -> int:
    """How many messages it takes to send once."""
    proxy.arm()
    await journal.send()
    return proxy.counts[direction]


async def forget_connections(journal: Journal) -> None:
    """The next batch connects anew, and prepares its statements anew."""
    idle = journal.ledger.database._idle_writers
    while idle:
        await idle.pop().close()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("failure", [Failure.CUT_BEFORE, Failure.CUT_AFTER])
@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
async def test_a_connection_cut_at_any_message_loses_and_doubles_nothing(
    wire: tuple[Proxy, Journal], direction: Direction, failure: Failure, is_cold: bool
) -> None:
    """From the first message of a batch to beyond its COMMIT. All are acknowledged: the server tries again by itself."""
    proxy, journal = wire
    if is_cold:
        await forget_connections(journal)
    messages = await message_count(proxy, journal, direction)
    assert messages > 5

    for number in range(1, messages + 2):
        if is_cold:
            await forget_connections(journal)
        proxy.arm([Fault(direction, number, failure)])
        await journal.send()
        await journal.send(size=1)  # what was cut after its last message is noticed by the next batch
        if number <= messages:
            assert proxy.happened

    assert not journal.refused


@pytest.mark.parametrize("seed", range(8))
async def test_connections_cut_again_and_again_lose_and_double_nothing(wire: tuple[Proxy, Journal], seed: int) -> None:
    """Also while it is found out whether a lost COMMIT counted."""
    proxy, journal = wire
    chance = random.Random(seed)
    messages = {it: await message_count(proxy, journal, it) for it in Direction}

    for _ in range(6):
        faults = []
        for _ in range(chance.randint(1, 4)):
            direction = chance.choice(list(Direction))
            # Most often near the end, where COMMIT is.
            number = max(1, messages[direction] - int(chance.expovariate(0.3)))
            faults.append(Fault(direction, number, chance.choice([Failure.CUT_BEFORE, Failure.CUT_AFTER])))
        proxy.arm(faults)
        await journal.send(size=chance.randint(1, 120))

    assert not journal.refused


@pytest.mark.parametrize("error", [asyncpg.InvalidPasswordError, asyncpg.UndefinedObjectError])
async def test_a_batch_whose_commit_is_in_doubt_is_not_written_again_because_connecting_fails(
    wire: tuple[Proxy, Journal], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Whatever connecting says: as long as it is not known that the batch was lost, it is not sent again."""
    proxy, journal = wire
    connect = database_module.connect
    failures: Iterator[Exception] = iter([])

    async def connect_later(*arguments: object, **members: object) -> database_module.Connection:
        if (failure := next(failures, None)) is not None:
            raise failure
        return await connect(*arguments, **members)  # type: ignore[arg-type]

    monkeypatch.setattr(database_module, "connect", connect_later)
    for before_last in (1, 0):
        # The first one after a COMMIT in doubt is decided under the lock; the second prepares the statement that the third uses.
        await journal.send()
        await journal.send()
        number = await message_count(proxy, journal, Direction.BACKEND) - before_last
        failures = iter([error("not now")] * 2)
        proxy.arm([Fault(Direction.BACKEND, number, Failure.CUT_BEFORE)])
        await journal.send()
        assert next(failures, None) is None

    assert not journal.refused


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same timeouts, a tenth as long."""
    monkeypatch.setattr(database_module, "REPLY_TIMEOUT_S", 1.5)
    monkeypatch.setattr(database_module, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setitem(database_module.WRITER_SETTINGS, "lock_timeout", "500ms")
    monkeypatch.setitem(database_module.WRITER_SETTINGS, "idle_in_transaction_session_timeout", "1s")


@pytest.fixture
async def silent_wire(_impatient: None, wire: tuple[Proxy, Journal]) -> tuple[Proxy, Journal]:
    return wire


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("failure", [Failure.SILENT_BEFORE, Failure.SILENT_AFTER])
async def test_a_connection_that_goes_silent_is_given_up(
    silent_wire: tuple[Proxy, Journal], direction: Direction, failure: Failure
) -> None:
    """The ledger waits no longer than for an answer it would have had; Postgres lets go of what the silent one locked."""
    proxy, journal = silent_wire
    messages = await message_count(proxy, journal, direction)
    numbers = [1, messages // 2, messages - 1, messages]
    if direction is Direction.FRONTEND:
        # What a client sends in one piece arrives in one piece: from a Bind, or the like, to its Sync. (Between the two
        # Postgres would wait without an end.)
        kinds = proxy.frontend_kinds
        ends = [n for n, kind in enumerate(kinds, 1) if kind in b"SQ"]
        begins = [1, *(n + 1 for n in ends[:-1])]
        pieces = begins if failure is Failure.SILENT_BEFORE else ends
        numbers = [pieces[0], *pieces[-3:]]

    for number in numbers:
        proxy.arm([Fault(direction, number, failure)])
        await journal.send()
        await journal.send(size=1)

    assert not journal.refused


@pytest.fixture
async def leaving_wire(wire: tuple[Proxy, Journal], monkeypatch: pytest.MonkeyPatch) -> tuple[Proxy, Journal]:
    """One through which nobody connects any more after its fault, until it is armed anew; and little patience."""
    monkeypatch.setattr(sequencer_module, "PATIENCE_S", 0.3)
    wire[0].stays_away = True
    return wire


@pytest.mark.parametrize(
    ("either_way", "place", "expected"),
    [
        # A batch's last message is its COMMIT.
        ("under_lock", 0, [OutcomeUnknownError] * 4),
        ("under_lock", -1, [DatabaseIsAwayError] * 4),
        # Two batches, the second one decided while the first was under way.
        ("ahead", 0, [OutcomeUnknownError] * 2),
        ("ahead", 1, [OutcomeUnknownError] * 2 + [DatabaseIsAwayError] * 2),
    ],
    indirect=["either_way"],
)
@pytest.mark.parametrize("failure", [Failure.CUT_AFTER, Failure.CUT_BEFORE])
async def test_a_database_that_stays_away_is_told_as_what_it_is(
    leaving_wire: tuple[Proxy, Journal], place: int, failure: Failure, expected: list[type[LedgerError]]
) -> None:
    """Unknown where a COMMIT was sent, else nothing was appended; afterwards writing goes on by itself."""
    proxy, journal = leaving_wire
    last = await message_count(proxy, journal, Direction.FRONTEND)
    proxy.arm([Fault(Direction.FRONTEND, place if place > 0 else last + place, failure)])

    await journal.send()

    assert [type(it) for it in journal.refused.values()] == expected
    proxy.arm()
    await journal.send()
    assert len(journal.refused) == len(expected)


@pytest.mark.parametrize("failure", [Failure.CUT_AFTER, Failure.CUT_BEFORE])
async def test_a_request_whose_outcome_is_unknown_is_repeated_safely(
    leaving_wire: tuple[Proxy, Journal], ledger: Ledger, failure: Failure
) -> None:
    """With the same Idempotency-Key it counts once, and it is told whether the first did."""
    proxy, journal = leaving_wire
    for key in ("prepares", "counts"):
        proxy.arm()
        await journal.ledger.execute(registration(key=key))
    proxy.arm([Fault(Direction.FRONTEND, proxy.counts[Direction.FRONTEND], failure)])
    with pytest.raises(OutcomeUnknownError):
        await journal.ledger.execute(registration(key="k", name="once"))
    proxy.arm()

    outcome = await journal.ledger.execute(registration(key="k", name="once"))

    assert outcome.is_repeated is (failure is Failure.CUT_AFTER)
    assert len([it async for it in ledger.recorder.scan(ORG) if it.event().data.get("name") == "once"]) == 1


@pytest.mark.parametrize("failure", [Failure.CUT_AFTER, Failure.CUT_BEFORE])
async def test_another_servers_append_is_not_taken_for_a_batch_in_doubt(
    wire: tuple[Proxy, Journal], ledger: Ledger, failure: Failure
) -> None:
    """Where the batch was lost, another may have taken its place before that was found out: it is written behind it."""
    proxy, journal = wire
    commit = await message_count(proxy, journal, Direction.FRONTEND)
    proxy.stays_away = True
    proxy.arm([Fault(Direction.FRONTEND, commit, failure)])
    sent = asyncio.ensure_future(journal.send())
    async with asyncio.timeout(10):
        while not proxy.happened:
            await asyncio.sleep(0.01)

    for _ in range(7):
        await register(ledger, name="another server's")
    proxy.stays_away = False
    proxy.arm()
    await sent

    assert not journal.refused
