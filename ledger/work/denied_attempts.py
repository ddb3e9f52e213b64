"""What was refused, counted as it happens and told by events: at most one a minute of a principal and kind.

Who is refused never waits for it: an attempt is noted in memory, bounded, and told in the background. If we die, the counts of
the last minute are lost; a stop writes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import NamedTuple, TypeAlias
from uuid import uuid4

from jobledger.ledger.domain.command import Idempotency
from jobledger.ledger.domain.denial import (
    DOMAIN,
    LOGIN,
    USUAL_INTERVAL,
    Asked,
    RecordDenials,
    denial_stream,
    denied_caller,
)
from jobledger.ledger.errors import UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.rounds import Rounds

log = logging.getLogger(__name__)

# Of one event: as many different things as are told one by one.
MOST_ASKED = 10
# Principals and kinds that are counted, in all orgs and in one. Of failed logins and of others apart, so that no stranger's
# guessing crowds out what principals were refused.
MOST_COUNTED = 20_000
MOST_OF_ORG = 1_000
# Anybody can make logins fail: of all principals of an org together so many of them are told at once, then one an interval.
MOST_LOGINS = 10
# What comes together in so long is looked at together.
GATHERING_S = 0.05
AT_ONCE = 100
# Where telling fails otherwise than by being asked to wait.
RETRY_S = 5.0
# How long a stop waits for the database.
PATIENCE_S = 5.0

# ``kinds_of(org, job_ids)``: type and domain of those that are jobs.
KindsOf: TypeAlias = Callable[[str, Collection[int]], Awaitable[Mapping[int, tuple[str, str]]]]


class Key(NamedTuple):
    """What is counted as one."""

    org: str
    principal_id: int
    kind: str


class Suspect(NamedTuple):
    """An attempt on a job that was not there for a principal of these *domains*: is there one in others?"""

    principal_id: int
    domains: frozenset[str]
    asked: Asked
    request: str | None


@dataclass(slots=True)
class Tally:
    """Attempts that are yet to be told, in one event."""

    request: str | None
    first: Asked
    first_at: datetime
    last_at: datetime
    count: int = 0
    asked: Counter[Asked] = field(default_factory=Counter)
    # Under which it is told once, however often that has to be tried.
    idempotency_key: str = field(default_factory=lambda: f"denied-{uuid4()}")
    # Whether it may have been told by now: then nothing is added to it any more.
    is_unsure: bool = False

    def add(self, asked: Asked, count: int, at: datetime) -> None:
        """Count attempts; of different ones the first few are told one by one."""
        self.count += count
        self.last_at = at
        if asked in self.asked or len(self.asked) < MOST_ASKED:
            self.asked[asked] += count

    def join(self, later: Tally) -> None:
        """Count those of *later* too."""
        for asked, count in later.asked.items():
            if asked in self.asked or len(self.asked) < MOST_ASKED:
                self.asked[asked] += count
        self.count += later.count
        self.last_at = later.last_at


@dataclass(slots=True)
class Entry:
    """What is counted of one key: ``sending`` is being told, or may have been, ``waiting`` came since."""

    due_at: float
    waiting: Tally | None = None
    sending: Tally | None = None

    @property
    def count(self) -> int:
        """How many attempts are yet to be told."""
        return sum(it.count for it in (self.waiting, self.sending) if it is not None)


class DeniedAttempts(Rounds):
    """Notes what was refused, and tells it. Each server does it for what it has refused itself."""

    title = "The record of what was refused"

    def __init__(self, ledger: Ledger, kinds_of: KindsOf, interval: timedelta = USUAL_INTERVAL) -> None:
        super().__init__(ledger)
        self._kinds_of = kinds_of
        self._interval = interval
        self._suspects: dict[str, list[Suspect]] = {}
        self._entries: dict[Key, Entry] = {}
        self._of_org: Counter[tuple[str, bool]] = Counter()
        # Until when those that were told count: each for one interval, one after the other.
        self._logins: dict[str, float] = {}
        self._uncounted = 0
        self._something = asyncio.Event()

    def note(self, key: Key, asked: Asked, *, request: str | None = None, count: int = 1) -> None:
        """Count attempts. Costs microseconds, and never raises."""
        entry = self._entries.get(key)
        if entry is None:
            place = (key.org, key.kind == LOGIN)
            if len(self._entries) >= MOST_COUNTED or self._of_org[place] >= MOST_OF_ORG:
                self._uncounted += count
                return
            self._of_org[place] += 1
            entry = self._entries[key] = Entry(monotonic())
        now = datetime.now(UTC)
        if entry.waiting is None:
            entry.waiting = Tally(request, asked, now, now)
        entry.waiting.add(asked, count, now)
        self._something.set()

    def suspect(self, org: str, suspect: Suspect) -> None:
        """Look, by the way, whether what was not there for somebody is in another domain; then it was refused."""
        suspects = self._suspects.setdefault(org, [])
        if len(suspects) >= MOST_OF_ORG:
            self._uncounted += 1
            return
        suspects.append(suspect)
        self._something.set()

    @property
    def pending_count(self) -> int:
        """How many attempts are yet to be told."""
        return sum(it.count for it in self._entries.values())

    async def stop(self) -> None:
        """Stop, and tell what is yet to be told, if the database takes it in time."""
        if self._task is None:
            return
        await super().stop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                for org in list(self._suspects):
                    await self._look_at_suspects(org)
                left = [(key, entry) for key, entry in self._entries.items() if entry.count]
                for begin in range(0, len(left), AT_ONCE):
                    await asyncio.gather(*(self._tell_all(*it) for it in left[begin : begin + AT_ONCE]))
        except TimeoutError:
            pass
        if self.pending_count:
            log.warning("%s: %s attempts could not be told before the stop.", self.title, self.pending_count)

    async def _go_round(self) -> None:
        self._something.clear()
        if self._uncounted:
            log.warning("%s: %s attempts were not counted, by too many principals.", self.title, self._uncounted)
            self._uncounted = 0
        for org in self._suspects:
            if (org, "suspects") not in self._under_way:
                self._begin((org, "suspects"), self._look_at_suspects(org))
        now = monotonic()
        due: dict[str, list[tuple[Key, Entry]]] = {}
        for key, entry in list(self._entries.items()):
            if entry.due_at > now:
                continue
            if entry.count:
                due.setdefault(key.org, []).append((key, entry))
            else:
                self._forget(key)
        for org, entries in due.items():
            # An org whose ledger takes nothing now holds up no other.
            if org not in self._under_way:
                self._begin(org, self._tell_org(entries))

    async def _pause(self) -> None:
        await asyncio.sleep(GATHERING_S)
        now = monotonic()
        ahead = [it.due_at for key, it in self._entries.items() if key.org not in self._under_way]
        try:
            # Those that were told are forgotten when there might be another.
            async with asyncio.timeout(max(0.0, min(ahead) - now) if ahead else None):
                await self._something.wait()
        except TimeoutError:
            pass

    def _begin(self, what: Hashable, work: Coroutine[None, None, None]) -> None:
        def end(task: asyncio.Task[None]) -> None:
            self._under_way.pop(what, None)
            self._something.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("%s missed a turn: %s: %s", self.title, type(error).__name__, error)

        task = self._under_way[what] = asyncio.create_task(work)
        task.add_done_callback(end)

    async def _look_at_suspects(self, org: str) -> None:
        """Count those that asked for what lies outside their domains. Who cannot be looked at now is not looked at again."""
        suspects = self._suspects.pop(org, [])
        job_ids = list(dict.fromkeys(it.asked.job_id for it in suspects if it.asked.job_id is not None))
        try:
            kinds = await self._kinds_of(org, job_ids)
        except asyncio.CancelledError:
            # A stop: it looks once more.
            self._suspects[org] = suspects + self._suspects.get(org, [])
            raise
        for it in suspects:
            kind = None if it.asked.job_id is None else kinds.get(it.asked.job_id)
            if kind is not None and kind[1] not in it.domains:
                self.note(Key(org, it.principal_id, DOMAIN), it.asked, request=it.request)

    async def _tell_org(self, entries: Sequence[tuple[Key, Entry]]) -> None:
        for begin in range(0, len(entries), AT_ONCE):
            await asyncio.gather(*(self._tell(*it) for it in entries[begin : begin + AT_ONCE]))

    async def _tell(self, key: Key, entry: Entry, *, is_last: bool = False) -> None:
        """Tell what is counted of one key, or be due again."""
        interval_s = self._interval.total_seconds()
        if entry.sending is None:
            wait_s = 0.0 if is_last or key.kind != LOGIN else self._take_login(key.org)
            if wait_s:
                entry.due_at = monotonic() + wait_s
                return
            entry.sending, entry.waiting = entry.waiting, None
        tally = entry.sending
        if tally is None:
            return
        try:
            await self._ledger.execute(self._command(key, tally, is_last=is_last))
        except UnavailableError as error:
            # Nothing was appended: what came since is told with it.
            if not tally.is_unsure:
                if entry.waiting is not None:
                    tally.join(entry.waiting)
                entry.waiting, entry.sending = tally, None
            entry.due_at = monotonic() + min(error.retry_after_s, max(interval_s, 1.0))
        except Exception as error:
            # It may have been appended: it is tried again as it is, and recorded once.
            tally.is_unsure = True
            log.warning("%s failed for %s: %s: %s", self.title, key.org, type(error).__name__, error)
            entry.due_at = monotonic() + RETRY_S
        else:
            entry.sending = None
            entry.due_at = monotonic() + interval_s

    async def _tell_all(self, key: Key, entry: Entry) -> None:
        """Tell all that is counted of one key: what may have been told already, and what came since."""
        if entry.sending is not None:
            await self._tell(key, entry, is_last=True)
        if entry.sending is None:
            await self._tell(key, entry, is_last=True)

    def _command(self, key: Key, tally: Tally, *, is_last: bool) -> RecordDenials:
        first, idempotency_key = tally.first, tally.idempotency_key
        via = first.via or "native"
        return RecordDenials(
            caller=denied_caller(key.org, key.principal_id, key.kind, via, first.address, tally.request),
            idempotency=Idempotency(idempotency_key, sha256(idempotency_key.encode()).digest()),
            stream=denial_stream(key.principal_id, tally.first_at),
            principal_id=key.principal_id,
            kind=key.kind,
            count=tally.count,
            asked=[it.told(count) for it, count in tally.asked.items()],
            first_at=tally.first_at,
            last_at=tally.last_at,
            interval=self._interval,
            is_last=is_last,
        )

    def _take_login(self, org: str) -> float:
        """Take one of the org's failed logins that may be told; in how many seconds there is one, where there is none."""
        interval_s, now = self._interval.total_seconds(), monotonic()
        until = max(self._logins.get(org, 0.0), now)
        wait_s = until - now - (MOST_LOGINS - 1) * interval_s
        if wait_s <= 0:
            self._logins[org] = until + interval_s
        return max(0.0, wait_s)

    def _forget(self, key: Key) -> None:
        del self._entries[key]
        place = (key.org, key.kind == LOGIN)
        self._of_org[place] -= 1
        if not self._of_org[place]:
            del self._of_org[place]
